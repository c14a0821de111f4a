/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The loader's helper programs, for hooks that need what one that is off does. */
#ifndef NETSTACKLAT_HOOKS_HELPERS_BPF_H
#define NETSTACKLAT_HOOKS_HELPERS_BPF_H

#include <bpf/bpf_tracing.h>

#include "record.bpf.h"

SEC("fentry/ip_rcv_core")
int BPF_PROG(nsl_for_ip_rcv_core, struct sk_buff *skb)
{
	return count_tx_timestamps(skb);
}

SEC("fentry/ip6_rcv_core")
int BPF_PROG(nsl_for_ip6_rcv_core, struct sk_buff *skb)
{
	return count_tx_timestamps(skb);
}

SEC("fentry/__udp_enqueue_schedule_skb")
int BPF_PROG(nsl_for___udp_enqueue_schedule_skb, struct sock *sk,
	     struct sk_buff *skb)
{
	return note_udp_skb(sk, skb);
}

#endif /* NETSTACKLAT_HOOKS_HELPERS_BPF_H */
