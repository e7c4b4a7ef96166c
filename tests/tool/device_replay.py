#!/usr/bin/env python3
"""device_replay.py ACRE PROGRAM - `acre replay --device`: logs of rmm, lists of steps and traces on managers of device memory. PROGRAM allocates
65,536 bytes of a device and frees them: `acre run` tells so, and its trace has them."""
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import device_logs

acre = sys.argv[1]


def run(*arguments, code=0):
    result = subprocess.run([acre, "replay", *arguments], capture_output=True, text=True, timeout=100)
    assert result.returncode == code, (arguments, result.returncode, result.stdout, result.stderr)
    return result


def document(*arguments):
    return json.loads(run("--device", "--json", "-", *arguments).stdout)


def peak_of(path):
    live, peak, sizes = 0, 0, {}
    for line in path.read_text().splitlines()[1:]:
        _, _, action, pointer, size, _ = line.split(",")
        if action == "allocate":
            sizes[pointer] = int(size)
            live += int(size)
            peak = max(peak, live)
        else:
            live -= sizes.pop(pointer)
    assert live == 0
    return peak


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    for log in device_logs.LOGS:
        path = folder / (log + ".csv")
        device_logs.write_log(log, path)
        peak = peak_of(path)
        found = document(str(path))
        managers = {manager["manager"]: manager for manager in found["managers"]}
        assert found["peak_live_bytes"] == peak
        for manager in managers.values():
            assert manager["failures"] == 0 and manager["live_bytes"] == peak and manager["taken_bytes"] >= peak, (log, manager)
        # What is taken beyond what is in use at most, beside the model's 1.01 to 2.20 on the same logs.
        assert managers["acre"]["ratio"] < 1.13, (log, managers["acre"])
        print("ok", log, *("%s %.3f" % (manager, value["ratio"]) for manager, value in managers.items()))

    # A device with less than is asked for: some do without, and what is taken stays within it.
    found = document("--arena", "400M", str(folder / "dataframe.csv"))
    for manager in found["managers"]:
        assert manager["failures"] > 0 and manager["taken_bytes"] <= 400 << 20, manager

    steps = folder / "steps"
    steps.write_text("alloc 1 1000000\nalloc 2 5000000 # a second one\nfree 1\nalloc 3 1\nfree 2\nfree 3\n")
    found = document(str(steps))
    assert found["steps"] == 6 and found["peak_live_bytes"] == 6000000
    text = run("--device", str(steps)).stdout
    assert "caching (model)" in text and "6 steps" in text, text

    heading = "Thread,Time,Action,Pointer,Size,Stream\n"
    bad = folder / "bad.csv"
    for line in ["1,0,allocate,0x10,5", "1,0,resize,0x10,5,0x0", "1,0,free,zero,5,0x0", "1,0,allocate,0x10,-5,0x0", "1,0,allocate,0x10,5,0x0,7"]:
        bad.write_text(heading + "1,0,allocate,0x20,5,0x0\n" + line + "\n")
        assert "line 3" in run("--device", str(bad), code=1).stderr, line
    bad.write_text(heading + "1,0,allocate failure,0x0,5,0x0\n1,0,free,0x99,5,0x0\n")
    assert document(str(bad))["peak_live_bytes"] == 0
    run("--device", "--strategies", str(steps), code=2)
    run("--device", "--on", "glibc", str(steps), code=2)
    run("--device", str(folder / "none"), code=1)
print("ok steps, what is refused")

with tempfile.TemporaryDirectory() as name:
    trace = Path(name) / "trace"
    result = subprocess.run([acre, "run", "--no-html", "--json", name + "/json", "--record", str(trace), "--", sys.argv[2]],
                            capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    assert "peak device" in result.stderr and "64.0 KiB" in result.stderr, result.stderr
    totals = json.loads(Path(name, "json").read_text())["processes"][0]["totals"]
    assert totals["peak_device_bytes"] == 65536 and totals["peak_device_taken_bytes"] >= 65536, totals
    assert totals["gauges"]["device_peak_bytes"]["last"] == 65536, totals
    found = document(str(trace))
    assert found["steps"] == 2 and found["peak_live_bytes"] == 65536, found
print("ok acre run, a trace")
