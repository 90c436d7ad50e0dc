#!/usr/bin/env bash
# Copyright (c) mmdiffkd contributors.
# Train on several GPUs, or several CPU processes where there is no GPU.
#   tools/dist_train.sh CONFIG GPUS [arguments of tools/train.py]
# On several machines, run it on each with NNODES, NODE_RANK, MASTER_ADDR and
# PORT in the environment. PYTHON names the interpreter.
# SIGTERM and SIGUSR1 make all processes save and leave; the exit code is then
# 85, and --resume goes on.
set -euo pipefail
# shellcheck source=tools/_shell/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/help.sh"
help_if_asked "${BASH_SOURCE[0]}" "$@"

if [[ $# -lt 2 || ! $2 =~ ^[1-9][0-9]*$ ]]; then
    echo "error: usage: $0 CONFIG GPUS [arguments of train.py];" \
        "GPUS is the number of processes on this machine" >&2
    exit 2
fi
config=$1
gpus=$2
shift 2
# shellcheck source=tools/_shell/torchrun.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/torchrun.sh"
# shellcheck source=tools/_shell/forward.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/forward.sh"
# torchrun passes SIGTERM on, but not the exit code of its processes.
folder=$(mktemp -d)
export MMDIFFKD_PREEMPTED_FILE=$folder/preempted
code=0
run_and_forward TERM torchrun_here "$gpus" train.py "$config" \
    --launcher pytorch "$@" || code=$?
# A mistake ends the other processes by SIGTERM, too.
if [[ -e $MMDIFFKD_PREEMPTED_FILE && $code != 2 ]]; then
    code=85
fi
rm -r "$folder"
exit "$code"
