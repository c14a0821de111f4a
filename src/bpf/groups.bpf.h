/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counting by group, for the object that does (NETSTACKLAT_GROUPS): buckets and
 * sums of all groups of a hook lie in one hash, as ebpf_exporter wants them.
 */
#ifndef NETSTACKLAT_GROUPS_BPF_H
#define NETSTACKLAT_GROUPS_BPF_H

#include "whose.bpf.h"

/* The groups that are admitted: one for all hooks, so they agree. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NETSTACKLAT_MAX_GROUPS);
	__type(key, struct whose);
	__type(value, __u64);
} groups SEC(".maps");

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

#endif /* NETSTACKLAT_GROUPS_BPF_H */
