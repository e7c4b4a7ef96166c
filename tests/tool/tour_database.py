#!/usr/bin/env python3
"""The tour's stop about databases from outside: it tells every promise, each that no other program can disturb is kept, and the page shows it.

usage: tour_database.py ACRE [NODE CHROMIUM PAGE.MJS]
"""
import json
import os
import subprocess
import sys
import tempfile

acre, browser = sys.argv[1], sys.argv[2:5]
failures = []


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)


with tempfile.TemporaryDirectory() as folder:
    page = os.path.join(folder, "page.html")
    result = run(acre, "tour", "database", "--json", "--page", page)
    check(result.returncode in (0, 1), f"the tour ended with {result.returncode}: {result.stderr}")
    stop = json.loads(result.stdout)["stops"][0]
    if "skipped" in stop:
        print(f"skipped: {stop['skipped']}")
        sys.exit(77)
    promises = {promise["what"]: promise for promise in stop.get("promises", [])}
    check(len(promises) == 9, f"it tells {sorted(promises)}")
    for what, promise in promises.items():
        check(promise["result"] == "kept" or "CPU time" in what, f"a promise is {promise}")
    check(0 < promises.get("CPU time with answers that are kept", {"figure": 0})["figure"], f"the time is {promises}")
    tables = {table["title"]: table["rows"] for table in stop.get("tables", [])}
    check([len(rows) for rows in tables.values()] == [4, 4, 2], f"the tables are {tables}")
    if browser:
        check(run(browser[0], browser[2], browser[1], page).returncode == 0, "in a browser the page fails")

for sentence in failures:
    print(f"failed: {sentence}")
sys.exit(1 if failures else 0)
