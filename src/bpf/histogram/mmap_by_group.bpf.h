/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The loader's histograms where packets are counted apart by what they belong
 * to: their group.
 *
 * A group has a slice for each hook and CPU that its packets have passed; the
 * first packet takes it from a pool. So memory goes only where packets are, and
 * no CPU writes to the memory of another. One look-up finds the slice: the key
 * is made of CPU, hook and the group, and holds the value that the array of
 * slices is indexed by.
 *
 * When no slice is left, or there are as many groups as the user allows, packets
 * count in the histograms by hook (mmap.bpf.h): those are the group "other". So
 * every packet is in exactly one slice, and all slices together are what would
 * have been counted without groups.
 */
#ifndef NETSTACKLAT_HISTOGRAM_MMAP_BY_GROUP_BPF_H
#define NETSTACKLAT_HISTOGRAM_MMAP_BY_GROUP_BPF_H

#include "histogram/mmap.bpf.h"
#include "packet_flow.bpf.h"
#include "packet_owner.bpf.h"

#define INTERFACE_MATTERS true

/* Which parts the key of a group has; in .rodata, like struct filter. */
struct netstacklat_grouping {
	/* Whether packets are grouped at all */
	__u32 on;
	__u32 by_interface;
	/* Also with it, unless there is only one namespace to measure in */
	__u32 by_netns;
	__u32 by_cgroup;
	__u32 by_process;
	/* Whether any of the following is on */
	__u32 by_flow;
	__u32 by_local_port;
	__u32 by_remote_ip;
	__u32 by_queue;
	__u32 by_family;
};

const volatile struct netstacklat_grouping netstacklat_grouping = {};
#define grouping netstacklat_grouping

/*
 * The first word says CPU and hook. Behind it are those parts of the group that
 * are on, without gaps: a short key is found faster. The loader makes the key of
 * the map as long as that.
 */
struct slice_key {
	__u32 words[1 + NETSTACKLAT_GROUP_WORDS];
};

/* Where a slice says whose it is, behind its counters. */
#define IN_USE_INDEX NETSTACKLAT_SLICE_IN_USE
#define KEY_INDEX (IN_USE_INDEX + 1)

_Static_assert(ZEROES_INDEX < IN_USE_INDEX, "the counters come first");
_Static_assert(KEY_INDEX + 1 + NETSTACKLAT_GROUP_WORDS <= SLICE_ENTRIES,
	       "the key is in the slice");

/* The loader sets the size of the key and of all four maps. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct slice_key));
	__uint(value_size, sizeof(__u32));
} netstack_group_slots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, SLICE_ENTRIES * sizeof(__u64));
} netstack_group_slices SEC(".maps");

/* The slices that nobody uses. The loader puts them in. */
struct {
	__uint(type, BPF_MAP_TYPE_STACK);
	__uint(max_entries, 1);
	__uint(value_size, sizeof(__u32));
} netstack_free_slices SEC(".maps");

/* The groups that there are; in the place of CPU and hook is 0. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(struct slice_key));
	__uint(value_size, sizeof(__u32));
} netstack_groups SEC(".maps");

/*
 * Set when a group or a slice was not to be had: then packets of new groups need
 * not try. The loader takes it back when it has made room.
 */
volatile __u32 netstacklat_no_room;

/* Whether the group has a place, or gets one; *is_new: it has just got it. */
static __always_inline bool group_is_admitted(const struct slice_key *group,
					      bool *is_new)
{
	__u32 one = 1;

	if (bpf_map_lookup_elem(&netstack_groups, group))
		return true;
	if (!bpf_map_update_elem(&netstack_groups, group, &one, BPF_NOEXIST)) {
		*is_new = true;
		return true;
	}
	/* Another CPU was first, or there is no room. */
	return bpf_map_lookup_elem(&netstack_groups, group);
}

/*
 * Takes a slice from the pool; NULL: there is no room. On 5.10 an atomic add has
 * no result, so a map that is a stack hands out the numbers.
 *
 * Not inlined: rare.
 */
static __noinline __u64 *new_slice(struct slice_key *key)
{
	__u32 cpu_and_hook, index, i;
	bool is_new = false;
	__u64 *slice;

	if (!key || netstacklat_no_room)
		return NULL;
	cpu_and_hook = key->words[0];
	key->words[0] = 0;
	if (!group_is_admitted(key, &is_new))
		goto no_room;
	if (bpf_map_pop_elem(&netstack_free_slices, &index)) {
		/* A group without slices would never become idle. */
		if (is_new)
			bpf_map_delete_elem(&netstack_groups, key);
		goto no_room;
	}
	key->words[0] = cpu_and_hook;
	slice = bpf_map_lookup_elem(&netstack_group_slices, &index);
	if (!slice)
		return NULL;
	/*
	 * Nobody but this CPU has this key; but this may have interrupted a task
	 * that is at the same place.
	 */
	if (bpf_map_update_elem(&netstack_group_slots, key, &index,
				BPF_NOEXIST)) {
		bpf_map_push_elem(&netstack_free_slices, &index, 0);
		return NULL;
	}
#pragma unroll
	for (i = 0; i < 1 + NETSTACKLAT_GROUP_WORDS; i++)
		slice[KEY_INDEX + i] = key->words[i];
	/* At last: the reader looks at the key when it sees this. */
	__sync_fetch_and_add(&slice[IN_USE_INDEX], 1);
	return slice;
no_room:
	netstacklat_no_room = 1;
	return NULL;
}

/*
 * The barrier: clang would not write through a pointer that depends on what is
 * on, but make a copy of the rest for each place that it can have.
 */
static __always_inline __u32 *append_word(__u32 *next, __u32 word)
{
	barrier_var(next);
	*next = word;
	return next + 1;
}

static __always_inline __u32 *append_flow(__u32 *next,
					  const struct sample_ctx *ctx)
{
	struct packet_flow room, *flow = in_memory(&room);
	__u32 i;

	read_flow(ctx, flow, &netstacklat_flow.grouped);
	if (grouping.by_local_port)
		next = append_word(next, flow->local_port);
	if (grouping.by_queue)
		next = append_word(next, flow->queue);
	if (grouping.by_family)
		next = append_word(next, flow->family);
	if (grouping.by_remote_ip) {
#pragma unroll
		for (i = 0; i < 4; i++)
			next = append_word(next, flow->remote[i]);
	}
	return next;
}

static __always_inline __u64 *group_slice(const struct sample_ctx *ctx)
{
	struct slice_key key = {};
	__u32 *index, *next = key.words;

	next = append_word(next, bpf_get_smp_processor_id() << 8 | ctx->hook);
	if (grouping.by_netns)
		next = append_word(next, netns_of(ctx));
	if (grouping.by_interface)
		next = append_word(next, ctx->interface);
	if (grouping.by_cgroup)
		next = append_word(next, cgroup_id_of(ctx));
	if (grouping.by_process)
		next = append_word(next, pid_of(ctx));
	if (grouping.by_flow)
		next = append_flow(next, ctx);
	index = bpf_map_lookup_elem(&netstack_group_slots, &key);
	if (index)
		return bpf_map_lookup_elem(&netstack_group_slices, index);
	return new_slice(&key);
}

static __always_inline __u64 *slice_for(const struct sample_ctx *ctx)
{
	__u64 *slice = grouping.on ? group_slice(ctx) : NULL;

	return slice ?: slice_of(histogram_of(ctx->hook));
}

static __always_inline void histogram_add(const struct sample_ctx *ctx,
					  __u64 latency_m1, __u64 latency)
{
	slice_add(slice_for(ctx), latency_m1, latency);
}

static __always_inline void histogram_add_zero(const struct sample_ctx *ctx)
{
	slice_add_zero(slice_for(ctx));
}

#endif /* NETSTACKLAT_HISTOGRAM_MMAP_BY_GROUP_BPF_H */
