#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
# What the guest lab's commands share: the kernels' names, the cache, and how errors are told. Sourced, not run.

# shellcheck disable=SC2034 # used by the scripts that source this
KERNELS=(5.10 6.1 6.12 7)
CACHE=${NETSTACKLAT_VM_CACHE:-${XDG_CACHE_HOME:-${HOME:-~}/.cache}/netstacklat/vm}

say() { printf '%s: %s\n' "${0##*/}" "$*" >&2; }

die() { # die EXIT_CODE MESSAGE...
    local code=$1
    shift
    say "$@"
    exit "$code"
}

usage_error() { die 2 "$@"; }

# The name under which a kernel is cached, from any name that users may give.
kernel_alias() { # kernel_alias NAME
    case $1 in
        5.10 | 6.1 | 6.12 | 7) printf '%s\n' "$1" ;;
        7.x | newest) echo 7 ;;
        *) return 1 ;;
    esac
}

kernel_suite() { # kernel_suite KERNEL
    case $1 in
        5.10) echo bullseye ;;
        6.1) echo bookworm ;;
        6.12) echo trixie ;;
        7) echo trixie-backports ;;
        *) return 1 ;;
    esac
}

kernel_cached() { [[ -f $CACHE/$1/vmlinuz && -f $CACHE/$1/modules/modules.dep ]]; }
