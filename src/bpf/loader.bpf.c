// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The loader's object for all packets in one: the programs for all kernels, of
 * which it loads those that the plan names (src/capture/plan.rs).
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "filter_none.bpf.h"
#include "histogram/mmap_by_hook.bpf.h"
#include "sampling_none.bpf.h"
#include "slow_none.bpf.h"
#include "stages_none.bpf.h"
#include "record.bpf.h"

#include "hooks.bpf.h"
#include "hooks_forwarding.bpf.h"
#include "hooks_helpers.bpf.h"
#include "hooks_softirq.bpf.h"
#include "tcp_read.bpf.h"
#include "tcp_read_before_5_19.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
