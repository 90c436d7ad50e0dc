#!/usr/bin/env bash
# Copyright (c) mmdiffkd contributors.
# Train on a SLURM cluster.
#   tools/slurm_train.sh PARTITION JOB CONFIG WORK_DIR [arguments of train.py]
# GPUS, GPUS_PER_NODE, CPUS_PER_TASK, SRUN_ARGS and PYTHON in the environment
# are honoured.
# A training that was preempted (SIGTERM or SIGUSR1) saves and ends with exit
# code 85. Inside a batch job it is then requeued, and goes on by itself:
#   sbatch --requeue --signal=USR1@120 --ntasks=8 ... --wrap \
#       "tools/slurm_train.sh PARTITION JOB CONFIG WORK_DIR"
set -euo pipefail
# shellcheck source=tools/_shell/help.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/help.sh"
help_if_asked "${BASH_SOURCE[0]}" "$@"

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
# shellcheck source=tools/_shell/srun.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/srun.sh"
# shellcheck source=tools/_shell/forward.sh
source "$(dirname "${BASH_SOURCE[0]}")/_shell/forward.sh"
code=0
run_and_forward USR1 srun_python "$partition" "$job" train.py "$config" \
    --work-dir "$work_dir" --launcher slurm "$@" || code=$?
if [[ $code == 85 && -n ${SLURM_JOB_ID:-} ]]; then
    scontrol requeue "$SLURM_JOB_ID" ||
        echo "error: job $SLURM_JOB_ID could not be requeued; go on with" \
            "--resume" >&2
fi
exit "$code"
