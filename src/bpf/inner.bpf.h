/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forwarded packets behind a veth pair: in a container, or another namespace. The
 * kernel gives them a new timestamp there, so the usual hooks measure from there. These
 * measure from when the packet entered the host.
 *
 * The skb stays the same on its way through the pair. So the note of ip-forwarded is
 * found by it at IP in the other namespace, if the header is the same, too: that skb may
 * be another packet's by now, if the one that was noted has been sent elsewhere.
 *
 * From there to the read, it is found by its new timestamp, as notes of stages are: that
 * is all that a TCP read knows. Two packets with the same timestamp are told as such, and
 * neither is measured at the read.
 */
#ifndef NETSTACKLAT_INNER_BPF_H
#define NETSTACKLAT_INNER_BPF_H

#include "forwarding.bpf.h"

#define ORIGIN_NUMBER_BITS (NETSTACKLAT_ORIGIN_NOTES_BITS + NOTE_HALF_BITS)

_Static_assert(NETSTACKLAT_ORIGIN_NOTES == 1 << NETSTACKLAT_ORIGIN_NOTES_BITS,
	       "used as a mask");

/*
 * When a packet entered the host, by the timestamp that it got behind the veth pair.
 * Each word has a tag of that, and half of when the packet entered; the same as struct
 * forward_note. Slot and tag together are 46 bits of the timestamp: 19 hours.
 */
struct origin_note {
	__u64 low;
	__u64 high;
};

/* The loader makes it as large as NETSTACKLAT_ORIGIN_NOTES where it is used. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct origin_note);
} netstack_origin_notes SEC(".maps");

/* In place of when it entered the host: several packets have this timestamp. */
#define ORIGIN_SHARED 1

static __always_inline __u64 origin_number(__u64 tstamp)
{
	return tstamp * NETSTACKLAT_SAMPLE_MULTIPLIER
	       << (64 - ORIGIN_NUMBER_BITS);
}

static __always_inline volatile struct origin_note *origin_note(__u64 number)
{
	__u32 slot = number >> (64 - NETSTACKLAT_ORIGIN_NOTES_BITS);

	return bpf_map_lookup_elem(&netstack_origin_notes, &slot);
}

/* When the packet with this timestamp entered the host; 0: not known. */
static __always_inline __u64 origin_of(__u64 tstamp)
{
	__u64 number = origin_number(tstamp), tag, low, high;
	volatile struct origin_note *note = origin_note(number);

	if (!note)
		return 0;
	tag = number << NETSTACKLAT_ORIGIN_NOTES_BITS;
	low = note->low;
	high = note->high;
	if ((low ^ tag) >> NOTE_HALF_BITS || (high ^ tag) >> NOTE_HALF_BITS)
		return 0;
	return high << NOTE_HALF_BITS | (low & NOTE_HALF_MASK);
}

static __always_inline void note_origin(__u64 tstamp, __u64 entered)
{
	__u64 number = origin_number(tstamp), tag, known;
	volatile struct origin_note *note;

	if (!is_noting(HOOK_INNER_IP_START) || !tstamp)
		return;
	note = origin_note(number);
	if (!note)
		return;
	known = origin_of(tstamp);
	if (known && known != entered)
		entered = ORIGIN_SHARED;
	tag = number << NETSTACKLAT_ORIGIN_NOTES_BITS;
	note->low = tag | (entered & NOTE_HALF_MASK);
	note->high = tag | entered >> NOTE_HALF_BITS;
}

/* When a packet that comes to IP entered the host; 0: it has not been forwarded. */
static __always_inline __u64 entered_host(const struct sample_ctx *ctx)
{
	return take_forward_note(ctx->skb, HOOK_IP_FORWARDED, netns_of(ctx), 0);
}

static __always_inline int record_inner_start(struct sk_buff *skb)
{
	struct sample_ctx ctx = of_skb(HOOK_INNER_IP_START, skb);
	__u64 entered = entered_host(&ctx);

	if (!entered)
		return skip(HOOK_INNER_IP_START, SKIP_NOT_FORWARDED);
	if (entered > NOTED_NO_TIMESTAMP)
		note_origin(skb->tstamp, entered);
	ctx.tstamp = entered;
	return record_noted(&ctx);
}

/* What the reads have to know, where inner-ip-start is off. */
static __always_inline int note_inner_start(struct sk_buff *skb)
{
	struct sample_ctx ctx = of_skb(HOOK_INNER_IP_START, skb);
	__u64 entered = entered_host(&ctx);

	if (entered > NOTED_NO_TIMESTAMP)
		note_origin(skb->tstamp, entered);
	return 0;
}

static __always_inline int record_inner_udp_read(struct sock *sk,
						 struct sk_buff *skb, int len)
{
	struct sample_ctx ctx = of_socket(HOOK_INNER_UDP_SOCKET_READ, sk, skb);
	__u64 entered = origin_of(skb->tstamp);
	int unwanted;

	if (entered <= ORIGIN_SHARED)
		return skip(HOOK_INNER_UDP_SOCKET_READ, SKIP_NOT_FORWARDED);
	unwanted = selection_skip(&ctx);
	if (unwanted >= 0)
		return skip_unselected(HOOK_INNER_UDP_SOCKET_READ, unwanted);
	if (len < 0)
		return skip(HOOK_INNER_UDP_SOCKET_READ, SKIP_PEEK);
	ctx.tstamp = entered;
	return record(&ctx);
}

/* A read of TCP whose last segment has this timestamp. */
static __always_inline int
record_inner_tcp_read(struct sock *sk, struct tcp_sock *tp, __u64 tstamp)
{
	struct sample_ctx ctx = {
		.hook = HOOK_INNER_TCP_SOCKET_READ,
		.sk = sk,
	};
	__u64 entered = origin_of(tstamp);
	int unwanted;

	if (entered <= ORIGIN_SHARED)
		return skip(HOOK_INNER_TCP_SOCKET_READ, SKIP_NOT_FORWARDED);
	unwanted = selection_skip(&ctx);
	if (unwanted >= 0)
		return skip_unselected(HOOK_INNER_TCP_SOCKET_READ, unwanted);
	if (!tp)
		return skip(HOOK_INNER_TCP_SOCKET_READ, SKIP_MPTCP);
	return record_tcp_read(&ctx, tp, entered);
}

static __always_inline int
record_inner_tcp_recvmsg(struct sock *sk, int flags,
			 struct scm_timestamping_internal *tss, int *cmsg_flags,
			 int copied)
{
	if (copied <= 0)
		return skip(HOOK_INNER_TCP_SOCKET_READ, SKIP_NO_DATA);
	if (flags & MSG_PEEK)
		return skip(HOOK_INNER_TCP_SOCKET_READ, SKIP_PEEK);
	if (!(kernel_int(cmsg_flags) & TCP_CMSG_TS))
		return skip(HOOK_INNER_TCP_SOCKET_READ, SKIP_NOT_FORWARDED);
	return record_inner_tcp_read(sk, known_tcp_sock(sk),
				     software_timestamp(tss));
}

#endif /* NETSTACKLAT_INNER_BPF_H */
