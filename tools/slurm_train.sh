#!/usr/bin/env bash
# Copyright (c) mmdiffkd contributors.
# Train on a SLURM cluster.
#   tools/slurm_train.sh PARTITION JOB CONFIG WORK_DIR [arguments of train.py]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS and PYTHON in the environment
# are honoured.
set -euo pipefail

if [[ $# -lt 4 ]]; then
    echo "error: usage: $0 PARTITION JOB CONFIG WORK_DIR" \
        "[arguments of train.py]" >&2
    exit 2
fi
partition=$1
job=$2
config=$3
work_dir=$4
shift 4
# shellcheck source=tools/srun.sh
source "$(dirname "${BASH_SOURCE[0]}")/srun.sh"
srun_python "$partition" "$job" train.py "$config" --work-dir "$work_dir" \
    --launcher slurm "$@"
