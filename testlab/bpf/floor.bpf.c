// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * What a program costs that does nothing, and one that only reads the stamp
 * and the clock: the floors that the hooks of netstacklat are measured above.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("fentry/udp_rcv")
int BPF_PROG(empty_fentry, struct sk_buff *skb)
{
	return 0;
}

SEC("fexit/__udp_enqueue_schedule_skb")
int BPF_PROG(empty_fexit, struct sock *sk, struct sk_buff *skb, int error)
{
	return 0;
}

SEC("fentry/udpv6_rcv")
int BPF_PROG(clock_read, struct sk_buff *skb)
{
	/* Volatile: the result is not used, and must not be left out. */
	volatile __u64 age = bpf_ktime_get_ns() - skb->tstamp;

	(void)age;
	return 0;
}
