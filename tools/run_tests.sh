#!/usr/bin/env bash
# Copyright (c) mmdiffkd contributors.
# Set up the environment if needed and run the tests in it.
#
#   bash tools/run_tests.sh               # linters, fast tests, slow tests
#   bash tools/run_tests.sh -k sampler    # arguments go to pytest
set -euo pipefail
# shellcheck source=tools/_shell/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/help.sh"
help_if_asked "${BASH_SOURCE[0]}" "$@"

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$root"
python=$(bash tools/setup_env.sh --print-python)
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}

if [ $# -gt 0 ]; then
    exec "$python" -m pytest "$@"
fi

worst=0
start=$SECONDS
bash tools/lint.sh || worst=1
echo "=== lint: exit code $worst, $((SECONDS - start)) s"

# suite NAME MARKER SECONDS_PER_TEST MODULE...: run a part as `python -m
# MODULE...`, remember the worst outcome.
suite() {
    local start=$SECONDS code=0
    echo "=== $1 tests"
    # Every test keeps to one thread, so there is a core for each worker.
    "$python" -m "${@:4}" -n "$(nproc)" -m "$2" --durations=15 \
        --timeout="$3" || code=$?
    # 5: no test has the marker, which is no failure.
    if [ "$code" -eq 5 ]; then code=0; fi
    if [ "$code" -gt "$worst" ]; then worst=$code; fi
    echo "=== $1 tests: exit code $code, $((SECONDS - start)) s"
}

# SlipCover counts lines at hardly any cost, where tracing would double the
# time. Processes that the tests start are not counted.
suite fast 'not slow' 300 slipcover --source mmdiffkd \
    --omit 'mmdiffkd/.mim/*' --skip-covered -m pytest
suite slow slow 1500 pytest
exit "$worst"
