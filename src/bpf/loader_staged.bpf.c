// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The loader's object for all packets of the host, in one, of which it measures a
 * share (--sample), or the time from hook to hook (--stages), or both. Apart from
 * loader.bpf.c, because a test of every packet costs something where all are
 * wanted; apart from loader_selected.bpf.c, because that reads the knobs of
 * filters before it leaves a packet out.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "filter_none.bpf.h"
#include "histogram/mmap_by_hook.bpf.h"
#include "sampling.bpf.h"
#include "slow_none.bpf.h"
#include "stages.bpf.h"
#include "record.bpf.h"

#include "hooks.bpf.h"
#include "hooks_forwarding.bpf.h"
#include "hooks_helpers.bpf.h"
#include "hooks_softirq.bpf.h"
#include "tcp_read.bpf.h"
#include "tcp_read_before_5_19.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";
