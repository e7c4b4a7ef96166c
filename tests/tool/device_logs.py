#!/usr/bin/env python3
"""Writes logs as rmm's logging resource adaptor writes them, of programs that do not exist but behave like some that do:

training    layers whose activations are freed in reverse order, gradients, an optimizer that stays; batches of different length
inference   requests with key and value caches that grow in steps and end in any order
dataframe   joins and sorts: tables of any size, temporary ones twice as large, results that stay for a while
stencil     few large arrays, swapped for ever, and small reductions
mixed       several of them at the same time, on a stream each
"""
import random


class Log:
    def __init__(self, file):
        self.file = file
        self.next = 0x7F0000000000
        self.time = 0
        self.live = {}
        file.write("Thread,Time,Action,Pointer,Size,Stream\n")

    def line(self, action, pointer, size, stream):
        self.time += 1
        seconds, micros = divmod(self.time, 1000000)
        self.file.write("%d,%02d:%02d:%02d.%06d,%s,0x%x,%d,0x%x\n" % (
            1000 + stream, seconds // 3600 % 24, seconds // 60 % 60, seconds % 60, micros, action, pointer, size, stream))

    def alloc(self, size, stream=0):
        size = max(1, int(size))
        pointer = self.next
        self.next += (size + 255) // 256 * 256
        self.live[pointer] = (size, stream)
        self.line("allocate", pointer, size, stream)
        return pointer

    def free(self, pointer):
        size, stream = self.live.pop(pointer)
        self.line("free", pointer, size, stream)

    def end(self):
        for pointer in list(self.live):
            self.free(pointer)


KIB, MIB = 1 << 10, 1 << 20


def training(log, rng, rounds=40, stream=0):
    weights = [rng.choice([1, 2, 4, 9, 16]) * MIB for _ in range(24)]
    for size in weights:
        log.alloc(size, stream)          # weights
        log.alloc(2 * size, stream)      # the optimizer's
        yield
    for _ in range(rounds):
        length = rng.uniform(0.5, 1.0)
        kept = []
        for size in weights:
            work = log.alloc(size * length * 3, stream)
            kept.append((log.alloc(size * length, stream), log.alloc(size * length / 8 + 1000, stream)))
            log.free(work)
            yield
        for size, (one, other) in zip(reversed(weights), reversed(kept)):
            gradient = log.alloc(size, stream)
            work = log.alloc(size * length * 2, stream)
            log.free(one)
            log.free(other)
            log.free(work)
            log.free(gradient)
            yield


def inference(log, rng, rounds=3000, stream=0):
    log.alloc(600 * MIB, stream)
    requests = []
    for _ in range(rounds):
        if len(requests) < 24 and rng.random() < 0.2:
            requests.append([log.alloc(rng.randint(1, 64) * 256 * KIB, stream)])
        for request in requests:
            if rng.random() < 0.5:
                request.append(log.alloc(2 * MIB, stream))
        scratch = [log.alloc(rng.randint(1, 40) * 200 * KIB, stream) for _ in range(6)]
        for pointer in scratch:
            log.free(pointer)
        if requests and rng.random() < 0.19:
            for pointer in requests.pop(rng.randrange(len(requests))):
                log.free(pointer)
        yield


def dataframe(log, rng, rounds=1500, stream=0):
    tables = []
    for _ in range(rounds):
        size = int(2 ** rng.uniform(12, 27.5))
        work = log.alloc(2 * size, stream)
        parts = [log.alloc(size / 3, stream) for _ in range(3)]
        result = log.alloc(size * rng.uniform(0.1, 1), stream)
        log.free(work)
        for pointer in parts:
            log.free(pointer)
        tables.append(result)
        while len(tables) > 30 or (tables and rng.random() < 0.3):
            log.free(tables.pop(rng.randrange(len(tables))))
        yield


def stencil(log, rng, rounds=2000, stream=0):
    arrays = [log.alloc(97 * MIB + i * 4096, stream) for i in range(6)]
    for step in range(rounds):
        small = [log.alloc(rng.randint(1, 64) * KIB, stream) for _ in range(5)]
        for pointer in small:
            log.free(pointer)
        if step % 200 == 199:
            log.free(arrays.pop(0))
            arrays.append(log.alloc(rng.randint(90, 110) * MIB, stream))
        yield


def mixed(log, rng):
    programs = [training(log, rng, 10, 1), inference(log, rng, 800, 2), dataframe(log, rng, 500, 3), stencil(log, rng, 600, 4)]
    while programs:
        program = rng.choice(programs)
        if next(program, "end") == "end":
            programs.remove(program)
        yield


LOGS = {"training": training, "inference": inference, "dataframe": dataframe, "stencil": stencil, "mixed": mixed}


def write_log(name, path):
    with open(path, "w", encoding="ascii") as file:
        log = Log(file)
        for _ in LOGS[name](log, random.Random(name)):
            pass
        log.end()
