/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The maps of the grouped object, as exporter/netstacklat-groups.yaml describes
 * them: ebpf_exporter cuts interface, cgroup and bucket out of the key.
 */
#ifndef NETSTACKLAT_MAPS_GROUPS_BPF_H
#define NETSTACKLAT_MAPS_GROUPS_BPF_H

#include "whose.bpf.h"

/*
 * Entries for each group that is admitted and for the group of the others, so
 * that only new groups can find no room. Shared by the CPUs: per CPU they would
 * take 256 times the memory, and the scrape that time, on a host with so many.
 */
#define GROUPED_MAPS(id, ident, ...)                                           \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_HASH);                               \
		__uint(max_entries,                                            \
		       (NETSTACKLAT_MAX_GROUPS + 1) * (N_BUCKETS(0) + 1));     \
		__type(key, struct whose);                                     \
		__type(value, __u64);                                          \
	} netstack_group_##ident##_latency_seconds SEC(".maps");               \
	PERCPU_COUNTERS(netstack_group_##ident##_skipped_total, N_SKIPS)
NETSTACKLAT_GROUPED_HOOKS(GROUPED_MAPS)

/* The groups that are admitted: one for all hooks, so they agree. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NETSTACKLAT_MAX_GROUPS);
	__type(key, struct whose);
	__type(value, __u64);
} groups SEC(".maps");

#define HISTOGRAM_CASE(id, ident, ...)                                         \
	case HOOK_##id:                                                        \
		return &netstack_group_##ident##_latency_seconds;
#define SKIPS_CASE(id, ident, ...)                                             \
	case HOOK_##id:                                                        \
		return &netstack_group_##ident##_skipped_total;

static __always_inline void *histogram_of(enum netstacklat_hook hook)
{
	switch (hook) {
		NETSTACKLAT_GROUPED_HOOKS(HISTOGRAM_CASE)
	default:
		return NULL;
	}
}

static __always_inline void *skips_of(enum netstacklat_hook hook)
{
	switch (hook) {
		NETSTACKLAT_GROUPED_HOOKS(SKIPS_CASE)
	default:
		return NULL;
	}
}

/* The entry, made when it is not there; NULL when there is no room. */
static __always_inline __u64 *entry_of(void *map, const struct whose *whose)
{
	__u64 *slot = bpf_map_lookup_elem(map, whose);
	__u64 zero = 0;

	if (slot)
		return slot;
	/* Another CPU may be first: then it is there all the same. */
	bpf_map_update_elem(map, whose, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, whose);
}

/*
 * Not inlined: each program has it once, with the paths that are rare. The
 * first look-up finds the group's sum, if the group has been here before.
 */
static __noinline int grouped_add(void *map, void *skips, struct whose *whose,
				  __u32 bucket, __u64 latency)
{
	__u64 *sum, *count;

	if (!whose)
		return 0;
	whose->bucket = SUM_INDEX;
	sum = bpf_map_lookup_elem(map, whose);
	if (!sum) {
		if (!entry_of(&groups, whose)) {
			whose->cgroup = NETSTACKLAT_GROUP_OTHER;
			whose->interface = NETSTACKLAT_GROUP_OTHER;
		}
		sum = entry_of(map, whose);
	}
	whose->bucket = bucket;
	count = entry_of(map, whose);
	if (!sum || !count) {
		array_add(skips, SKIP_MAP_FULL, 1);
		return 0;
	}
	__sync_fetch_and_add(sum, latency);
	__sync_fetch_and_add(count, 1);
	return 0;
}

static __always_inline void histogram_count(enum netstacklat_hook hook,
					    __u64 index, __u64 latency,
					    struct whose *whose)
{
	grouped_add(histogram_of(hook), skips_of(hook), whose, index, latency);
}

#endif /* NETSTACKLAT_MAPS_GROUPS_BPF_H */
