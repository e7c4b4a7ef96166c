#!/usr/bin/env python3
"""acre replay from outside, and which files the tool takes for a malloc.

usage: replay.py ACRE LIBRARY CHECKED [NODE CHROMIUM PAGE_TEST]
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

acre, library, checked = (os.path.abspath(path) for path in sys.argv[1:4])
folder = tempfile.mkdtemp()
trace = os.path.join(folder, "trace")
failures = []


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*arguments):
    return subprocess.run([acre, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)


def a_file_that_is_no_malloc_is_refused_with_its_name_and_the_reason():
    text, gone = os.path.join(folder, "text.so"), os.path.join(folder, "gone.so")
    with open(text, "w") as file:
        file.write("no library\n" * 100)
    # The library for memcpy loads, and has no malloc.
    for file, reason in ((text, b"invalid ELF header"), (checked, b"defines no malloc"), (gone, b"No such file")):
        for call in (["run", "--library", file, "--quiet", "--no-html", "true"], ["bench", "heap", "--library", file],
                     ["replay", "--on", f"glibc,{file}", "--json", "-", trace]):
            result = run(*call)
            said = file.encode() in result.stderr and reason in result.stderr and b"ld.so" not in result.stderr
            check(result.returncode == 2 and said and result.stdout == b"", f"acre {call} ended with {result.returncode}: {result.stderr}")


def what_is_not_counted_is_null_and_not_nothing():
    result = run("replay", "--on", f"glibc,{library}", "--repeat", "1", "--json", "-", trace)
    check(result.returncode == 0, f"it ended with {result.returncode}: {result.stderr}")
    for engine in json.loads(result.stdout)["engines"]:
        check(engine["instructions"] is None or engine["instructions"] > 0, f"instructions are {engine['instructions']}")


def the_table_fits_80_columns_whatever_the_engines_are_called():
    long_name = os.path.join(folder, "a-malloc-with-a-name-that-no-column-of-a-table-has-room-for.so")
    shutil.copy(library, long_name)
    result = run("replay", "--on", f"glibc,acre,{long_name}", "--repeat", "1", trace)
    check(result.returncode == 0, f"it ended with {result.returncode}: {result.stderr}")
    for line in result.stdout.decode().splitlines():
        check(len(line) <= 80, f"{len(line)} columns: {line}")
    check("\nglibc " in result.stdout.decode(), f"no row of glibc: {result.stdout}")


def strategies(text, *options):
    with open(os.path.join(folder, "steps"), "w") as file:
        file.write(text)
    return run("replay", "--strategies", *options, os.path.join(folder, "steps"))


def strategies_differ_where_they_should():
    holes = "".join(f"alloc {i} 100\n" for i in range(8)) + "free 1\nfree 3\nfree 5\nalloc 9 100\nalloc 10 20\nfree 9\n"
    result = strategies(holes, "--arena", "4096", "--json", "-")
    check(result.returncode == 0, f"it ended with {result.returncode}: {result.stderr}")
    document = json.loads(result.stdout)
    rows = {row["strategy"]: row for row in document["strategies"]}
    check(list(rows) == ["first fit", "half fit", "best fit", "worst fit", "buddy"], f"{list(rows)}")
    for name, row in rows.items():
        check(row["failures"] == 0 and row["used_up_to_bytes"] <= 4096, f"{name}: {row}")
        check(0 < row["fragmentation_mean"] < row["fragmentation_max"] < 1 and row["largest_free_bytes_min"] > 500, f"{name}: {row}")
    # 13 units of 8 bytes a block: the last two of worst fit, of 13 and 3 units, lie behind the others, those of first fit in holes.
    check(rows["worst fit"]["used_up_to_bytes"] - rows["first fit"]["used_up_to_bytes"] == 8 * (13 + 3), f"{rows}")
    check(rows["worst fit"]["largest_free_bytes_min"] == rows["first fit"]["largest_free_bytes_min"] - 8 * (13 + 3), f"{rows}")
    lines = document["stops"][0]["lines"][0]
    check(lines["places"] == list(range(1, 15)) and len(lines["series"]) == 5, f"{lines}")
    first = lines["series"][0]["values"]
    check(first[:8] == [0] * 8 and first[8] > 0, f"the first eight of first fit leave one hole: {first}")
    check(abs(sum(first) / 14 - rows["first fit"]["fragmentation_mean"]) < 1e-6, f"{first}")


def a_request_without_room_is_counted_and_the_trace_goes_on():
    result = strategies("alloc 1 3000\nalloc 2 9000\nfree 2\nalloc 3 5000\nfree 1\nalloc 4 100\n", "--arena", "8192", "--json", "-")
    failures_of = {row["strategy"]: row["failures"] for row in json.loads(result.stdout)["strategies"]}
    check(failures_of["first fit"] == 2 and failures_of["half fit"] == 2, f"{failures_of}")
    tiny = strategies("alloc 1 1\n", "--arena", "512")
    check(tiny.returncode == 0 and b"first fit" in tiny.stdout, f"{tiny}")
    for line in tiny.stdout.decode().splitlines():
        check(len(line) <= 80 or folder in line, f"{len(line)} columns: {line}")


def the_page_of_strategies_draws_a_line_for_each():
    page = os.path.join(folder, "page.html")
    result = strategies("".join(f"alloc {i} {i * 37 % 900}\n" + (f"free {i - 7}\n" if i % 3 and i > 7 else "") for i in range(600)), "--page", page)
    check(result.returncode == 0, f"it ended with {result.returncode}: {result.stderr}")
    if len(sys.argv) == 7:
        shown = subprocess.run([sys.argv[4], sys.argv[6], sys.argv[5], page], stderr=subprocess.PIPE, check=False)
        check(shown.returncode == 0, f"{shown.stderr}")


def strategies_are_refused_what_they_can_not_use():
    for options, code in ((["--arena", "100"], 2), (["--arena", "1G"], 2), (["--arena", "x"], 2), (["--on", "glibc"], 2)):
        check(strategies("alloc 1 1\n", *options).returncode == code, f"{options}")
    check(run("replay", "--arena", "4096", trace).returncode == 2, "--arena without --strategies")
    check(strategies("alloc 1 50000000\n").returncode == 1, "a trace that no arena has room for")
    check(strategies("").returncode == 1, "an empty trace")
    check(strategies("alloc 1 1\n", "--page", "/no/such/folder/page").returncode == 1, "a page that can't be written")


def helps_fit_80_columns():
    for words in ([], ["replay"], ["cache"], ["tour"], ["bench"], ["plan"], ["prove"], ["topology"]):
        for line in run(*words, "--help").stdout.decode().splitlines():
            check(len(line) <= 80 or "acre's source (" in line, f"{words}: {len(line)} columns: {line}")  # a path has the length that it has


made = run("run", "--library", library, "--record", trace, "--quiet", "--no-html", "ls", "/")
check(made.returncode == 0, f"no trace is made: {made.stderr}")
for test in (a_file_that_is_no_malloc_is_refused_with_its_name_and_the_reason, what_is_not_counted_is_null_and_not_nothing,
             the_table_fits_80_columns_whatever_the_engines_are_called, strategies_differ_where_they_should,
             a_request_without_room_is_counted_and_the_trace_goes_on, the_page_of_strategies_draws_a_line_for_each,
             strategies_are_refused_what_they_can_not_use, helps_fit_80_columns):
    before = len(failures)
    test()
    print("%s %s" % ("ok    " if len(failures) == before else "FAILED", test.__name__))
shutil.rmtree(folder)
for sentence in failures:
    print("failed:", sentence)
sys.exit(1 if failures else 0)
