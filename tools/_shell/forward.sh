# shellcheck shell=bash
# Copyright (c) mmdiffkd contributors.
# Sourced by the launchers of training.

run_and_forward() {
    # run_and_forward SIGNAL COMMAND...: run a command and return its exit
    # code. SIGTERM and SIGINT are passed on to it; SIGUSR1, with which
    # schedulers announce the end, is passed on as SIGNAL.
    local usr1=$1 code child
    shift
    # Job control, without which bash would let the command ignore SIGINT.
    set -m
    "$@" &
    child=$!
    set +m
    # shellcheck disable=SC2064
    trap "kill -$usr1 $child 2>/dev/null" USR1
    # shellcheck disable=SC2064
    trap "kill -TERM $child 2>/dev/null" TERM
    # shellcheck disable=SC2064
    trap "kill -INT $child 2>/dev/null" INT
    while true; do
        code=0
        wait "$child" || code=$?
        # A signal ends `wait`, and the command goes on.
        kill -0 "$child" 2>/dev/null || break
    done
    trap - USR1 TERM INT
    return "$code"
}
