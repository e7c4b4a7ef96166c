#!/usr/bin/env python3
"""Real programs behave on acre as they do on the C library's malloc: the same output, byte for byte, and the same exit code;
plain, with every allocation recorded, and with each of them checked.

usage: programs.py SCRIPTS LIBRARY CHECKED ACRE (ACRE may be "": then nothing is recorded)

SCRIPTS is a folder of scripts as tools/acre/tour/programs has them.
"""
import json
import os
import signal
import subprocess
import sys
import tempfile

scripts, library, checked, acre = (os.path.abspath(path) if path else "" for path in sys.argv[1:5])
LEVELS = ("L1", "L2", "L1+L3:1/100")
RECORDED = ("lua", "git", "sqlite")
TIME_MAX_S = 100
failed = 0


def script_of(program, verb):
    return [os.path.join(scripts, program), verb]


def run(command, folder, allocator, level="L0"):
    """The exit code and the standard output of a command; its process group is ended when it takes too long."""
    environment = dict(os.environ, ALLOCATOR=allocator, LC_ALL="C", HOME=folder, GIT_CONFIG_NOSYSTEM="1", ACRE_GUARD=level)
    environment.pop("LD_PRELOAD", None)
    with open(os.path.join(folder, "errors"), "wb") as errors:
        child = subprocess.Popen(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                 stderr=errors, start_new_session=True)
        try:
            return child.communicate(timeout=TIME_MAX_S)[0], child.returncode
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.communicate()
            return b"", "none after %d s" % TIME_MAX_S


def difference(expected, found, folder):
    """What is not the same, as a sentence; "" when everything is."""
    if not expected[0] or expected[1] != 0:
        return "under glibc it printed %d bytes, exit code %s: nothing to compare" % (len(expected[0]), expected[1])
    if found == expected:
        return ""
    at = next((i for i, (a, b) in enumerate(zip(expected[0], found[0])) if a != b),
              min(len(expected[0]), len(found[0])))
    said = open(os.path.join(folder, "errors"), errors="replace").read()[-2000:]
    return "exit code %s, not %s; %d bytes, not %d; the first that differs is byte %d: %r, not %r; it said: %s" % (
        found[1], expected[1], len(found[0]), len(expected[0]), at, found[0][at:at + 60], expected[0][at:at + 60], said)


def recorded(program, folder):
    """The same as run(), under acre run --record; the recording has to hold what the program did."""
    figures = os.path.join(folder, "figures.json")
    command = [acre, "run", "--library", library, "--quiet", "--no-html", "--record", os.path.join(folder, "trace"), "--json",
               figures, "--"]
    result = run(command + script_of(program, "run"), folder, library)
    try:
        totals = [process["totals"] for process in json.load(open(figures))["processes"]]
    except (OSError, ValueError, KeyError) as error:
        return result, "no figures: %s" % error
    if max((t["allocated_count"] for t in totals), default=0) < 1000:
        return result, "hardly an allocation was recorded: %s" % totals
    for count in ("dropped_event_count", "unknown_free_count", "doubled_address_count"):
        if any(t[count] for t in totals):
            return result, "%s is not 0: %s" % (count, totals)
    return result, ""


def tell(result, case, sentence=""):
    global failed
    failed += result == "FAILED"
    if sentence:
        print("%s: %s" % (case, sentence))
    print("[ %8s ] %s" % (result, case), flush=True)


# Without this a library that is not loaded would pass every comparison.
maps = subprocess.run(["cat", "/proc/self/maps"], env=dict(os.environ, LD_PRELOAD=library), capture_output=True, text=True).stdout
if os.path.realpath(library) not in maps:
    sys.exit("'%s' is not loaded into a program by LD_PRELOAD" % library)

for program in sorted(os.listdir(scripts)):
    case = "output_of_%s_is_the_same" % program
    recorded_case = "output_of_%s_is_the_same_while_recording" % program
    guarded_cases = {level: "output_of_%s_is_the_same_at_%s" % (program, level) for level in LEVELS}
    cases = ([case, recorded_case] if acre and program in RECORDED else [case]) + list(guarded_cases.values())
    with tempfile.TemporaryDirectory(prefix="acre-programs-") as folder:
        if run(script_of(program, "needs"), folder, "")[1] != 0:
            for name in cases:
                tell("SKIPPED", name, "%s is not installed" % program)
            continue
        if run(script_of(program, "prepare"), folder, "")[1] != 0:
            for name in cases:
                tell("FAILED", name, "its input cannot be made: " + open(os.path.join(folder, "errors"), errors="replace").read())
            continue
        expected = run(script_of(program, "run"), folder, "")
        wrong = difference(expected, run(script_of(program, "run"), folder, library), folder)
        tell("FAILED" if wrong else "OK", case, wrong)
        for level, guarded_case in guarded_cases.items():
            wrong = difference(expected, run(script_of(program, "run"), folder, checked + ":" + library, level), folder)
            tell("FAILED" if wrong else "OK", guarded_case, wrong)
        if recorded_case in cases:
            found, wrong = recorded(program, folder)
            wrong = difference(expected, found, folder) or wrong
            tell("FAILED" if wrong else "OK", recorded_case, wrong)
sys.exit(1 if failed else 0)
