/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The clock: what time it is on the clock that stamped the skb.
 *
 * skb->tstamp is ktime_get_real(). The kernel's own offset between that clock
 * and CLOCK_MONOTONIC is published from update_vsyscall(), which runs on every
 * clock update and sees steps, leap seconds and TAI changes before any packet
 * can be stamped with them.
 */
#ifndef NETSTACKLAT_CLOCK_BPF_H
#define NETSTACKLAT_CLOCK_BPF_H

#include "compat.bpf.h"
#include "config.bpf.h"

/* Volatile: .bss is shared with other CPUs and with the loader. */
volatile struct netstacklat_clock netstacklat_clock;
#define clock netstacklat_clock

/*
 * A step larger than this between what the loader published and what the
 * kernel says makes the TAI path count samples as clock-step.
 */
#define TAI_GUARD_NS 1000000LL

/*
 * Called with the timekeeping lock held. A packet stamped before the step and
 * read after it would be off by the step, so every stamp older than both the
 * new and the old idea of "now" is refused. reject_before is published before
 * the offset: a reader that sees the new offset sees the bound too.
 */
static __always_inline void clock_publish(__s64 offs_real, __s32 tai_offset_s)
{
	__s64 previous = clock.offs_real;
	__s64 tai_offset_ns = tai_offset_s * 1000000000LL;

	if (clock.tai_offset_ns != tai_offset_ns)
		clock.tai_offset_ns = tai_offset_ns;
	if (previous == offs_real)
		return;
	if (previous) {
		__u64 mono = bpf_ktime_get_ns();
		__u64 now = mono + offs_real;
		__u64 before = mono + previous;
		__u64 reject = now > before ? now : before;
		__u64 earlier = clock.reject_before;

		/* A bound far in the future is left from a corrected clock. */
		if (earlier > reject && earlier <= now + MAX_NS)
			reject = earlier;
		clock.reject_before = reject;
		clock.steps++;
	}
	barrier();
	clock.offs_real = offs_real;
}

/*
 * The wall clock in ns, or 0 when it cannot be told now: the kernel's TAI
 * clock has moved against CLOCK_MONOTONIC and the loader has not caught up.
 */
static __always_inline __u64 clock_now(void)
{
	__u64 mono = bpf_ktime_get_ns();

	if (config.clock_source == NETSTACKLAT_CLOCK_TAI && HAVE_KTIME_TAI) {
		__u64 tai = bpf_ktime_get_tai_ns();
		__s64 drift = tai - mono - clock.offs_tai;

		if (drift > TAI_GUARD_NS || drift < -TAI_GUARD_NS)
			return 0;
		return tai - clock.tai_offset_ns;
	}
	return mono + clock.offs_real;
}

#endif /* NETSTACKLAT_CLOCK_BPF_H */
