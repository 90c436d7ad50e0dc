#!/usr/bin/env bash
# Copyright (c) mmdiffkd contributors.
set -euo pipefail

usage() {
    cat <<'END'
Usage: bash tools/lint.sh [--fix]

Checks the checkout with the pinned linters of the project's environment:
ruff (errors, order of imports, layout), codespell, mypy, and a look at white
space. It ends with exit code 1 where one of them finds something.

Options:
  --fix       let ruff mend what it can, before the checks
  -h, --help  print this text
END
}

fix=false
case ${1:-} in
    '') ;;
    --fix) fix=true ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        echo "lint.sh: error: unknown argument '$1', see --help" >&2
        exit 2
        ;;
esac

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
bin=$(dirname "$(bash tools/setup_env.sh --print-python)")

if $fix; then
    "$bin/ruff" check --fix --exit-zero --quiet .
    "$bin/ruff" format --quiet .
fi

# Name each text file that has white space at the end of a line, or no newline
# at its end.
white_space() {
    local found=0 file
    if git grep -nIE '[[:space:]]+$'; then found=1; fi
    while read -rd '' file; do
        if [ -s "$file" ] && [ -n "$(tail -c 1 "$file")" ]; then
            echo "$file: no newline at its end"
            found=1
        fi
    done < <(git grep -zIle '')
    return "$found"
}

worst=0
# check NAME COMMAND...: run one, go on to the next whatever it finds.
check() {
    echo "=== lint: $1"
    shift
    "$@" || worst=1
}

check 'ruff check' "$bin/ruff" check .
check 'ruff format' "$bin/ruff" format --check .
check codespell "$bin/codespell" .
check mypy "$bin/python" -m mypy
if git rev-parse --git-dir >/dev/null 2>&1; then
    check 'white space' white_space
fi
exit "$worst"
