#!/usr/bin/env python3
"""acre bench from outside: every part runs, its figures are what they can be, and the pages show them.

usage: compare.py ACRE WORKLOAD IDLE MEASURE LIBRARY [NODE CHROMIUM PAGE.MJS]
"""
import json
import os
import shutil
import subprocess
import sys
import tempfile

acre, workload, idle, measure, library = sys.argv[1:6]
browser = sys.argv[6:9]
failures = []


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*command, **more):
    more.setdefault("env", dict(os.environ, ACRE_BENCH_QUICK="1"))
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120, check=False, **more)


def figures_of_every_part_are_plausible_and_the_page_has_them():
    with tempfile.TemporaryDirectory() as folder:
        figures, page = os.path.join(folder, "figures.json"), os.path.join(folder, "page.html")
        result = run(acre, "bench", "heap", "--library", library, "--only", "pair_32,mleak,lua,idle", "--rounds", "1", "--json", figures, "--page", page)
        check(result.returncode == 0, f"it ended with {result.returncode}: {result.stderr}")
        if result.returncode != 0:
            return
        document = json.load(open(figures))
        stops = {stop["name"]: stop for stop in document["stops"]}
        check({"acre", "glibc"} <= set(document["allocators"]), f"the allocators are {document['allocators']}")
        names = {one["program"]: one["allocators"] for stop in ("workloads", "programs") for one in stops.get(stop, {"programs": []})["programs"]}
        check({"pair_32", "mleak"} <= set(names), f"the loads are {sorted(names)}")
        for load, allocators in names.items():
            for name, one in allocators.items():
                check(one["cpu_seconds"] > 0 and one["peak_rss_bytes"] > 500_000, f"{load} on {name} took {one}")
                check(one["output_is_identical"], f"{load} on {name} printed something else")
        peak, silent, after = stops["idle"]["idle_kib"]["all"]["acre"]
        check(peak > 5000 and 0 < silent < peak and 0 < after < peak, f"acre holds {silent} and {after} of {peak} KiB that were freed")
        text = result.stdout.decode()
        check("geometric mean" in text and "acre has more CPU time than glibc in" in text, f"means or losses are not told: {text}")
        html = open(page).read()
        check('"kind":"acre bench heap"' in html and '"pair_32"' in html, "the page lacks the figures")
        if browser:
            shown = run(browser[0], browser[2], browser[1], page)
            check(shown.returncode == 0, f"in a browser the page fails: {shown.stderr.decode()}")


def device_memory_is_placed_and_moved_on_a_page_with_curves():
    if shutil.which("valgrind") is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        figures, page = os.path.join(folder, "figures.json"), os.path.join(folder, "page.html")
        result = run(acre, "bench", "gpu", "--json", figures, "--page", page)
        check(result.returncode == 0, f"it ended with {result.returncode}: {result.stderr}")
        if result.returncode != 0:
            return
        stops = {stop["name"]: stop for stop in json.load(open(figures))["stops"]}
        rows = {tuple(row[:2]): row for row in stops["placing"]["tables"][0]["rows"]}
        check(100 < float(rows["small", "acre, good fit"][2]) < 2000, f"an alloc and a free are {rows}")
        curves = stops["occupancy"]["lines"] + stops["moving"]["lines"]
        check(len(curves) == 3, f"the curves are {curves}")
        for curve in curves:
            for one in curve["series"]:
                check(len(one["values"]) == len(curve["places"]) and all(0.5 < value <= 1 for value in one["values"]), f"{one['name']} is {one}")
        moved = stops["moving"]["lines"][0]["series"][0]
        check(moved["name"] == "acre" and moved["values"][-1] > moved["values"][0] + 0.01, f"moves gain nothing: {moved}")
        if browser:
            shown = run(browser[0], browser[2], browser[1], page)
            check(shown.returncode == 0, f"in a browser the page fails: {shown.stderr.decode()}")


def a_wrong_call_is_said_in_one_sentence():
    for words, sentence in ((["bench"], b"which benchmark"), (["bench", "shoes"], b"'shoes' is no benchmark"),
                            (["bench", "heap", "--rounds", "0"], b"'0' is no number"),
                            (["bench", "gpu", "--only", "idle"], b"are for 'heap'"), (["bench", "heap", "--only", "nothing"], b"nothing")):
        result = run(acre, *words)
        check(result.returncode == 2 and sentence in result.stderr, f"acre {words} ended with {result.returncode}, {result.stderr}")


def measured_memory_is_the_childs_and_not_that_of_who_starts_it():
    ballast = bytearray(200 << 20)
    for at in range(0, len(ballast), 4096):
        ballast[at] = 1
    result = run(measure, "true")
    words = result.stderr.split()
    check(words[0] == b"measured" and int(words[2]) < 50_000 and words[3] == b"0", f"true is measured as {words}")
    check(run(measure, "sh", "-c", "kill -9 $$").stderr.split()[3] == b"137", "a death by signal 9 is not told")
    check(run(measure, "/nonexistent").returncode == 127, "what is not there is started")


def the_tour_tells_which_promises_of_the_heap_are_kept():
    with tempfile.TemporaryDirectory() as folder:
        page = os.path.join(folder, "page.html")
        result = run(acre, "tour", "heap", "--json", "--page", page)
        check(result.returncode in (0, 1), f"the tour ended with {result.returncode}: {result.stderr}")
        stop = json.loads(result.stdout)["stops"][0]
        check(len(stop.get("promises", [])) in (3, 4), f"it tells {stop}") # instructions take valgrind
        for promise in stop.get("promises", []):
            check(promise["figure"] > 0 and (promise["figure"] <= promise["bar"]) == (promise["result"] == "kept"), f"a promise is {promise}")
        check(0.1 < stop["meshed"] < 0.5, f"of what is meshed, it holds {stop}")
        check(0 < stop["all"]["acre"] < 0.5 and 0.1 < stop["runs"]["acre"] < 0.9, f"of all, and of nine tenths, it holds {stop}")
        if browser:
            check(run(browser[0], browser[2], browser[1], page).returncode == 0, "in a browser the page fails")


def the_tour_tells_which_planted_bugs_are_noticed():
    result = run(acre, "tour", "guard", "--json", "--page", "")
    check(result.returncode == 0, f"the tour ended with {result.returncode}: {result.stderr}")
    stop = json.loads(result.stdout)["stops"][0]
    check([promise["result"] for promise in stop.get("promises", [])] == ["kept", "kept"], f"it tells {stop}")
    noticed = stop["noticed"]
    check(noticed["glibc"] < noticed["L1"] < noticed["L2"] <= 76, f"it notices {noticed}")


def the_tour_moves_device_memory_runs_kernels_and_shows_every_block():
    with tempfile.TemporaryDirectory() as folder:
        page = os.path.join(folder, "page.html")
        result = run(acre, "tour", "gpu", "--json", "--page", page)
        check(result.returncode == 0, f"the tour ended with {result.returncode}: {result.stderr}")
        stop = json.loads(result.stdout)["stops"][0]
        if "scene" in stop:
            pictures = stop["pictures"]
            check([len(one["blocks"]) for one in pictures][0] > [len(one["blocks"]) for one in pictures][1] > 0, "the pictures have no fewer blocks")
            check(stop["scene"]["wrong"] == 0, f"the scene is {stop['scene']}")
        if "kernels" in stop:
            kernels = stop["kernels"]
            check(kernels["wrong"] == 0 and kernels["made"] == kernels["of_driver"] + kernels["reused"], f"the kernels are {kernels}")
            check(kernels["reused"] > kernels["of_driver"], f"blocks are not reused: {kernels}")
        check("scene" in stop or "kernels" in stop or "neither Vulkan nor OpenCL" in stop.get("skipped", ""), f"it tells {stop.keys()}")
        if browser and "scene" in stop:
            check(run(browser[0], browser[2], browser[1], page).returncode == 0, "in a browser the page fails")


def the_tour_boots_the_firmware_and_tells_what_was_caught():
    result = run(acre, "tour", "firmware", "--json", "--page", "")
    check(result.returncode == 0, f"the tour ended with {result.returncode}: {result.stderr}")
    stop = json.loads(result.stdout)["stops"][0]
    if shutil.which("arm-none-eabi-gcc") is None or shutil.which("qemu-system-arm") is None:
        check("arm" in stop.get("skipped", ""), f"without a compiler or an emulator it tells {stop}")
        return
    check([promise["result"] for promise in stop.get("promises", [])] == ["kept"] * 3, f"it tells {stop}")
    boards = stop["boards"]
    check(boards["count"] >= 2 and "domain 'radio': access of 0x" in boards["m3"]["fault"], f"it tells {boards}")
    check(40 <= boards["m3"]["domain switch"] <= 70 and 10_000 < boards["m3"]["code bytes"] < 30_000, f"it counts {boards['m3']}")


def without_a_cross_compiler_the_tour_says_what_is_missing():
    with tempfile.TemporaryDirectory() as folder:
        for name in os.listdir("/usr/bin"):
            if not name.startswith(("arm-", "riscv", "qemu")):
                os.symlink(os.path.join("/usr/bin", name), os.path.join(folder, name))
        result = run(acre, "tour", "firmware", "--json", "--page", "", env={"PATH": folder})
        stop = json.loads(result.stdout)["stops"][0]
        check(result.returncode == 0 and "gcc-arm-none-eabi" in stop.get("skipped", "") and "promises" not in stop, f"it tells {stop}")


def what_the_tour_prints_fits_80_columns():
    listed = run(acre, "tour", "--list").stdout.decode().splitlines()
    check({"programs", "heap", "guard", "firmware"} <= {line.split()[0] for line in listed}, f"the stops are {listed}")
    shown = run(acre, "tour", "heap", "guard", "firmware", "--page", "").stdout.decode().splitlines()
    check(any("kept" in line or "broken" in line for line in shown), f"no promise is told: {shown}")
    for line in listed + shown:
        check(len(line) <= 80, f"{len(line)} columns: {line}")


def loads_and_patterns_that_do_not_exist_are_refused():
    check(run(workload, "nothing", "10").returncode == 2 and run(workload, "pair_32", "0").returncode == 2, "workload takes anything")
    check(run(idle, "nothing").returncode == 2, "idle takes anything")


for case in [value for name, value in list(globals().items()) if callable(value) and name not in ("check", "run")]:
    before = len(failures)
    case()
    for sentence in failures[before:]:
        print(f"{case.__name__}: {sentence}")
    print("[ %8s ] %s" % ("OK" if len(failures) == before else "FAILED", case.__name__), flush=True)
sys.exit(1 if failures else 0)
