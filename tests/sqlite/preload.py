#!/usr/bin/env python3
"""preload.py LIBRARY - unmodified programs on acre's page cache: the sqlite3 shell and this Python's own module give the same answers."""
import os
import subprocess
import sys
import tempfile

LIBRARY = os.path.realpath(sys.argv[1])
SQL = """
create table t(k integer primary key, a, b);
with recursive n(i) as (select 1 union all select i + 1 from n where i < 30000) insert into t select i, i * 31 % 1009, hex(i) from n;
create index ta on t(a);
select count(*), sum(a), max(b) from t;
update t set b = b || 'x' where a < 300;
select a, count(*), sum(length(b)) from t group by a % 10 order by 1;
pragma integrity_check;
"""
PYTHON = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); print([r for s in sys.stdin.read().split(';') for r in c.execute(s)]); c.commit()"
failed = 0


def check(name, holds, detail=""):
    global failed
    failed += not holds
    print(f"{'ok' if holds else 'not ok'} {name}{'' if holds else ': ' + str(detail)}")


def run(command, options):
    with tempfile.TemporaryDirectory() as folder:
        environment = dict(os.environ)
        if options is not None:
            environment |= {"LD_PRELOAD": LIBRARY, "ACRE_SQLITE": options}
        result = subprocess.run([*command, f"{folder}/db"], input=SQL, capture_output=True, text=True, env=environment)
    return result.returncode, result.stdout, result.stderr


for name, command in ("shell", ["sqlite3"]), ("python", [sys.executable, "-c", PYTHON]):
    alone = run(command, None)
    check(f"the {name} runs at all", alone[0] == 0 and "30000" in alone[1], alone)
    for options in "", "policy=lru", "budget=200000 malloc=off", "policy=s3-fifo budget=100000", "vfs=on", \
            "vfs=on pool=200000 block=8192 pool_policy=lru way=calls direct=on malloc=off", "vfs=on pool=1000000 prefetch=off way=ring":
        check(f"the {name} gives the same answers with '{options}'", run(command, options) == alone, run(command, options))
VFS = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('create table t(k)'); import ctypes; s = ctypes.CDLL('libsqlite3.so.0');" \
    "s.sqlite3_vfs_find.restype = ctypes.c_void_p; print(s.sqlite3_vfs_find(None) == s.sqlite3_vfs_find(b'acre'))"
for options, expected in ("vfs=on", "True"), ("", "False"):
    check(f"the default VFS is acre's: {expected}, with '{options}'", expected in run([sys.executable, "-c", VFS], options)[1])
for options, word in ("policy=mru", "policy"), ("budget=12x", "budget"), ("nonsense", "nonsense"), ("way=up", "way"), ("vfs=on block=77", "77"), ("pool=x", "pool"), ("budget=5", "65536"):
    status, _, errors = run(["sqlite3"], options)
    check(f"'{options}' is said not to be followed, and the program runs", status == 0 and word in errors, errors)
sys.exit(failed != 0)
