// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * netstacklat by interface and cgroup, for ebpf_exporter: fewer hooks than
 * netstacklat.bpf.c, each of them dearer. For kernels from 6.1 on.
 */
#define NETSTACKLAT_GROUPS

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "record.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("fentry/update_vsyscall")
int BPF_PROG(nsl_update_vsyscall, struct timekeeper *tk)
{
	clock_publish(tk->offs_real, tk->tai_offset);
	clock_show();
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

SEC("fexit/tcp_recvmsg_locked")
int BPF_PROG(nsl_tcp_recvmsg_locked, struct sock *sk, struct msghdr *msg,
	     size_t len, int flags, struct scm_timestamping_internal *tss,
	     int *cmsg_flags, int copied)
{
	return record_tcp_recvmsg(sk, flags, tss, cmsg_flags, copied);
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

SEC("fentry/udp_queue_rcv_one_skb")
int BPF_PROG(nsl_for_udp_queue_rcv_one_skb, struct sock *sk,
	     struct sk_buff *skb)
{
	return note_udp_arrival(skb, skb->tstamp);
}

SEC("fentry/udpv6_queue_rcv_one_skb")
int BPF_PROG(nsl_for_udpv6_queue_rcv_one_skb, struct sock *sk,
	     struct sk_buff *skb)
{
	return note_udp_arrival(skb, skb->tstamp);
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
