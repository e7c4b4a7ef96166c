#!/usr/bin/env python3
"""acre replay from outside, and which files the tool takes for a malloc.

usage: replay.py ACRE LIBRARY CHECKED
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


def helps_fit_80_columns():
    for words in ([], ["replay"], ["tour"], ["bench"], ["prove"], ["topology"]):
        for line in run(*words, "--help").stdout.decode().splitlines():
            check(len(line) <= 80 or "acre's source (" in line, f"{words}: {len(line)} columns: {line}")  # a path has the length that it has


made = run("run", "--library", library, "--record", trace, "--quiet", "--no-html", "ls", "/")
check(made.returncode == 0, f"no trace is made: {made.stderr}")
for test in (a_file_that_is_no_malloc_is_refused_with_its_name_and_the_reason, what_is_not_counted_is_null_and_not_nothing,
             the_table_fits_80_columns_whatever_the_engines_are_called, helps_fit_80_columns):
    before = len(failures)
    test()
    print("%s %s" % ("ok    " if len(failures) == before else "FAILED", test.__name__))
shutil.rmtree(folder)
for sentence in failures:
    print("failed:", sentence)
sys.exit(1 if failures else 0)
