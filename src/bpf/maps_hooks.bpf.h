/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A histogram and skip counters for each hook, as ebpf_exporter reads them:
 * bucket index to count, per CPU, and after the last bucket the sum.
 *
 * Skips have a map for each hook, because ebpf_exporter cuts labels out of a
 * key by bytes: in one map for all, with a byte for the hook and one for the
 * reason, nine entries of ten would be holes that each scrape reads.
 */
#ifndef NETSTACKLAT_MAPS_HOOKS_BPF_H
#define NETSTACKLAT_MAPS_HOOKS_BPF_H

#define HOOK_MAPS(id, ident, ...)                                              \
	PERCPU_COUNTERS(netstack_##ident##_latency_seconds, N_BUCKETS(0) + 1)  \
	PERCPU_COUNTERS(netstack_##ident##_skipped_total, N_SKIPS)
NETSTACKLAT_HOOKS(HOOK_MAPS)

#define HISTOGRAM_CASE(id, ident, ...)                                         \
	case HOOK_##id:                                                        \
		return &netstack_##ident##_latency_seconds;
#define SKIPS_CASE(id, ident, ...)                                             \
	case HOOK_##id:                                                        \
		return &netstack_##ident##_skipped_total;

/* hook is a constant wherever these are inlined, so the switch folds away. */
static __always_inline void *histogram_of(enum netstacklat_hook hook)
{
	switch (hook) {
		NETSTACKLAT_HOOKS(HISTOGRAM_CASE)
	default:
		return NULL;
	}
}

static __always_inline void *skips_of(enum netstacklat_hook hook)
{
	switch (hook) {
		NETSTACKLAT_HOOKS(SKIPS_CASE)
	default:
		return NULL;
	}
}

static __always_inline void histogram_count(enum netstacklat_hook hook,
					    __u64 index, __u64 latency,
					    struct whose *whose)
{
	array_add(histogram_of(hook), index, 1);
	array_add(histogram_of(hook), SUM_INDEX, latency);
}

#endif /* NETSTACKLAT_MAPS_HOOKS_BPF_H */
