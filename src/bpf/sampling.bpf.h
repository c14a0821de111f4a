/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Measures only a share of the packets (--sample), the same ones at every hook:
 * a hash of the timestamp decides, which is all that each hook knows of a packet
 * (a TCP read has no skb). A counter or a random number would choose other
 * packets at each hook. record() asks before it reads the clock, which is half
 * of what a hook costs.
 *
 * All bits of the timestamp go into the hash, and its high bits decide, so it does
 * not matter how coarse the clock is. After one multiplication, packets that come
 * every 100 ms to the nanosecond would all be left out for minutes; hence two
 * (src/model/sampling.rs tests it). A comparison serves every share alike.
 *
 * A packet without a timestamp has the hash 0 and is always kept: all of them are
 * counted as no-timestamp.
 */
#ifndef NETSTACKLAT_SAMPLING_BPF_H
#define NETSTACKLAT_SAMPLING_BPF_H

#include "histogram/mmap.bpf.h"
#include "types.bpf.h"

#define CAN_SAMPLE true

struct netstacklat_sampling {
	/* Packets whose hash is below this are measured; 0: all are */
	__u64 limit;
};

const volatile struct netstacklat_sampling netstacklat_sampling = {};

static __always_inline __u64 sampling_limit(void)
{
	return netstacklat_sampling.limit;
}

/* The limit is given, so that it is read once where it is asked for twice. */
static __always_inline bool is_sampled_out(__u64 limit, __u64 tstamp)
{
	__u64 hash;

	if (!limit)
		return false;
	hash = tstamp * NETSTACKLAT_SAMPLE_MULTIPLIER;
	hash ^= hash >> 32;
	return hash * NETSTACKLAT_SAMPLE_MULTIPLIER >= limit;
}

/* Packets that were left out, by CPU and hook: as netstacklat_filtered. */
volatile __u64 netstacklat_sampled_out[NETSTACKLAT_ARRIVALS]
				      [NETSTACKLAT_FILTERED_STRIDE]
	__attribute__((aligned(64)));

_Static_assert(N_HOOKS <= NETSTACKLAT_FILTERED_STRIDE, "a counter for each");

static __always_inline int skip_sampled_out(enum netstacklat_hook hook)
{
	/* 64 bits, and the barrier: as in udp_note(). */
	__u64 cpu = bpf_get_smp_processor_id();

	if (cpu >= NETSTACKLAT_ARRIVALS)
		return skip(hook, SKIP_SAMPLED_OUT);
	barrier_var(cpu);
	__sync_fetch_and_add(&netstacklat_sampled_out[cpu][hook], 1);
	return 0;
}

#endif /* NETSTACKLAT_SAMPLING_BPF_H */
