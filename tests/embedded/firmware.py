#!/usr/bin/env python3
"""Boots examples/firmware on boards in QEMU and holds what it says, line by line: addresses against the symbols of the image, sums and
counts against a model of what its tasks do, instructions against bars.

usage: firmware.py FOLDER-FOR-IMAGES [BOARD...]
"""
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
RUN, BOARD = os.path.join(ROOT, "examples/firmware/run"), os.path.join(ROOT, "tests/support/board/board")
BOARDS = ("m3", "m4", "m7", "m33", "rv32")

# The most instructions of a domain switch, pool alloc and free, heap alloc and free: a tenth above what they take.
BARS = {"m33": (165, 30, 30, 465, 465), "rv32": (60, 55, 30, 585, 575)}
BARS_V7M = (68, 30, 30, 465, 465)


def model():
    """What 64 samples and 8 whole frames come to."""
    samples = [(number * 389 % 1024, number % 32 == 31) for number in range(64)]
    good = [value for value, is_spoilt in samples if not is_spoilt]
    frames = ["".join("%08x" % (number * 0x01010101 + i) for i in range(number)) for number in range(1, 9)]
    assert len(frames[-1]) == 64  # the line is full: one more reading goes over its end
    return {"sum": sum(good), "alarms": sum(value > 1000 for value in good), "spoilt": len(samples) - len(good),
            "frames": sum(map(ord, "".join(frames)))}


def symbols(board, image):
    nm = "riscv64-unknown-elf-nm" if board == "rv32" else "arm-none-eabi-nm"
    lines = subprocess.run([nm, image], stdout=subprocess.PIPE, check=True, text=True).stdout.splitlines()
    return {line.split()[-1]: int(line.split()[0], 16) for line in lines if len(line.split()) == 3}


def expected(board, symbol):
    """A line each: text, or a pattern where figures depend on the processor."""
    m = model()
    access = "write" if board == "rv32" else "access"  # a Cortex-M does not tell them apart
    second, tick = symbol["task_memories"] + 4096, symbol["kernel_tick_count"]
    denied = "the domain has no right to it"
    return [
        re.compile(r"instructions: domain switch (\d+), pool alloc (\d+), pool free (\d+), heap alloc (\d+), heap free (\d+)"),
        # Radio is at work all the time: that filter comes to its stray store before radio's ninth frame is the timer's doing.
        f"acre: domain 'filter': {access} of {tick:#x}: {denied} ('tick count' of domain 'kernel', 4 bytes at {tick:#x}; offset 0)",
        "kernel: 'filter' goes on behind the instruction",
        f"acre: domain 'radio': {access} of {second:#x}: {denied} ('filter memory' of domain 'filter', 4096 bytes at {second:#x}; offset 0)",
        "kernel: 'radio' is ended",
        f"radio: 8 frames, sum {m['frames']}, ended by a fault",
        "radio: at most 48 bytes of its heap in use, 48 the largest: proved to be enough for any such program",
        "radio: fragmentation at most 0 per mille, 0 times over the limit of 100",
        "radio: held at its end: 1 of heap 'radio', kind 'frame', 44 bytes",
        f"filter: 64 samples, sum {m['sum']}, ended by itself",
        f"filter: at most {16 * (4 + m['alarms'])} bytes of its heap in use, 16 the largest: proved to be enough for any such program",
        re.compile(r"filter: fragmentation at most (\d\d?|100) per mille, 0 times over the limit of 100"),
        f"filter: leak: {m['alarms']} of heap 'filter', kind 'alarm', {12 * m['alarms']} bytes",
        f"filter: leak: {m['spoilt']} of pool 'samples'",
        re.compile(r"pool 'samples': ([2-9]|1[0-6]) of 16 slots at most in use, 0 not to be had, 0 frees refused"),
        "kernel: its tick count is whole",
    ]


def differences(board, symbol, text):
    """What is not as expected, a sentence each."""
    found, lines = [], text.splitlines()
    wanted = expected(board, symbol)
    for number, want in enumerate(wanted):
        line = lines[number] if number < len(lines) else "(nothing)"
        if not (want.fullmatch(line) if isinstance(want, re.Pattern) else line == want):
            found.append(f"line {number + 1} is:      {line}\n  expected:      {want.pattern if isinstance(want, re.Pattern) else want}")
    found += [f"one line too many: {line}" for line in lines[len(wanted):]]
    counts = wanted[0].fullmatch(lines[0]) if lines else None
    for count, bar in zip(counts.groups() if counts else (), BARS.get(board, BARS_V7M)):
        if not 0 < int(count) <= bar:
            found.append(f"{count} instructions, at most {bar} allowed: {lines[0]}")
    return found


def try_board(board, folder):
    image = os.path.join(folder, f"firmware-{board}.elf")
    built = subprocess.run([RUN, "--build", board, image], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if built.returncode != 0:
        print(f"{'skip' if built.returncode == 77 else 'not ok'} firmware on {board} - {built.stdout.strip()}")
        return built.returncode == 77
    ran = subprocess.run([BOARD, "run", board, image], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
                         timeout=60, check=False)
    symbol = symbols(board, image)
    bad = differences(board, symbol, ran.stdout)
    if ran.returncode != 0:
        bad.append(f"it ended with {ran.returncode}")
    # What would be wrong is seen to be wrong.
    address = f"{symbol['task_memories'] + 4096:#x}"
    for right, wrong in ((f"of {address}", f"of {address[:-1]}4"), ("leak: 2 of pool", "leak: 1 of pool"), ("ended by itself", "ended by a fault"),
                         ("domain switch ", "domain switch 9"), ("kernel: its tick count is whole\n", "")):
        if not differences(board, symbol, ran.stdout.replace(right, wrong, 1)):
            bad.append(f"'{wrong}' instead of '{right}' is not noticed")
    print(ran.stdout, end="")
    for sentence in bad:
        print(sentence)
    print(f"{'not ok' if bad else 'ok'} firmware on {board}{' - see above' if bad else ''}", flush=True)
    return not bad


results = [try_board(board, sys.argv[1]) for board in sys.argv[2:] or BOARDS]
sys.exit(0 if all(results) else 1)
