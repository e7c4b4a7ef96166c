#!/usr/bin/env python3
"""acre um run: programs end right that need more memory than the room they get, with either home and by fork; figures; what is refused.

usage: um_run.py ACRE
"""
import hashlib
import json
import os
import resource
import subprocess
import sys
import tempfile

acre = os.path.abspath(sys.argv[1])
folder = tempfile.mkdtemp()
failures = []


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*arguments, **options):
    return subprocess.run([acre, "um", "run", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=240, check=False, **options)


def figures(*arguments, **options):
    path = os.path.join(folder, "figures")
    result = run("--json", path, *arguments, **options)
    with open(path, encoding="utf-8") as text:
        return result, json.load(text)


# sort reads a file into a buffer of 60 MiB, which is the kernel's access, and merges in two threads.
numbers = os.path.join(folder, "numbers")
with open(numbers, "w", encoding="ascii") as out:
    value = 1
    for _ in range(600000):
        value = value * 6364136223846793005 + 1442695040888963407 & (1 << 64) - 1
        out.write(f"{value >> 33}\n")
command = ["sort", "-S", "60M", "--parallel=2", numbers]
environment = dict(os.environ, LC_ALL="C")
right = hashlib.sha256(subprocess.run(command, stdout=subprocess.PIPE, check=True, env=environment).stdout).hexdigest()
for home in ("compressed", f"file:{folder}", "memory"):
    result, document = figures("--room", "8M", "--home", home, *command, env=environment)
    check(result.returncode == 0, f"sort, {home}: {result.returncode}: {result.stderr}")
    check(hashlib.sha256(result.stdout).hexdigest() == right, f"sort, {home}: its lines are others")
    check(len(document) == 1 and document[0]["used_bytes_max"] == 8 << 20, f"sort, {home}: {document}")
    check(document[0]["out_bytes"] > 0 and document[0]["serving_ns"] > 0 and document[0]["failures"] == 0, f"sort, {home}: {document}")

# A program whose data compress needs twice the room, and less than its data in all.
program = "a = bytearray(64 << 20)\nfor i in range(0, len(a), 4096): a[i:i + 8] = i.to_bytes(8, 'little')\n" \
          "assert all(int.from_bytes(a[i:i + 8], 'little') == i for i in range(0, len(a), 4096))\nprint('right')\n"
result, document = figures("--room", "32M", sys.executable, "-c", program)
check(result.stdout == b"right\n", f"a program of twice the room: {result.stdout} {result.stderr}")
check(document and document[0]["waiting_bytes_max"] < 8 << 20, f"it waits in {document}")
result = run("--room", "32M", sys.executable, "-c", program)
text = result.stderr.decode()
check("acre um run: process" in text and "64.0 MiB at most at a time; in memory 32.0 MiB" in text, f"told: {text}")

# A child has its own from the fork on.
program = """
import os
a = bytearray(b"x") * (24 << 20)
child = os.fork()
mine = b"y" if child == 0 else b"z"
for i in range(0, len(a), 4096): a[i:i + 1] = mine
is_right = a.count(mine) == len(a) // 4096 and a.count(b"x") == len(a) - len(a) // 4096
if child == 0: os._exit(0 if is_right else 1)
print(is_right, os.waitpid(child, 0)[1])
"""
result = run("--room", "8M", sys.executable, "-c", program)
check(result.stdout == b"True 0\n", f"fork: {result.stdout} {result.stderr}")
result = run("--room", "8M", "--home", f"file:{folder}", sys.executable, "-c",
             "import subprocess\na = bytearray(b'x') * (24 << 20)\nprint(subprocess.run(['true']).returncode, a.count(b'x') == len(a))")
check(result.stdout == b"0 True\n", f"a program started with a file as home: {result.stdout} {result.stderr}")

# A child that only ends, after it freed what it has, leaves its parent's file alone.
program = """
import os
a = bytearray(b"x") * (24 << 20)
child = os.fork()
if child == 0:
    del a
    os._exit(0)
print(os.waitpid(child, 0)[1], a.count(b"x") == len(a))
"""
result = run("--room", "8M", "--home", f"file:{folder}", sys.executable, "-c", program)
check(result.stdout == b"0 True\n", f"fork with a file: {result.stdout} {result.stderr}")

# A control group with 80 MiB, where this user may make one: the kernel ends the program without, and not with.
group = f"/sys/fs/cgroup/memory/acre-um-{os.getpid()}"
try:
    os.mkdir(group)
    with open(f"{group}/memory.limit_in_bytes", "w", encoding="ascii") as out:
        out.write(str(80 << 20))
except OSError as error:
    print(f"no control group: {error}")
    group = None
if group is not None:
    inside = ["sh", "-c", f'echo $$ >{group}/cgroup.procs; exec "$@"', "sh"]
    program = "a = bytearray(b'acre') * (32 << 20)\nprint(len(a), a.count(b'acre'))\n"
    alone = subprocess.run(inside + [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, check=False)
    check(alone.returncode in (-9, 1), f"128 MiB in 80: {alone.returncode} {alone.stdout}")
    for home in ("compressed", f"file:{folder}"):
        result = subprocess.run(inside + [acre, "um", "run", "--room", "32M", "--home", home, sys.executable, "-c", program],
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False)
        check(result.stdout == b"134217728 33554432\n", f"128 MiB in 80, {home}: {result.returncode} {result.stderr}")
    os.rmdir(group)

# Where no file can be made, the program runs without.
result = run("--room", "4M", "--home", f"file:{folder}", sys.executable, "-c", "print(len(bytearray(b'x') * (24 << 20)))",
             preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0)), restore_signals=False)
check(result.stdout == b"25165824\n" and b"cannot be made there" in result.stderr, f"no file: {result.returncode} {result.stderr}")

# What ends the program is passed on.
check(run("sh", "-c", "exit 7").returncode == 7, "an exit code is lost")
check(run("sh", "-c", "kill -TERM $$").returncode == 128 + 15, "a signal is lost")
check(run("true").stderr.startswith(b"acre um run: nothing large"), "a program without large allocations")
check(run("/nowhere/at/all").returncode == 127, "a program that is not there")
check(run("/dev/null").returncode == 126, "a program that is none")

for arguments, sentence in (
    (["--room", "3M", "true"], "--room '3M'"),
    (["--room", "much", "true"], "--room 'much'"),
    (["--home", "moon", "true"], "--home 'moon'"),
    (["--home", "file:", "true"], "--home 'file:'"),
    (["--rules", "none", "true"], "--rules 'none'"),
    (["--from", "1", "true"], "--from '1'"),
    (["--faults", "none", "true"], "--faults 'none'"),
    (["--room"], "wants a value"),
    (["--odd", "true"], "no option"),
    ([], "which program"),
):
    result = run(*arguments)
    check(result.returncode == 2 and sentence in result.stderr.decode(), f"{arguments}: {result.returncode}: {result.stderr}")
result = run("--home", "file:/nowhere", "sh", "-c", "echo runs")
check(result.stdout == b"runs\n" and b"/nowhere" in result.stderr, f"a folder that is not there: {result.stderr}")
check(run("--help").stdout.startswith(b"Usage: acre um run"), "--help")

os.unlink(numbers)
os.unlink(os.path.join(folder, "figures"))
os.rmdir(folder)
for sentence in failures:
    print(f"not ok - {sentence}")
print("ok" if not failures else f"{len(failures)} failed")
sys.exit(bool(failures))
