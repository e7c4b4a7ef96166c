#!/usr/bin/env python3
"""opencl_layer.py LAYER PROGRAM [LENIENT] - runs a program of plain OpenCL without acre, through the layer, and through it with sub-buffers of blocks.

What the driver itself does otherwise than the standard says is told, and may be so through the layer, too. LENIENT is a layer that makes the
driver look like NVIDIA's: over it everything is passed on, or, with blocks, parts of parts of buffers are refused, which it makes."""
import os
import re
import subprocess
import sys

layer, program = sys.argv[1:3]
lenient = sys.argv[3:4]


def run(**more):
    done = subprocess.run([program], env={**os.environ, **more}, capture_output=True, text=True, timeout=200)
    if done.returncode == 77:
        print("no device of OpenCL here")
        sys.exit(77)
    return done


def numbers_of(done):
    return [int(n) for n in re.findall(r"\d+", "".join(re.findall(r"^acre: .*", done.stderr, re.MULTILINE)))]


def not_so(done):
    return set(re.findall(r"^not so: .*", done.stderr, re.MULTILINE))


failures = 0
drivers_own = set()
for wishes in (None, "report", "report blocks"):
    more = {} if wishes is None else {"OPENCL_LAYERS": layer, "ACRE_OPENCL": wishes}
    done = run(**more)
    numbers = numbers_of(done)
    if wishes is None:
        drivers_own = not_so(done)
    is_good = done.returncode == 0 or (done.returncode == 1 and bool(drivers_own) and not_so(done) <= drivers_own)
    if wishes is not None:  # buffers, bytes, parts, images, bytes, passed on, not released
        is_placed = len(numbers) == 7 and (numbers[0] > 1000 or (bool(drivers_own) and wishes == "report" and numbers[0] == 0))
        is_good = is_good and is_placed and numbers[6] == 0 and (numbers[2] > 0 or "blocks" not in wishes)
    print(f"{'ok' if is_good else 'not ok'}: {wishes}: status {done.returncode}, {numbers}\n{done.stderr}")
    failures += not is_good
if lenient:
    refused = "not so: a part of a part is refused"
    if refused not in not_so(run(OPENCL_LAYERS=lenient[0])):
        print("not ok: the lenient layer makes no parts of parts")
        failures += 1
    done = run(OPENCL_LAYERS=f"{lenient[0]}:{layer}", ACRE_OPENCL="blocks")
    is_good = refused not in not_so(done) and done.returncode in (0, 1)
    print(f"{'ok' if is_good else 'not ok'}: parts of parts are refused over a driver that makes them: {done.stderr}")
    failures += not is_good
    done = run(OPENCL_LAYERS=f"{lenient[0]}:{layer}", ACRE_OPENCL="report")
    numbers = numbers_of(done)
    is_good = len(numbers) == 7 and numbers[0] == 0 and numbers[5] > 1000
    print(f"{'ok' if is_good else 'not ok'}: everything is passed on to NVIDIA's driver: {numbers}")
    failures += not is_good
sys.exit(failures > 0)
