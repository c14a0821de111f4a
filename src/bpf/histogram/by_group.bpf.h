/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For ebpf_exporter: a histogram for each hook and group (by default interface and
 * cgroup), one bucket for each power of two. Buckets and sums of all groups of
 * a hook lie in one hash, as ebpf_exporter wants them.
 */
#ifndef NETSTACKLAT_HISTOGRAM_BY_GROUP_BPF_H
#define NETSTACKLAT_HISTOGRAM_BY_GROUP_BPF_H

#include <bpf/bpf_core_read.h>

#include "group_key.bpf.h"
#include "sample.bpf.h"

#define SUB_BITS 0
#include "histogram/bucket.bpf.h"

#define INTERFACE_MATTERS GROUP_BY_INTERFACE

#define NAME(name) netstack_group_##name
#define EXPORTED_HOOKS NETSTACKLAT_GROUPED_HOOKS
/*
 * Group and bucket to count. There is room for each group that is admitted and
 * for that of the others, so that only new groups can find none. Shared by the
 * CPUs: on a host with 256 of them it would take 256 times the memory per CPU,
 * and the scrape that time.
 */
#define HISTOGRAM(name)                                                        \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_HASH);                               \
		__uint(max_entries,                                            \
		       (NETSTACKLAT_MAX_GROUPS + 1) * (N_BUCKETS(0) + 1));     \
		__type(key, struct group_key);                                 \
		__type(value, __u64);                                          \
	} name SEC(".maps");
#include "histogram/exporter.bpf.h"
#include "histogram/group_places.bpf.h"

/* The entry, made when it is not there; NULL when there is no room. */
static __always_inline __u64 *entry_of(void *map, const struct group_key *key)
{
	__u64 *slot = bpf_map_lookup_elem(map, key);
	__u64 zero = 0;

	if (slot)
		return slot;
	/* Another CPU may be first: then it is there all the same. */
	bpf_map_update_elem(map, key, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(map, key);
}

/* A group's entries for the sum and for one bucket; NULL: there is no room. */
struct entries {
	__u64 *sum;
	__u64 *count;
};

static __always_inline struct entries
entries_of(void *map, struct group_key *key, __u32 bucket)
{
	struct entries entries;

	key->bucket = SUM_INDEX;
	entries.sum = entry_of(map, key);
	key->bucket = bucket;
	entries.count = entry_of(map, key);
	return entries;
}

/*
 * Makes what is missing of a group's entries. The group may be removed at any
 * moment, also between two lines of this. Whoever removes it deletes its place
 * first and its entries afterwards. So an entry that was made while the place
 * is still there will be deleted, and one that was made too late is deleted
 * here, and the sample goes to the others.
 */
static __always_inline struct entries
make_entries(void *map, struct group_key *key, __u32 bucket)
{
	struct entries entries = entries_of(map, key, bucket);

	if (is_others(key))
		return entries;
	key->bucket = SUM_INDEX;
	if (may_stay(bpf_map_lookup_elem(&groups, key)))
		return entries;
	bpf_map_delete_elem(map, key);
	key->bucket = bucket;
	bpf_map_delete_elem(map, key);
	join_others(key);
	return entries_of(map, key, bucket);
}

/*
 * Not inlined: each program has it once, with the paths that are rare. The
 * first look-up finds the group's sum, if the group has been here before.
 */
static __noinline int grouped_add(void *map, void *skips, struct group *group,
				  __u32 bucket, __u64 latency)
{
	struct entries entries;

	if (!group)
		return 0;
	group->key.bucket = SUM_INDEX;
	entries.sum = bpf_map_lookup_elem(map, &group->key);
	if (!entries.sum && !is_others(&group->key) &&
	    !admitted(group, latency))
		join_others(&group->key);
	group->key.bucket = bucket;
	entries.count = bpf_map_lookup_elem(map, &group->key);
	if (!entries.sum || !entries.count)
		entries = make_entries(map, &group->key, bucket);
	if (!entries.sum || !entries.count) {
		array_add(skips, SKIP_MAP_FULL, 1);
		return 0;
	}
	__sync_fetch_and_add(entries.count, 1);
	__sync_fetch_and_add(entries.sum, latency);
	return 0;
}

/* Returns what stage_add() wants, which is nothing. */
static __always_inline __u64 *histogram_add(const struct sample_ctx *ctx,
					    __u64 latency_m1, __u64 latency)
{
	struct group group = group_of(ctx);

	grouped_add(histogram_of(ctx->hook), skips_of(ctx->hook), &group,
		    bucket_index(latency_m1), latency);
	return NULL;
}

/* A latency of 0 ns, which only the lag between two CPUs' clocks produces. */
static __always_inline __u64 *histogram_add_zero(const struct sample_ctx *ctx)
{
	return histogram_add(ctx, 0, 0);
}

#endif /* NETSTACKLAT_HISTOGRAM_BY_GROUP_BPF_H */
