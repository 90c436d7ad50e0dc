# shellcheck shell=bash
# Copyright (c) mmdiffkd contributors.
# Sourced by the public scripts.

help_if_asked() {
    # help_if_asked SCRIPT [arguments]: print the comment at the head of the
    # script and end, if -h or --help is the first argument.
    [[ ${2:-} == -h || ${2:-} == --help ]] || return 0
    sed -n '3,/^[^#]/ s/^# \{0,1\}//p' "$1"
    exit 0
}
