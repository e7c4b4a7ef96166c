#!/usr/bin/env python3
"""acre um replay: published counts on a trace that is written here, the same figures as table and JSON, options and traces that are refused.

usage: um.py ACRE
"""
import json
import os
import subprocess
import sys
import tempfile

acre = os.path.abspath(sys.argv[1])
folder = tempfile.mkdtemp()
failures = []


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*arguments):
    return subprocess.run([acre, "um", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)


def write(name, text):
    path = os.path.join(folder, name)
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
    return path


twice = write("twice", "".join(f"{page}\n" for page in range(6 * 512)) * 2)
result = run("replay", "--size", "84,100", "--json", "-", twice)
check(result.returncode == 0 and result.stderr == "", f"it ended with {result.returncode}: {result.stderr}")
document = json.loads(result.stdout)
check(document["touches"] == 6144 and document["bytes"] == 12 << 20, f"the trace is {document}")
small, whole = ({row["rules"]: row for row in size["rules"]} for size in document["sizes"])
check([small[rules]["faults"] for rules in ("lru", "nvidia", "tree")] == [72, 72, 72], f"with room for 5 blocks of 6: {small}")
check(small["lru"]["evicted_pages"] == 3584 and small["lru"]["out_bytes"] == 0, f"lru: {small['lru']}")
check([whole[rules]["faults"] for rules in ("demand", "64k", "lru")] == [3072, 192, 36], f"with room for all: {whole}")
check(whole["demand"]["time_ns"] // 100000 == 1441 or whole["demand"]["time_ns"] // 100000 == 1442, f"on demand: {whole['demand']}")
table = run("replay", "--size", "84", "--rules", "lru,acre", twice)
check(table.returncode == 0 and table.stdout.count("\n") == 6, f"the table is {table.stdout}")
check([word for line in table.stdout.splitlines() for word in line.split() if line.startswith("lru")][1] == "72", f"the table is {table.stdout}")
# Addresses of bytes, far apart: the same blocks.
addresses = write("addresses", "".join(f"{(block * 10000 + page) * 4096 + page % 7}\n" for block in range(6) for page in range(512)))
far = json.loads(run("replay", "--shift", "12", "--size", "100", "--rules", "lru", "--json", "-", addresses).stdout)
check(far["sizes"][0]["rules"][0]["faults"] == 36 and far["bytes"] == 12 << 20, f"far apart: {far}")
free = json.loads(run("replay", "--fault", "0", "--rate", "1000000000000000", "--rules", "lru", "--size", "100", "--json", "-", twice).stdout)
check(free["sizes"][0]["rules"][0]["time_ns"] < 100, f"without costs: {free}")

# One thread of an H100 that touches each 64 KiB of 128 MiB, as bench/gpu/cuda measured it: 384 faults, 13.9 to 17.2 ms.
strided = write("strided", "".join(f"{page}\n" for page in range(0, 32768, 16)))
card = json.loads(run("replay", "--costs", "h100", "--size", "100", "--rules", "lru", "--json", "-", strided).stdout)["sizes"][0]["rules"][0]
check(card["faults"] == 384 and 13900000 < card["time_ns"] < 17200000, f"costs of the card: {card}")
faster = json.loads(run("replay", "--costs", "h100", "--fault", "0", "--size", "100", "--rules", "lru", "--json", "-", strided).stdout)
check(faster["sizes"][0]["rules"][0]["time_ns"] == card["time_ns"] - 384 * 25000, f"without a fault's: {faster}")

spread = write("spread", "".join(f"{i << 50}\n" for i in range(1 << 10)) + "".join(f"{i * 600}\n" for i in range(600000)))
for arguments, words in (((), "one trace"), (("replay",), "one trace"), (("replay", "a", "b"), "one trace"), (("look", "a"), "one trace"),
                         (("replay", "--rules", "none", twice), "'none' are no rules"), (("replay", "--rules", "", twice), "no rules"),
                         (("replay", "--size", "0", twice), "'0'"), (("replay", "--size", "101", twice), "'101'"),
                         (("replay", "--shift", "41", twice), "'41'"), (("replay", "--rate", "0", twice), "'0'"),
                         (("replay", "--fault", "-1", twice), "'-1'"), (("replay", "--format", "x", twice), "'x' is no format"),
                         (("replay", "--costs", "x", twice), "'x'"), (("replay", "--json"), "needs a value"), (("replay", "--what", twice), "--what")):
    result = run(*arguments)
    check(result.returncode == 2 and words in result.stderr, f"{arguments} ended with {result.returncode}: {result.stderr}")
for path, words in (("/nowhere", "/nowhere"), (write("words", "one\n"), "line 1"), (write("none", ""), "none"), (spread, "--shift")):
    result = run("replay", path)
    check(result.returncode == 1 and words in result.stderr, f"{path} ended with {result.returncode}: {result.stderr}")
result = run("replay", "--json", "/nowhere/x", twice)
check(result.returncode == 1 and "/nowhere/x" in result.stderr, f"a file that cannot be: {result.stderr}")
check("Usage: acre um replay" in run("--help").stdout, "the help is not there")

for sentence in failures:
    print(sentence, file=sys.stderr)
sys.exit(1 if failures else 0)
