#!/usr/bin/env python3
"""./run and ./check as somebody meets them in a clone. What they build and install is not tried here.

usage: clone.py SOURCE-ROOT
"""
import os
import shutil
import subprocess
import sys
import tempfile

root = sys.argv[1]
failures = []


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def call(*words):
    return subprocess.run(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False, text=True)


def a_clone_where_all_is_built(folder):
    """Its acre prints what it is called with."""
    shutil.copy(os.path.join(root, "run"), folder)
    for path, text in (("scripts/deps", "#!/bin/sh\n"), ("build/build.ninja", "build all: phony\n"),
                       ("build/tools/acre/acre", "#!/bin/sh\necho \"$*\"\n")):
        path = os.path.join(folder, path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o755)
    return os.path.join(folder, "run")


def run_is_silent_where_there_is_nothing_to_build_and_hands_everything_over():
    with tempfile.TemporaryDirectory() as folder:
        run = a_clone_where_all_is_built(folder)
        for words, handed in (([], "tour"), (["ls", "-l", "--", "a"], "run -- ls -l -- a"), (["--", "-odd"], "run -- -odd"),
                              (["--version"], "--version")):
            result = call(run, *words)
            check(result.stderr == "" and result.stdout == handed + "\n", f"./run {words}: {result.stdout}{result.stderr}")


def run_says_what_stops_the_build():
    with tempfile.TemporaryDirectory() as folder:
        run = a_clone_where_all_is_built(folder)
        with open(os.path.join(folder, "build/build.ninja"), "w") as file:
            file.write("rule fail\n  command = echo what is wrong; false\nbuild all: fail\n")
        result = call(run, "ls")
        check(result.returncode == 1 and "what is wrong" in result.stderr and result.stdout == "", f"{result}")


def both_explain_themselves():
    for words, sentence in ((["run", "--help"], "Usage: ./run"), (["check", "--help"], "Usage: ./check"), (["check", "-h"], "exports")):
        result = call(os.path.join(root, words[0]), *words[1:])
        check(result.returncode == 0 and sentence in result.stdout and result.stderr == "", f"./{' '.join(words)}: {result}")
        for line in result.stdout.splitlines():
            check(len(line) <= 80, f"{len(line)} columns: {line}")
    option = call(os.path.join(root, "run"), "--record", "t", "ls")
    check(option.returncode == 2 and "build/tools/acre/acre run --record" in option.stderr, f"./run --record: {option}")
    step = call(os.path.join(root, "check"), "no_step")
    check(step.returncode == 2 and "no step 'no_step'" in step.stderr, f"./check no_step: {step}")
    steps = call(os.path.join(root, "check"), "--list").stdout.split()
    check(set(steps) == set(os.listdir(os.path.join(root, "scripts/steps"))), f"not all steps are listed: {steps}")


for test in (run_is_silent_where_there_is_nothing_to_build_and_hands_everything_over, run_says_what_stops_the_build, both_explain_themselves):
    before = len(failures)
    test()
    print("%s %s" % ("ok    " if len(failures) == before else "FAILED", test.__name__))
for sentence in failures:
    print("failed:", sentence)
sys.exit(1 if failures else 0)
