#!/usr/bin/env bash
# Copyright (c) mmdiffkd contributors.
# Set up the environment in which mmdiffkd is developed and tested.
#
# mmdiffkd itself is not installed into it: several checkouts with the same
# constraints share one environment, and each must run its own code. The tools
# find the package beside themselves; anything else, the environment's command
# `mmdiffkd` too, runs from the root of the checkout or with the root on
# PYTHONPATH. `mmdiffkd::` configs are found there through the links in
# mmdiffkd/.mim, which this script makes as well.
set -euo pipefail

usage() {
    cat <<'EOF'
Usage: bash tools/setup_env.sh [--python PYTHON] [--print-python]

Sets up the environment that mmdiffkd is tested in, outside the checkout, or
finds that it is there already. Progress goes to standard error.

Options:
  --python PYTHON  base interpreter, 3.10 to 3.12 (default: the first of
                   python3, python3.12, python3.11, python3.10 that fits)
  --print-python   print the path of the environment's interpreter, and
                   nothing else, on standard output
  -h, --help       print this text

Environment variables:
  PYTHON           the same as --python
  MMDIFFKD_HOME    where environments, wheels and logs are kept
                   (default: ${XDG_CACHE_HOME:-~/.cache}/mmdiffkd)
  MMDIFFKD_OPS     build of mmcv's operators: auto (default; cuda where a GPU
                   and nvcc are found, else cpu), cpu or cuda
  MAX_JOBS         compilers at once (default: one per CPU core)

Take other builds of PyTorch through pip's own variables, for example
  PIP_EXTRA_INDEX_URL=https://download.pytorch.org/whl/cpu
EOF
}

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
constraints=$root/requirements/constraints.txt
home=${MMDIFFKD_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/mmdiffkd}
log=

say() { printf '[%4ds] %s\n' "$SECONDS" "$*" >&2; }

die() {
    printf 'setup_env.sh: error: %s\n' "$*" >&2
    exit 1
}

# mistake WORDS...: end with the exit code of a mistake in the call.
mistake() {
    printf 'setup_env.sh: error: %s\n' "$*" >&2
    exit 2
}

# --- arguments ---------------------------------------------------------------
base=${PYTHON:-}
print_python=false
while [ $# -gt 0 ]; do
    case $1 in
        --python)
            [ $# -ge 2 ] || mistake '--python needs a value, see --help'
            base=$2
            shift
            ;;
        --python=*) base=${1#*=} ;;
        --print-python) print_python=true ;;
        -h | --help)
            usage
            exit 0
            ;;
        *) mistake "unknown argument '$1', see --help" ;;
    esac
    shift
done

# --- base interpreter --------------------------------------------------------
# What the pinned PyTorch and the package run on.
minor_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

fits() { [[ $1 =~ ^3\.(10|11|12)$ ]]; }

if [ -n "$base" ]; then
    minor=$(minor_of "$base") \
        || mistake "cannot run the Python interpreter '$base'; give another" \
            'with --python'
    fits "$minor" || mistake "'$base' is Python $minor, but Python 3.10 to" \
        '3.12 is needed; give another with --python'
else
    for base in python3 python3.12 python3.11 python3.10 ''; do
        [ -n "$base" ] || die 'found no Python 3.10 to 3.12; install one, or' \
            'name it with --python'
        if minor=$(minor_of "$base") && fits "$minor"; then break; fi
    done
fi

# --- CPU or CUDA operators ---------------------------------------------------
# Where PyTorch looks when it compiles, in the same order.
find_nvcc() {
    if [ -n "${CUDA_HOME:-}" ]; then
        command -v "$CUDA_HOME/bin/nvcc"
    else
        command -v nvcc || command -v /usr/local/cuda/bin/nvcc
    fi
}

nvcc=$(find_nvcc) || nvcc=
gpu=$(nvidia-smi -L 2>/dev/null) || gpu=
if [[ $gpu != GPU* ]]; then gpu=; fi
ops=${MMDIFFKD_OPS:-auto}
case $ops in
    auto)
        ops=cpu
        if [ -n "$gpu" ] && [ -n "$nvcc" ]; then
            ops=cuda
        elif [ -n "$gpu" ]; then
            say "a GPU is here (${gpu%%$' (UUID'*}), but nvcc is not:" \
                "mmcv's operators are built for the CPU alone, and detectors" \
                'fail on the GPU.'
            say 'Install the CUDA toolkit of the major version of PyTorch,' \
                'put nvcc on PATH or set CUDA_HOME, and run this again.'
        fi
        ;;
    cpu) ;;
    cuda)
        [ -n "$nvcc" ] || die 'MMDIFFKD_OPS=cuda needs nvcc; put it on PATH' \
            'or set CUDA_HOME'
        ;;
    *) mistake "MMDIFFKD_OPS is '$ops', but must be auto, cpu or cuda" ;;
esac

variant=cpu
if [ "$ops" = cuda ]; then
    # Operators run on the GPU generations they were compiled for, and a home
    # folder may be shared by machines with several.
    if [ -z "${TORCH_CUDA_ARCH_LIST:-}" ]; then
        TORCH_CUDA_ARCH_LIST=$(nvidia-smi --query-gpu=compute_cap \
            --format=csv,noheader 2>/dev/null | sort -u | paste -sd ';') || :
        [ -n "$TORCH_CUDA_ARCH_LIST" ] \
            || die 'no GPU to compile for; set TORCH_CUDA_ARCH_LIST' \
                "(for example '8.0;9.0')"
    fi
    export TORCH_CUDA_ARCH_LIST
    nvcc_release=$("$nvcc" --version \
        | sed -n 's/.*release \([0-9.]*\),.*/\1/p')
    variant=cu$nvcc_release-sm$(tr -c '0-9.\n' '-' <<<"$TORCH_CUDA_ARCH_LIST")
    # PyTorch takes the parent of nvcc's folder for the toolkit, which is wrong
    # where nvcc is a wrapper script. nvcc itself knows better.
    if [ -z "${CUDA_HOME:-}" ]; then
        CUDA_HOME=$("$nvcc" --dryrun -x cu -E /dev/null 2>&1 \
            | sed -n 's/^#\$ TOP=//p')
        if [ -n "$CUDA_HOME" ]; then export CUDA_HOME; else unset CUDA_HOME; fi
    fi
fi

# --- the environment that fits -----------------------------------------------
# Versions decide, comments do not.
digest=$("$base" - "$constraints" <<'EOF'
import hashlib, sys
lines = (line.partition('#')[0].strip() for line in open(sys.argv[1]))
text = '\n'.join(sorted(filter(None, lines)))
print(hashlib.sha256(text.encode()).hexdigest()[:12])
EOF
)
env=$home/envs/py$minor-$variant-$digest
python=$env/bin/python
finished=$env/.finished

link_configs() {
    local name
    for name in configs tools model-index.yml; do
        [ -e "$root/mmdiffkd/.mim/$name" ] && continue
        (cd "$root" && "$python" setup.py -q link_mim) >&2 \
            || say "could not link configs into $root/mmdiffkd/.mim:" \
                'mmdiffkd::... configs will not be found'
        return
    done
}

# The console command, which an installation would make; see the top.
make_command() {
    local path=$env/bin/mmdiffkd
    [ -e "$path" ] && return
    # Made aside and renamed: a reader never sees half of it.
    { printf '#!/bin/sh\nexec "%s" -m mmdiffkd "$@"\n' "$python" \
        >"$path.$$" && chmod +x "$path.$$" && mv -f "$path.$$" "$path"; } \
        || say "could not make $path; python -m mmdiffkd is the same"
}

finish() {
    link_configs
    make_command
    if $print_python; then
        printf '%s\n' "$python"
    else
        say "ready: $python"
    fi
    exit 0
}

# The interpreter is tried as well: its base may have been uninstalled since.
is_finished() { [ -e "$finished" ] && "$python" -c '' 2>/dev/null; }

if is_finished; then finish; fi

mkdir -p "$home/envs" "$home/wheels" "$home/logs" \
    || die "cannot write to $home; set MMDIFFKD_HOME to another folder"
if command -v flock >/dev/null; then
    exec 9>"$home/setup.lock"
    if ! flock -n 9; then
        say 'another set-up is running; waiting for it'
        flock 9
        if is_finished; then finish; fi
    fi
fi

# --- set-up ------------------------------------------------------------------
log=$home/logs/$(basename "$env")-$(date +%Y%m%d-%H%M%S).log
: >"$log"

# Standard input is a pipe that never delivers, so that `read` is a sleep which
# ends at once with the script, also when the script is killed.
heartbeat() {
    local counter
    while true; do
        if read -rt 60 _; then continue; elif [ $? -le 128 ]; then break; fi
        counter=$(grep -o '^ *\[[0-9]*/[0-9]*\]' "$log" | tail -n 1) || true
        say "  still at it${counter:+, file ${counter//[^0-9\/]/}}"
    done
}

# step TITLE COMMAND...: one line of progress; details go to the log.
step() {
    local title=$1 beat
    shift
    say "$title"
    printf '\n=== %s\n' "$title" >>"$log"
    exec 8> >(heartbeat)
    beat=$!
    if ! "$@" >>"$log" 2>&1 8>&-; then
        exec 8>&-
        say "failed: $title; the last lines of the log:"
        tail -n 20 "$log" >&2
        die "$title: failed; the whole log is $log"
    fi
    exec 8>&-
    wait "$beat" 2>/dev/null || true
}

pip_install() { "$python" -m pip install -c "$constraints" "$@"; }

check_compiler() {
    local cxx=${CXX:-g++}
    command -v "$cxx" >/dev/null \
        || die "no C++ compiler ('$cxx'), which mmcv needs; install it" \
            '(Debian, Ubuntu: apt install g++), or set CXX'
    "$base" -c 'import os, sysconfig, sys
sys.exit(not os.path.exists(sysconfig.get_paths()["include"] + "/Python.h"))' \
        || die "Python.h of '$base' is missing, which mmcv needs; install it" \
            "(Debian, Ubuntu: apt install python$minor-dev)"
}

# Commands of a step are chained by `&&`: `set -e` is off in a condition.
create_venv() { rm -rf "$env" && "$base" -m venv "$env"; }

# A toolkit may hold the compiler without the headers of the libraries, which
# PyTorch includes; PyTorch's own wheels bring those.
cuda_headers() {
    "$python" -c 'import glob, os, sysconfig
packages = sysconfig.get_path("purelib")
print(":".join(filter(None, [os.environ.get("CPATH")] + sorted(
    glob.glob(packages + "/nvidia/*/include")))))'
}

build_mmcv() {
    local building=$wheels.building settings
    settings=(
        MMCV_WITH_OPS=1 "MAX_JOBS=${MAX_JOBS:-$(getconf _NPROCESSORS_ONLN)}")
    if [ "$ops" = cuda ]; then
        settings+=(FORCE_CUDA=1 "CPATH=$(cuda_headers)")
    else
        # Else mmcv would take a GPU in sight for a reason to call nvcc.
        settings+=(FORCE_CUDA=0 CUDA_VISIBLE_DEVICES=)
    fi
    # Moved when complete: half a wheel is never taken for one.
    rm -rf "$building" \
        && mkdir -p "$building" "$wheels" \
        && env "${settings[@]}" "$python" -m pip wheel -v -c "$constraints" \
            --no-deps --no-build-isolation --no-binary mmcv --no-cache-dir \
            -w "$building" mmcv \
        && mv -f "$building"/mmcv-*.whl "$wheels/" \
        && rmdir "$building"
}

# Machines without a screen often lack libGL, which only windows need.
install_opencv() {
    "$python" -c 'import cv2' && return
    "$python" -m pip uninstall -y opencv-python \
        && pip_install --no-deps opencv-python-headless \
        && "$python" -c 'import cv2'
}

check_environment() {
    "$python" - "$ops" <<'EOF'
import sys
import torch
import mmdet, mmpretrain, mmseg  # noqa: F401
from mmcv.ops import nms
devices = ['cpu']
if sys.argv[1] == 'cuda' and torch.cuda.is_available():
    devices.append('cuda')
boxes = torch.tensor([[0., 0., 9., 9.], [0., 0., 9., 8.], [9., 9., 19., 19.]])
scores = torch.tensor([0.9, 0.8, 0.7])
for device in devices:
    kept = nms(boxes.to(device), scores.to(device), 0.5)[1]
    assert kept.tolist() == [0, 2], (device, kept)
EOF
}

say "environment: $env"
compgen -G "$home/wheels/py$minor-*/mmcv-*.whl" >/dev/null || check_compiler
"$base" -c 'import ensurepip, venv' 2>/dev/null \
    || die "'$base' lacks the venv module; install it (Debian, Ubuntu: apt" \
        "install python$minor-venv)"

step 'creating the virtual environment' create_venv
step 'installing pip, setuptools and ninja' \
    pip_install -U pip -r "$root/requirements/build.txt"
step 'installing PyTorch (downloads up to 3 GB)' \
    pip_install torch torchvision numpy

read -r torch_version torch_cuda < <("$python" -c \
    'import torch; print(torch.__version__, torch.version.cuda)')
if [ "$ops" = cuda ] && [ "${torch_cuda%%.*}" != "${nvcc_release%%.*}" ]; then
    die "$nvcc is of CUDA $nvcc_release, but PyTorch $torch_version was" \
        "built for CUDA $torch_cuda. Install that toolkit and set CUDA_HOME," \
        'or take another build of PyTorch (see --help), or set' \
        'MMDIFFKD_OPS=cpu'
fi
wheels=$home/wheels/py$minor-torch$torch_version-cuda$torch_cuda-ops-$variant
if ! compgen -G "$wheels/mmcv-*.whl" >/dev/null; then
    check_compiler
    step "compiling mmcv for $ops (2 cores: 10 minutes, cuda 30)" build_mmcv
fi
step 'installing mmcv and the other libraries' \
    pip_install "$wheels"/mmcv-*.whl -r "$root/requirements/mminstall.txt" \
    -r "$root/requirements/runtime.txt" -r "$root/requirements/det.txt" \
    -r "$root/requirements/seg.txt" -r "$root/requirements/cls.txt" \
    -r "$root/requirements/demo.txt" -r "$root/requirements/study.txt" \
    -r "$root/requirements/tests.txt" -r "$root/requirements/lint.txt" \
    -r "$root/requirements/docs.txt"
step 'checking OpenCV' install_opencv
step 'checking the libraries' check_environment
if [ "$ops" = cuda ]; then
    "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' \
        || say 'warning: PyTorch does not see the GPU; the driver may be' \
            "older than CUDA $torch_cuda needs"
fi

# Last of all: without this file an environment is built anew.
"$python" -m pip freeze >"$finished.part"
mv "$finished.part" "$finished"
finish
