#!/usr/bin/env python3
"""Puts the page's parts together and writes them as two C arrays: what stands before the data and what follows it.

usage: embed.py OUTPUT.h TEMPLATE KEY=FILE ...     each {{KEY}} in the template is replaced by the file's contents
"""
import sys

DATA = "{{data}}"


def array(name, text):
    data = text.encode()
    lines = []
    for at in range(0, len(data), 24):
        lines.append(",".join(str(byte) for byte in data[at:at + 24]))
    return "static const unsigned char %s[%d] = {\n%s};\n" % (name, len(data), ",\n".join(lines))


def main():
    output, template = sys.argv[1:3]
    with open(template, encoding="utf-8") as file:
        page = file.read()
    for pair in sys.argv[3:]:
        key, path = pair.split("=", 1)
        if page.count("{{%s}}" % key) != 1:
            sys.exit("%s: {{%s}} must stand in it once" % (template, key))
        with open(path, encoding="utf-8") as file:
            page = page.replace("{{%s}}" % key, file.read())
    if page.count(DATA) != 1:
        sys.exit("%s: %s must stand in it once" % (template, DATA))
    head, tail = page.split(DATA)
    with open(output, "w", encoding="utf-8") as file:
        file.write("/* made by embed.py */\n" + array("page_head", head) + array("page_tail", tail))


main()
