#!/usr/bin/env python3
"""acre plan: pools against every other way to divide sizes, arenas against a first fit by hand, domains against what the file says.

usage: plan.py ACRE SOURCE_FOLDER
"""
import itertools
import json
import os
import random
import subprocess
import sys
import tempfile

acre, source = (os.path.abspath(path) for path in sys.argv[1:3])
folder = tempfile.mkdtemp()
failures = []


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*arguments):
    return subprocess.run([acre, "plan", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)


def write(name, text):
    path = os.path.join(folder, name)
    with open(path, "w") as file:
        file.write(text)
    return path


def control_bytes(slots):
    return -(-slots // 1056) * 64 + (4 * ((slots - 1) // 32 - 1) if slots > 32 else 0)


def cost_of(steps, borders):
    """The bytes of pools for sizes up to each border, by counting."""
    live, peak, of = [0] * len(borders), [0] * len(borders), {}
    for op, name, size in steps:
        if op == "alloc":
            pool = next(i for i, border in enumerate(borders) if size <= border)
            of[name] = pool
            live[pool] += 1
            peak[pool] = max(peak[pool], live[pool])
        else:
            live[of.pop(name)] -= 1
    return sum(border * count + control_bytes(count) for border, count in zip(borders, peak))


def pools_are_the_cheapest_of_all():
    chance = random.Random(4)
    for number in range(200):
        sizes = sorted(chance.sample(range(8, 800, 8), chance.randint(1, 6)))
        steps, out = [], {}
        for name in range(chance.randint(1, 300)):
            size = chance.choice(sizes)
            steps.append(("alloc", name, size))
            out[name] = size
            while out and chance.random() < 0.45:
                gone = chance.choice(list(out))
                steps.append(("free", gone, out.pop(gone)))
        used = sorted({size for op, _, size in steps if op == "alloc"})
        text = "".join(f"alloc {name} {size}\n" if op == "alloc" else f"free {name}\n" for op, name, size in steps)
        path = write("steps", "# a trace\n" + text)
        pool_max = chance.randint(1, 4)
        result = run("pools", "--pools", str(pool_max), "--json", path)
        if result.returncode != 0:
            check(False, f"trace {number}: {result.stderr}")
            continue
        plan = json.loads(result.stdout)
        best = min(
            cost_of(steps, borders + (used[-1],))
            for count in range(min(pool_max, len(used)))
            for borders in itertools.combinations(used[:-1], count)
        )
        check(plan["total_bytes"] == best, f"trace {number}: {plan['total_bytes']} bytes, but {best} are enough")
        borders = [pool["slot_bytes"] for pool in plan["pools"]]
        check(cost_of(steps, borders) == best, f"trace {number}: the pools do not cost what is said: {plan}")


def many_sizes_are_rounded():
    text = "".join(f"alloc {i} {i * 37 % 60000 + 1}\n" for i in range(3000))
    result = run("pools", "--json", write("many", text))
    plan = json.loads(result.stdout)
    check(plan["total_bytes"] < 1.15 * plan["peak_live_bytes"], f"many sizes: {plan}")
    check(plan["pools"][-1]["slot_bytes"] >= 59990, f"many sizes: the largest has no room: {plan}")


def bad_traces_are_refused_with_the_line():
    for text, reason in (("alloc 1 10\nalloc x 3\n", b"line 2"), ("hello\n", b"line 1"), ("alloc 1 2 3\n", b"line 1"), ("", b"no allocations"),
                         ("free 1\n", b"no allocations")):
        result = run("pools", write("bad", text))
        check(result.returncode == 1 and reason in result.stderr and result.stdout == b"", f"{text!r}: {result}")
    check(run("pools", os.path.join(folder, "gone")).returncode == 1, "a trace that is not there")
    for call in (["pools"], ["x", "y"], ["pools", "--pools", "0", "x"], ["domains", "--mpu", "v9m-8", "x"], ["pools", "--what", "x"]):
        check(run(*call).returncode == 2, f"{call}")
    check(run("--help").returncode == 0, "--help")


def first_fit(steps):
    """Units of 8 bytes up to where the highest block ends, M and n, by a list."""
    blocks, top, live, peak, largest = {}, 0, 0, 0, 0
    for op, name, size in steps:
        if op == "free":
            live -= blocks.pop(name)[1]
            continue
        units = max(2, -(-(size + 4) // 8))
        at = 0
        for begin, length in sorted(blocks.values()):
            if begin - at >= units:
                break
            at = begin + length
        blocks[name] = (at, units)
        live += units
        top, peak, largest = max(top, at + units), max(peak, live), max(largest, units)
    return top, peak, largest


def arenas_are_the_smallest():
    chance = random.Random(5)
    for number in range(40):
        steps, out = [], {}
        size_max = chance.choice((30, 200, 3000))
        for name in range(chance.randint(1, 400)):
            size = chance.randint(1, size_max)
            steps.append(("alloc", name, size))
            out[name] = size
            while out and chance.random() < 0.48:
                gone = chance.choice(list(out))
                steps.append(("free", gone, out.pop(gone)))
        path = write("steps", "".join(f"alloc {name} {size}\n" if op == "alloc" else f"free {name}\n" for op, name, size in steps))
        result = run("arena", "--json", path)
        if result.returncode != 0:
            check(False, f"trace {number}: {result.stderr}")
            continue
        engines = {engine["engine"]: engine for engine in json.loads(result.stdout)["engines"]}
        top, peak, largest = first_fit(steps)
        tight = engines["tight"]
        check((tight["live_bytes_max"], tight["request_bytes_max"]) == (8 * peak, 8 * largest), f"trace {number}: {tight}, M {8 * peak}")
        # An empty arena has a record of some 300 bytes; trees are 1/32 of the rest.
        check(8 * top < tight["arena_bytes"] <= max(512, 8 * top * 34 // 32 + 512), f"trace {number}: {tight}, but blocks end at {8 * top}")
        check(list(engines) == ["tight", "fast", "best", "worst", "buddy"], f"trace {number}: {list(engines)}")
        for engine in engines.values():
            check(engine["bound_bytes"] >= engine["arena_bytes"] - 64 and 10 * engine["planned_bytes"] >= 11 * engine["arena_bytes"] - 10,
                  f"trace {number}: {engine}")


def an_arena_is_a_definition_in_c():
    result = run("arena", "--engine", "buddy,tight", "--reserve", "25", write("steps", "alloc 1 1000\nalloc 2 100\nfree 1\nalloc 3 900\n"))
    check(result.returncode == 0 and result.stdout.count(b"%") >= 3 and b"fast" not in result.stdout, f"{result}")
    definition = result.stdout[result.stdout.index(b"/* ") :].decode()
    code = write("arena.c", definition + "int main(void)\n{\n    void *one = acre_realtime_alloc(&arena, 1000);\n"
                 "    return one != NULL && acre_realtime_alloc(&arena, 100) != NULL && acre_realtime_free(&arena, one) == ACRE_OK &&\n"
                 "        acre_realtime_alloc(&arena, 900) != NULL ? 0 : 1;\n}\n")
    compiled = subprocess.run(["cc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", f"-I{source}/include", code], stderr=subprocess.PIPE,
                              check=False)
    check(compiled.returncode == 0, f"{compiled.stderr}")
    large = run("arena", "--json", write("large", "alloc 1 40000000\n"))
    check(large.returncode == 1 and json.loads(large.stdout)["engines"][0]["arena_bytes"] is None, f"{large}")
    for call in (["arena", "--engine", "tight,slow", "x"], ["arena", "--engine", "", "x"], ["arena", "--reserve", "-1", "x"]):
        check(run(*call).returncode == 2, f"{call}")
    for text, reason in (("", b"no allocations"), ("free 1\n", b"no allocations"), ("alloc 1\n", b"line 1")):
        bad = run("arena", write("bad", text))
        check(bad.returncode == 1 and reason in bad.stderr and bad.stdout == b"", f"{text!r}: {bad}")


DOMAINS = """# two tasks
domain sensor
domain radio
window 0x20001000 16K
range code 0 64K sensor rx grant radio rx
range samples anywhere 300 sensor rw grant radio r
range stack anywhere 1500 radio rw privileged rw
range uart 0x40004000 4096 radio rw device
"""


def domains_get_what_the_file_says():
    path = write("domains", DOMAINS)
    for unit in ("v7m-8", "v7m-16", "v6m-8", "v8m-8", "pages-256"):
        text = DOMAINS if unit != "pages-256" else DOMAINS.replace(" privileged rw", "")
        result = run("domains", "--mpu", unit, write("domains", text))
        check(result.returncode == 0, f"{unit}: {result.stderr}")
        code = write("plan.c", result.stdout.decode())
        compiled = subprocess.run(["cc", "-std=c11", "-Wall", "-Werror", "-fsyntax-only", f"-I{source}/include", code], stderr=subprocess.PIPE,
                                  check=False)
        check(compiled.returncode == 0, f"{unit}: {compiled.stderr}")
    plan = json.loads(run("domains", "--json", path).stdout)
    check([wish["name"] for wish in plan["sensor"]["wishes"]] == ["code", "samples"], f"{plan['sensor']}")
    check([wish["user"] for wish in plan["radio"]["wishes"]] == [5, 1, 3, 3], f"{plan['radio']}")
    check(plan["radio"]["entry_count"] == 4 and plan["radio"]["exposed_bytes"] == 0, f"{plan['radio']}")


def bad_domains_are_refused_with_the_reason():
    for text, reason in (
        ("domain a\nrange x 0 64 b rw\n", b"line 2: 'b' is no domain"),
        ("domain a\nrange x 0 64 a rq\n", b"'rq' are no rights"),
        ("domain a\nrange x 0 64\n", b"line 2"),
        ("domain a\nrange x 0 64 a rw lock\n", b"'lock'"),
        ("domain 1a\n", b"no name in C"),
        ("domain a\nrange x 8 64 a rw\n", b"domain 'a': wish 'x'"),
        ("domain a\nwindow 0x20000000 64\nrange x anywhere 100 a rw\n", b"wish 'x' of 100 bytes"),
        ("", b"has no domain"),
        ("task a\n", b"line 1"),
    ):
        result = run("domains", write("bad", text))
        check(result.returncode == 1 and reason in result.stderr and b"const" not in result.stdout, f"{text!r}: {result}")
    exposed = run("domains", "--expose", "32", write("odd", "domain a\nrange x 0x20000008 64 a rw\n"))
    check(exposed.returncode == 0 and b"beside x" in exposed.stdout, f"{exposed}")


TESTS = (pools_are_the_cheapest_of_all, many_sizes_are_rounded, bad_traces_are_refused_with_the_line, arenas_are_the_smallest,
         an_arena_is_a_definition_in_c, domains_get_what_the_file_says,
         bad_domains_are_refused_with_the_reason)
for test in TESTS:
    test()
    if failures:
        print(f"{test.__name__}: {len(failures)} failed")
        print("\n".join(failures[:5]))
        sys.exit(1)
    print(f"ok {test.__name__}")
