/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The clock: what time it is on the clock that timestamped the skb.
 *
 * skb->tstamp is ktime_get_real(). The kernel's own offset between that clock
 * and CLOCK_MONOTONIC is published from update_vsyscall(), which runs on every
 * clock update and sees steps, leap seconds and TAI changes before any packet
 * can be timestamped with them.
 */
#ifndef NETSTACKLAT_CLOCK_BPF_H
#define NETSTACKLAT_CLOCK_BPF_H

#include "compat.bpf.h"
#include "config.bpf.h"

/*
 * Volatile: shared with other CPUs and with the loader. The order in which
 * fields are written and read matters after a step, and holds on x86-64; arm64
 * would need barriers here.
 */
volatile struct netstacklat_clock netstacklat_clock = {
	.offs_fast = OFFSET_UNUSABLE,
};
#define clock netstacklat_clock

volatile struct netstacklat_small_steps netstacklat_small_steps;
#define small_steps netstacklat_small_steps

/*
 * A step larger than this between what the loader published and what the
 * kernel says makes the TAI path count samples as clock-step.
 */
#define TAI_GUARD_NS 1000000LL

/*
 * Whether a step is too small to matter. A packet that it overtakes has a
 * latency that is wrong by the step; one that several overtake, by their sum.
 * None that is recorded is on its way for longer than MAX_NS, so it meets the
 * steps of two adjoining windows of that length at most: together they may be
 * no more than a small step. A step that would make them more is one that
 * matters, and after it nothing from before is recorded.
 *
 * Else a host whose hypervisor mends the clock every few seconds would have
 * every packet take the slow path for ever.
 */
static __always_inline bool is_small_step(__s64 step, __u64 mono)
{
	__u64 size = step < 0 ? -step : step;

	if (mono >= small_steps.window_end) {
		bool adjoins = mono - small_steps.window_end < MAX_NS;

		small_steps.earlier_ns = adjoins ? small_steps.window_ns : 0;
		small_steps.window_ns = 0;
		small_steps.window_end = mono + MAX_NS;
	}
	if (size + small_steps.window_ns + small_steps.earlier_ns >
	    NETSTACKLAT_SMALL_STEP_NS)
		return false;
	small_steps.window_ns += size;
	small_steps.count++;
	small_steps.sum_ns += size;
	return true;
}

/* By how much small steps may have made a latency wrong that ends now. */
static __always_inline __s64 small_step_error(__u64 mono)
{
	if (mono >= small_steps.window_end + MAX_NS)
		return 0;
	return small_steps.window_ns + small_steps.earlier_ns;
}

/*
 * A packet timestamped before a step and read after it would be off by the
 * step, so timestamps older than both the new and the old idea of "now" are
 * refused. An old idea that lies too far in the future does not count: its
 * timestamps cannot be mistaken, they give negative latencies, until they leave
 * the range.
 */
static __always_inline void clock_step(__s64 offs_real, __u64 mono)
{
	__u64 now = mono + offs_real;
	/* Small steps back may have left timestamps ahead of the old idea. */
	__u64 before = mono + clock.offs_real + small_step_error(mono);
	__u64 earlier = clock.reject_before;
	__u64 reject = now;

	if (before > reject && before <= now + MAX_NS)
		reject = before;
	if (earlier > reject && earlier <= now + MAX_NS)
		reject = earlier;
	clock.reject_before = reject;
	/* A refused timestamp is in the future by up to MAX_NS, then ages. */
	clock.settled_at = mono + 2 * MAX_NS;
	clock.steps++;
	/* Nothing that they have made wrong is recorded any more. */
	small_steps.window_ns = 0;
	small_steps.earlier_ns = 0;
}

/*
 * Called with the timekeeping lock held, at every update of the clock. In a
 * step that matters the fast offset goes first: a reader that still uses the
 * old one has a timestamp from before the step.
 */
static __always_inline void clock_publish(__s64 offs_real, __s32 tai_offset_s)
{
	__s64 tai_offset_ns = tai_offset_s * 1000000000LL;
	__u64 mono;

	if (clock.tai_offset_ns != tai_offset_ns)
		clock.tai_offset_ns = tai_offset_ns;
	if (clock.offs_fast == offs_real)
		return;
	mono = bpf_ktime_get_ns();
	if (clock.offs_real != offs_real) {
		if (!clock.offs_real) {
			clock.offs_fast = OFFSET_UNUSABLE;
		} else if (!is_small_step(offs_real - clock.offs_real, mono)) {
			clock.offs_fast = OFFSET_UNUSABLE;
			clock_step(offs_real, mono);
		}
		clock.offs_real = offs_real;
	}
	if (!clock.settled_at || mono > clock.settled_at)
		clock.offs_fast = offs_real;
}

/*
 * The latency of a timestamp for which the fast path found none in range: in
 * ns, or -1 - the reason why there is none.
 */
static __noinline __s64 slow_latency(__u64 tstamp, __u64 mono)
{
	__s64 offset = clock.offs_real;
	__s64 latency;

	if (!tstamp)
		return -1 - SKIP_NO_TIMESTAMP;
	if (!offset)
		return -1 - SKIP_CLOCK_NOT_READY;
	if (config.clock_source == NETSTACKLAT_CLOCK_TAI && HAVE_KTIME_TAI) {
		__s64 offs_tai = bpf_ktime_get_tai_ns() - mono;
		__s64 drift = offs_tai - clock.offs_tai;

		/* It has moved, and the loader has not caught up. */
		if (drift > TAI_GUARD_NS || drift < -TAI_GUARD_NS)
			return -1 - SKIP_CLOCK_STEP;
		offset = offs_tai - clock.tai_offset_ns;
	}
	if (tstamp < clock.reject_before)
		return -1 - SKIP_CLOCK_STEP;
	latency = mono + offset - tstamp;
	if (latency > (__s64)MAX_NS)
		return -1 - SKIP_OVER_RANGE;
	if (latency >= 0)
		return latency;
	if (mono < clock.settled_at)
		return -1 - SKIP_CLOCK_STEP;
	/*
	 * Another CPU's accessor of the clock lags a little, or the clock was
	 * set back a little.
	 */
	if (latency >= -NETSTACKLAT_CLOCK_LAG_NS - small_step_error(mono))
		return 0;
	return -1 - SKIP_NEGATIVE;
}

#endif /* NETSTACKLAT_CLOCK_BPF_H */
