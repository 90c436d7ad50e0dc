# shellcheck shell=bash
# Copyright (c) mmdiffkd contributors.
# Sourced by dist_train.sh and dist_test.sh.

torchrun_here() {
    # torchrun_here GPUS SCRIPT [arguments of the script]
    local python=${PYTHON:-python} nodes=${NNODES:-1} gpus=$1 script=$2
    local port=${PORT:-} tools
    tools=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
    shift 2
    if ! "$python" -c 'import importlib.util, sys
sys.exit(importlib.util.find_spec("torch") is None)' >/dev/null 2>&1; then
        echo "error: the interpreter '$python' does not run, or has no" \
            'PyTorch: name another by the variable PYTHON, such as' \
            'PYTHON=$(bash tools/setup_env.sh --print-python)' >&2
        exit 2
    fi
    if [[ -z $port && $nodes == 1 ]]; then
        # Any free port, so that two runs fit on one machine.
        port=$("$python" -c 'import socket
with socket.socket() as s:
    s.bind(("127.0.0.1", 0))
    print(s.getsockname()[1])')
    fi
    exec "$python" "$tools/_shell/torchrun.py" \
        --nnodes="$nodes" \
        --node_rank="${NODE_RANK:-0}" \
        --master_addr="${MASTER_ADDR:-127.0.0.1}" \
        --master_port="${port:-29500}" \
        --nproc_per_node="$gpus" \
        "$tools/$script" "$@"
}
