#!/usr/bin/env python3
"""acre gpu info: what OpenCL says when it is asked beside it, figures with their sources, profiles that are refused, text that is the JSON.

usage: gpu.py ACRE PROFILE LIBCUDA [NODE CHROMIUM PAGE.MJS]: a profile of the folder of all, and the fake driver of CUDA.
"""
import ctypes
import glob
import json
import os
import re
import subprocess
import sys
import tempfile

acre = os.path.abspath(sys.argv[1])
profile = os.path.abspath(sys.argv[2])
cuda_folder = os.path.dirname(os.path.abspath(sys.argv[3]))
folder = tempfile.mkdtemp()
# Meson has put the fake driver there.
os.environ["LD_LIBRARY_PATH"] = ":".join(path for path in os.environ.get("LD_LIBRARY_PATH", "").split(":") if path and path != cuda_folder)
os.environ["POCL_CACHE_DIR"] = os.path.join(folder, "pocl")
failures = []
NOWHERE = {"VK_ICD_FILENAMES": "/nowhere.json", "VK_DRIVER_FILES": "/nowhere.json", "OCL_ICD_VENDORS": "/nowhere/"}
MIB, GIB = 1 << 20, 1 << 30
FIGURES = ["capacity_bytes", "banks", "line_bytes", "sector_bytes", "bytes_per_s", "latency_ns"]


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*arguments, **variables):
    return subprocess.run([acre, *arguments], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=100, check=False,
                          env={**os.environ, "LC_ALL": "C.UTF-8", **variables})


def info(*options, **variables):
    result = run("gpu", "info", "--json", "-", *options, **variables)
    check(result.returncode == 0 and result.stderr == "", f"info {options} ended with {result.returncode}: {result.stderr}")
    return json.loads(result.stdout)


def device_of(document, api):
    found = [device for device in document["devices"] if device["api"] == api]
    check(len(found) >= 1, f"no device of {api}: {document['missing'].get(api)}")
    return found[0]


def level_of(device, name):
    return next((level for level in device["levels"] if level["name"] == name), None)


def value(device, level, figure, source="reported"):
    found = level_of(device, level)
    check(found is not None, f"{device['name']} has no {level}")
    check(found[figure]["source"] == source, f"{level} {figure} of {device['name']} is {found[figure]}, not {source}")
    return found[figure]["value"] or 0


def opencl_number(info_number):
    """Of the first device, asked here without acre."""
    cl = ctypes.CDLL("libOpenCL.so.1")
    platform, device, number = ctypes.c_void_p(), ctypes.c_void_p(), ctypes.c_uint64(0)
    assert cl.clGetPlatformIDs(1, ctypes.byref(platform), None) == 0
    assert cl.clGetDeviceIDs(platform, ctypes.c_uint64(0xFFFFFFFF), 1, ctypes.byref(device), None) == 0
    assert cl.clGetDeviceInfo(device, info_number, ctypes.c_size_t(8), ctypes.byref(number), None) == 0
    return number.value


def lavapipe_and_pocl_are_found_and_say_what_they_have():
    document = info()
    vulkan, opencl = device_of(document, "Vulkan"), device_of(document, "OpenCL")
    check(vulkan["is_software"] and "llvmpipe" in vulkan["name"], f"Vulkan's device is {vulkan['name']}")
    check(opencl["is_software"], f"OpenCL's device is {opencl['name']}")
    check(256 * MIB <= value(vulkan, "global", "capacity_bytes") <= 1024 * GIB, "lavapipe's memory is of no size")
    check(1024 <= value(vulkan, "local", "capacity_bytes") <= 16 * MIB, "lavapipe's local memory is of no size")
    check(vulkan["warp_items"]["value"] in (4, 8, 16), f"a subgroup has {vulkan['warp_items']}")
    check(len(vulkan["heaps"]) >= 1 and vulkan["heaps"][0]["size_bytes"]["value"] == value(vulkan, "global", "capacity_bytes"), "the heap is not the memory")
    check({"device-local", "host-visible"} <= set(vulkan["heaps"][0]["types"][0]["flags"]), f"types: {vulkan['heaps'][0]['types']}")
    for level, figure, number in (("global", "capacity_bytes", 0x101F), ("local", "capacity_bytes", 0x1023), ("cache", "capacity_bytes", 0x101E),
                                  ("constant", "capacity_bytes", 0x1020)):
        check(value(opencl, level, figure) == opencl_number(number), f"OpenCL's {level} is {value(opencl, level, figure)}, not {opencl_number(number)}")
    for device in document["devices"]:
        check(all(level[figure]["source"] in ("reported", "unknown") for level in device["levels"] for figure in FIGURES),
              "something is not the driver's without --measure and --profile")
        check(all((level[figure]["value"] is None) == (level[figure]["source"] == "unknown") for level in device["levels"] for figure in FIGURES),
              "an unknown figure has a value, or a known one has none")


def what_is_missing_is_told_with_its_reason():
    document = info(**NOWHERE)
    check({device["api"] for device in document["devices"]} <= {"CUDA"} and {"Vulkan", "OpenCL"} <= set(document["missing"]), f"something is found nowhere: {document}")
    check("vkCreateInstance" in document["missing"]["Vulkan"], f"Vulkan: {document['missing']['Vulkan']}")
    check("no platform" in document["missing"]["OpenCL"], f"OpenCL: {document['missing']['OpenCL']}")
    text = run("gpu", "info").stdout
    has_cuda = subprocess.run([sys.executable, "-c", "import ctypes; ctypes.CDLL('libcuda.so.1')"], stderr=subprocess.DEVNULL, check=False).returncode == 0
    reason = "CUDA: libcuda.so.1: cannot open shared object file: No such file or directory\n"
    check(has_cuda or "\n" + reason in text, f"CUDA's reason is not told: {text}")


def cuda(name, size):
    return device_of(info(LD_LIBRARY_PATH=cuda_folder, FAKE_CUDA_NAME=name, FAKE_CUDA_BYTES=str(size)), "CUDA")


def a_cuda_device_says_what_it_has_and_its_profile_the_rest():
    device = cuda("NVIDIA GeForce RTX 3080", 10 * GIB - 300 * MIB)
    check(device["version"] == "CUDA 12.2", f"version {device['version']}")
    check(device["unit_count"] == {"value": 68, "source": "reported"}, f"units {device['unit_count']}")
    check(value(device, "L2", "capacity_bytes") == 5 * MIB, "L2 is not 5 MiB")
    check(value(device, "registers", "capacity_bytes") == 65536 * 4, "registers are not 256 KiB")
    check(value(device, "global", "bytes_per_s") == 2 * 9501000 * 1000 * 320 // 8, "the bandwidth is not that of clock and width")
    check(value(device, "global", "capacity_bytes") == 10 * GIB - 300 * MIB, "a profile took the place of what the driver says")
    check(device["heaps"][0]["budget_bytes"]["source"] == "reported", "no budget")
    check(value(device, "L2", "line_bytes", "profile") == 128, "a line is not the profile's")
    check("Nsight" in level_of(device, "L2")["line_bytes"]["title"], "a figure of a profile has no title")
    check(device["profile_device"] == "NVIDIA GeForce RTX 3080, 10 GB", f"the profile is of {device.get('profile_device')}")
    for name, size in (("NVIDIA GeForce RTX 3080", 12 * GIB), ("NVIDIA GeForce RTX 3080 Laptop GPU", 10 * GIB), ("NVIDIA GeForce RTX 3080 Ti", 10 * GIB),
                       ("MYGeForce RTX 3080", 10 * GIB), ("fake", 10 * GIB)):
        check("profile" not in cuda(name, size), f"{name} with {size} bytes has the profile of another device")


def measured_figures_are_positive_and_said_to_be_measured():
    device = device_of(info("--measure"), "OpenCL")
    check("not_measured" not in device, f"not measured: {device.get('not_measured')}")
    for level, figure in (("global", "bytes_per_s"), ("global", "latency_ns"), ("local", "bytes_per_s"), ("local", "latency_ns"), ("constant", "latency_ns")):
        check(value(device, level, figure, "measured") > 0, f"{level} {figure} is 0")
    check(10 * MIB < value(device, "global", "bytes_per_s", "measured") < 100 * 1024 * GIB, "a bandwidth that no memory has")
    check(value(device, "global", "latency_ns", "measured") < 100000, "a latency that no memory has")
    curve = device["latency_curve"]
    check(len(curve) >= 6 and all(a["bytes"] < b["bytes"] for a, b in zip(curve, curve[1:])), f"the curve is {curve}")
    check(curve and curve[-1]["latency_ns"] > 2 * curve[0]["latency_ns"], f"memory is as fast as a cache: {curve}")


def profiles_with_errors_are_refused_with_line_and_reason():
    good = "device X\nsource s A text\n"
    for text, line, reason in ((good + "L9 capacity_bytes 1K s\n", 3, "'L9' is neither a level nor a statement"),
                               (good + "\n# why\nL2 size 1K s\n", 5, "'size' is no figure of a level"),
                               (good + "L2 capacity_bytes 1Q s\n", 3, "'1Q' is no size"),
                               (good + "L2 capacity_bytes -1 s\n", 3, "'-1' is no size"),
                               (good + "L2 latency_ns 0 s\n", 3, "'0' is no number from 1"),
                               (good + "L2 bytes_per_s 18446744073709551616 s\n", 3, "'18446744073709551616' is no number from 1"),
                               (good + "L2 capacity_bytes 1K\n", 3, "the figure has no source"),
                               (good + "L2 capacity_bytes 1K t\n", 3, "'t' is no source named above"),
                               (good + "L2 capacity_bytes 1K s more\n", 3, "'more' is not expected"),
                               (good + "L2 banks 4 s\nL2 banks 4 s\n", 4, "this figure is there already"),
                               (good + "source s Another\n", 3, "source 's' is there already"),
                               (good + "L2 note " + "n" * 128 + "\n", 3, "a note has 1 to 127 bytes"),
                               (good + "L2\tbanks 4 s\n", 3, "byte 3 is no text"),
                               (good + "device Y\n", 3, "'device' is wanted once, with a name"),
                               (good + "match " + "m" * 600 + "\n", 3, "longer than 510 bytes"),
                               ("source s A text\n", 1, "the file ends without 'device'"), ("", 1, "the file ends without 'device'")):
        path = os.path.join(folder, "bad.gpu")
        with open(path, "w") as file:
            file.write(text)
        result = run("gpu", "info", "--profile", path)
        check(result.returncode == 2 and result.stdout == "" and result.stderr == f"acre gpu: {path}:{line}: {reason}\n",
              f"{text!r} gave {result.returncode}, {result.stderr!r}")
    result = run("gpu", "info", "--profile", "/nowhere")
    check(result.returncode == 2 and "/nowhere: No such file" in result.stderr, f"a profile that is not there: {result.stderr}")


def all_profiles_are_read_and_have_sources():
    paths = glob.glob(os.path.join(os.path.dirname(profile), "*.gpu"))
    check(len(paths) >= 5, f"there are {len(paths)} profiles")
    for path in paths:
        device = device_of(info("--profile", path), "OpenCL")
        check(device["profile"] == path, f"{path} is not used")
        figures = [level[figure] for level in device["levels"] for figure in FIGURES if level[figure]["source"] == "profile"]
        check(figures and all(figure["title"] for figure in figures), f"{path}: a figure without a title")


def number_of(text):
    """ "1.5 KiB" as it is printed; latency in ns."""
    number, _, unit = text.partition(" ")
    scale = {"": 1, "B": 1, "ns": 1, "us": 1000, "ms": 10**6, **{f"{letter}iB": 1024**(i + 1) for i, letter in enumerate("KMGTP")}}
    return float(number.replace(",", "")) * scale[unit]


def json_is_what_the_text_says():
    arguments = ["--profile", profile]
    document, text = info(*arguments), run("gpu", "info", *arguments).stdout
    for device in document["devices"]:
        start = text.index(device["name"])
        lines = text[start:text.index("\n\n", start)].split("\n")
        for level in device["levels"]:
            row = next((line for line in lines if line.startswith(f"  {level['name']:10}")), None)
            check(row is not None, f"the text has no {level['name']}")
            cells = re.findall(r"-|[\d.,]+(?: (?:[KMGTP]?i?B|[num]s))?[*^]?", row[12:])
            check(len(cells) == len(FIGURES), f"'{row}' has {len(cells)} figures")
            for cell, figure in zip(cells, FIGURES):
                of_json, mark = level[figure], {"measured": "*", "profile": "^"}.get(level[figure]["source"], "")
                if of_json["value"] is None:
                    check(cell == "-", f"{level['name']} {figure} is unknown, but '{cell}'")
                    continue
                check(cell.endswith(mark) and (mark or cell[-1] not in "*^"), f"{level['name']} {figure} is {of_json['source']}, but '{cell}'")
                check(abs(number_of(cell.rstrip("*^")) - of_json["value"]) <= 0.06 * of_json["value"], f"{of_json['value']} is '{cell}'")
        check(all(len(line) <= 80 or " " not in line.strip() for line in lines), f"a line is longer than 80: {max(lines, key=len)}")
        check(not any(line.endswith(" ") for line in lines), "a line ends with a blank")
    path = os.path.join(folder, "out.json")
    check(run("gpu", "info", "--json", path, *arguments).returncode == 0 and json.load(open(path)) == document, "the file is not what is printed")


def topology_has_the_same_devices():
    document, machine = info(), json.loads(run("topology", "--json", "--no-measure").stdout)
    for device in document["devices"]:
        found = [child for child in machine["children"] if child["kind"] == "device" and child["name"] == device["name"]]
        check(len(found) == 1, f"topology has {len(found)} times {device['name']}")
        levels = {child["name"]: child["capacity_bytes"] for child in found[0]["children"] if child["kind"] == "device memory"}
        check(levels == {level["name"]: level["capacity_bytes"] for level in device["levels"]}, f"topology has {levels}")
        check(len([child for child in found[0]["children"] if child["kind"] == "device heap"]) == len(device["heaps"]), "heaps differ")
    quiet = run("topology", "--json", "--no-measure", **NOWHERE)
    check(quiet.returncode == 0 and quiet.stderr == "" and "OpenCL " not in quiet.stdout and "Vulkan " not in quiet.stdout, f"without devices topology says {quiet.stderr}")


def dump(extents, **more):
    """What acre_gpu_write_json writes of a manager with one block of 1 MiB."""
    block = {"size": MIB, "used": sum(e["size"] for e in extents if e["state"] != "free"), "dedicated": False, "mapped": 0,
             "allocations": sum(e["state"] == "used" for e in extents), "extents": extents}
    return {"driver": "d", "device": "a device", "granularity": 1, "atom": 1, "types": [{"heap": 0, "flags": 1}],
            "heaps": [{"size": GIB, "flags": 1, "reserved": MIB, "allocated": 5, "allocations": 1, "largest_free": 7, "fragmentation_permille": 250,
                       "used": MIB, "budget": GIB}],
            "pools": [{"name": "", "type": 0, "kind": "general", "own": True, "blocks": [block]}], **more}


def used(offset, size, content="linear", name=""):
    return {"offset": offset, "size": size, "state": "used", "asked": size, "content": content, "user": "0x0", "name": name, "site": "main+0x5"}


def picture(document, page):
    path = os.path.join(folder, "dump.json")
    with open(path, "w", encoding="utf-8") as file:
        file.write(document if isinstance(document, str) else json.dumps(document))
    return run("gpu", "picture", path, "--page", page)


def a_picture_has_every_extent_of_every_block():
    page = os.path.join(folder, "page.html")
    small = [used(600 * 1024 + 64 * i, 64, "optimal") for i in range(0, 512, 2)]
    gaps = [{"offset": 600 * 1024 + 64 * i, "size": 64, "state": "free"} for i in range(1, 512, 2)]
    document = dump([used(0, 262144, name="texture \u00e4"), {"offset": 262144, "size": 65536, "state": "held"},
                     {"offset": 327680, "size": 600 * 1024 - 327680, "state": "free"}, *gaps, *small])
    result = picture(document, page)
    check(result.returncode == 0, f"it ended with {result.returncode}: {result.stderr}")
    html = open(page, encoding="utf-8").read()
    data = json.loads(re.search(r'<script id="data" type="application/json">(.*?)</script>', html, re.DOTALL)[1])
    stops = {stop["name"]: stop for stop in data["stops"]}
    blocks = stops["type 0"]["pictures"][0]["blocks"]
    pieces = blocks[0]["pieces"]
    check(pieces[0] == [0, 262144, 0, 1.0, "256 KiB at 0: buffer, texture \u00e4"], f"the first piece is {pieces[0]}")
    check([piece[2] for piece in pieces[1:3]] == [3, 4], f"what is held and free is {pieces[1:3]}")
    together = pieces[3:]
    check(sum(piece[1] for piece in together) == 512 * 64 and len(together) < 60, f"small ones are {len(together)} pieces")
    check(all(piece[2] == 1 and 0.4 < piece[3] < 0.6 for piece in together), f"small ones are {together}")
    owners = stops["owners"]["tables"][0]["rows"]
    check(owners == [["texture \u00e4", "256 KiB", "1"], ["main+0x5", "16.0 KiB", "256"]], f"the owners are {owners}")
    check(stops["heaps"]["tables"][0]["rows"][0][6] == "25.0%", f"the heaps are {stops['heaps']}")
    if len(sys.argv) > 6:
        shown = subprocess.run([sys.argv[4], sys.argv[6], sys.argv[5], page], capture_output=True, text=True, timeout=60, check=False)
        check(shown.returncode == 0, f"in a browser the page fails: {shown.stderr}")


def what_is_no_dump_is_refused_with_its_reason():
    page = os.path.join(folder, "none.html")
    for document, reason in (("{", "expected near end of file"), ("[]", "no pools"), (dump([], pools=[{"type": 0}]), "a pool has no blocks"),
                             (dump([], pools=[{"type": 0, "blocks": [{"size": 0}]}]), "block 0 has no size"),
                             (dump([used(MIB - 64, 128)]), "lies outside its block of 1048576 bytes"), (dump([used(-64, 64)]), "extent 0 has no offset"),
                             (dump([used(0, 128), used(64, 64)]), "two extents overlap at 64"), (dump([{**used(0, 64), "state": "x"}]), "no state")):
        result = picture(document, page)
        check(result.returncode == 2 and reason in result.stderr, f"{reason}: {result.returncode}, {result.stderr!r}")


def wrong_command_lines_are_refused():
    for arguments, reason in ((["gpu"], "what is to be done"), (["gpu", "list"], "'list' is neither 'info' nor 'picture'"), (["gpu", "info", "more"], "'more' is not expected"),
                              (["gpu", "info", "--fast"], "'--fast' is no option"), (["gpu", "info", "--json"], "'--json' needs a value"),
                              (["gpu", "picture"], "of which file"), (["gpu", "picture", "/nowhere.json"], "/nowhere.json"),
                              (["gpu", "info", "--json", "/nowhere/x"], "/nowhere/x")):
        result = run(*arguments)
        check(result.returncode == 2 and result.stdout == "" and reason in result.stderr, f"{arguments}: {result.returncode}, {result.stderr!r}")
    check("Usage: acre gpu info" in run("gpu", "--help").stdout, "no help")


for test in (lavapipe_and_pocl_are_found_and_say_what_they_have, what_is_missing_is_told_with_its_reason,
             a_cuda_device_says_what_it_has_and_its_profile_the_rest, measured_figures_are_positive_and_said_to_be_measured,
             profiles_with_errors_are_refused_with_line_and_reason, all_profiles_are_read_and_have_sources, json_is_what_the_text_says,
             topology_has_the_same_devices, a_picture_has_every_extent_of_every_block,
             what_is_no_dump_is_refused_with_its_reason, wrong_command_lines_are_refused):
    before = len(failures)
    test()
    print(("ok " if len(failures) == before else "not ok ") + test.__name__.replace("_", " "))
for failure in failures:
    print(f"  {failure}")
sys.exit(bool(failures))
