/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The loader's maps: arrays that it maps into its memory, so that a report
 * takes no system calls. It sets how many entries they have. mmap_by_hook.bpf.h
 * and mmap_by_group.bpf.h include this; they say in which slice a sample counts.
 *
 * A value is a CPU's whole histogram (a slice), found by the CPU's number: the
 * buckets, the sum of the latencies, and the number of samples of 0 ns.
 *
 * The order matters to a reader that skips slices in which nothing has changed.
 * A program first adds to the bucket and then to the sum. A latency of 0 ns
 * changes no sum: it is counted in its bucket and then in the last word. A
 * reader first reads these two words and then the buckets. It may pass over the
 * buckets if the two words are what they were before it last read the buckets:
 * every sample that it has not seen changes one of the words after it has read
 * them. So no sample is missed for ever, and the reader needs no lock. Sums wrap
 * after 2^64 ns; a sum that returns to the very value is not to be feared.
 *
 * On x86-64 the adds are locked instructions, which take effect in this order
 * everywhere. On arm64 they are not ordered, hence a reader reads a slice once
 * more after it has last changed.
 */
#ifndef NETSTACKLAT_HISTOGRAM_MMAP_BPF_H
#define NETSTACKLAT_HISTOGRAM_MMAP_BPF_H

#include "clock.bpf.h"
#include "counters.bpf.h"
#include "sample.bpf.h"

#define SUB_BITS NETSTACKLAT_FINE_SUB_BITS
#include "histogram/bucket.bpf.h"

#define ZEROES_INDEX (SUM_INDEX + 1)
#define SLICE_ENTRIES NETSTACKLAT_SLICE_ENTRIES

_Static_assert(ZEROES_INDEX < SLICE_ENTRIES, "all words are in the slice");
_Static_assert(!(SLICE_ENTRIES & (SLICE_ENTRIES - 1)), "used as a mask");

#define HISTOGRAM_MAP(id, ident, ...)                                          \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_ARRAY);                              \
		__uint(map_flags, BPF_F_MMAPABLE);                             \
		__uint(max_entries, 1);                                        \
		__uint(key_size, sizeof(__u32));                               \
		__uint(value_size, SLICE_ENTRIES * sizeof(__u64));             \
	} netstack_##ident##_latency_seconds SEC(".maps");
NETSTACKLAT_HOOKS(HISTOGRAM_MAP)

/* A CPU's counters follow each other: hook by hook, reason by reason. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} netstack_skipped SEC(".maps");

/*
 * Runs of the clock program: they tell the loader that the kernel still calls
 * any (kernel.ftrace_enabled = 0 stops all in silence). Not in the cache line
 * that packets read.
 */
volatile __u64 netstacklat_clock_updates __attribute__((aligned(64)));

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

/*
 * The slice of this CPU. The look-up cannot fail: there is a slice for each
 * possible CPU.
 */
static __always_inline __u64 *slice_of(void *histogram)
{
	__u32 cpu = bpf_get_smp_processor_id();

	return bpf_map_lookup_elem(histogram, &cpu);
}

/*
 * Adds are atomic, because a task can be interrupted by a softirq that records
 * at the same hook (TCP backlog replay). The result is not used, so each is one
 * locked add and works on 5.10.
 */
static __always_inline void slice_add(__u64 *slice, __u64 latency_m1,
				      __u64 latency)
{
	__u64 index = bucket_index(latency_m1);

	if (!slice)
		return;
	/* For the verifier, which does not know what is in the table. */
	__sync_fetch_and_add(&slice[index & (SLICE_ENTRIES - 1)], 1);
	__sync_fetch_and_add(&slice[SUM_INDEX], latency);
}

/* A latency of 0 ns, which only the lag between two CPUs' clocks produces. */
static __always_inline void slice_add_zero(__u64 *slice)
{
	if (!slice)
		return;
	__sync_fetch_and_add(&slice[0], 1);
	__sync_fetch_and_add(&slice[ZEROES_INDEX], 1);
}

/*
 * Counts a program run that adds no sample; returns 0 for SEC() one-liners.
 * Not inlined: it is rare, and each program has several calls.
 */
static __noinline int skip(enum netstacklat_hook hook,
			   enum netstacklat_skip reason)
{
	__u32 cpu = bpf_get_smp_processor_id();

	array_add(&netstack_skipped,
		  cpu * config.skip_stride + hook * N_SKIPS + reason, 1);
	return 0;
}

static __always_inline void clock_export(void)
{
	netstacklat_clock_updates++;
}

#endif /* NETSTACKLAT_HISTOGRAM_MMAP_BPF_H */
