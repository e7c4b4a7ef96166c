#!/usr/bin/env python3
"""acre wcet from outside: bounds of functions counted by hand, the same counted by QEMU where it is installed, and what it has to refuse.

usage: wcet.py ACRE WCET_FUNCTIONS.C BOARD BOARD_POOL.C WCET_STEPS

Compilers and emulators that are not installed are named and left out; the processor of this machine is always there.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

acre, functions, board, pool, steps = sys.argv[1:6]
failures = []
COMPILERS = {"m0": "arm-none-eabi-gcc", "m3": "arm-none-eabi-gcc", "m33": "arm-none-eabi-gcc", "rv32": "riscv64-unknown-elf-gcc"}
EMULATORS = {"m0": "qemu-system-arm", "m3": "qemu-system-arm", "m33": "qemu-system-arm", "rv32": "qemu-system-riscv32"}
REFUSED = {"first_fit": "LOOP", "calls_first_fit": "LOOP", "recursive": "RECURSION", "by_pointer": "INDIRECT", "stop": "NO RETURN",
           "unknown_register": "INDIRECT", "no_link_register": "INDIRECT", "register_of_two_ways": "INDIRECT", "switches_without_bound": "INDIRECT",
           "switches_with_another_way_in": "INDIRECT", "waits_exclusively": "LOOP", "stores_without_load": "LOOP",
           "tests_another_register": "LOOP", "stores_sometimes": "LOOP", "switches_below_a_bound_sometimes": "INDIRECT"}
folder = tempfile.mkdtemp()


def check(is_true, sentence):
    if not is_true:
        failures.append(sentence)


def run(*arguments):
    return subprocess.run([acre, "wcet", *arguments], capture_output=True, timeout=60, check=False, text=True)


def ask(image, *arguments):
    """-> {function: its JSON}"""
    answer = run(image, "--json", *arguments)
    check(answer.stderr == "", f"{image}: it says {answer.stderr}")
    return {f["function"]: f for f in json.loads(answer.stdout)["functions"]}


def image_for(name):
    image = os.path.join(folder, f"{name}.elf")
    if not os.path.exists(image):
        subprocess.run([board, "compile", name, image, functions, "-Wno-unused-parameter", "-Wl,--no-gc-sections"], check=True, timeout=120)
    return image


def boards(tools):
    for name, tool in tools.items():
        if shutil.which(COMPILERS[name]) and shutil.which(tool):
            yield name
        else:
            print(f"{tool} for {name} is not installed: left out")


def a_function_counted_by_hand_has_that_bound():
    for name in boards(COMPILERS):
        known = 0
        for function, found in ask(image_for(name)).items():
            by_hand = re.search(r"_(\d+)$", function)
            if by_hand and not function.startswith("__"):
                known += 1
                check(found["bound"] == int(by_hand[1]), f"{name}: {function} has bound {found['bound']}: {found.get('refused')}")
                check(sum(b["instructions"] + b.get("called_instructions", 0) for b in found["path"]) == found["bound"],
                      f"{name}: the path of {function} does not add up: {found['path']}")
        check(known >= 3, f"{name}: {known} functions were counted by hand")


def the_longest_path_that_runs_is_as_long_as_the_bound():
    for name in boards(EMULATORS):
        text = subprocess.run([board, "run", name, image_for(name)], capture_output=True, timeout=60, check=True, text=True)
        counts = dict(re.findall(r"^(\w+) (\d+)$", text.stdout + text.stderr, re.MULTILINE))
        bounds = ask(image_for(name), *(f"--function={f}" for f in counts))
        counting = int(counts["empty_1"]) - 1
        check(len(counts) >= 8, f"{name}: {len(counts)} functions were counted")
        for function, count in counts.items():
            check(int(count) - counting == bounds[function]["bound"],
                  f"{name}: {function} took {int(count) - counting} instructions, the bound is {bounds[function]['bound']}")


THUMB_CONDITIONS = "eq ne cs cc mi pl vs vc hi ls ge lt gt le".split()
RISCV_BRANCHES = {"b" + c for c in "eq ne lt ge ltu geu eqz nez lez gez ltz gtz gt le gtu leu".split()}


def thumb_kind(name, operands):
    """What objdump's text says: the kinds of wcet_steps.c that are right."""
    name = re.sub(r"\.[nw]$", "", name)
    if name[:-2] in ("bx", "blx", "bl", "pop", "ldr", "ldmia", "mov") and name[-2:] in THUMB_CONDITIONS:
        name = name[:-2]
    to_pc = operands.startswith("pc,")
    if name in ("b" + c for c in THUMB_CONDITIONS):
        return ("branch", "jump")  # in an IT block the condition is not the branch's own
    if name == "bx":
        return ("return",) if operands.startswith("lr") else ("indirect jump",)
    if name in ("pop", "ldmia") and "pc}" in operands:
        return ("return",) if name == "pop" or operands.startswith("sp!") else ("indirect jump",)
    if name in ("ldr", "mov", "add") and to_pc:
        if operands in ("pc, [sp], #4", "pc, lr"):
            return ("return",)
        return ("jump", "indirect jump") if "[pc" in operands else ("indirect jump",)
    return ({"b": "jump", "bl": "call", "blx": "indirect call", "cbz": "branch", "cbnz": "branch", "tbb": "indirect jump", "tbh": "indirect jump",
             "udf": "stop", "svc": "indirect call"}.get(name, "plain"),)


def riscv_kind(name, operands):
    if name in RISCV_BRANCHES:
        return ("branch",)
    if name == "jal":
        return ("jump",) if operands.startswith("zero") else ("call",)
    if name == "jr" and operands == "t0":
        return ("return", "indirect jump")  # __riscv_save_N, or any other function
    return ({"j": "jump", "ret": "return", "mret": "return", "jr": "indirect jump", "jalr": "indirect call", "ecall": "indirect call",
             "unimp": "stop"}.get(name, "plain"),)


def every_instruction_goes_where_objdump_says():
    """Of a program with much of the C library in it: the sizes, kinds and targets of all that is code."""
    source = os.path.join(folder, "large.c")
    with open(source, "w", encoding="utf-8") as file:
        file.write("#include <stdio.h>\n#include <stdlib.h>\n#include <math.h>\n"
                   "int main(int c, char **v) { double d = strtod(v[0], 0); qsort(v, 3, sizeof *v, (int (*)(const void *, const void *))main);"
                   ' return printf("%f %lld %d", sin(d) * pow(d, c) + log(d), strtoll(v[0], 0, 10) / c, c / 7); }\n')
    arm, riscv = "arm-none-eabi-", "riscv64-unknown-elf-"
    for prefix, kind_of, *flags in (
            (arm, thumb_kind, "-mcpu=cortex-m0", "-mthumb", "--specs=nosys.specs"),
            (arm, thumb_kind, "-mcpu=cortex-m33", "-mthumb", "--specs=nosys.specs"),
            (arm, thumb_kind, "-mcpu=cortex-m7", "-mthumb", "-mfloat-abi=hard", "-mfpu=fpv5-d16", "--specs=nosys.specs"),
            (riscv, riscv_kind, "-march=rv32imac", "-mabi=ilp32", "--specs=picolibc.specs", "--oslib=semihost"),
            (riscv, riscv_kind, "-march=rv64imafdc", "-mabi=lp64d", "-mcmodel=medany", "--specs=picolibc.specs", "--oslib=semihost")):
        if not shutil.which(prefix + "gcc"):
            print(f"{prefix}gcc is not installed: left out")
            continue
        image = os.path.join(folder, "large.elf")
        subprocess.run([prefix + "gcc", "-Os", "-w", *flags, source, "-lm", "-o", image], check=True, timeout=60, stderr=subprocess.DEVNULL)
        text = subprocess.run([prefix + "objdump", "-d", image], capture_output=True, check=True, timeout=60, text=True).stdout
        listed = [(i[1], len(i[2].replace(" ", "")) // 2, i[3], i[4]) for i in
                  re.finditer(r"^ *([0-9a-f]+):\t([0-9a-f ]+?)\s*\t(\w\S*)\s*(.*)", text, re.MULTILINE)]
        answer = subprocess.run([steps, image], input="\n".join(i[0] for i in listed), capture_output=True, check=True, timeout=60, text=True)
        check(len(listed) > 4000, f"{flags}: {len(listed)} instructions")
        for (address, size, name, operands), line in zip(listed, answer.stdout.splitlines()):
            _, found_size, target, kind = line.split(" ", 3)
            expected = kind_of(name, operands)
            named = re.search(r"\b([0-9a-f]+) <", operands)
            is_right = kind in expected and int(found_size) == size
            if named and kind in ("branch", "jump", "call") and "[pc" not in operands:
                is_right = is_right and int(target, 16) == int(named[1], 16)
            check(is_right, f"{flags}: {address} {name} {operands}: taken for {line}")


def the_calls_of_a_pool_have_a_bound_that_no_call_exceeds():
    with open(pool, encoding="utf-8") as file:
        sources = re.search(r"sources: (.*)", file.read())[1].split()
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(pool))))
    for name in boards(EMULATORS):
        image = os.path.join(folder, f"pool-{name}.elf")
        subprocess.run([board, "compile", name, image, pool, "-DNDEBUG", *(os.path.join(root, s) for s in sources)], check=True, timeout=120)
        found = ask(image, *(f"--function=acre_pool_{call}" for call in ("alloc", "try", "free")))
        for call, f in found.items():
            check(f["bound"] is not None, f"{name}: {call} is refused: {f.get('refused')}")
            check((f["interrupts_off"] > 0) == (name == "m0") and f["interrupts_off"] <= 15, f"{name}: {call}: {f['interrupts_off']}")
        text = subprocess.run([board, "run", name, image], capture_output=True, timeout=60, check=True, text=True)
        counted = re.findall(r"(alloc|free|in use:) (\d+) to (\d+) instr", text.stdout + text.stderr)
        check(len(counted) == 7, f"{name}: it says {text.stdout}{text.stderr}")
        for call, _, most in counted:
            bound = found["acre_pool_free" if call == "free" else "acre_pool_alloc"]["bound"]
            check(int(most) <= bound, f"{name}: {call} took {most} instructions, the bound is {bound}")
        longest_free = max(int(most) for call, _, most in counted if call == "free")
        check(longest_free >= 0.9 * found["acre_pool_free"]["bound"], f"{name}: free takes {longest_free}, its bound is far above that")


def what_nothing_bounds_is_refused_by_name_and_address():
    for name in boards(COMPILERS):
        image = image_for(name)
        found = ask(image)
        for function, kind in REFUSED.items():
            if function not in found:
                continue
            refused = found[function].get("refused")
            check(refused is not None and refused["kind"] == kind, f"{name}: {function} is not refused as {kind}: {found[function]}")
        loop = run(image, "--function", "calls_first_fit")
        check(loop.returncode == 1, f"{name}: a refusal ends with {loop.returncode}")
        check(re.search(r"LOOP in first_fit\S* at 0x[0-9a-f]+: 0x[0-9a-f]+ goes back there", loop.stdout), f"{name}: it says {loop.stdout}")
        check("called: calls_first_fit > first_fit" in loop.stdout, f"{name}: who calls is not told: {loop.stdout}")


def a_store_that_was_refused_is_told_apart_from_a_loop():
    for name in boards(COMPILERS):
        found = ask(image_for(name))
        for function, rounds in {"adds_exclusively_6": 5, "adds_exclusively_short_5": 5, "adds_exclusively_5": 4}.items():
            if function in found:
                check(found[function].get("retry") == rounds, f"{name}: {function}: {found[function]}")


def interrupts_are_off_for_as_long_as_the_code_says():
    for name in boards(COMPILERS):
        found = ask(image_for(name))
        if "masks_3_of_6" in found:
            check(found["masks_3_of_6"]["interrupts_off"] == 3, f"{name}: {found['masks_3_of_6']}")
            check(found["straight"]["interrupts_off"] == 0, f"{name}: {found['straight']}")


def what_does_not_return_is_told_and_not_counted():
    for name in boards(COMPILERS):
        found = ask(image_for(name), "--function", "may_stop")["may_stop"]
        check(found["bound"] is not None and len(found["not_counted"]) == 1, f"{name}: {found}")


def an_assumed_count_stands_for_a_call():
    for name in boards(COMPILERS):
        found = ask(image_for(name), "--assume", "first_fit=1000", "--function", "calls_first_fit")["calls_first_fit"]
        own = sum(b["instructions"] for b in found["path"])
        check(found["bound"] == own + 1000, f"{name}: {found}")


def an_image_of_this_machine_is_understood_or_the_missing_library_named():
    source = os.path.join(folder, "host.c")
    image = os.path.join(folder, "host")
    with open(source, "w", encoding="utf-8") as file:
        file.write('__asm__(".globl hand_5\\n.type hand_5, @function\\nhand_5: testl %edi, %edi\\njz 1f\\nincl %edi\\nincl %edi\\n1: ret\\n'
                   '.size hand_5, .-hand_5\\n.globl hand_loop\\n.type hand_loop, @function\\nhand_loop: decl %edi\\njnz hand_loop\\nret\\n'
                   '.globl hand_repeat\\n.type hand_repeat, @function\\nhand_repeat: rep stosb\\nret\\n");\n'
                   "int main(void) { return 0; }\n")
    subprocess.run(["cc", source, "-o", image], check=True, timeout=60)
    answer = run(image, "--function", "hand_5")
    if "libcapstone-dev" in answer.stderr:
        check(answer.returncode == 2, f"without capstone it ends with {answer.returncode}")
        return
    check("hand_5: at most 5 instructions" in answer.stdout, f"it says {answer.stdout}{answer.stderr}")
    for name in ("hand_loop", "hand_repeat"):
        check("LOOP in " + name in run(image, "--function", name).stdout, f"{name} is no loop")


def mistakes_in_the_call_are_named():
    image = sys.executable
    for arguments, words in (([], "one image"), (["/nonexistent"], "No such file"), ([functions], "no ELF file"),
                             (["--nonsense", image], "--nonsense")):
        answer = run(*arguments)
        check(answer.returncode == 2 and words in answer.stderr, f"{arguments}: {answer.returncode}, {answer.stderr}")
    for name in boards(COMPILERS):
        for arguments, words in ((["--function", "nobody"], "'nobody'"), (["--assume", "nobody=1"], "'nobody'"),
                                 (["--assume", "straight"], "NAME=INSTRUCTIONS")):
            answer = run(image_for(name), *arguments)
            check(answer.returncode == 2 and words in answer.stderr, f"{arguments}: {answer.returncode}, {answer.stderr}")
        break


for test in (a_function_counted_by_hand_has_that_bound, the_longest_path_that_runs_is_as_long_as_the_bound,
             every_instruction_goes_where_objdump_says, the_calls_of_a_pool_have_a_bound_that_no_call_exceeds,
             what_nothing_bounds_is_refused_by_name_and_address, a_store_that_was_refused_is_told_apart_from_a_loop,
             interrupts_are_off_for_as_long_as_the_code_says, what_does_not_return_is_told_and_not_counted,
             an_assumed_count_stands_for_a_call, an_image_of_this_machine_is_understood_or_the_missing_library_named,
             mistakes_in_the_call_are_named):
    before = len(failures)
    test()
    print("%s %s" % ("ok    " if len(failures) == before else "FAILED", test.__name__))
shutil.rmtree(folder)
for sentence in failures:
    print("failed:", sentence)
sys.exit(1 if failures else 0)
