// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The loader's object that shows slow packets, with filters. Apart from
 * loader_selected.bpf.c, because what is known of a packet takes 500 instructions in
 * each program, which are to be loaded only where they are used.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "filter.bpf.h"
#include "histogram/mmap_by_group.bpf.h"
#include "sampling.bpf.h"
#include "slow.bpf.h"
#include "stages.bpf.h"
#include "record.bpf.h"

#include "hooks.bpf.h"
#include "hooks_forwarding.bpf.h"
#include "hooks_helpers.bpf.h"
#include "hooks_softirq.bpf.h"
#include "tcp_read.bpf.h"
#include "tcp_read_before_5_19.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
