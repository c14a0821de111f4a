/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The C side of tables.h and limits.h: enums, sizes and the clock state. */
#ifndef NETSTACKLAT_TYPES_BPF_H
#define NETSTACKLAT_TYPES_BPF_H

#include "limits.h"
#include "tables.h"

#define HOOK_ENUM(id, ...) HOOK_##id,
#define SKIP_ENUM(id, ...) SKIP_##id,
#define STAGELESS_ENUM(id, ...) STAGELESS_##id,
#define STATE_ENUM(id, ...) CLOCK_STATE_##id,

enum netstacklat_hook { NETSTACKLAT_HOOKS(HOOK_ENUM) N_HOOKS };
enum netstacklat_skip { NETSTACKLAT_SKIPS(SKIP_ENUM) N_SKIPS };
enum netstacklat_stageless {
	NETSTACKLAT_STAGELESS(STAGELESS_ENUM) N_STAGELESS
};
enum { NETSTACKLAT_CLOCK_STATES(STATE_ENUM) N_CLOCK_STATES };

enum netstacklat_runs {
	NO_PACKET,
	AT_IP,
	BEFORE_SOCKET,
	EARLY_DEMUX,
	AT_SOCKET,
	IN_READER,
};

#define RUNS_CASE(id, ident, name, aliases, protocol, runs, ...)               \
	case HOOK_##id:                                                        \
		return runs;

/* Where the hook's programs run. A constant for a constant. */
static inline __attribute__((always_inline)) enum netstacklat_runs
where_it_runs(enum netstacklat_hook hook)
{
	switch (hook) {
		NETSTACKLAT_HOOKS(RUNS_CASE)
	default:
		return AT_IP;
	}
}

/* Whether that is the task that reads. */
static inline __attribute__((always_inline)) bool
is_in_reader(enum netstacklat_hook hook)
{
	return where_it_runs(hook) == IN_READER;
}

/* Whether the socket of at least some packets is known there. */
static inline __attribute__((always_inline)) bool
has_sockets(enum netstacklat_hook hook)
{
	return where_it_runs(hook) > BEFORE_SOCKET;
}

/*
 * Whether the kernel may not know yet what follows the IP header.
 */
static inline __attribute__((always_inline)) bool
is_at_ip(enum netstacklat_hook hook)
{
	return where_it_runs(hook) == AT_IP;
}

/* Whether it is a TCP read, which has no packet. */
static inline __attribute__((always_inline)) bool
is_tcp_read(enum netstacklat_hook hook)
{
	return hook == HOOK_TCP_SOCKET_READ ||
	       hook == HOOK_INNER_TCP_SOCKET_READ;
}

/* Largest sample, and the number of buckets with 2^bits of them per octave. */
#define MAX_NS (1ULL << NETSTACKLAT_MAX_BITS)
#define N_BUCKETS(bits) ((NETSTACKLAT_MAX_BITS - (bits) + 1) << (bits))

_Static_assert(N_BUCKETS(0) == 35, "ebpf_exporter reads exp2 buckets 0 to 34");
_Static_assert(N_SKIPS <= 256, "ebpf_exporter reads a reason from one byte");

/* A value of offs_fast with which no timestamp gives a latency in range. */
#define OFFSET_UNUSABLE ((__s64)(1ULL << 63))

/*
 * The clock state, shared with the loader; written by one CPU at a time (the
 * kernel's timekeeping lock, or the loader), and only when it changes: every
 * packet reads this cache line.
 */
struct netstacklat_clock {
	/*
	 * CLOCK_REALTIME - CLOCK_MONOTONIC while it can be used as it is, else
	 * OFFSET_UNUSABLE: all samples then take the slow path, which looks at
	 * the rest. So it is before the first update, after a step until no
	 * packet from before it can be in range, and always on the TAI path.
	 */
	__s64 offs_fast;
	/* CLOCK_REALTIME - CLOCK_MONOTONIC; 0 = not known yet */
	__s64 offs_real;
	/* after a step: timestamps before this wall time may be from before it */
	__u64 reject_before;
	/* CLOCK_MONOTONIC when the last step has been outlived */
	__u64 settled_at;
	/* how often offs_real has changed by more than a small step */
	__u64 steps;
	/* CLOCK_TAI - CLOCK_REALTIME */
	__s64 tai_offset_ns;
	/* TAI path: CLOCK_TAI - CLOCK_MONOTONIC as the loader last knew it */
	__s64 offs_tai;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct netstacklat_clock) == 64, "one cache line");

/*
 * Steps that are too small to matter, written by the clock program alone. Apart
 * from the above, because packets do not read it.
 */
struct netstacklat_small_steps {
	/* how many, and their sizes together, since the start */
	__u64 count;
	__u64 sum_ns;
	/* sizes in this window of MAX_NS, which ends then, and in that before */
	__u64 window_end;
	__u64 window_ns;
	__u64 earlier_ns;
} __attribute__((aligned(64)));

#endif /* NETSTACKLAT_TYPES_BPF_H */
