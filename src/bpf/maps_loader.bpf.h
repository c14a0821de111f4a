/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The loader's maps: arrays that it maps into its memory, so that a report
 * takes no system calls. It sets how many entries they have.
 */
#ifndef NETSTACKLAT_MAPS_LOADER_BPF_H
#define NETSTACKLAT_MAPS_LOADER_BPF_H

#include "clock.bpf.h"

/* A value is a CPU's whole histogram, found by its number. */
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
static __always_inline void histogram_count(enum netstacklat_hook hook,
					    __u64 index, __u64 latency,
					    struct whose *whose)
{
	__u32 cpu = bpf_get_smp_processor_id();
	__u64 *slice = bpf_map_lookup_elem(histogram_of(hook), &cpu);

	if (!slice)
		return;
	__sync_fetch_and_add(&slice[SUM_INDEX], latency);
	/* For the verifier, which does not know what is in the table. */
	__sync_fetch_and_add(&slice[index & (SLICE_ENTRIES - 1)], 1);
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

static __always_inline void clock_show(void)
{
	netstacklat_clock_updates++;
}

#endif /* NETSTACKLAT_MAPS_LOADER_BPF_H */
