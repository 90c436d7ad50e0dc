#!/usr/bin/env bash
# Copyright (c) mmdiffkd contributors.
# Evaluate on several GPUs, or several CPU processes where there is no GPU.
#   tools/dist_test.sh CONFIG CHECKPOINT GPUS [arguments of tools/test.py]
# On several machines, run it on each with NNODES, NODE_RANK, MASTER_ADDR and
# PORT in the environment. PYTHON names the interpreter.
set -euo pipefail
# shellcheck source=tools/_shell/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/help.sh"
help_if_asked "${BASH_SOURCE[0]}" "$@"

if [[ $# -lt 3 || ! $3 =~ ^[1-9][0-9]*$ ]]; then
    echo "error: usage: $0 CONFIG CHECKPOINT GPUS [arguments of test.py];" \
        "GPUS is the number of processes on this machine" >&2
    exit 2
fi
config=$1
checkpoint=$2
gpus=$3
shift 3
# shellcheck source=tools/_shell/torchrun.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/torchrun.sh"
torchrun_here "$gpus" test.py "$config" "$checkpoint" --launcher pytorch "$@"
