// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * netstacklat: where the programs attach. What they do is in record.bpf.h.
 *
 * ebpf_exporter attaches every program that it finds in an object, so there are
 * three objects for it: as it stands for kernels that have all functions, with
 * NETSTACKLAT_BEFORE_5_19 for older ones, and with NETSTACKLAT_GROUPS the one
 * that counts by interface and cgroup, at fewer hooks. The loader's copy, with
 * NETSTACKLAT_LOADER, has the programs for all kernels and loads some (STANDS_IN
 * and SERVES in the table).
 */
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

#ifndef NETSTACKLAT_GROUPS
SEC("fentry/ip_rcv_core")
int BPF_PROG(nsl_ip_rcv_core, struct sk_buff *skb)
{
	return record_ip(skb);
}

SEC("fentry/ip6_rcv_core")
int BPF_PROG(nsl_ip6_rcv_core, struct sk_buff *skb)
{
	return record_ip(skb);
}
#endif

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

#ifndef NETSTACKLAT_GROUPS
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
#endif

SEC("fexit/tcp_queue_rcv")
int BPF_PROG(nsl_tcp_queue_rcv, struct sock *sk, struct sk_buff *skb)
{
	return record_socket_skb(HOOK_TCP_SOCKET_ENQUEUED, sk, skb);
}

#ifndef NETSTACKLAT_BEFORE_5_19
SEC("fexit/tcp_recvmsg_locked")
int BPF_PROG(nsl_tcp_recvmsg_locked, struct sock *sk, struct msghdr *msg,
	     size_t len, int flags, struct scm_timestamping_internal *tss,
	     int *cmsg_flags, int copied)
{
	return record_tcp_recvmsg(sk, flags, tss, cmsg_flags, copied);
}
#endif

#if defined(NETSTACKLAT_LOADER) || defined(NETSTACKLAT_BEFORE_5_19)
SEC("fentry/tcp_recv_timestamp")
int BPF_PROG(nsl_tcp_recv_timestamp, struct msghdr *msg, struct sock *sk,
	     struct scm_timestamping_internal *tss)
{
	return record_tcp_recv_timestamp(sk, tss);
}
#endif

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

#ifndef NETSTACKLAT_GROUPS
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
#endif

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

#ifdef NETSTACKLAT_GROUPS
/* The tracepoint of that name would have us work with interrupts off. */
SEC("fexit/cgroup_rmdir")
int BPF_PROG(nsl_cgroup_rmdir, struct kernfs_node *kn, int error)
{
	return error ? 0 : forget_cgroup((struct kernfs_node___whose *)kn);
}

SEC("fentry/free_netdev")
int BPF_PROG(nsl_free_netdev, struct net_device *dev)
{
	return forget_interface(dev);
}
#endif

#ifdef NETSTACKLAT_LOADER
SEC("fentry/ip_rcv_core")
int BPF_PROG(nsl_for_ip_rcv_core, struct sk_buff *skb)
{
	return watch_ip(skb);
}

SEC("fentry/ip6_rcv_core")
int BPF_PROG(nsl_for_ip6_rcv_core, struct sk_buff *skb)
{
	return watch_ip(skb);
}
#endif

#if defined(NETSTACKLAT_LOADER) || defined(NETSTACKLAT_GROUPS)
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
#endif
