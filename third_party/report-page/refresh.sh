#!/bin/sh
# Fetches the libraries named in package.json from npm and bundles them anew: vendor.js, vendor.css, LICENSES.
# A build of acre does not need this: the bundle is part of the repository.
set -eu
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp package.json bundle.js "$work"
(cd "$work" && npm install --no-audit --no-fund --silent)
"$work/node_modules/.bin/esbuild" "$work/bundle.js" --bundle --minify --format=iife --target=es2020 \
    --legal-comments=none --charset=utf8 --outfile="$work/vendor.js"
cat "$work/node_modules/uplot/dist/uPlot.min.css" "$work/node_modules/d3-flame-graph/dist/d3-flamegraph.css" >"$work/all.css"
"$work/node_modules/.bin/esbuild" "$work/all.css" --minify --outfile="$work/vendor.css"
{
    echo "vendor.js and vendor.css hold code of these packages, each under its licence:"
    for folder in "$work"/node_modules/*; do
        name=$(basename "$folder")
        case $name in esbuild | @*) continue ;; esac
        version=$(sed -n 's/^ *"version": "\(.*\)",*$/\1/p' "$folder/package.json")
        printf '\n=== %s %s\n\n' "$name" "$version"
        cat "$folder"/LICEN[CS]E*
    done
} >"$work/LICENSES"
cp "$work/vendor.js" "$work/vendor.css" "$work/LICENSES" .
ls -l vendor.js vendor.css LICENSES
