/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a hook does with a packet: record its age, or count why not. Each run
 * of a program ends in exactly one of the two.
 */
#ifndef NETSTACKLAT_RECORD_BPF_H
#define NETSTACKLAT_RECORD_BPF_H

#include <bpf/bpf_endian.h>

#include "clock.bpf.h"
#include "compat.bpf.h"
#include "histogram.bpf.h"
#include "holblock.bpf.h"
#include "whose.bpf.h"

/* From the kernel's headers, which are not in BTF. */
#define MSG_PEEK 2
#define TCP_CMSG_TS 2
#define ETH_P_IP 0x0800

/*
 * Cheapest test first: one unsigned compare finds everything unusual, since a
 * clock that needs a second look makes every latency unusual.
 */
static __always_inline int record_since(enum netstacklat_hook hook,
					__u64 tstamp, struct whose whose)
{
	__u64 mono = bpf_ktime_get_ns();
	__u64 below = mono + clock.offs_fast - tstamp - 1;
	__u64 latency = below + 1;

	if (below >= MAX_NS) {
		__s64 slow = slow_latency(tstamp, mono);

		if (slow < 0)
			return skip(hook, -1 - slow);
		latency = slow;
		below = slow ? slow - 1 : 0;
	}
	histogram_add(hook, below, latency, &whose);
	return 0;
}

/*
 * At IP a stamp may still be a transmit time: TCP over loopback and veth.
 * Local delivery re-stamps such skbs, so this is the only place to see them,
 * and they are counted here even when the hook itself is off.
 */
static __always_inline int record_ip(struct sk_buff *skb)
{
	if (skb_has_tx_stamp(skb))
		return skip(HOOK_IP_START, SKIP_TX_TIMESTAMP);
	return record_since(HOOK_IP_START, skb->tstamp, whose_skb(skb));
}

static __always_inline int watch_ip(struct sk_buff *skb)
{
	if (skb_has_tx_stamp(skb))
		return skip(HOOK_IP_START, SKIP_TX_TIMESTAMP);
	return 0;
}

static __always_inline int record_skb(enum netstacklat_hook hook,
				      struct sk_buff *skb)
{
	return record_since(hook, skb->tstamp, whose_skb(skb));
}

/* Where the socket is known. */
static __always_inline int record_socket_skb(enum netstacklat_hook hook,
					     struct sock *sk,
					     struct sk_buff *skb)
{
	return record_since(hook, skb->tstamp,
			    whose_sock(sk, SKB_INTERFACE(skb)));
}

/*
 * tcp_v6_do_rcv() hands IPv4 segments of dual-stack listeners on to
 * tcp_v4_do_rcv(), whose program records them.
 */
static __always_inline int record_tcp_v6_do_rcv(struct sock *sk,
						struct sk_buff *skb)
{
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return skip(HOOK_TCP_DO_RCV, SKIP_V4_MAPPED);
	return record_socket_skb(HOOK_TCP_DO_RCV, sk, skb);
}

/*
 * tcp_data_queue() is called for segments with neither data nor FIN too, and
 * frees them first thing.
 */
static __always_inline int record_tcp_data_queue(struct sock *sk,
						 struct sk_buff *skb)
{
	struct tcp_skb_cb *cb = (struct tcp_skb_cb *)skb->cb;

	if (cb->seq == cb->end_seq)
		return skip(HOOK_TCP_DATA_QUEUE, SKIP_NO_DATA);
	return record_socket_skb(HOOK_TCP_DATA_QUEUE, sk, skb);
}

static __always_inline int record_tcp_read(struct sock *sk, struct tcp_sock *tp,
					   __u64 tstamp)
{
	if (tp->rcv_ooopack && read_hol_blocked(tp))
		return skip(HOOK_TCP_SOCKET_READ, SKIP_HOL_BLOCKED);
	return record_since(HOOK_TCP_SOCKET_READ, tstamp,
			    whose_sock(sk, SOCK_INTERFACE(sk)));
}

/*
 * In tcp_recvmsg_locked() a stamp was found if the caller's flags say so;
 * otherwise tss was never written. MPTCP does not come here.
 */
static __always_inline int
record_tcp_recvmsg(struct sock *sk, int flags,
		   struct scm_timestamping_internal *tss, int *cmsg_flags,
		   int copied)
{
	struct tcp_sock *tp;

	if (copied <= 0)
		return skip(HOOK_TCP_SOCKET_READ, SKIP_NO_DATA);
	if (flags & MSG_PEEK)
		return skip(HOOK_TCP_SOCKET_READ, SKIP_PEEK);
	if (!(kernel_int(cmsg_flags) & TCP_CMSG_TS))
		return skip(HOOK_TCP_SOCKET_READ, SKIP_NO_TIMESTAMP);
	tp = known_tcp_sock(sk);
	if (!tp)
		return skip(HOOK_TCP_SOCKET_READ, SKIP_MPTCP);
	return record_tcp_read(sk, tp, software_stamp(tss));
}

/* Where that function cannot be attached to: stamped reads, MPTCP's too. */
static __always_inline int
record_tcp_recv_timestamp(struct sock *sk,
			  struct scm_timestamping_internal *tss)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);

	if (!tp)
		return skip(HOOK_TCP_SOCKET_READ, SKIP_MPTCP);
	return record_tcp_read(sk, tp, software_stamp(tss));
}

/*
 * When __udp_enqueue_schedule_skb() returns, a reader on another CPU may have
 * freed the skb (seen: 2 in 200,000). So its stamp is noted on the way in, by
 * the program at udp_queue_rcv_one_skb(), which every such skb passes on the
 * same CPU with softirqs off.
 */
struct udp_arrival {
	struct sk_buff *skb;
	__u64 tstamp;
	__u32 interface;
} __attribute__((aligned(64)));

/* By CPU; for those beyond, datagrams are not recorded there (entry-missed). */
volatile struct udp_arrival udp_arrivals[NETSTACKLAT_ARRIVALS];

static __always_inline volatile struct udp_arrival *udp_arrival(void)
{
	/* 64 bits: 5.10 does not conclude from a 32-bit test on an index. */
	__u64 cpu = bpf_get_smp_processor_id();

	if (cpu >= NETSTACKLAT_ARRIVALS)
		return NULL;
	/* Lest clang computes the address before the test. */
	barrier_var(cpu);
	return &udp_arrivals[cpu];
}

#ifdef NETSTACKLAT_GROUPS
#define note_interface(arrival, skb) ((arrival)->interface = (skb)->skb_iif)
#else
#define note_interface(arrival, skb)
#endif

static __always_inline int note_udp_arrival(struct sk_buff *skb, __u64 tstamp)
{
	volatile struct udp_arrival *arrival = udp_arrival();

	if (arrival) {
		arrival->skb = skb;
		arrival->tstamp = tstamp;
		note_interface(arrival, skb);
	}
	return 0;
}

static __always_inline int record_udp_queue_rcv(struct sock *sk,
						struct sk_buff *skb)
{
	__u64 tstamp = skb->tstamp;

	note_udp_arrival(skb, tstamp);
	return record_since(HOOK_UDP_QUEUE_RCV, tstamp,
			    whose_sock(sk, SKB_INTERFACE(skb)));
}

/*
 * From 6.18 (b650bf0977d3) the function leaves the skb to whichever CPU empties
 * the socket's producer queues: 0 then means "handed to the socket", and it may
 * still be dropped there when the memory for UDP (net.ipv4.udp_mem) is used up.
 */
static __always_inline int record_udp_enqueued(struct sock *sk,
					       struct sk_buff *skb, int error)
{
	volatile struct udp_arrival *arrival = udp_arrival();

	if (error)
		return skip(HOOK_UDP_SOCKET_ENQUEUED, SKIP_DROPPED);
	if (!arrival || arrival->skb != skb)
		return skip(HOOK_UDP_SOCKET_ENQUEUED, SKIP_ENTRY_MISSED);
	arrival->skb = NULL;
	return record_since(HOOK_UDP_SOCKET_ENQUEUED, arrival->tstamp,
			    whose_sock(sk, arrival->interface));
}

/* The kernel passes the negated length when the data stays in the queue. */
static __always_inline int record_udp_read(struct sock *sk, struct sk_buff *skb,
					   int len)
{
	if (len < 0)
		return skip(HOOK_UDP_SOCKET_READ, SKIP_PEEK);
	return record_socket_skb(HOOK_UDP_SOCKET_READ, sk, skb);
}

#endif /* NETSTACKLAT_RECORD_BPF_H */
