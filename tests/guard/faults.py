#!/usr/bin/env python3
"""Every planted bug of faults.c is found at the levels that promise it, as the fault that it is, and the report says where.

usage: faults.py FAULTS LIBRARY CHECKED
"""
import json
import os
import subprocess
import sys
import tempfile

faults, library, checked = (os.path.abspath(path) for path in sys.argv[1:4])
LEVELS = {"0": "L0", "1": "L1", "2": "L2", "3": "L3:1/1"}
NOT_HERE = 77
failed = 0


def run(case, level, report):
    preload = library if level in ("L0", "L3:1/1") else checked + ":" + library
    environment = dict(os.environ, LD_PRELOAD=preload, ACRE_GUARD=level, ACRE_GUARD_REPORT=report)
    return subprocess.run([faults, case], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


def what_is_wrong(case, family, kind, level, report):
    done = run(case, level, report)
    if done.returncode == NOT_HERE:
        return "it does not run here"
    if done.returncode == 0:
        return "nothing was noticed"
    if kind == "-":
        return ""
    try:
        told = json.loads(open(report).readline())
    except (OSError, ValueError) as error:
        return "exit code %d without a report: %s; %s" % (done.returncode, error, done.stderr[-500:])
    if told["kind"] not in kind.split("|"):
        return "reported as %s: %s" % (told["kind"], done.stderr[-500:])
    if family == "copies" and "3" not in level and not case.startswith(told["operation"] + "_"):
        return "it was seen by %s: %s" % (told["operation"], done.stderr[-500:])
    if told["heap"] != "malloc" or "acre: heap 'malloc': " not in done.stderr:
        return "the report does not name the heap: %s" % done.stderr[-500:]
    if level == "L2" and kind in ("overflow", "use-after-free", "double-free") and "alloc_site" in told:
        if not any("faults" in frame for frame in told["alloc_site"]):
            return "the report does not say where the block was allocated: %s" % told
    if level == "L2" and kind in ("use-after-free", "double-free") and not any("faults" in frame for frame in told["free_site"]):
        return "the report does not say where the block was freed: %s" % told
    return ""


cases = [line.split(",") for line in subprocess.run([faults, "--list"], capture_output=True, text=True).stdout.splitlines()]
with tempfile.TemporaryDirectory(prefix="acre-faults-") as folder:
    for name, family, kind, levels in cases:
        for digit in levels:
            report = os.path.join(folder, name + digit)
            why = what_is_wrong(name, family, kind, LEVELS[digit], report)
            failed += why != ""
            if why:
                print("%s: %s" % (name, why))
            print("[ %8s ] %s_is_found_at_%s" % ("FAILED" if why else "OK", name, LEVELS[digit]), flush=True)
sys.exit(1 if failed or len(cases) < 40 else 0)
