#!/usr/bin/env python3
"""acre prove from outside: what it prints fits a terminal and a pipe. What it proves is ./check proofs.

usage: prove.py ACRE PROOFS/RUN
"""
import contextlib
import importlib.machinery
import io
import re
import subprocess
import sys

acre, script = sys.argv[1:3]
failures = []


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*arguments):
    return subprocess.run([acre, "prove", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False, text=True)


def every_proof_and_planted_bug_fits_80_columns():
    sys.dont_write_bytecode = True
    proofs = importlib.machinery.SourceFileLoader("proofs_run", script).load_module()
    known = proofs.read_proofs()
    mutants = proofs.read_mutants(known)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        proofs.print_proofs([{"name": p.name, "property": p.property, "tool": p.tool, "bound": p.bound, "assumptions": p.assumes,
                              "result": "not run", "note": "no CBMC here", "cpu_seconds": 0.0} for p in known.values()])
        proofs.print_bugs([{"name": m.name, "file": m.file, "result": "survived", "note": f"not noticed by {', '.join(m.proofs)}"}
                           for m in mutants])
    lines = printed.getvalue().splitlines()
    check(len(lines) > 3 * len(known), f"{len(lines)} lines for {len(known)} proofs")
    for line in lines:
        check(len(line) <= 80, f"{len(line)} columns: {line}")


def a_reader_that_has_enough_is_no_error():
    process = subprocess.Popen([acre, "prove", "--list"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    said = process.stderr.read()
    process.wait()
    check(said == b"", f"it says {said}")


def options_of_the_usage_are_those_of_the_help():
    usage = run("no_such_proof")
    check(usage.returncode == 2 and "no proof 'no_such_proof'" in usage.stderr, f"it ended with {usage.returncode}: {usage.stderr}")
    told = run("--help").stdout
    for option in re.findall(r"--[a-z]+", usage.stderr.split("error:")[0]):
        check(option in told, f"--help lacks {option}")
        check("no such option" not in run("--list", option).stderr, f"{option} is refused")
    check("not_an_option" in run("--not_an_option").stderr, "an unknown option is not named")


for test in (every_proof_and_planted_bug_fits_80_columns, a_reader_that_has_enough_is_no_error, options_of_the_usage_are_those_of_the_help):
    before = len(failures)
    test()
    print("%s %s" % ("ok    " if len(failures) == before else "FAILED", test.__name__))
for sentence in failures:
    print("failed:", sentence)
sys.exit(1 if failures else 0)
