/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Where the programs attach: one line each. What they do is in record.bpf.h.
 * These are the primary programs of all hooks, but for those that not every
 * supported kernel takes (tcp_read*.bpf.h).
 */
#ifndef NETSTACKLAT_HOOKS_BPF_H
#define NETSTACKLAT_HOOKS_BPF_H

#include <bpf/bpf_tracing.h>

#include "hooks_grouped.bpf.h"
#include "record.bpf.h"

SEC("fentry/ip_rcv_core")
int BPF_PROG(nsl_ip_rcv_core, struct sk_buff *skb)
{
	return record_ip_start(skb);
}

SEC("fentry/ip6_rcv_core")
int BPF_PROG(nsl_ip6_rcv_core, struct sk_buff *skb)
{
	return record_ip_start(skb);
}

SEC("fentry/tcp_v4_do_rcv")
int BPF_PROG(nsl_tcp_v4_do_rcv, struct sock *sk, struct sk_buff *skb)
{
	return record_socket_skb(HOOK_TCP_DO_RCV, sk, skb);
}

SEC("fentry/tcp_v6_do_rcv")
int BPF_PROG(nsl_tcp_v6_do_rcv, struct sock *sk, struct sk_buff *skb)
{
	return record_tcp_v6_do_rcv(sk, skb);
}

SEC("fentry/tcp_data_queue")
int BPF_PROG(nsl_tcp_data_queue, struct sock *sk, struct sk_buff *skb)
{
	return record_tcp_data_queue(sk, skb);
}

SEC("fentry/udp_queue_rcv_one_skb")
int BPF_PROG(nsl_udp_queue_rcv_one_skb, struct sock *sk, struct sk_buff *skb)
{
	return record_udp_queue_rcv(sk, skb);
}

SEC("fentry/udpv6_queue_rcv_one_skb")
int BPF_PROG(nsl_udpv6_queue_rcv_one_skb, struct sock *sk, struct sk_buff *skb)
{
	return record_udp_queue_rcv(sk, skb);
}

#endif /* NETSTACKLAT_HOOKS_BPF_H */
