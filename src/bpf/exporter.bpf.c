// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * netstacklat.bpf.o for ebpf_exporter, Linux 5.19 and newer. It attaches every
 * program of an object, and fails at the first whose function does not exist.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "filter_none.bpf.h"
#include "histogram/by_hook.bpf.h"
#include "sampling_none.bpf.h"
#include "slow_none.bpf.h"
#include "stages_none.bpf.h"
#include "record.bpf.h"

#include "hooks.bpf.h"
#include "tcp_read.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
