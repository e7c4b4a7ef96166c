#!/usr/bin/env python3
"""acre cache: tables, JSON, pages, samples with the error that is stated for them, and what is refused.

usage: cache.py ACRE SHARED_DATA [NODE CHROMIUM PAGE_TEST]
"""
import glob
import gzip
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile

acre = os.path.abspath(sys.argv[1])
data = os.environ.get("ACRE_TEST_DATA", sys.argv[2])
folder = tempfile.mkdtemp()
failures = []


RULES = "adaptive,fifo,lru,clock,2q,arc,car,lirs,s3-fifo,sieve,w-tinylfu,opt"


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*arguments):
    return subprocess.run([acre, "cache", *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100, check=False)


def document(*arguments):
    result = run("--json", "-", *arguments)
    check(result.returncode == 0, f"{arguments} ended with {result.returncode}: {result.stderr}")
    return json.loads(result.stdout)


def write(name, keys):
    path = os.path.join(folder, name)
    with gzip.open(path, "wt") if name.endswith("gz") else open(path, "w") as file:
        file.write("".join(f"{key}\n" for key in keys))
    return path


def skewed(seed, objects, requests):
    chance = random.Random(seed)
    return [int(objects * chance.random() ** 3) for _ in range(requests)]


def lru_misses(keys, capacity):
    held, misses = {}, 0
    for key in keys:
        if key in held:
            del held[key]
        else:
            misses += 1
            if len(held) == capacity:
                del held[next(iter(held))]
        held[key] = True
    return misses


keys = skewed(1, 3000, 40000)
trace = write("skewed.txt", keys)
other = write("other.gz", skewed(2, 500, 5000))


def misses_are_exact_and_sizes_are_entries_or_shares():
    found = document("--policy", "lru,opt", "--size", "100,10%,1000,0.5%", trace)["traces"][0]
    objects = len(set(keys))
    check(found["requests"] == 40000 and found["objects"] == objects and found["format"] == "numbers", f"{found}")
    sizes = sorted([100, int(objects * 0.1 + 0.5), 1000, int(objects * 0.005 + 0.5)])
    check(found["sizes"] == sizes, f"{found['sizes']}")
    lru, opt = found["policies"]
    check(lru["policy"] == "lru" and lru["misses"] == [lru_misses(keys, size) for size in sizes], f"{lru}")
    check(all(best <= other for best, other in zip(opt["misses"], lru["misses"])), f"{opt}")
    check(all(abs(ratio - miss / 40000) < 1e-6 for ratio, miss in zip(lru["miss_ratio"], lru["misses"])), f"{lru}")
    check(lru["standard_error"] == [0] * 4, f"{lru}")


def no_policy_misses_less_than_opt_and_many_threads_find_the_same():
    one = document("--threads", "1", trace, other)
    check(one == document("--policy", RULES, "--threads", "7", trace, other), "threads change the figures")
    for found in one["traces"]:
        check(len(found["policies"]) == 12 and found["policies"][-1]["policy"] == "opt", f"{[one['policy'] for one in found['policies']]}")
        for policy in found["policies"]:
            check(all(a >= b for a, b in zip(policy["misses"], found["policies"][-1]["misses"])), f"{policy} misses less than opt")


def tables_fit_80_columns():
    for arguments in ([trace], ["--size", "1,2,3,4,5,6,7,8,9,1000000", trace, other], ["--sample", "0.2", trace], ["--prefetch", trace], ["--help"]):
        result = run("--policy", RULES, *arguments)
        check(result.returncode == 0, f"{arguments}: {result.stderr}")
        for line in result.stdout.decode().splitlines():
            check(len(line) <= 80 or folder in line, f"{len(line)} columns: {line}")
    check(b"w-tinylfu" in run("--policy", RULES, trace).stdout, "no table")


def a_page_draws_a_curve_for_each_policy():
    page = os.path.join(folder, "page.html")
    result = run("--policy", RULES, "--html", page, trace, other)
    check(result.returncode == 0 and b"acre cache" in open(page, "rb").read(), f"{result}")
    if len(sys.argv) == 6:
        shown = subprocess.run([sys.argv[3], sys.argv[5], sys.argv[4], page], stderr=subprocess.PIPE, check=False)
        check(shown.returncode == 0, f"{shown.stderr}")
    found = document("--curve", "12", "--size", "77", "--policy", "fifo", trace)
    check(len(found["traces"][0]["sizes"]) == 13 and 77 in found["traces"][0]["sizes"], f"{found['traces'][0]['sizes']}")
    check(found["traces"][0]["sizes"][-1] == len(set(keys)), "a curve ends with all objects")
    check(found["stops"][0]["lines"][0]["series"][0]["values"] == found["traces"][0]["policies"][0]["miss_ratio"], "the page shows others")


def what_is_foreseen_is_read_and_not_missed():
    scan = write("scan", [str(key) for _ in range(2) for key in range(5000)])
    asked = "--policy", "lru,opt", "--size", "1000", scan
    (lru, opt), (lru_ahead, opt_ahead) = (document(*more, *asked)["traces"][0]["policies"] for more in ((), ("--prefetch",)))
    check(lru["misses"] == lru["reads"] == [10000], f"{lru}")
    check(lru_ahead["misses"][0] < 20 and 10000 <= lru_ahead["reads"][0] < 10300, f"{lru_ahead}")
    check(opt == opt_ahead, "opt knows the future without")
    check(b"READS" in run("--prefetch", *asked).stdout and b"READS" not in run(*asked).stdout, "the table has the reads")


def the_stated_error_of_samples_holds():
    names = [name for name in sorted(glob.glob(os.path.join(data, "cache", "*"))) if not name.endswith("misses.csv")] or [trace]
    inside, outside, far = 0, 0, []
    for name in names:
        exact = document("--policy", "lru,fifo,opt", name)["traces"][0]
        sizes = ",".join(str(size) for size in exact["sizes"])
        for sample in ("0.3", "2000"):
            found = document("--policy", "lru,fifo,opt", "--sample", sample, "--size", sizes, name)["traces"][0]
            for a, b in zip(exact["policies"], found["policies"]):
                for true, seen, error in zip(a["miss_ratio"], b["miss_ratio"], b["standard_error"]):
                    inside += abs(true - seen) <= 2 * error + 1e-6
                    outside += abs(true - seen) > 2 * error + 1e-6
                    if abs(true - seen) > 4 * error + 1e-6:
                        far.append((name, sample, a["policy"], true, seen, error))
    check(inside / (inside + outside) >= 0.92, f"only {inside} of {inside + outside} are within twice the standard error")
    check(len(far) <= (inside + outside) / 100, f"far off: {far}")
    print(f"       {inside} of {inside + outside} estimates of samples are within twice the stated standard error")


def what_can_not_be_is_refused_with_a_reason():
    for arguments, reason in (([], b"a trace is needed"), (["--policy", "mru", trace], b"'mru' is no policy"),
                              (["--size", "0", trace], b"'0' is no number of entries"), (["--size", "101%", trace], b"'101%'"),
                              (["--size", "1k", trace], b"'1k'"), (["--sample", "2.0", trace], b"'2.0'"), (["--sample", "5", trace], b"'5'"),
                              (["--prefetch", "--sample", "0.5", trace], b"all keys"),
                              (["--format", "pdf", trace], b"'pdf' is no format"), (["--curve", "999", trace], b"'999'"),
                              (["--threads", "0", trace], b"'0'"), (["--process", "x", trace], b"'x'"), (["--wrong"], b"unknown option '--wrong'"),
                              (["--size"], b"needs a value"), (["--size", ",".join(["1"] * 65), trace], b"more than 64")):
        result = run(*arguments)
        check(result.returncode == 2 and reason in result.stderr and result.stdout == b"", f"{arguments}: {result}")
    for arguments, reason in ((["/no/such/trace"], b"can't be read"), ([write("bad", ["1", "x"])], b"line 2: 'x'"),
                              (["--html", "/no/such/page", trace], b"/no/such/page"), (["--json", "/no/such/file", trace], b"/no/such/file"),
                              (["--key", "2", trace], b"has no columns"), (["--format", "acre", trace], b"skewed.txt")):
        result = run(*arguments)
        check(result.returncode == 1 and reason in result.stderr, f"{arguments}: {result}")
    result = run("--policy", "lru", "--size", "10", trace, "/no/such/trace", other)
    check(result.returncode == 1 and b"skewed.txt" in result.stdout and b"other.gz" in result.stdout, f"the others are still shown: {result}")


def a_trace_of_acre_gives_the_pages_of_its_blocks():
    path = os.path.join(folder, "recorded")
    made = subprocess.run([acre, "run", "--record", path, "--quiet", "--no-html", "ls", "/"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if made.returncode != 0:
        print("       skipped: no trace is recorded here")
        return
    found = document("--policy", "lru", "--size", "1,100%", path)["traces"][0]
    check(found["format"] == "acre" and found["requests"] > found["objects"] > 1, f"{found}")
    check(found["policies"][0]["misses"][1] == found["objects"], "a cache of all objects misses each once")


for test in (misses_are_exact_and_sizes_are_entries_or_shares, no_policy_misses_less_than_opt_and_many_threads_find_the_same, tables_fit_80_columns,
             a_page_draws_a_curve_for_each_policy, what_is_foreseen_is_read_and_not_missed, the_stated_error_of_samples_holds, what_can_not_be_is_refused_with_a_reason,
             a_trace_of_acre_gives_the_pages_of_its_blocks):
    before = len(failures)
    test()
    print("%s %s" % ("ok    " if len(failures) == before else "FAILED", test.__name__))
shutil.rmtree(folder)
for sentence in failures:
    print("failed:", sentence)
sys.exit(1 if failures else 0)
