# shellcheck shell=bash
# Copyright (c) mmdiffkd contributors.
# Sourced by dist_train.sh and dist_test.sh.

torchrun_here() {
    # torchrun_here GPUS SCRIPT [arguments of the script]
    local python=${PYTHON:-python} nodes=${NNODES:-1} gpus=$1 script=$2
    local port=${PORT:-} tools
    tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    shift 2
    if [[ -z $port && $nodes == 1 ]]; then
        # Any free port, so that two runs fit on one machine.
        port=$("$python" -c 'import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])')
    fi
    exec "$python" -m torch.distributed.run \
        --nnodes="$nodes" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${port:-29500}" \
        --nproc_per_node="$gpus" \
        "$tools/$script" "$@"
}
