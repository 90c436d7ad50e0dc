# shellcheck shell=bash
# Copyright (c) mmdiffkd contributors.
# Sourced by slurm_train.sh and slurm_test.sh.

srun_python() {
    # srun_python PARTITION JOB SCRIPT [arguments of the script]
    local partition=$1 job=$2 script=$3
    local gpus=${GPUS:-8} per_node extra tools
    tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    shift 3
    if ! command -v srun >/dev/null; then
        echo 'error: there is no srun, the command of Slurm, on this machine;' \
            'without Slurm, use tools/dist_train.sh or tools/dist_test.sh' >&2
        exit 2
    fi
    # A job smaller than a node must not ask for a whole one.
    per_node=${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}
    read -r -a extra <<<"${SRUN_ARGS:-}"
    exec srun -p "$partition" \
        --job-name="$job" \
        --gres="gpu:$per_node" \
        --ntasks="$gpus" \
        --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" \
        --kill-on-bad-exit=1 \
        ${extra[@]+"${extra[@]}"} \
        "${PYTHON:-python}" -u \
        "$tools/$script" "$@"
}
