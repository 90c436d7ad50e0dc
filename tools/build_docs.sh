#!/usr/bin/env bash
# Copyright (c) mmdiffkd contributors.
# Build the site from docs/en, README and the pages in configs/.
#
#   bash tools/build_docs.sh          # to build/site/index.html
#   bash tools/build_docs.sh DIR      # to DIR/index.html
#
# A page, link, anchor, formula or docstring that Sphinx warns of ends the
# build. Exit codes: 0 the site is built, 1 something is wrong with a page,
# 2 a mistake in the call: DIR holds something else than a site.
set -euo pipefail
# shellcheck source=tools/_shell/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/help.sh"
help_if_asked "${BASH_SOURCE[0]}" "$@"

mistake() {
    echo "build_docs.sh: error: $1" >&2
    exit 2
}

if [ $# -gt 1 ] || [[ ${1:-} == -* ]]; then
    mistake "unknown argument '${*: -1}', see --help"
fi
here=$PWD
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
if [ $# -gt 0 ]; then out=$(cd "$here" && realpath -m -- "$1"); else out=build/site; fi
if [ -e "$out" ] && [ ! -e "$out/.buildinfo" ]; then
    if [ ! -d "$out" ] || [ -n "$(ls -A "$out")" ]; then
        mistake "$out is there and is no site; name another folder"
    fi
fi
python=$(bash tools/setup_env.sh --print-python)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# -E: nothing is taken from an earlier build, which would warn no more.
if ! "$python" -W ignore -m sphinx -E -q -W --keep-going -b html \
    -d "$scratch" -c docs/en . "$out"; then
    echo "build_docs.sh: the site has the faults that are named above" >&2
    exit 1
fi
echo "$out/index.html"
