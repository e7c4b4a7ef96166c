#!/usr/bin/env python3
"""darktable.py LAYER CACHE - darktable-cli develops a picture on OpenCL, without acre and through the layer: the same picture, from memory of acre.

Only the kernels that the picture needs are compiled, since PoCL takes a minute for all; they stay in CACHE.
"""
import math
import os
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

layer, cache = sys.argv[1], Path(sys.argv[2])
DATA = Path("/usr/share/darktable")
PROGRAMS = ("basic", "bilateral", "gaussian", "highpass", "sharpen")
STEPS = {"exposure": (6, "00000000000000000000003f00004842000080c000000000"), "sharpen": (1, "000000400000003f0000003f"),
         "highpass": (1, "0000484200004842"), "bilat": (3, "000000000000003f0000803f0000803f0000003f")}
WIDTH, HEIGHT = 400, 300

if shutil.which("darktable-cli") is None:
    print("no darktable here")
    sys.exit(77)
cache.mkdir(parents=True, exist_ok=True)


def write_picture():
    with open(cache / "in.pfm", "wb") as file:
        file.write(b"PF\n%d %d\n-1.0\n" % (WIDTH, HEIGHT))
        for y in range(HEIGHT):
            for x in range(WIDTH):
                file.write(struct.pack("<3f", 0.2 + 0.6 * x / WIDTH, 0.5 + 0.3 * math.sin(y / 20), 0.3 + 0.2 * math.cos((x + y) / 15)))
    steps = "".join(f'<rdf:li darktable:num="{i}" darktable:operation="{name}" darktable:enabled="1" darktable:modversion="{version}" '
                    f'darktable:params="{params}" darktable:multi_name="" darktable:multi_priority="0"/>'
                    for i, (name, (version, params)) in enumerate(STEPS.items()))
    (cache / "in.xmp").write_text(
        '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:darktable="http://darktable.sf.net/" darktable:xmp_version="5" darktable:raw_params="0" darktable:auto_presets_applied="1" '
        f'darktable:history_end="{len(STEPS)}" darktable:iop_order_version="2"><darktable:history><rdf:Seq>{steps}</rdf:Seq></darktable:history>'
        "</rdf:Description></rdf:RDF></x:xmpmeta>")


def link_data():
    data = cache / "data"
    if data.exists():
        shutil.rmtree(data)
    (data / "kernels").mkdir(parents=True)
    for path in DATA.iterdir():
        if path.name != "kernels":
            (data / path.name).symlink_to(path)
    for path in (DATA / "kernels").iterdir():
        if path.name != "programs.conf":
            (data / "kernels" / path.name).symlink_to(path)
    wanted = [line for line in (DATA / "kernels/programs.conf").read_text().splitlines() if line.split(".cl")[0] in PROGRAMS]
    (data / "kernels/programs.conf").write_text("\n".join(wanted) + "\n")


def develop(out, **more):
    """-> (what darktable said, the picture)"""
    # PoCL 3.1 does not take an -I in quotes, as darktable gives it.
    env = {**os.environ, "HOME": str(cache), "XDG_CACHE_HOME": str(cache / "xdg"), "POCL_EXTRA_BUILD_FLAGS": f"-I{DATA}/kernels", **more}
    (cache / out).unlink(missing_ok=True)
    done = subprocess.run(["darktable-cli", cache / "in.pfm", cache / "in.xmp", cache / out, "--core", "--datadir", cache / "data", "--configdir",
                           cache / "config", "--cachedir", cache / "kernels", "--library", ":memory:", "--conf", "opencl=TRUE", "--conf",
                           "opencl_mandatory_timeout=10000", "-d", "opencl", "-d", "perf"], env=env, capture_output=True, text=True, timeout=280)
    return done.stdout + done.stderr, (cache / out).read_bytes() if (cache / out).exists() else b""


def allow_processor():
    """darktable takes no processor for a device unless its settings say so: the eighth number is 1 for a device that is not used."""
    settings = cache / "config/darktablerc"
    develop("first.pfm")
    text = settings.read_text()
    allowed = re.sub(r"^(cldevice_v\d_\w+=(?:\S+ ){7})1\b", r"\g<1>0", text, flags=re.MULTILINE)
    settings.write_text(allowed)
    return re.search(r"^cldevice_v\d_\w+=(?:\S+ ){7}0\b", allowed, re.MULTILINE)


write_picture()
link_data()
if not allow_processor():
    print("darktable finds no device of OpenCL")
    sys.exit(77)
said, plain = develop("plain.pfm")
print(said)
on_device = re.findall(r"processed `.*' on GPU", said)
said_layer, through = develop("layer.pfm", OPENCL_LAYERS=layer, ACRE_OPENCL="report")
print(said_layer)
numbers = [int(n) for n in re.findall(r"\d+", "".join(re.findall(r"^acre: .*", said_layer, re.MULTILINE)))]
checks = {
    "the picture is made on the device": len(on_device) >= 6 and len(re.findall(r"processed `.*' on GPU", said_layer)) == len(on_device),
    "it is the same picture": len(plain) > WIDTH * HEIGHT * 12 and plain == through,
    "buffers and images are acre's, and released": len(numbers) == 7 and numbers[0] > 0 and numbers[3] > 0 and numbers[6] == 0,
}
for name, holds in checks.items():
    print("ok" if holds else "not ok", name)
sys.exit(not all(checks.values()))
