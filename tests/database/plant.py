#!/usr/bin/env python3
"""plant.py SOURCE OUTPUT FROM TO [FROM TO]... - writes a copy of SOURCE in which each FROM, which must be there exactly once, is TO."""
import sys

text = open(sys.argv[1]).read()
for old, new in zip(sys.argv[3::2], sys.argv[4::2]):
    if text.count(old) != 1:
        sys.exit(f"{sys.argv[1]}: {text.count(old)} times, not once: {old}")
    text = text.replace(old, new)
open(sys.argv[2], "w").write(text)
