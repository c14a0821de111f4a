/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The loader's programs for forwarded packets, which are loaded only if asked for. */
#ifndef NETSTACKLAT_HOOKS_FORWARDING_BPF_H
#define NETSTACKLAT_HOOKS_FORWARDING_BPF_H

#include <bpf/bpf_tracing.h>

#include "forwarding.bpf.h"
#include "inner.bpf.h"

SEC("fentry/ip_forward")
int BPF_PROG(nsl_ip_forward, struct sk_buff *skb)
{
	return record_ip_forward(skb);
}

SEC("fentry/ip6_forward")
int BPF_PROG(nsl_ip6_forward, struct sk_buff *skb)
{
	return record_ip_forward(skb);
}

SEC("fentry/ip_forward")
int BPF_PROG(nsl_for_ip_forward, struct sk_buff *skb)
{
	return note_ip_forward(skb);
}

SEC("fentry/ip6_forward")
int BPF_PROG(nsl_for_ip6_forward, struct sk_buff *skb)
{
	return note_ip_forward(skb);
}

SEC("fentry/ip_output")
int BPF_PROG(nsl_ip_output, struct net *net, struct sock *sk,
	     struct sk_buff *skb)
{
	return record_ip_forwarded(skb);
}

SEC("fentry/ip6_output")
int BPF_PROG(nsl_ip6_output, struct net *net, struct sock *sk,
	     struct sk_buff *skb)
{
	return record_ip_forwarded(skb);
}

SEC("fexit/skb_expand_head")
int BPF_PROG(nsl_note_skb_expand_head, struct sk_buff *skb,
	     unsigned int headroom, struct sk_buff *copy)
{
	return move_forward_note(skb, copy);
}

SEC("tp_btf/net_dev_start_xmit")
int BPF_PROG(nsl_net_dev_start_xmit, struct sk_buff *skb,
	     struct net_device___forwarding *dev)
{
	return record_forwarded_sent(skb, dev);
}

SEC("fentry/ip_output")
int BPF_PROG(nsl_for_ip_output, struct net *net, struct sock *sk,
	     struct sk_buff *skb)
{
	return note_ip_forwarded(skb);
}

SEC("fentry/ip6_output")
int BPF_PROG(nsl_for_ip6_output, struct net *net, struct sock *sk,
	     struct sk_buff *skb)
{
	return note_ip_forwarded(skb);
}

SEC("fentry/ip_rcv_core")
int BPF_PROG(nsl_in_ip_rcv_core, struct sk_buff *skb)
{
	return record_inner_start(skb);
}

SEC("fentry/ip6_rcv_core")
int BPF_PROG(nsl_in_ip6_rcv_core, struct sk_buff *skb)
{
	return record_inner_start(skb);
}

SEC("fentry/ip_rcv_core")
int BPF_PROG(nsl_in_for_ip_rcv_core, struct sk_buff *skb)
{
	return note_inner_start(skb);
}

SEC("fentry/ip6_rcv_core")
int BPF_PROG(nsl_in_for_ip6_rcv_core, struct sk_buff *skb)
{
	return note_inner_start(skb);
}

SEC("fexit/tcp_recvmsg_locked")
int BPF_PROG(nsl_in_tcp_recvmsg_locked, struct sock *sk, struct msghdr *msg,
	     size_t len, int flags, struct scm_timestamping_internal *tss,
	     int *cmsg_flags, int copied)
{
	return record_inner_tcp_recvmsg(sk, flags, tss, cmsg_flags, copied);
}

SEC("fentry/tcp_recv_timestamp")
int BPF_PROG(nsl_in_tcp_recv_timestamp, struct msghdr *msg, struct sock *sk,
	     struct scm_timestamping_internal *tss)
{
	return record_inner_tcp_read(sk, bpf_skc_to_tcp_sock(sk),
				     software_timestamp(tss));
}

SEC("fentry/skb_consume_udp")
int BPF_PROG(nsl_in_skb_consume_udp, struct sock *sk, struct sk_buff *skb,
	     int len)
{
	return record_inner_udp_read(sk, skb, len);
}

#endif /* NETSTACKLAT_HOOKS_FORWARDING_BPF_H */
