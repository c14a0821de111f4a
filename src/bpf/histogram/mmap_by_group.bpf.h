/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The loader's histograms where packets are counted apart by what they belong
 * to: their group.
 *
 * A group has a slice for each hook and CPU that its packets have passed; the
 * first packet takes it from a pool. So memory goes only where packets are, and
 * no CPU writes to the memory of another. A hash finds the slice: the key is made
 * of CPU, hook and the group, and holds the value that the array of slices is
 * indexed by. Most packets need no such look-up, as each CPU remembers where it has
 * counted of late.
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
#include "socket_readers.bpf.h"

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
	/* Words of a key, with the one that says CPU and hook */
	__u32 key_words;
};

const volatile struct netstacklat_grouping netstacklat_grouping = {};
#define grouping netstacklat_grouping

/*
 * The first word says CPU and hook, and is not 0: a slice where it is 0 is nobody's.
 * Behind it are those parts of the group that are on, without gaps: a short key is
 * found faster. The loader makes the key of the map as long as that.
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

/*
 * Numbers of slices in which each CPU has counted of late, by a hash of the key. What
 * is there is only a guess: the slice says whose it is. The loader makes that nobody's
 * before it gives a slice to others.
 */
struct recent_slices {
	/* The one that was found later first */
	__u32 slices[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct recent_slices);
} netstack_recent_slices SEC(".maps");

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
	__u32 cpu_and_hook, index, words, i;
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
	words = grouping.key_words;
#pragma unroll
	for (i = 1; i < 1 + NETSTACKLAT_GROUP_WORDS; i++)
		if (i < words)
			slice[KEY_INDEX + i] = key->words[i];
	/* This word is written after the others: a guess compares the whole key. */
	*(volatile __u64 *)&slice[KEY_INDEX] = cpu_and_hook;
	/* At last: the reader looks at the key when it sees this. */
	__sync_fetch_and_add(&slice[IN_USE_INDEX], 1);
	return slice;
no_room:
	netstacklat_no_room = 1;
	return NULL;
}

/* Whether the slice is the one of this key. */
static __always_inline bool is_slice_of(const __u64 *slice,
					const struct slice_key *key)
{
	__u32 words = grouping.key_words, i;

#pragma unroll
	for (i = 0; i < 1 + NETSTACKLAT_GROUP_WORDS; i++)
		if (i < words && slice[KEY_INDEX + i] != key->words[i])
			return false;
	return true;
}

/* The slice with this number, if it is the one of this key; else NULL. */
static __always_inline __u64 *guessed_slice(const __u32 *index,
					    const struct slice_key *key)
{
	__u64 *slice = bpf_map_lookup_elem(&netstack_group_slices, index);

	return slice && is_slice_of(slice, key) ? slice : NULL;
}

/* The slice of a key that is not the first in its place. Not inlined: rare. */
static __noinline __u64 *search_slice(struct slice_key *key,
				      struct recent_slices *recent)
{
	__u32 *found, index;
	__u64 *slice;

	if (!key || !recent)
		return NULL;
	slice = guessed_slice(&recent->slices[1], key);
	if (slice)
		return slice;
	found = bpf_map_lookup_elem(&netstack_group_slots, key);
	if (!found)
		return new_slice(key);
	index = *found;
	recent->slices[1] = recent->slices[0];
	recent->slices[0] = index;
	/*
	 * The slice is asked here, too: the entry may belong to another key by now, or
	 * this program has interrupted a task that is about to write the slice's key.
	 */
	return guessed_slice(&index, key);
}

/* A key that is being written, and the hash of what has been. */
struct key_writer {
	__u32 *next;
	__u64 hash;
};

/*
 * The barrier: clang would not write through a pointer that depends on what is
 * on, but make a copy of the rest for each place that it can have.
 */
static __always_inline void append_word(struct key_writer *key, __u32 word)
{
	__u32 *next = key->next;

	barrier_var(next);
	*next = word;
	key->next = next + 1;
	key->hash = (key->hash ^ word) * NETSTACKLAT_SAMPLE_MULTIPLIER;
}

static __always_inline void append_flow(struct key_writer *key,
					const struct sample_ctx *ctx)
{
	const struct packet_flow *flow;
	struct packet_flow room;
	__u32 i;

	flow = flow_of(ctx, &room, &netstacklat_flow.grouped);
	if (grouping.by_local_port)
		append_word(key, flow->local_port);
	if (grouping.by_queue)
		append_word(key, flow->queue);
	if (grouping.by_family)
		append_word(key, flow->family);
	if (grouping.by_remote_ip) {
#pragma unroll
		for (i = 0; i < 4; i++)
			append_word(key, flow->remote[i]);
	}
}

static __always_inline __u64 *group_slice(const struct sample_ctx *ctx)
{
	struct slice_key room, *key = &room;
	__u32 cpu = bpf_get_smp_processor_id(), place;
	struct recent_slices *recent;
	struct key_writer writer;
	__u64 *slice;

	/* As in_memory(): words that are off are never written. */
	barrier_var(key);
	writer = (struct key_writer){.next = key->words};
	append_word(&writer, cpu << 8 | (ctx->hook + 1));
	if (grouping.by_netns)
		append_word(&writer, netns_of(ctx));
	if (grouping.by_interface)
		append_word(&writer, interface_of(ctx));
	if (grouping.by_cgroup)
		append_word(&writer, cgroup_id_of(ctx));
	if (grouping.by_process)
		append_word(&writer, pid_of(ctx));
	if (grouping.by_flow)
		append_flow(&writer, ctx);
	place = cpu * NETSTACKLAT_RECENT_SLICES +
		(writer.hash >> (64 - NETSTACKLAT_RECENT_SLICES_BITS));
	recent = bpf_map_lookup_elem(&netstack_recent_slices, &place);
	if (!recent)
		return NULL;
	slice = guessed_slice(&recent->slices[0], key);
	return slice ?: search_slice(key, recent);
}

static __always_inline __u64 *slice_for(const struct sample_ctx *ctx)
{
	__u64 *slice = grouping.on ? group_slice(ctx) : NULL;

	return slice ?: slice_of(histogram_of(ctx->hook));
}

/*
 * Gives back where the histograms of stages are, for stage_add(): there are none by
 * group.
 */
static __always_inline __u64 *histogram_add(const struct sample_ctx *ctx,
					    __u64 latency_m1, __u64 latency)
{
	__u64 *slices = slice_for(ctx);

	slice_add(slices, latency_m1, latency);
	return grouping.on ? NULL : slices;
}

static __always_inline __u64 *histogram_add_zero(const struct sample_ctx *ctx)
{
	__u64 *slices = slice_for(ctx);

	slice_add_zero(slices);
	return grouping.on ? NULL : slices;
}

#endif /* NETSTACKLAT_HISTOGRAM_MMAP_BY_GROUP_BPF_H */
