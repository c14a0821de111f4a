/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Histograms and skip counters: one array map per hook, one for the skips.
 * After the last bucket stands the sum, where ebpf_exporter looks for it.
 */
#ifndef NETSTACKLAT_HISTOGRAM_BPF_H
#define NETSTACKLAT_HISTOGRAM_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "bucket.bpf.h"
#include "config.bpf.h"

/*
 * As the drop-in needs them: bucket index to count, per CPU. The loader makes
 * them mmap-able arrays with a CPU's whole histogram as a value (sizes and not
 * types here, so that libbpf lets it): one look-up less per packet.
 */
#define HISTOGRAM_MAP(id, ident, ...)                                          \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                       \
		__uint(max_entries, N_BUCKETS(0) + 1);                         \
		__uint(key_size, sizeof(__u32));                               \
		__uint(value_size, sizeof(__u64));                             \
	} netstack_##ident##_latency_seconds SEC(".maps");
NETSTACKLAT_HOOKS(HISTOGRAM_MAP)

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, N_HOOKS * NETSTACKLAT_SKIP_STRIDE);
	__type(key, __u32);
	__type(value, __u64);
} netstack_skipped_total SEC(".maps");

#define HISTOGRAM_CASE(id, ident, ...)                                         \
	case HOOK_##id:                                                        \
		return &netstack_##ident##_latency_seconds;

/* hook is a constant wherever this is inlined, so the switch folds away. */
static __always_inline void *histogram_of(enum netstacklat_hook hook)
{
	switch (hook) {
		NETSTACKLAT_HOOKS(HISTOGRAM_CASE)
	default:
		return NULL;
	}
}

static __always_inline void array_add(void *map, __u32 index, __u64 amount)
{
	__u64 *slot = bpf_map_lookup_elem(map, &index);

	/*
	 * Atomic, because a task can be interrupted by a softirq that records
	 * at the same hook (TCP backlog replay). The result is not used, so
	 * this is one locked add and works on 5.10.
	 */
	if (slot)
		__sync_fetch_and_add(slot, amount);
}

#ifdef NETSTACKLAT_LOADER
/*
 * The slice of this CPU. The look-up cannot fail: there is a slice for each
 * possible CPU.
 */
static __always_inline void histogram_count(void *map, __u64 index,
					    __u64 latency)
{
	__u32 cpu = bpf_get_smp_processor_id();
	__u64 *slice = bpf_map_lookup_elem(map, &cpu);

	if (!slice)
		return;
	__sync_fetch_and_add(&slice[SUM_INDEX], latency);
	/* For the verifier, which does not know what is in the table. */
	__sync_fetch_and_add(&slice[index & (SLICE_ENTRIES - 1)], 1);
}
#else
static __always_inline void histogram_count(void *map, __u64 index,
					    __u64 latency)
{
	array_add(map, index, 1);
	array_add(map, SUM_INDEX, latency);
}
#endif

/*
 * Adds one sample, given its latency and, for the bucket, that minus one
 * (apart, because a latency of 0 is counted in bucket 0 with sum 0).
 */
static __always_inline void histogram_add(enum netstacklat_hook hook,
					  __u64 below, __u64 latency)
{
	histogram_count(histogram_of(hook), bucket_index(below), latency);
}

/*
 * Counts a program run that adds no sample; returns 0 for SEC() one-liners.
 * Not inlined: it is rare, and each program has several calls.
 */
static __noinline int skip(enum netstacklat_hook hook,
			   enum netstacklat_skip reason)
{
	__u32 index = hook * NETSTACKLAT_SKIP_STRIDE + reason;

	if (config.skip_stride)
		index = bpf_get_smp_processor_id() * config.skip_stride +
			hook * N_SKIPS + reason;
	array_add(&netstack_skipped_total, index, 1);
	return 0;
}

#endif /* NETSTACKLAT_HISTOGRAM_BPF_H */
