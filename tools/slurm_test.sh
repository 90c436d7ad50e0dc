#!/usr/bin/env bash
# Copyright (c) mmdiffkd contributors.
# Evaluate on a SLURM cluster.
#   tools/slurm_test.sh PARTITION JOB CONFIG CHECKPOINT [arguments of test.py]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS and PYTHON in the environment
# are honoured.
set -euo pipefail
# shellcheck source=tools/_shell/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/help.sh"
help_if_asked "${BASH_SOURCE[0]}" "$@"

if [[ $# -lt 4 ]]; then
    echo "error: usage: $0 PARTITION JOB CONFIG CHECKPOINT" \
        "[arguments of test.py]" >&2
    exit 2
fi
partition=$1
job=$2
config=$3
checkpoint=$4
shift 4
# shellcheck source=tools/_shell/srun.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/srun.sh"
srun_python "$partition" "$job" test.py "$config" "$checkpoint" \
    --launcher slurm "$@"
