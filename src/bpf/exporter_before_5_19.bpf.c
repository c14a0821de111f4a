// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * before-5.19/netstacklat.bpf.o for ebpf_exporter on older kernels: the same
 * with another program for TCP reads.
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
#include "tcp_read_before_5_19.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
