#!/usr/bin/env python3
"""acre stats and acre top from outside: what they tell of a process whose blocks are known, and of those that they can't read.

usage: live.py ACRE LIBRARY PLAIN LINKED STATIC (three builds of live_program.c)
"""
import contextlib
import fcntl
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time

acre, library, plain, linked, static = (os.path.abspath(path) for path in sys.argv[1:6])
failures = []


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*arguments, **more):
    return subprocess.run([acre, *map(str, arguments)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=30, check=False, **more)


@contextlib.contextmanager
def started(program, *arguments, preload=""):
    child = subprocess.Popen([program, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=dict(os.environ, LD_PRELOAD=preload))
    try:
        line = child.stdout.readline()
        if line != b"ready\n":
            raise RuntimeError(f"{program} said {line}")
        yield child
    finally:
        child.kill()
        child.wait()
        child.stdin.close()
        child.stdout.close()


def tell(child, word):
    child.stdin.write(word + b"\n")
    child.stdin.flush()
    return child.stdout.readline()


def figures_of(pid, *options):
    """{name of heap: its figures, with classes as {block_bytes: class}}"""
    result = run("stats", "--json", *options, pid)
    if result.returncode != 0:
        raise RuntimeError(f"acre stats ended with {result.returncode}: {result.stderr}")
    heaps = {heap["name"]: heap for heap in json.loads(result.stdout)["heaps"]}
    for heap in heaps.values():
        heap["classes"] = {one["block_bytes"]: one for one in heap["classes"]}
    return heaps


MINE = "it's \"mine\"\\"


def figures_of_a_quiet_process_are_exact():
    for program, preload, has_malloc in ((plain, library, True), (linked, "", True), (static, "", False)):
        with started(program, preload=preload) as child:
            heaps = figures_of(child.pid)
            check(heaps[MINE]["classes"][64]["live_count"] == 10, f"the program's own heap is told as {heaps[MINE]}")
            check(("malloc" in heaps) == has_malloc, f"{program}: the heaps are {sorted(heaps)}")
            if not has_malloc:
                continue
            heap = heaps["malloc"]
            check(heap["classes"][112]["live_count"] == 1000, f"1000 blocks of 100 bytes are told as {heap['classes'][112]}")
            check(heap["classes"][208]["live_count"] == 1000, f"the threads' 1000 blocks of 200 bytes are told as {heap['classes'][208]}")
            check(heap["large_count"] == 3 and heap["large_bytes"] == 3 << 20, f"3 blocks of 1 MiB are {heap['large_count']}, {heap['large_bytes']}")
            check(heap["thread_count"] == 3, f"3 threads are told as {heap['thread_count']}")
            small = sum(one["live_count"] * size for size, one in heap["classes"].items())
            check(heap["live_bytes"] == small + (3 << 20), "live bytes are not those of the classes and large blocks")
            check(heap["live_bytes"] + heap["ready_bytes"] <= heap["used_bytes"] <= heap["committed_bytes"] <= heap["reserved_bytes"],
                  f"a part is more than the whole: {heap}")
            check(tell(child, b"free") == b"done\n", "the program does not answer")
            one = figures_of(child.pid)["malloc"]["classes"].get(112, {"live_count": 0, "ready_count": 0})
            check(one["live_count"] == 0, f"after they were freed {one['live_count']} blocks of 100 bytes are live")
            check(one["ready_count"] <= 2 * 256, f"a thread holds {one['ready_count']} blocks ready")


def a_process_does_nothing_to_be_read_and_may_be_stopped():
    def cost(pid):
        with open(f"/proc/{pid}/status", encoding="ascii") as file:
            switches = re.findall(r"ctxt_switches:\s+(\d+)", file.read())
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            return switches, file.read().split()[13:15]

    with started(plain, preload=library) as child:
        time.sleep(0.2)
        before = cost(child.pid)
        for _ in range(5):
            figures_of(child.pid)
        check(cost(child.pid) == before, f"the process ran to be read: {before} became {cost(child.pid)}")
        check(len(os.listdir(f"/proc/{child.pid}/task")) == 3, "it has a thread more")
        child.send_signal(signal.SIGSTOP)
        check(figures_of(child.pid)["malloc"]["classes"][112]["live_count"] == 1000, "a stopped process is not read")
        child.send_signal(signal.SIGCONT)


def figures_of_a_busy_process_are_sound():
    with started(plain, "busy", preload=library) as child:
        for _ in range(40):
            heap = figures_of(child.pid)["malloc"]
            check(heap["thread_count"] in (3, 4), f"3 threads and the first are {heap['thread_count']}")
            check(heap["live_bytes"] <= 64 << 20 and heap["used_bytes"] <= heap["committed_bytes"], f"sizes are out of bounds: {heap}")
        rates = figures_of(child.pid, "--over", "0.3")["malloc"]["a_second"]
        check(rates["run_count"] > 10, f"a program that takes large blocks all the time takes {rates}")
        text = run("stats", child.pid).stdout.decode()
        check("heap 'malloc'" in text and "a second" in text and "LIVE BLOCKS" in text, f"the text is {text}")


SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)\{((?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)*)\} ([0-9]+)')


def what_is_printed_for_prometheus_follows_its_grammar():
    with started(plain, preload=library) as child:
        result = run("stats", "--prometheus", child.pid)
        text = result.stdout.decode()
        check(result.returncode == 0 and text.endswith("\n"), "it does not end with a line")
        kinds, series, family = {}, set(), None
        for line in text.splitlines():
            words = line.split(" ", 3)
            if line.startswith("# HELP "):
                check(words[2] not in kinds, f"the family {words[2]} comes twice")
                family = words[2]
            elif line.startswith("# TYPE "):
                check(words[2] == family and words[3] in ("gauge", "counter"), f"no type: {line}")
                kinds[words[2]] = words[3]
            else:
                sample = SAMPLE.fullmatch(line)
                check(sample is not None, f"no sample: {line}")
                if sample is None:
                    continue
                check(sample[1] == family and family in kinds, f"outside of its family: {line}")
                check((kinds.get(family) == "counter") == sample[1].endswith("_total"), f"only counters end with _total: {line}")
                check((sample[1], sample[2]) not in series, f"twice: {line}")
                series.add((sample[1], sample[2]))
        check('heap="it\'s \\"mine\\"\\\\"' in text, "the name of a heap is not escaped")
        check('block_bytes="112",state="live"} 1000\n' in text, "the 1000 blocks are not told")


def what_cannot_be_read_is_said_in_a_sentence():
    def refused(pid, sentence, **more):
        for command in ("stats", "top"):
            result = run(command, pid, **more)
            check(result.returncode == 1 and sentence in result.stderr.decode() and result.stderr.count(b"\n") == 1,
                  f"acre {command} ended with {result.returncode}: {result.stderr}, not '{sentence}'")

    gone = subprocess.Popen(["true"])
    gone.wait()
    refused(gone.pid, "there is no process")
    other = subprocess.Popen(["sleep", "30"], env=dict(os.environ, LD_PRELOAD=""))
    zombie = subprocess.Popen(["true"])
    time.sleep(0.1)
    refused(other.pid, "(sleep) does not run on acre")
    check(run("stats", zombie.pid).returncode == 1, "a process that has ended is read")
    other.kill()
    other.wait()
    zombie.wait()
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(library, os.path.join(folder, "libacre-malloc.so"))
        with open(copy, "rb") as file:
            data = file.read()
        at = data.index(b"acrelive\x01\0\0\0") + 8
        with open(copy, "wb") as file:
            file.write(data[:at] + b"\x63" + data[at + 1:])
        with started(plain, preload=copy) as child:
            refused(child.pid, "another version of acre")
        with open(copy, "wb") as file: # a layout that is not this tool's
            file.write(data[:at + 8] + b"\x01" + data[at + 9:])
        with started(plain, preload=copy) as child:
            refused(child.pid, "another version of acre")
    if os.geteuid() == 0:
        with started(plain, preload=library) as child, tempfile.TemporaryDirectory() as folder:
            os.chmod(folder, 0o755)
            tool = shutil.copy(acre, folder)
            result = subprocess.run([tool, "stats", str(child.pid)], user=65534, group=65534, extra_groups=[], capture_output=True, check=False)
            check(result.returncode == 1 and b"another user's" in result.stderr, f"another user reads it: {result}")
    for wrong in (["stats"], ["stats", "x"], ["stats", "1", "2"], ["stats", "--colour", "1"], ["stats", "--json", "--prometheus", "1"], ["top"],
                  ["top", "--every", "0", "1"], ["top", "--count", "0", "1"], ["stats", "--over", "soon", "1"]):
        result = run(*wrong)
        check(result.returncode == 2 and b"--help" in result.stderr, f"acre {wrong} ended with {result.returncode}")


def top_without_a_terminal_prints_lines_until_the_process_ends():
    with started(plain, preload=library) as child:
        result = run("top", "--count", "3", "--every", "0.05", child.pid)
        lines = result.stdout.decode().splitlines()
        check(result.returncode == 0 and len(lines) == 6 and b"\033" not in result.stdout, f"three readings of two heaps are {lines}")
        check(lines and re.search(r"heap 'malloc': live [\d.]+ MiB .* 3 threads", lines[0]), f"a line is {lines[:1]}")
        with subprocess.Popen([acre, "top", "--every", "0.05", str(child.pid)], stdout=subprocess.PIPE) as top:
            top.stdout.readline()
            child.kill()
            child.wait()
            said = top.communicate(timeout=20)[0]
        check(top.returncode == 0 and b"has ended" in said, f"at the end of the process it said {said[-200:]}, {top.returncode}")


class Terminal:
    """acre top on a terminal of its own, 24 lines by 100 columns."""

    def __init__(self, pid, name="xterm"):
        self.master, self.slave = pty.openpty()
        fcntl.ioctl(self.slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
        self.modes = termios.tcgetattr(self.slave)
        self.child = subprocess.Popen([acre, "top", "--every", "0.1", str(pid)], stdin=self.slave, stdout=self.slave, stderr=self.slave,
                                      env=dict(os.environ, TERM=name), preexec_fn=self.begin)
        self.seen = b""

    @staticmethod
    def begin():
        os.setpgrp()  # stops work in groups of a session
        for number in (signal.SIGHUP, signal.SIGINT):  # which nohup and background jobs have ignored
            signal.signal(number, signal.SIG_DFL)

    def until(self, text, seconds=10):
        end = time.monotonic() + seconds
        while text not in self.seen and time.monotonic() < end:
            if select.select([self.master], [], [], 0.05)[0]:
                self.seen += os.read(self.master, 65536)
        return text in self.seen

    def press(self, key):
        self.seen = b""
        os.write(self.master, key)

    def end(self):
        code = self.child.wait(timeout=20)
        self.until(b"\0", 0.1)
        is_restored = termios.tcgetattr(self.slave) == self.modes
        os.close(self.slave)
        os.close(self.master)
        return code, is_restored


ENTER, LEAVE = b"\033[?1049h", b"\033[?1049l"


def sizes_on(screen):
    """The block sizes of the last whole screen, from top to bottom."""
    whole = screen.split(b"\033[H")[-2]
    return [int(line.split()[0]) for line in re.sub(rb"\033\[[?0-9;]*[a-zA-Z]", b"", whole).decode().splitlines()
            if re.match(r" *\d+ +[\d,]+ ", line)]


def top_draws_on_a_terminal_and_leaves_it_as_it_was():
    with started(plain, preload=library) as child:
        top = Terminal(child.pid)
        check(top.until(ENTER) and top.until(b"1,000") and top.until(b"sort by"), f"the screen shows {top.seen[-500:]}")
        top.press(b"s")
        check(top.until(b"\033[H") and top.until(b"never", 0.4) is False, "the screen is not drawn anew")
        by_size = sizes_on(top.seen)
        check(len(by_size) >= 3 and by_size == sorted(by_size), f"by size the rows are {by_size}")
        top.press(b"l")
        top.until(b"never", 0.4)
        by_live = sizes_on(top.seen)
        check(by_live[:2] == [208, 112], f"by live bytes the rows are {by_live}")
        top.press(b"q")
        check(top.end() == (0, True) and LEAVE in top.seen, f"after q the terminal is not as it was: {top.seen[-100:]}")
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            top = Terminal(child.pid)
            top.until(b"sort by")
            top.seen = b""
            top.child.send_signal(number)
            check(top.end() == (-number, True) and LEAVE in top.seen, f"after signal {number} the terminal is not as it was: {top.seen[-100:]}")
        top = Terminal(child.pid)
        top.until(b"sort by")
        top.seen = b""
        top.child.send_signal(signal.SIGTSTP)
        check(top.until(LEAVE), "a stop does not leave the screen")
        check(os.WIFSTOPPED(os.waitpid(top.child.pid, os.WUNTRACED)[1]), "SIGTSTP does not stop it")
        check(termios.tcgetattr(top.slave) == top.modes, "while it is stopped the terminal is not as it was")
        top.seen = b""
        top.child.send_signal(signal.SIGCONT)
        check(top.until(ENTER), "going on does not draw the screen again")
        child.kill()
        child.wait()
        check(top.until(b"has ended"), f"the end of the process is not told: {top.seen[-200:]}")
        check(top.end() == (0, True), "after the end of the process the terminal is not as it was")


def a_dumb_terminal_gets_lines():
    with started(plain, preload=library) as child:
        top = Terminal(child.pid, "dumb")
        check(top.until(b"heap 'malloc'") and b"\033" not in top.seen, f"a dumb terminal gets {top.seen[:200]}")
        top.child.send_signal(signal.SIGINT)
        check(top.end() == (-signal.SIGINT, True), "it does not end by the signal")


for case in [value for name, value in list(globals().items())
             if callable(value) and getattr(value, "__module__", "") == "__main__" and name.count("_") >= 3]:
    before_case = len(failures)
    try:
        case()
    except (RuntimeError, KeyError, IndexError, subprocess.TimeoutExpired) as error:
        failures.append(f"{type(error).__name__}: {error}")
    for one in failures[before_case:]:
        print(f"{case.__name__}: {one}")
    print("[ %8s ] %s" % ("OK" if len(failures) == before_case else "FAILED", case.__name__), flush=True)
sys.exit(1 if failures else 0)
