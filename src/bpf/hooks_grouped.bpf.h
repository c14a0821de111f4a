/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Programs that all objects have: those of the hooks that the object which
 * counts by group has, too (NETSTACKLAT_GROUPED_HOOKS), and the clock's.
 */
#ifndef NETSTACKLAT_HOOKS_GROUPED_BPF_H
#define NETSTACKLAT_HOOKS_GROUPED_BPF_H

#include <bpf/bpf_tracing.h>

#include "record.bpf.h"

SEC("fentry/update_vsyscall")
int BPF_PROG(nsl_update_vsyscall, struct timekeeper *tk)
{
	clock_publish(tk->offs_real, tk->tai_offset);
	clock_export();
	return 0;
}

SEC("fentry/tcp_v4_rcv")
int BPF_PROG(nsl_tcp_v4_rcv, struct sk_buff *skb)
{
	return record_skb(HOOK_TCP_START, skb);
}

SEC("fentry/tcp_v6_rcv")
int BPF_PROG(nsl_tcp_v6_rcv, struct sk_buff *skb)
{
	return record_skb(HOOK_TCP_START, skb);
}

SEC("fexit/tcp_queue_rcv")
int BPF_PROG(nsl_tcp_queue_rcv, struct sock *sk, struct sk_buff *skb)
{
	return record_socket_skb(HOOK_TCP_SOCKET_ENQUEUED, sk, skb);
}

SEC("fentry/udp_rcv")
int BPF_PROG(nsl_udp_rcv, struct sk_buff *skb)
{
	return record_skb(HOOK_UDP_START, skb);
}

SEC("fentry/udpv6_rcv")
int BPF_PROG(nsl_udpv6_rcv, struct sk_buff *skb)
{
	return record_skb(HOOK_UDP_START, skb);
}

SEC("fexit/__udp_enqueue_schedule_skb")
int BPF_PROG(nsl___udp_enqueue_schedule_skb, struct sock *sk,
	     struct sk_buff *skb, int error)
{
	return record_udp_enqueued(sk, skb, error);
}

SEC("fentry/skb_consume_udp")
int BPF_PROG(nsl_skb_consume_udp, struct sock *sk, struct sk_buff *skb, int len)
{
	return record_udp_read(sk, skb, len);
}

#endif /* NETSTACKLAT_HOOKS_GROUPED_BPF_H */
