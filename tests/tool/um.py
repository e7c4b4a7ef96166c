#!/usr/bin/env python3
"""acre um replay: published counts on a trace that is written here, the same figures as table and JSON, reads and writes, patterns,
timelines as letters and on the page, options and traces that are refused.

usage: um.py ACRE [NODE CHROMIUM page.mjs]
"""
import json
import os
import re
import subprocess
import sys
import tempfile

acre = os.path.abspath(sys.argv[1])
browser = sys.argv[2:]
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

# What was written has to be copied home; what was only read has not. Writes in each form that tells them.
lines = [(page, page % 512 == 0) for page in range(6 * 512)]
written = [write("reads", "".join(f"0x{page:x} r\n" for page, _ in lines)), write("accesses", "".join(f"{page} {'rw'[is_write]}\n" for page, is_write in lines)),
           write("loads", "".join(f"{'ls'[is_write]} 0x{page:x} 3\n" for page, is_write in lines)),
           write("a.csv", "time,op,size,lba\n" + "".join(f"1,{'set' if is_write else 'get'},1,{page}\n" for page, is_write in lines))]
home = [json.loads(run("replay", "--rules", "demand", "--size", "50", "--json", "-", path).stdout)["sizes"][0]["rules"][0]["out_bytes"] for path in written]
check(home == [0, 3 * 4096, 3 * 4096, 3 * 4096], f"what was written goes home: {home}")

# Patterns: the figures of bench/migration/patterns; all of them, in a place whose room is told either way.
triad = json.loads(run("replay", "--pattern", "triad", "--rules", "lru,tree", "--json", "-", "--oversubscribe", "110%,150%").stdout)["patterns"]
check([pattern["pattern"] for pattern in triad] == ["triad"] and triad[0]["bytes"] == 48 << 20, f"the pattern is {triad}")
times = [[row["time_ns"] // 10000 for row in size["rules"]] for size in triad[0]["sizes"]]
check(times == [[7658, 7658], [7686, 7700]], f"triad: {times}")
check([size["capacity_bytes"] >> 20 for size in triad[0]["sizes"]] == [42, 32], f"triad: {triad}")
every = json.loads(run("replay", "--pattern", "all", "--bytes", "8M", "--rules", "lru", "--json", "-").stdout)["patterns"]
check([pattern["pattern"] for pattern in every] == ["bfs", "stencil", "layers", "chase", "triad", "sparse"], f"the patterns are {every}")
check(all([size["oversubscribed_per_cent"] for size in pattern["sizes"]] == [100, 110, 125, 150] for pattern in every), f"the patterns are {every}")
check(all(size["rules"][0]["faults"] > 0 for pattern in every for size in pattern["sizes"]), f"the patterns are {every}")
half = json.loads(run("replay", "--pattern", "chase", "--bytes", "16M", "--rules", "lru", "--size", "50", "--json", "-").stdout)["patterns"]
check(half[0]["sizes"][0]["capacity_bytes"] == 8 << 20 and half[0]["sizes"][0]["per_cent"] == 50, f"half of it: {half}")
side_by_side = run("replay", "--pattern", "layers", "--bytes", "16M", "--rules", "lru,acre").stdout
check(len(re.findall("^layers ", side_by_side, re.M)) == 4 and "TIME OF" in side_by_side, f"side by side: {side_by_side}")

# A timeline: six blocks come one after the other, and the first ones go.
strips = run("replay", "--size", "67", "--rules", "lru", "--timeline", twice).stdout.splitlines()
shown = [line for line in strips if line.endswith("|")]
check(len(shown) == 8 and all(len(line) <= 80 for line in strips[-9:]), f"the strips are {strips}")
rows = [line.split("|")[1] for line in shown]
first = [len(row) - len(row.lstrip(" .")) for row in rows[:6]]
check(first == sorted(first) and len(set(first)) == 6, f"blocks come in order: {strips}")
check(all("@" in row for row in rows[:6]) and rows[0].count("@  ") == 2, f"each block is there as a whole, and the first goes: {strips}")
check(rows[6].strip() != "" and rows[7].strip() == "", f"what had to go was used: {strips}")
page = os.path.join(folder, "page.html")
result = run("replay", "--size", "84,100", "--rules", "lru,demand,acre", "--html", page, twice)
with open(page, encoding="utf-8") as html:
    drawn = json.loads(re.search('<script id="data" type="application/json">(.*?)</script>', html.read(), re.S).group(1))
check(result.returncode == 0 and [len(stop.get("timelines", [])) for stop in drawn["stops"]] == [0, 3, 3], f"the page has {[list(stop) for stop in drawn['stops']]}")
lru = drawn["stops"][1]["timelines"][0]
check(lru["name"] == "lru" and lru["row_bytes"] == 2 << 20 and len(lru["resident"]) == 6, f"the timeline is {lru}")
columns = [[int((row + "0" * 200)[at], 16) for row in lru["resident"]] for at in range(200)]
check(max(map(sum, columns)) >= 5 * 15 and max(map(sum, columns)) <= 5 * 15 + 1, f"room for five blocks: {lru}")
check([sum(int(digit, 16) for digit in row) for row in lru["evicted"]].count(0) == 0, f"each block had to go: {lru}")
check(all("evicted" in bar and not any(bar["evicted"]) for bar in drawn["stops"][2]["timelines"]), f"with room for all nothing goes: {drawn['stops'][2]}")
check([[bar["name"] for bar in chart["bars"]] for chart in drawn["stops"][1]["bars"]] == [["lru", "demand", "acre"]] * 3, f"the bars: {drawn['stops'][1]['bars']}")
# No time at all, and no more than one block.
short = run("replay", "--fault", "0", "--rate", "1000000000000000", "--timeline", "--html", os.path.join(folder, "short.html"), write("one", "7\n"))
check(short.returncode == 0, f"one touch: {short.stderr}")
for drawing in (page, os.path.join(folder, "short.html")) if browser else ():
    result = subprocess.run([browser[0], browser[2], browser[1], drawing], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    check(result.returncode == 0, f"the page {drawing}: {result.stderr}")

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
                         (("replay", "--pattern", "bfs", twice), "--pattern and none"), (("replay", "--pattern", "none"), "'none'"),
                         (("replay", "--pattern", "bfs", "--oversubscribe", "99"), "'99'"), (("replay", "--pattern", "bfs", "--size", "%"), "'%'"),
                         (("replay", "--pattern", "bfs", "--bytes", "1M"), "'1M'"), (("replay", "--pattern", "bfs", "--bytes", "5G"), "'5G'"),
                         (("replay", "--costs", "x", twice), "'x'"), (("replay", "--json"), "needs a value"), (("replay", "--what", twice), "--what")):
    result = run(*arguments)
    check(result.returncode == 2 and words in result.stderr, f"{arguments} ended with {result.returncode}: {result.stderr}")
for path, words in (("/nowhere", "/nowhere"), (write("words", "one\n"), "line 1"), (write("none", ""), "none"), (spread, "--shift")):
    result = run("replay", path)
    check(result.returncode == 1 and words in result.stderr, f"{path} ended with {result.returncode}: {result.stderr}")
result = run("replay", "--json", "/nowhere/x", twice)
check(result.returncode == 1 and "/nowhere/x" in result.stderr, f"a file that cannot be: {result.stderr}")
result = run("replay", "--html", "/nowhere/x", twice)
check(result.returncode == 1 and "/nowhere/x" in result.stderr, f"a page that cannot be: {result.stderr}")
result = run("replay", write("mixed", "1 r\n2 w\n3 x\n"))
check(result.returncode == 1 and "line 3" in result.stderr and "'r' or 'w'" in result.stderr, f"neither read nor write: {result.stderr}")
check("Usage: acre um replay" in run("--help").stdout, "the help is not there")

for sentence in failures:
    print(sentence, file=sys.stderr)
sys.exit(1 if failures else 0)
