#!/bin/sh
# Makes the report of the synthetic trace and opens it. usage: page.sh MAKE_TRACE ACRE NODE CHROMIUM PAGE_TEST
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$1" "$work/trace"
"$2" report --quiet --report "$work/page.html" "$work/trace"
"$3" "$5" "$4" "$work/page.html"
