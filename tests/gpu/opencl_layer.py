#!/usr/bin/env python3
"""opencl_layer.py LAYER PROGRAM - runs a program of plain OpenCL without acre, through the layer, and through it with sub-buffers of blocks."""
import os
import re
import subprocess
import sys

layer, program = sys.argv[1:3]


def run(**more):
    done = subprocess.run([program], env={**os.environ, **more}, capture_output=True, text=True, timeout=200)
    if done.returncode == 77:
        print("no device of OpenCL here")
        sys.exit(77)
    return done


failures = 0
for wishes in (None, "report", "report blocks"):
    more = {} if wishes is None else {"OPENCL_LAYERS": layer, "ACRE_OPENCL": wishes}
    done = run(**more)
    numbers = [int(n) for n in re.findall(r"\d+", "".join(re.findall(r"^acre: .*", done.stderr, re.MULTILINE)))]
    is_good = done.returncode == 0
    if wishes is not None:  # buffers, bytes, parts, images, bytes, passed on, not released
        is_good = is_good and len(numbers) == 7 and numbers[0] > 1000 and numbers[6] == 0 and (numbers[2] > 0) == ("blocks" in wishes)
    print(f"{'ok' if is_good else 'not ok'}: {wishes}: status {done.returncode}, {numbers}\n{done.stderr}")
    failures += not is_good
sys.exit(failures > 0)
