/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Histograms and skip counters. Where their counters lie depends on who reads
 * them: this program's own loader, or ebpf_exporter.
 */
#ifndef NETSTACKLAT_HISTOGRAM_BPF_H
#define NETSTACKLAT_HISTOGRAM_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "bucket.bpf.h"
#include "config.bpf.h"
#include "whose.bpf.h"

/*
 * Atomic, because a task can be interrupted by a softirq that records at the
 * same hook (TCP backlog replay). The result is not used, so this is one
 * locked add and works on 5.10.
 */
static __always_inline void array_add(void *map, __u32 index, __u64 amount)
{
	__u64 *slot = bpf_map_lookup_elem(map, &index);

	if (slot)
		__sync_fetch_and_add(slot, amount);
}

#ifdef NETSTACKLAT_LOADER
#include "maps_loader.bpf.h"
#else
#include "maps_exporter.bpf.h"
#endif

/*
 * Adds one sample, given its latency and, for the bucket, that minus one
 * (apart, because a latency of 0 is counted in bucket 0 with sum 0).
 */
static __always_inline void histogram_add(enum netstacklat_hook hook,
					  __u64 below, __u64 latency,
					  struct whose *whose)
{
	histogram_count(hook, bucket_index(below), latency, whose);
}

#endif /* NETSTACKLAT_HISTOGRAM_BPF_H */
