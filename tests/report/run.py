#!/usr/bin/env python3
"""acre run and acre replay from outside: what the program is and does stays its own, and every output says the same.

usage: run.py ACRE LIBRARY PLANTED-LEAK REACHABILITY FAULTS UNOBSERVED
"""
import csv
import gzip
import json
import os
import signal
import subprocess
import sys
import tempfile
import time

acre, library, program, holder, faults, unobserved = (os.path.abspath(path) for path in sys.argv[1:7])
sessions_left, session_bytes, index_count, index_bytes = 1000, 200, 20000, 64
failures = []


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*arguments, **more):
    return subprocess.run([acre, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60, **more)


def observe(options, *arguments, **more):
    return run("run", "--library", library, *options, "--", program, *arguments, **more)


QUIET = ["--quiet", "--no-html"]


def exit_code_signals_and_streams_are_the_programs_own():
    check(observe(QUIET, "exit", "7").returncode == 7, "exit code 7 is not passed on")
    check(observe(QUIET, "kill", "11").returncode == -11, "death by signal 11 is not passed on")
    text = os.urandom(100000)
    result = observe(QUIET, "cat", input=text)
    check(result.stdout == text and result.stderr == b"", "standard input and output are not untouched")
    child = subprocess.Popen([acre, "run", "--library", library, *QUIET, program, "wait"], stdout=subprocess.PIPE)
    check(child.stdout.readline() == b"waiting\n", "the program does not start")
    time.sleep(0.05)
    child.send_signal(signal.SIGTERM)
    check(child.wait(timeout=20) == 43, "SIGTERM is not passed on to the program")


def a_guarded_program_has_its_fault_reported():
    with tempfile.TemporaryDirectory() as folder:
        report = os.path.join(folder, "faults.json")
        for case, kind in (("overflow_by_1", "overflow"), ("memcpy_reads_behind", "overflow"), ("double_free", "double-free")):
            result = run("run", "--library", library, *QUIET, "--guard", "L1", "--guard-report", "faults.json", "--", faults, case, cwd=folder)
            check(result.returncode == -signal.SIGABRT, f"{case} at L1 ends with {result.returncode}")
            check(json.loads(open(report).readlines()[-1])["kind"] == kind, f"{case} is not reported as {kind}")
        result = run("run", "--library", library, *QUIET, "--guard", "L3:1/1", "--", faults, "read_after_free")
        check(result.returncode == -signal.SIGSEGV and b"the block is free" in result.stderr, "a read after free is not reported at L3")
    for level in ("L4", "L1:1/5", "L3:1/0", "high"):
        result = run("run", "--guard", level, "ls")
        check(result.returncode == 2 and level.encode() in result.stderr, f"--guard {level} is not refused by name")


def what_cannot_be_run_is_said_with_its_name():
    result = run("run", "--library", library, *QUIET, "/nonexistent/program")
    check(result.returncode == 127 and b"/nonexistent/program" in result.stderr, "a missing program is not named")
    result = run("run", "--library", library, *QUIET, "/etc/passwd")
    check(result.returncode == 126, "a file that is no program has not code 126")
    for bad in (["run", "--colour", "ls"], ["run"], ["run", "--sample", "12Q", "ls"], ["report"], ["replay", "--on", "x", "t"],
                ["run", "--leak-exit-code", "900", "ls"], ["dance"]):
        result = run(*bad)
        check(result.returncode == 2 and b"--help" in result.stderr, f"acre {' '.join(bad)} is not refused with a hint")
    check(b"dance" in run("dance").stderr, "an unknown command is not named")
    for command in ([], ["run"], ["report"], ["replay"]):
        result = run(*command, "--help")
        check(result.returncode == 0 and b"Usage" in result.stdout, f"acre {command} --help does not help")


def varints(data):
    at = 0
    while at < len(data):
        value = shift = 0
        while True:
            byte = data[at]
            at += 1
            value |= (byte & 127) << shift
            shift += 7
            if byte < 128:
                break
        yield value, at


def protobuf(data):
    """The fields of a message as (number, value); a length-delimited value is bytes."""
    at, fields = 0, []
    while at < len(data):
        key, used = next(varints(data[at:]))
        at += used
        if key & 7 == 0:
            value, used = next(varints(data[at:]))
            at += used
        else:
            assert key & 7 == 2, f"wire type {key & 7}"
            length, used = next(varints(data[at:]))
            at += used
            value = data[at:at + length]
            assert len(value) == length, "a field ends past its message"
            at += length
        fields.append((key >> 3, value))
    return fields


def every_output_of_an_exact_recording_says_the_same():
    with tempfile.TemporaryDirectory() as folder:
        name = lambda file: os.path.join(folder, file)
        result = observe(["--record", name("t"), "--report", name("p.html"), "--json", name("j"), "--csv", name("c"),
                          "--collapsed", name("l"), "--pprof", name("g")])
        check(result.returncode == 0, f"acre run ended with {result.returncode}: {result.stderr}")
        summary = result.stderr.decode()
        check("remember_session (planted_leak.c:" in summary, "the summary does not name the leak's function and file")
        check("Leaked: " in summary and "nothing points to" in summary, "the summary does not call the leak a leak")

        document = json.load(open(name("j")))
        process = document["processes"][0]
        leaks = [row for row in process["unfreed"] if row["function"] == "remember_session"]
        check(len(leaks) == 1 and leaks[0]["count"] == sessions_left and leaks[0]["bytes"] == sessions_left * session_bytes,
              f"the leak is told as {leaks[:1]}")
        check(leaks and leaks[0]["suspect"], "the leak is no suspect")
        check(leaks and sessions_left - 5 <= leaks[0]["leaked_count"] <= sessions_left, f"of the leaked blocks {leaks[0]['leaked_count']} are told")
        site = process["sites"][0]
        expected, blocks = index_count * (index_bytes + 8), index_count * index_bytes
        check(site["function"] == "load_index" and site["allocated_bytes"] == blocks, f"the biggest call site is {site}")
        check(process["totals"]["peak_live_bytes"] >= expected, "the peak is less than what was live at once")
        check(process["totals"]["dropped_event_count"] == 0, "events were dropped")
        check(process["totals"]["peak_rss_bytes"] > expected, "the peak of resident memory is missing")

        rows = list(csv.DictReader(open(name("c"), newline="")))
        check(any(r["function"] == "load_index" and int(r["allocated_bytes"]) == blocks for r in rows), "CSV: load_index")
        lines = [line.rsplit(" ", 1) for line in open(name("l")).read().splitlines()]
        check(sum(int(n) for stack, n in lines if stack.endswith(";load_index")) == expected, "collapsed: load_index")
        check(all(stack.startswith("planted-leak;") for stack, _ in lines), "collapsed stacks begin with the program")

        profile = protobuf(gzip.open(name("g")).read())
        strings = [value.decode() for number, value in profile if number == 6]
        functions = {dict(protobuf(v))[1]: strings[dict(protobuf(v))[2]] for number, v in profile if number == 5}
        places = {}
        for number, value in profile:
            if number == 4:
                location = protobuf(value)
                places[dict(location)[1]] = functions[dict(protobuf([v for n, v in location if n == 4][0]))[1]]
        check(strings[0] == "" and "alloc_space" in strings, "pprof: the string table")
        samples = [dict(protobuf(value)) for number, value in profile if number == 2]
        total = sum([v for v, _ in varints(s[2])][1] for s in samples
                    if 1 in s and places[next(varints(s[1]))[0]] == "load_index")
        check(total == expected, f"pprof: load_index has {total} bytes, not {expected}")

        page = open(name("p.html")).read()
        check("remember_session" in page and "{{" not in page.split("<script")[0], "the page is not whole")
        again = run("report", "--quiet", "--no-html", "--json", name("j2"), name("t"))
        check(again.returncode == 0 and json.load(open(name("j2"))) == document, "acre report says something else")

        whole = open(name("t"), "rb").read()
        open(name("cut"), "wb").write(whole[:len(whole) * 2 // 3])
        cut = run("report", "--no-html", name("cut"))
        check(cut.returncode == 1 and b"byte offset" in cut.stderr, "a cut trace is not reported with its offset")

        open(name("half"), "wb").write(whole[:len(whole) // 2])
        run("report", *QUIET, "--json", name("j3"), name("half"))
        half = json.load(open(name("j3")))["processes"][0]
        check(half["sites"][0]["function"] == "load_index" and half["sites"][0]["line"] > 0, f"half a trace has the call sites {half['sites'][:1]}")

        replay = run("replay", "--on", f"glibc,{library}", "--repeat", "1", "--json", "-", name("t"))
        check(replay.returncode == 0, f"acre replay: {replay.stderr}")
        figures = json.loads(replay.stdout)
        check(figures["peak_live_bytes"] == process["totals"]["peak_live_bytes"], "replay: another peak than the report")
        check([e["engine"] for e in figures["engines"]] == ["glibc", library], "replay: engines")
        check(all(e["ns_per_step"] > 0 and e["peak_rss_bytes"] >= expected * 0.9 for e in figures["engines"]),
              f"replay: figures make no sense: {figures}")


def a_sampled_run_estimates_within_its_error():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "j")
        observe(["--sample", "8K", "--quiet", "--no-html", "--json", path])
        totals = json.load(open(path))["processes"][0]["totals"]
        true = index_count * (index_bytes + 8) + 3 * sessions_left * session_bytes
        check(totals["allocated_bytes_error"] > 0, "a sampled run tells no error")
        check(abs(totals["allocated_bytes"] - true) < 6 * totals["allocated_bytes_error"],
              f"estimated {totals['allocated_bytes']} +- {totals['allocated_bytes_error']}, true are {true}")


def leaks_and_children_are_seen():
    check(observe(["--leak-exit-code", "9", "--sample", "1", *QUIET]).returncode == 9, "--leak-exit-code is not used")
    check(observe(["--leak-exit-code", "9", *QUIET], "exit", "3").returncode == 3, "--leak-exit-code hides the exit code")
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "j")
        observe(["--record", os.path.join(folder, "t"), "--quiet", "--no-html", "--json", path], "fork")
        processes = json.load(open(path))["processes"]
        check(len(processes) == 2, f"{len(processes)} processes are seen, not 2")
        child = [p for p in processes if p["is_fork"]]
        check(len(child) == 1 and child[0]["totals"]["allocated_bytes"] == session_bytes, "the child's own block is not seen")


def remains(options, *arguments):
    """What is left of the program that holds and loses blocks, by function (which may have several stacks), and its totals."""
    rows = {}
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "j")
        options = [os.path.join(folder, "t") if option == "TRACE" else option for option in options]
        run("run", "--library", library, *options, *QUIET, "--json", path, "--", holder, *arguments)
        process = json.load(open(path))["processes"][0]
        for row in process["unfreed"]:
            sums = rows.setdefault(row["function"], {"leaked_count": 0, "count": 0, "stack": row["stack"]})
            sums["leaked_count"] += row["leaked_count"]
            sums["count"] += row["count"]
        return rows, process["totals"]


RECORDED, SAMPLED = ["--record", "TRACE"], ["--sample", "1"]
HELD = ("held_by_a_global", "held_at_its_middle", "held_by_a_block", "held_by_a_large_block", "held_by_a_mapping",
        "held_by_a_threads_stack", "held_by_thread_local_data", "held_by_a_register")
LOST = {"lost": 20, "lost_below_the_stack": 20, "lost_below_a_threads_stack": 20, "lost_in_a_freed_block": 1, "lost_last_of_all": 1}


def what_nothing_points_to_is_leaked_and_nothing_else_is():
    for options in (RECORDED, SAMPLED):
        for mode in ([], ["protect"]):
            rows, totals = remains(options, *mode)
            for name in HELD:
                check(name in rows and rows[name]["leaked_count"] == 0, f"{options[0]} {mode}: {name} is told as {rows.get(name)}")
            for name, count in LOST.items():
                # A word that looks like an address may hide a block.
                found = rows[name]["leaked_count"] if name in rows else 0
                check(count - 1 <= found <= count if count > 1 else found == 1, f"{options[0]} {mode}: {found} of {count} blocks {name} are found")
            check(totals["leaked_count"] == sum(row["leaked_count"] for row in rows.values()), "the total of leaked blocks is another")
            check(totals["no_leak_scan"] is None, "a scan that ran is told as none")


def a_leaks_stack_is_told():
    rows, _ = remains(RECORDED)
    frames = [frame["function"] for frame in rows["lost"]["stack"]]
    check(frames[:3] == ["lost", "lose", "main"], f"the leak's stack is {frames}")


def without_a_scan_leaks_are_not_known():
    for mode in ("kill", "quick"):
        rows, totals = remains(RECORDED, mode)
        check(totals["leaked_count"] is None and "killed" in totals["no_leak_scan"], f"{mode}: the missing scan is not told: {totals}")
        check(rows["lost"]["count"] == 20, f"{mode}: blocks that were not freed are missing")
    summary = run("run", "--library", library, "--sample", "64K", "--no-html", "--", holder, "kill").stderr.decode()
    check("is not known" in summary, "the summary does not tell that there was no scan")


def threads_that_go_on_do_not_disturb_the_scan():
    for options in (RECORDED, SAMPLED):
        for _ in range(5):
            rows, totals = remains(options, "churn")
            check(totals["no_leak_scan"] is None and rows["lost"]["leaked_count"] >= 15, f"with busy threads: {rows.get('lost')}")


def only_leaks_have_the_leak_exit_code():
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "t")
        for arguments, code in ([holder, "keep"], 0), ([holder], 9):
            result = run("run", "--library", library, "--leak-exit-code", "9", "--record", trace, *QUIET, "--", *arguments)
            check(result.returncode == code, f"{arguments} ends with {result.returncode}, not {code}")
            check(run("report", "--leak-exit-code", "9", *QUIET, trace).returncode == code, f"report: {arguments}")


def a_sampled_run_finds_blocks_that_were_not_sampled():
    for arguments, code in (["keep"], 0), ([], 9), (["churn"], 9), (["keep-churn"], 0):
        for _ in range(3):
            result = run("run", "--library", library, "--sample", "1G", "--leak-exit-code", "9", "--no-html", "--", holder, *arguments)
            check(result.returncode == code, f"sampled {arguments} ends with {result.returncode}, not {code}")
    _, exact = remains(RECORDED)
    _, sampled = remains(["--sample", "1G"])
    check(abs(exact["all_leaked_count"] - sampled["all_leaked_count"]) <= 2,
          f"recorded {exact['all_leaked_count']} blocks are lost, sampled {sampled['all_leaked_count']}")
    summary = run("run", "--library", library, "--sample", "1G", "--no-html", "--", holder).stderr.decode()
    check("nothing points to" in summary and "None of them was sampled" in summary, f"the summary tells of no leak: {summary}")


def the_summary_of_a_small_or_short_program_claims_nothing():
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "j")
        summary = observe(["--sample", "1T", "--no-html"], "exit", "0").stderr.decode()
        observe(["--sample", "64K", "--no-html", "--json", path], "exit", "0")
        totals = json.load(open(path))["processes"][0]["totals"]
        true = index_count * (index_bytes + 8) + sessions_left * session_bytes
        check(true * 0.9 < totals["peak_live_bytes"] < true * 1.1, f"{totals['peak_live_bytes']} bytes were live, not about {true}")
        check("too little for a sample" in summary and "was freed" not in summary, f"without a sample it says: {summary}")
        check(all(len(line) <= 80 for line in summary.splitlines()), f"lines are too long: {summary}")
        summary = run("run", "--library", library, "--no-html", "--json", path, "--guard", "L1", "--", faults, "double_free").stderr.decode()
        check("killed by signal 6" in summary and "not observed" not in summary, f"after a fault it says: {summary}")
        totals = json.load(open(path))["processes"][0]["totals"]
        check(totals["peak_rss_bytes"] > 100000 and totals["peak_live_bytes"] is None, f"after a fault it tells {totals}")


def what_can_not_be_written_is_said_before_the_program_runs():
    with tempfile.TemporaryDirectory() as folder:
        name = lambda file: os.path.join(folder, file)
        for option in ("--report", "--json", "--csv", "--collapsed", "--pprof", "--record", "--guard-report"):
            for path in (name("missing/file"), folder):
                result = run("run", "--library", library, option, path, "--", "touch", name("ran"))
                check(result.returncode == 125 and path.encode() in result.stderr, f"{option} {path}: {result}")
        check(os.listdir(folder) == [], f"of outputs that can't be written there is {os.listdir(folder)}")
        open(name("old"), "w").write("old")
        run("run", "--library", library, "--json", name("old"), "--record", name("old"), "--csv", name("new"), *QUIET, "--", "/nonexistent/program")
        check(open(name("old")).read() == "old" and os.listdir(folder) == ["old"], "a program that does not start leaves other files behind")
        check(run("tour", "--page", name("missing/page")).returncode == 125, "the tour begins without a place for its page")


def a_dash_is_standard_output():
    with tempfile.TemporaryDirectory() as folder:
        trace = os.path.join(folder, "t")
        arguments = "--library", library, "--record", trace, *QUIET, "--json", "-", "--", program
        exact = run("run", *arguments, cwd=folder).stdout
        check(json.loads(exact) == json.loads(run("report", *QUIET, "--json", "-", trace, cwd=folder).stdout), "--json - of run and report differ")
        check(run("report", *QUIET, "--csv", "-", trace, cwd=folder).stdout.startswith(b"process_id,"), "--csv - writes no CSV")
        check(gzip.decompress(run("report", *QUIET, "--pprof", "-", trace, cwd=folder).stdout) != b"", "--pprof - writes no profile")
        check(run("report", "--quiet", "--report", "-", trace, cwd=folder).stdout.startswith(b"<!doctype html>"), "--report - writes no page")
        check(os.listdir(folder) == ["t"], f"there are files {os.listdir(folder)}")
    for option in ("--record", "--guard-report"):
        check(run("run", option, "-", "ls").returncode == 2, f"{option} - is not refused")


def a_folder_for_records_that_is_not_there_is_named():
    result = subprocess.run(["true"], env={**os.environ, "LD_PRELOAD": library, "ACRE_RECORD_DIR": "/nonexistent"}, stderr=subprocess.PIPE)
    check(result.returncode == 0 and b"ACRE_RECORD_DIR='/nonexistent'" in result.stderr, f"ACRE_RECORD_DIR=/nonexistent: {result}")


def what_can_not_be_told_of_leaks_is_no_pass():
    for options, arguments in (["--quiet"], [unobserved]), ([], [unobserved]), (["--sample", "1G", "--quiet"], [holder, "quick"]):
        result = run("run", "--library", library, "--leak-exit-code", "9", "--no-html", *options, "--", *arguments)
        check(result.returncode == 125 and b"is not known: " in result.stderr, f"{arguments} with {options} ends with {result.returncode}")


def a_child_that_goes_on_to_exec_is_recorded_to_its_end():
    """It has two files, and the observer may meet them in any order."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "j")
        for _ in range(3):
            observe(["--record", os.path.join(folder, "t"), "--quiet", "--no-html", "--json", path], "start")
            allocated = max(p["totals"]["allocated_bytes"] for p in json.load(open(path))["processes"])
            true = index_count * (index_bytes + 8) + 3 * sessions_left * session_bytes
            check(allocated >= true, f"of {true} bytes that the child allocates only {allocated} are seen")


for test in (a_guarded_program_has_its_fault_reported, exit_code_signals_and_streams_are_the_programs_own,
             what_cannot_be_run_is_said_with_its_name,
             every_output_of_an_exact_recording_says_the_same, a_sampled_run_estimates_within_its_error,
             leaks_and_children_are_seen, what_nothing_points_to_is_leaked_and_nothing_else_is, a_leaks_stack_is_told,
             without_a_scan_leaks_are_not_known, threads_that_go_on_do_not_disturb_the_scan, only_leaks_have_the_leak_exit_code,
             a_sampled_run_finds_blocks_that_were_not_sampled,
             the_summary_of_a_small_or_short_program_claims_nothing, what_can_not_be_written_is_said_before_the_program_runs,
             a_dash_is_standard_output, a_folder_for_records_that_is_not_there_is_named, what_can_not_be_told_of_leaks_is_no_pass,
             a_child_that_goes_on_to_exec_is_recorded_to_its_end):
    before = len(failures)
    test()
    print("%s %s" % ("ok    " if len(failures) == before else "FAILED", test.__name__))
for sentence in failures:
    print("failed:", sentence)
sys.exit(1 if failures else 0)
