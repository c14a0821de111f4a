/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The NET_RX softirq, by CPU: how long it waits from when it is raised until it runs,
 * and how long a run takes.
 *
 * NET_RX is raised each time that a driver, RPS or loopback has packets, also while it
 * waits, and while it runs. So the first time since the last run began counts. All
 * ways to raise a softirq pass the tracepoint.
 *
 * A run takes all that was raised before it, and the kernel runs it once more for what
 * was raised between its decision to run softirqs and the beginning of the run. Nothing
 * has then waited, and the run is counted as not-raised.
 */
#ifndef NETSTACKLAT_SOFTIRQ_BPF_H
#define NETSTACKLAT_SOFTIRQ_BPF_H

#include "record.bpf.h"

/* The number of the softirq: the kernel's enum has no name, so BTF cannot tell it. */
#define NET_RX_SOFTIRQ 3

/* Of a CPU: CLOCK_MONOTONIC; 0: not raised since it last began; not running. */
struct softirq_times {
	__u64 raised_at;
	__u64 began_at;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct softirq_times);
} netstack_softirq_times SEC(".maps");

/* An interrupt can write them at any time. */
static __always_inline volatile struct softirq_times *softirq_times(void)
{
	__u32 first = 0;

	return bpf_map_lookup_elem(&netstack_softirq_times, &first);
}

/*
 * Adds the time since then, which is not that of a packet, and forgets it; or counts why
 * it is not known. No filter, group or stage applies. An interrupt can write the time
 * between the read and the write here: what is raised then belongs to this run.
 */
static __always_inline int record_since(enum netstacklat_hook hook,
					volatile __u64 *since,
					enum netstacklat_skip if_unknown)
{
	__u64 *slice = slice_of(histogram_of(hook)), then, ns, ns_m1;

	then = since ? *since : 0;
	if (!then)
		return skip(hook, if_unknown);
	*since = 0;
	ns = bpf_ktime_get_ns() - then;
	ns_m1 = ns - 1;
	/* As record_latency(): the verifier must see the bound of what is looked up. */
	if (ns_m1 < MAX_NS) {
		slice_add(slice, ns_m1, ns_m1 + 1);
		return 0;
	}
	if (ns)
		return skip(hook, SKIP_OVER_RANGE);
	slice_add_zero(slice);
	return 0;
}

static __always_inline int note_softirq_raised(unsigned int number)
{
	volatile struct softirq_times *times;

	if (number != NET_RX_SOFTIRQ)
		return 0;
	times = softirq_times();
	if (times && !times->raised_at)
		times->raised_at = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int record_softirq_wait(void)
{
	volatile struct softirq_times *times = softirq_times();

	return record_since(HOOK_RX_SOFTIRQ_WAIT,
			    times ? &times->raised_at : NULL, SKIP_NOT_RAISED);
}

static __always_inline int note_softirq_began(void)
{
	volatile struct softirq_times *times = softirq_times();

	if (times)
		times->began_at = bpf_ktime_get_ns();
	return 0;
}

static __always_inline int record_softirq_run(void)
{
	volatile struct softirq_times *times = softirq_times();

	return record_since(HOOK_NET_RX_ACTION, times ? &times->began_at : NULL,
			    SKIP_ENTRY_MISSED);
}

/* Tasks poll with softirqs off, so the softirq does not run on this CPU then. */
static __always_inline int note_napi_poll(int packets)
{
	volatile struct softirq_times *times = softirq_times();

	if (packets > 0 && times && !times->began_at)
		return skip(HOOK_NET_RX_ACTION, SKIP_POLLED_ELSEWHERE);
	return 0;
}

#endif /* NETSTACKLAT_SOFTIRQ_BPF_H */
