/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stages: how long a packet took from the hook that it passed before to this one.
 *
 * A packet leaves a note at each hook, which says when it passed there. Notes are
 * found by the packet's timestamp: that is all that a TCP read knows of a packet,
 * and it survives when segments are merged. They lie in a table of slots, and two
 * packets can come to the same slot: then the later note stays, and the other
 * packet's is lost, and counted as such.
 *
 * A note is one word, so that it is written whole or not at all, whatever other
 * CPUs do meanwhile:
 *
 *   bits 40 to 63  tag: what the slot's number does not say of the timestamp
 *   bits 35 to 39  the hook
 *   bits  0 to 34  when the packet passed it: CLOCK_MONOTONIC, modulo 2^35 ns
 *
 * With 2^n slots, slot and tag together are the timestamp's low 24 + n bits, mixed
 * by a multiplication with an odd number, which takes each value to another one. So
 * a note is never taken for that of another packet, but of one whose timestamp
 * differs by a multiple of 2^(24 + n) ns: 17 s with the fewest slots.
 *
 * The time is on the monotonic clock, so a step of the wall clock changes no stage.
 * What is recorded is at most 2^34 ns old, so 35 bits are enough.
 */
#ifndef NETSTACKLAT_STAGES_BPF_H
#define NETSTACKLAT_STAGES_BPF_H

#include "histogram/mmap.bpf.h"
#include "types.bpf.h"

#define NOTE_HOOK_BITS NETSTACKLAT_NOTE_HOOK_BITS
#define NOTE_TIME_BITS NETSTACKLAT_NOTE_TIME_BITS
#define NOTE_TAG_SHIFT (NOTE_TIME_BITS + NOTE_HOOK_BITS)
#define NOTE_TAG_BITS (64 - NOTE_TAG_SHIFT)
#define NOTE_TIME_MASK ((1ULL << NOTE_TIME_BITS) - 1)
#define NOTE_HOOKS (1 << NOTE_HOOK_BITS)

_Static_assert(NOTE_TAG_BITS == 24, "as above");
_Static_assert(NETSTACKLAT_MAX_BITS < NOTE_TIME_BITS, "no stage is ambiguous");
_Static_assert(N_HOOKS < NOTE_HOOKS, "one number is left for NOTE_SHARED");

/* In place of the hook: several packets have this timestamp. */
#define NOTE_SHARED (NOTE_HOOKS - 1)

/* A place in the table of notes. */
struct note_slot {
	/* The packet's last note */
	__u64 last;
	/*
	 * Where slow packets are shown: the note that it left at each hook, by the
	 * hook's place on the path. Each word has its own tag, so that a word of
	 * another packet is not taken for one of this.
	 */
	__u64 way[NETSTACKLAT_WAY_NOTES];
};

_Static_assert(sizeof(struct note_slot) == 64, "a cache line");

/* What the loader knows of stages; in .rodata. */
struct netstacklat_stages {
	/* Number of slots less one; 0: no stages are measured */
	__u32 slot_mask;
	/* Whether slots have a way */
	__u32 ways;
	/* By hook, NETSTACKLAT_NOTE_BEGINS or _MAY_BEGIN: whether packets begin there */
	__u8 begins[NETSTACKLAT_NOTE_HOOKS];
	/* By hook: whether another one comes behind, which wants a note */
	__u8 notes[NETSTACKLAT_NOTE_HOOKS];
	/* By hook: how many hooks are before it on its path */
	__u8 place[NETSTACKLAT_NOTE_HOOKS];
	/* By hook: how many stages end there */
	__u8 ending[NETSTACKLAT_NOTE_HOOKS];
	/*
	 * Of the stage that ends at the first hook and begins at the second, the number
	 * among those that end there, from 1; NETSTACKLAT_NO_STAGE: packets do not go
	 * that way
	 */
	__u8 number[N_HOOKS][NETSTACKLAT_NOTE_HOOKS];
};

_Static_assert(NETSTACKLAT_NOTE_HOOKS == NOTE_HOOKS, "what a note can name");

const volatile struct netstacklat_stages netstacklat_stages = {};
#define stages netstacklat_stages

/* The loader sets how many there are, and makes them a word long without ways. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(struct note_slot));
} netstack_notes SEC(".maps");

/* Packets that were recorded without a stage: by cause, CPU and hook, see filter.bpf.h. */
volatile __u64 netstacklat_stageless[N_STAGELESS][NETSTACKLAT_ARRIVALS]
				    [NETSTACKLAT_FILTERED_STRIDE]
	__attribute__((aligned(64)));

/* Not inlined: rare. */
static __noinline int count_stageless(enum netstacklat_hook hook,
				      enum netstacklat_stageless cause)
{
	/* 64 bits, and the barriers: as in udp_note(). CPUs beyond share a place. */
	__u64 cpu = bpf_get_smp_processor_id() % NETSTACKLAT_ARRIVALS;
	__u64 row = hook, table = cause;

	if (row >= NETSTACKLAT_FILTERED_STRIDE || table >= N_STAGELESS)
		return 0;
	barrier_var(row);
	barrier_var(table);
	__sync_fetch_and_add(&netstacklat_stageless[table][cpu][row], 1);
	return 0;
}

/* Adds a stage that took so long, which is out of the ordinary. Not inlined: rare. */
static __noinline int stage_add_unusual(enum netstacklat_hook hook,
					__u64 *slice, __u64 time)
{
	/* The clock of the other CPU is ahead by its lag, and 0 is 0. */
	if (time && time < (1ULL << NOTE_TIME_BITS) - NETSTACKLAT_CLOCK_LAG_NS)
		return count_stageless(hook, STAGELESS_NOTE_LOST);
	slice_add_zero(slice);
	return 0;
}

static __always_inline __u64 mixed_timestamp(__u64 tstamp)
{
	return tstamp * NETSTACKLAT_SAMPLE_MULTIPLIER;
}

static __always_inline volatile struct note_slot *note_slot(__u64 mixed,
							    __u32 slot_mask)
{
	__u32 slot = mixed >> NOTE_TAG_BITS & slot_mask;

	return bpf_map_lookup_elem(&netstack_notes, &slot);
}

static __always_inline void leave_note(volatile struct note_slot *slot,
				       enum netstacklat_hook hook, __u64 tag,
				       __u64 time)
{
	__u64 note = tag | (__u64)hook << NOTE_TIME_BITS | time;

	slot->last = note;
	if (KEEPS_WAYS && stages.ways &&
	    stages.place[hook] < NETSTACKLAT_WAY_NOTES)
		slot->way[stages.place[hook]] = note;
}

/*
 * Adds the stage that ends here, and leaves a note for the next. Only packets that
 * are recorded come here: each has a stage, or begins here, or is counted as one
 * without.
 *
 * The histograms of stages follow the hook's own in each CPU's value, so that one
 * look-up finds both: slices is where the hook's own begins.
 */
static __always_inline void stage_add(const struct sample_ctx *ctx, __u64 mono,
				      __u64 *slices)
{
	__u64 mixed, tag, seen, time, number, ending;
	__u32 slot_mask = stages.slot_mask;
	volatile struct note_slot *slot;

	if (!slot_mask || !slices)
		return;
	mixed = mixed_timestamp(ctx->tstamp);
	tag = mixed << NOTE_TAG_SHIFT;
	slot = note_slot(mixed, slot_mask);
	if (!slot)
		return;
	seen = slot->last;
	time = mono & NOTE_TIME_MASK;
	if ((seen ^ tag) >> NOTE_TAG_SHIFT) {
		if (stages.begins[ctx->hook] != NETSTACKLAT_NOTE_BEGINS)
			count_stageless(ctx->hook,
					stages.begins[ctx->hook]
						? STAGELESS_BEGUN
						: STAGELESS_NOTE_LOST);
		if (stages.notes[ctx->hook])
			leave_note(slot, ctx->hook, tag, time);
		return;
	}
	number = stages.number[ctx->hook]
			      [seen >> NOTE_TIME_BITS & (NOTE_HOOKS - 1)];
	ending = stages.ending[ctx->hook];
	/* As in udp_note(): a test of 64 bits. */
	barrier_var(number);
	if (number > ending) {
		slot->last = tag | (__u64)NOTE_SHARED << NOTE_TIME_BITS;
		count_stageless(ctx->hook, STAGELESS_SAME_TIMESTAMP);
		return;
	}
	if (stages.notes[ctx->hook])
		leave_note(slot, ctx->hook, tag, time);
	time = (time - seen) & NOTE_TIME_MASK;
	slices += number * SLICE_ENTRIES;
	if (time - 1 >= MAX_NS) {
		stage_add_unusual(ctx->hook, slices, time);
		return;
	}
	slice_add(slices, time - 1, time);
}

#endif /* NETSTACKLAT_STAGES_BPF_H */
