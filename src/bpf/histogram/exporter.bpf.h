/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps that ebpf_exporter reads, as the YAML in exporter/ describes them: a
 * metric by the name of the map, a series for each key. Nobody sets anything
 * before load, so all sizes are here.
 *
 * by_hook.bpf.h and by_group.bpf.h include this. They define what differs: the
 * names of the maps, NAME(name); the hooks, EXPORTED_HOOKS(HOOK); and the map
 * of a histogram, HISTOGRAM(name).
 */
#ifndef NETSTACKLAT_HISTOGRAM_EXPORTER_BPF_H
#define NETSTACKLAT_HISTOGRAM_EXPORTER_BPF_H

#include "clock.bpf.h"
#include "counters.bpf.h"

#define COUNTERS(kind, name, entries)                                          \
	struct {                                                               \
		__uint(type, kind);                                            \
		__uint(max_entries, entries);                                  \
		__type(key, __u32);                                            \
		__type(value, __u64);                                          \
	} name SEC(".maps");
#define PERCPU_COUNTERS(name, entries)                                         \
	COUNTERS(BPF_MAP_TYPE_PERCPU_ARRAY, name, entries)

/*
 * Skips have a map for each hook, because ebpf_exporter cuts labels out of a
 * key by bytes: in one map for all, with a byte for the hook and one for the
 * reason, nine entries of ten would be holes that each scrape reads.
 */
#define HOOK_MAPS(id, ident, ...)                                              \
	HISTOGRAM(NAME(ident##_latency_seconds))                               \
	PERCPU_COUNTERS(NAME(ident##_skipped_total), N_SKIPS)
EXPORTED_HOOKS(HOOK_MAPS)

/* Written by the clock program alone, which never runs twice at once. */
#define CLOCK_VALUES(name, entries)                                            \
	COUNTERS(BPF_MAP_TYPE_ARRAY, NAME(name), entries)
/* 1 for the state that the clock is in, CLOCK_STATE_* */
CLOCK_VALUES(clock_info, N_CLOCK_STATES)
CLOCK_VALUES(clock_steps_total, 1)
CLOCK_VALUES(clock_tai_offset_seconds, 1)
/* Stands still when the kernel calls no program: kernel.ftrace_enabled = 0 */
CLOCK_VALUES(clock_updates_total, 1)

#define HISTOGRAM_CASE(id, ident, ...)                                         \
	case HOOK_##id:                                                        \
		return &NAME(ident##_latency_seconds);
#define SKIPS_CASE(id, ident, ...)                                             \
	case HOOK_##id:                                                        \
		return &NAME(ident##_skipped_total);

/* hook is a constant wherever these are inlined, so the switch folds away. */
static __always_inline void *histogram_of(enum netstacklat_hook hook)
{
	switch (hook) {
		EXPORTED_HOOKS(HISTOGRAM_CASE)
	default:
		return NULL;
	}
}

static __always_inline void *skips_of(enum netstacklat_hook hook)
{
	switch (hook) {
		EXPORTED_HOOKS(SKIPS_CASE)
	default:
		return NULL;
	}
}

/* Not inlined: it is rare, and each program has several calls. */
static __noinline int skip_in(void *skips, enum netstacklat_skip reason)
{
	array_add(skips, reason, 1);
	return 0;
}

/* Counts a program run that adds no sample; returns 0 for SEC() one-liners. */
static __always_inline int skip(enum netstacklat_hook hook,
				enum netstacklat_skip reason)
{
	return skip_in(skips_of(hook), reason);
}

static __always_inline void clock_set(void *map, __u32 index, __u64 value)
{
	__u64 *slot = bpf_map_lookup_elem(map, &index);

	if (slot && *slot != value)
		*slot = value;
}

/* For those who scrape: what the loader reads out of the clock state. */
static __always_inline void clock_export(void)
{
	bool settled = clock.offs_fast == clock.offs_real;
	__s64 tai_offset_ns = clock.tai_offset_ns;

	array_add(&NAME(clock_updates_total), 0, 1);
	clock_set(&NAME(clock_steps_total), 0, clock.steps);
	clock_set(&NAME(clock_info), CLOCK_STATE_SETTLED, settled);
	clock_set(&NAME(clock_info), CLOCK_STATE_SETTLING, !settled);
	/* Never negative in practice; a counter could not show it. */
	clock_set(&NAME(clock_tai_offset_seconds), 0,
		  tai_offset_ns < 0 ? 0 : tai_offset_ns / 1000000000ULL);
}

#endif /* NETSTACKLAT_HISTOGRAM_EXPORTER_BPF_H */
