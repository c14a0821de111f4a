/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a hook does with a packet: record its age, or count why not. Each run
 * of a program ends in exactly one of the two, and record() is the only place
 * where a sample is added.
 *
 * An object includes five files before this. One of histogram/ says where samples
 * and skips are counted; filter.bpf.h or filter_none.bpf.h, which packets are
 * wanted; sampling.bpf.h or sampling_none.bpf.h, whether all of them are measured;
 * stages.bpf.h or stages_none.bpf.h, whether the time since the hook before is, too;
 * slow.bpf.h or slow_none.bpf.h, whether slow packets are shown.
 * A packet that is not wanted is counted as filtered whatever else there is to say
 * of it, so each function asks that first. Whether it is in the sample is asked
 * last, so that only what could have been recorded counts as sampled-out; but
 * before the mark of a transmit time, which takes long to read.
 */
#ifndef NETSTACKLAT_RECORD_BPF_H
#define NETSTACKLAT_RECORD_BPF_H

#include <bpf/bpf_endian.h>

#include "clock.bpf.h"
#include "compat.bpf.h"
#include "sample.bpf.h"
#include "tcp_hol.bpf.h"
#include "udp_note.bpf.h"

/* From the kernel's headers, which are not in BTF. */
#define MSG_PEEK 2
#define TCP_CMSG_TS 2

/*
 * Cheapest test first: one unsigned compare finds everything unusual, since a
 * clock that needs a second look makes every latency unusual. What is compared
 * is the latency minus one, as buckets are right-inclusive.
 */
static __always_inline int record_latency(const struct sample_ctx *ctx)
{
	__u64 mono = bpf_ktime_get_ns();
	__u64 latency_m1 = mono + clock.offs_fast - ctx->tstamp - 1;
	__u64 latency = latency_m1 + 1;
	__u64 *slices;

	if (latency_m1 >= MAX_NS) {
		__s64 slow = slow_latency(ctx->tstamp, mono);

		if (slow < 0)
			return skip(ctx->hook, -1 - slow);
		latency = slow;
		latency_m1 = slow - 1;
		if (!slow) {
			slices = histogram_add_zero(ctx);
			goto stage;
		}
	}
	slices = histogram_add(ctx, latency_m1, latency);
stage:
	stage_add(ctx, mono, slices);
	show_if_slow(ctx, mono, latency);
	return 0;
}

/*
 * The same in functions of their own. A program saves callee-saved registers at
 * entry if it uses them itself; a function does so only when it is called, so a
 * packet that is sampled out does not pay. Not where packets are counted by group:
 * that takes more of the packet than its timestamp. Where all packets are measured,
 * record_sampled() inlines the same, so that none pays for the call.
 */
#define RECORDS_APART (CAN_SAMPLE && !INTERFACE_MATTERS)

#define RECORD_APART(id, ident, ...)                                           \
	static __noinline int record_apart_##ident(__u64 tstamp)               \
	{                                                                      \
		struct sample_ctx ctx = {                                      \
			.hook = HOOK_##id,                                     \
			.tstamp = tstamp,                                      \
		};                                                             \
                                                                               \
		return record_latency(&ctx);                                   \
	}
NETSTACKLAT_HOOKS(RECORD_APART)

#define RECORD_CASE(id, ident, ...)                                            \
	case HOOK_##id:                                                        \
		return record_apart_##ident(ctx->tstamp);

/* hook is a constant wherever this is inlined, so the switch folds away. */
static __always_inline int record_apart(const struct sample_ctx *ctx)
{
	switch (ctx->hook) {
		NETSTACKLAT_HOOKS(RECORD_CASE)
	default:
		return 0;
	}
}

/* The latency of a packet that is in the share that is measured. */
static __always_inline int record_sampled(const struct sample_ctx *ctx,
					  __u64 limit)
{
	return RECORDS_APART && limit ? record_apart(ctx) : record_latency(ctx);
}

/* The latency, if the packet is in the share that is measured. */
static __always_inline int record(const struct sample_ctx *ctx)
{
	__u64 limit = sampling_limit();

	if (is_sampled_out(limit, ctx->tstamp))
		return skip_sampled_out(ctx->hook);
	return record_sampled(ctx, limit);
}

/* The same of a packet that has an skb, which its timestamp is read from. */
static __always_inline int record_with_skb(struct sample_ctx *ctx)
{
	ctx->tstamp = ctx->skb->tstamp;
	return record(ctx);
}

/* The same, if the user wants the packet. */
static __always_inline int record_selected(struct sample_ctx *ctx)
{
	int unwanted = selection_skip(ctx);

	if (unwanted >= 0)
		return skip_unselected(ctx->hook, unwanted);
	return record_with_skb(ctx);
}

/*
 * On the way to the socket. The timestamp is not read yet, so that a packet that is
 * not wanted does not pay for that.
 */
static __always_inline struct sample_ctx of_skb(enum netstacklat_hook hook,
						struct sk_buff *skb)
{
	return (struct sample_ctx){
		.hook = hook,
		.skb = skb,
	};
}

static __always_inline int record_skb(enum netstacklat_hook hook,
				      struct sk_buff *skb)
{
	struct sample_ctx ctx = of_skb(hook, skb);

	return record_selected(&ctx);
}

/* Where it is. */
static __always_inline struct sample_ctx
of_socket(enum netstacklat_hook hook, struct sock *sk, struct sk_buff *skb)
{
	return (struct sample_ctx){
		.hook = hook,
		.skb = skb,
		.sk = sk,
	};
}

static __always_inline int record_socket_skb(enum netstacklat_hook hook,
					     struct sock *sk,
					     struct sk_buff *skb)
{
	struct sample_ctx ctx = of_socket(hook, sk, skb);

	return record_selected(&ctx);
}

/*
 * At IP the timestamp may still be a transmit time: TCP over loopback and veth.
 * Local delivery gives such skbs a new one, so this is the only place to see
 * them, and they are counted here even when the hook itself is off.
 */
static __always_inline int record_ip_start(struct sk_buff *skb)
{
	struct sample_ctx ctx = of_skb(HOOK_IP_START, skb);
	int unwanted = selection_skip(&ctx);
	__u64 limit;

	if (unwanted >= 0)
		return skip_unselected(HOOK_IP_START, unwanted);
	ctx.tstamp = skb->tstamp;
	limit = sampling_limit();
	if (is_sampled_out(limit, ctx.tstamp))
		return skip_sampled_out(HOOK_IP_START);
	if (skb_has_tx_timestamp(skb))
		return skip(HOOK_IP_START, SKIP_TX_TIMESTAMP);
	return record_sampled(&ctx, limit);
}

/* The same for hooks that need to know, where ip-start is off. */
static __always_inline int count_tx_timestamps(struct sk_buff *skb)
{
	struct sample_ctx ctx = of_skb(HOOK_IP_START, skb);

	if (skb_has_tx_timestamp(skb) && selection_skip(&ctx) < 0 &&
	    !is_sampled_out(sampling_limit(), skb->tstamp))
		return skip(HOOK_IP_START, SKIP_TX_TIMESTAMP);
	return 0;
}

/*
 * tcp_v6_do_rcv() hands IPv4 segments of dual-stack listeners on to
 * tcp_v4_do_rcv(), whose program records them.
 */
static __always_inline int record_tcp_v6_do_rcv(struct sock *sk,
						struct sk_buff *skb)
{
	struct sample_ctx ctx = of_socket(HOOK_TCP_DO_RCV, sk, skb);
	int unwanted = selection_skip(&ctx);

	if (unwanted >= 0)
		return skip_unselected(HOOK_TCP_DO_RCV, unwanted);
	if (skb->protocol == bpf_htons(ETH_P_IP))
		return skip(HOOK_TCP_DO_RCV, SKIP_V4_MAPPED);
	return record_with_skb(&ctx);
}

/*
 * tcp_data_queue() is called for segments with neither data nor FIN too, and
 * frees them first thing.
 */
static __always_inline int record_tcp_data_queue(struct sock *sk,
						 struct sk_buff *skb)
{
	struct sample_ctx ctx = of_socket(HOOK_TCP_DATA_QUEUE, sk, skb);
	struct tcp_skb_cb *cb = (struct tcp_skb_cb *)skb->cb;
	int unwanted = selection_skip(&ctx);

	if (unwanted >= 0)
		return skip_unselected(HOOK_TCP_DATA_QUEUE, unwanted);
	if (cb->seq == cb->end_seq)
		return skip(HOOK_TCP_DATA_QUEUE, SKIP_NO_DATA);
	return record_with_skb(&ctx);
}

/*
 * The kernel says that the segment came with a timestamp, and has none: it has copied
 * the receive queue to save memory (tcp_collapse(), TCPRcvCollapsed), and timestamps
 * are not copied. A hardware timestamp would be gone, too; if there is one, the packet
 * came before software timestamps were on. Of those that are left, the share that
 * --sample measures: there is no timestamp that could decide.
 */
static __noinline int skip_unstamped_read(enum netstacklat_hook hook,
					  bool has_hardware)
{
	__u64 limit = sampling_limit();

	if (has_hardware)
		return skip(hook, SKIP_NO_TIMESTAMP);
	if (limit && bpf_get_prandom_u32() >= limit >> 32)
		return skip_sampled_out(hook);
	return skip(hook, SKIP_COLLAPSED);
}

/* A read has no skb. */
static __always_inline struct sample_ctx of_tcp_read(struct sock *sk)
{
	return (struct sample_ctx){
		.hook = HOOK_TCP_SOCKET_READ,
		.sk = sk,
	};
}

static __always_inline int record_tcp_read(struct sample_ctx *ctx,
					   struct tcp_sock *tp, __u64 tstamp)
{
	if (tp->rcv_ooopack && !config.include_hol_blocked &&
	    read_hol_blocked(tp))
		return skip(ctx->hook, SKIP_HOL_BLOCKED);
	ctx->tstamp = tstamp;
	return record(ctx);
}

/*
 * In tcp_recvmsg_locked() a timestamp was found if the caller's flags say so;
 * otherwise tss was never written. MPTCP does not come here.
 */
static __always_inline int
record_tcp_recvmsg(struct sock *sk, int flags,
		   struct scm_timestamping_internal *tss, int *cmsg_flags,
		   int copied)
{
	struct sample_ctx ctx = of_tcp_read(sk);
	int unwanted = selection_skip(&ctx);
	struct tcp_sock *tp;
	__u64 tstamp;

	if (unwanted >= 0)
		return skip_unselected(HOOK_TCP_SOCKET_READ, unwanted);
	if (copied <= 0)
		return skip(HOOK_TCP_SOCKET_READ, SKIP_NO_DATA);
	if (flags & MSG_PEEK)
		return skip(HOOK_TCP_SOCKET_READ, SKIP_PEEK);
	if (!(kernel_int(cmsg_flags) & TCP_CMSG_TS))
		return skip(HOOK_TCP_SOCKET_READ, SKIP_NO_TIMESTAMP);
	tp = known_tcp_sock(sk);
	if (!tp)
		return skip(HOOK_TCP_SOCKET_READ, SKIP_MPTCP);
	tstamp = software_timestamp(tss);
	if (!tstamp)
		return skip_unstamped_read(HOOK_TCP_SOCKET_READ,
					   hardware_timestamp(tss));
	return record_tcp_read(&ctx, tp, tstamp);
}

/*
 * Where that function cannot be attached to: reads of segments that have a
 * timestamp, MPTCP's too.
 */
static __always_inline int
record_tcp_recv_timestamp(struct sock *sk,
			  struct scm_timestamping_internal *tss)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct sample_ctx ctx = of_tcp_read(sk);
	int unwanted = selection_skip(&ctx);
	__u64 tstamp = software_timestamp(tss);

	if (unwanted >= 0)
		return skip_unselected(HOOK_TCP_SOCKET_READ, unwanted);
	if (!tp)
		return skip(HOOK_TCP_SOCKET_READ, SKIP_MPTCP);
	if (!tstamp)
		return skip_unstamped_read(HOOK_TCP_SOCKET_READ,
					   hardware_timestamp(tss));
	return record_tcp_read(&ctx, tp, tstamp);
}

/* What record_udp_enqueued() has to know, where udp-queue-rcv is off. */
static __always_inline int note_udp_skb(struct sock *sk, struct sk_buff *skb)
{
	struct sample_ctx ctx = of_socket(HOOK_UDP_QUEUE_RCV, sk, skb);

	note_udp(&ctx);
	return 0;
}

/* Notes the timestamp that it reads, for record_udp_enqueued(). */
static __always_inline int record_udp_queue_rcv(struct sock *sk,
						struct sk_buff *skb)
{
	struct sample_ctx ctx = of_socket(HOOK_UDP_QUEUE_RCV, sk, skb);
	volatile struct udp_note *note;
	int unwanted;

	/* Also of those that are not wanted: the next hook must be able to tell. */
	note = note_udp(&ctx);
	/* So that the headers are read once. */
	if (FLOW_IS_NOTED && note)
		ctx.noted_flow = &note->flow;
	unwanted = selection_skip(&ctx);
	if (unwanted >= 0)
		return skip_unselected(HOOK_UDP_QUEUE_RCV, unwanted);
	return record(&ctx);
}

/*
 * From 6.18 (b650bf0977d3) the function leaves the skb to whichever CPU empties
 * the socket's producer queues: 0 then means "handed to the socket", and it may
 * still be dropped there when the memory for UDP (net.ipv4.udp_mem) is used up.
 */
static __always_inline int record_udp_enqueued(struct sock *sk,
					       struct sk_buff *skb, int error)
{
	volatile struct udp_note *note = udp_note();
	struct sample_ctx ctx = {
		.hook = HOOK_UDP_SOCKET_ENQUEUED,
		.sk = sk,
	};
	int unwanted;

	if (!note || note->skb != skb)
		return skip(HOOK_UDP_SOCKET_ENQUEUED,
			    error ? SKIP_DROPPED : SKIP_ENTRY_MISSED);
	note->skb = NULL;
	ctx.tstamp = note->tstamp;
	if (INTERFACE_IS_NOTED)
		ctx.noted_interface = note->interface;
	ctx.noted_flow = &note->flow;
	unwanted = selection_skip(&ctx);
	if (unwanted >= 0)
		return skip_unselected(HOOK_UDP_SOCKET_ENQUEUED, unwanted);
	if (error)
		return skip(HOOK_UDP_SOCKET_ENQUEUED, SKIP_DROPPED);
	return record(&ctx);
}

/* The kernel passes the negated length when the data stays in the queue. */
static __always_inline int record_udp_read(struct sock *sk, struct sk_buff *skb,
					   int len)
{
	struct sample_ctx ctx = of_socket(HOOK_UDP_SOCKET_READ, sk, skb);
	int unwanted = selection_skip(&ctx);

	if (unwanted >= 0)
		return skip_unselected(HOOK_UDP_SOCKET_READ, unwanted);
	if (len < 0)
		return skip(HOOK_UDP_SOCKET_READ, SKIP_PEEK);
	return record_with_skb(&ctx);
}

#endif /* NETSTACKLAT_RECORD_BPF_H */
