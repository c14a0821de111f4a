/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Forwarded packets. The kernel clears their timestamp when they are past the
 * FORWARD chain (skb_clear_tstamp() in ip_forward_finish(), 8203e2d844d34). So it is
 * noted at ip_forward(), and looked up by the skb at ip_output(), which all of them
 * reach next, also those that were held in a queue of netfilter.
 *
 * Notes lie in a table of slots, and two packets can come to the same slot: then the
 * later note stays. A note is several words that other CPUs may write at any time. Each
 * has a tag of the skb's address; so a word of another packet is not taken for one of
 * this, and no half of a timestamp is mixed up with another's. (A packet is in one
 * place at a time, so nobody writes its own note while it is read.)
 *
 * Slot and tag together are 46 bits of the address, mixed by a multiplication with an
 * odd number, which takes each value to another one. The lowest six bits are left
 * out: an skb is aligned to a cache line. So two skbs are taken for one another if
 * their addresses differ by an exact multiple of 2^52 bytes.
 *
 * A packet that is dropped leaves its note, and another one can get its skb. If that is
 * forwarded, it writes a note of its own. Others that have come in and are sent on (by
 * ipvs, multicast routing, or a rule that copies packets) have not; so a hash of the
 * header has to be the same, too.
 */
#ifndef NETSTACKLAT_FORWARDING_BPF_H
#define NETSTACKLAT_FORWARDING_BPF_H

#include "compat.bpf.h"
#include "packet_headers.bpf.h"
#include "record.bpf.h"

/* In place of a timestamp: it was a transmit time. (1 ns after 1970.) */
#define NOTED_TX_TIMESTAMP 1

#define SKB_ALIGNMENT_BITS 6
#define NOTE_HALF_BITS 32
#define NOTE_HALF_MASK ((1ULL << NOTE_HALF_BITS) - 1)
#define SKB_NUMBER_BITS (NETSTACKLAT_FORWARD_NOTES_BITS + NOTE_HALF_BITS)

_Static_assert(NETSTACKLAT_FORWARD_NOTES == 1 << NETSTACKLAT_FORWARD_NOTES_BITS,
	       "used as a mask");

struct forward_note {
	/* The tag, and below it half of the timestamp */
	__u64 low;
	__u64 high;
	/* The tag, and a hash of the header */
	__u64 header;
	/* 1 more than the hook that the packet has passed last; 0: none wants the note */
	__u64 passed;
};

/* The loader makes it as large as NETSTACKLAT_FORWARD_NOTES where it is used. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct forward_note);
} netstack_forward_notes SEC(".maps");

/*
 * The address of an skb, mixed, in the highest SKB_NUMBER_BITS of a word. The verifier
 * lets no pointer be shifted or multiplied, but the difference of two is a number to
 * it; the second one is the same each time.
 */
static __always_inline __u64 skb_number(const struct sk_buff *skb)
{
	__u64 address = (__u64)skb - (__u64)&netstacklat_clock;

	return (address >> SKB_ALIGNMENT_BITS) * NETSTACKLAT_SAMPLE_MULTIPLIER
	       << (64 - SKB_NUMBER_BITS);
}

static __always_inline volatile struct forward_note *forward_note(__u64 number)
{
	__u32 slot = number >> (64 - NETSTACKLAT_FORWARD_NOTES_BITS);

	return bpf_map_lookup_elem(&netstack_forward_notes, &slot);
}

/* In the upper half of a word, as in notes. */
static __always_inline __u64 skb_tag(__u64 number)
{
	return number << NETSTACKLAT_FORWARD_NOTES_BITS;
}

/* Whether another hook needs the notes of this one. */
static __always_inline bool is_noting(enum netstacklat_hook hook)
{
	return config.noting_hooks >> hook & 1;
}

/*
 * A hash of those words of the IP header that stay as they are from routing to the other
 * end of a veth pair: length, id, and the receiver's address. The hop count, the class
 * of service and (with POSTROUTING) the sender can change. 0: they are not in the
 * linear part.
 */
static __always_inline __u32 header_hash(const struct sk_buff *skb)
{
	struct sk_buff___flow *flow = (void *)skb;
	__u32 network = flow->network_header, words[2] = {}, receiver = 0;
	__u64 hash;

	if (!header_words(skb, network, words, 2))
		return 0;
	if (family_of_skb(skb) == 4) {
		/* Total length; id and fragment */
		words[0] &= bpf_htonl(0xffff);
		network += IPV4_ADDRESSES + 4;
	} else {
		/* Flow label; length and next header */
		words[0] &= bpf_htonl(0xfffff);
		words[1] &= bpf_htonl(0xffffff00);
		/* Of the address, the last word */
		network += IPV6_ADDRESSES + 28;
	}
	if (!header_words(skb, network, &receiver, 1))
		return 0;
	hash = ((__u64)words[0] << 32 | words[1]) *
	       NETSTACKLAT_SAMPLE_MULTIPLIER;
	hash = (hash ^ receiver) * NETSTACKLAT_SAMPLE_MULTIPLIER;
	return hash >> NOTE_HALF_BITS;
}

static __always_inline void note_forward(const struct sk_buff *skb,
					 __u64 tstamp)
{
	__u64 number = skb_number(skb), tag = skb_tag(number);
	volatile struct forward_note *note;

	if (!is_noting(HOOK_IP_FORWARD))
		return;
	note = forward_note(number);
	if (!note)
		return;
	note->low = tag | (tstamp & NOTE_HALF_MASK);
	note->high = tag | tstamp >> NOTE_HALF_BITS;
	note->header = tag | header_hash(skb);
	note->passed = HOOK_IP_FORWARD + 1;
}

/*
 * The timestamp that a packet had when it passed a hook; 0: it did not, or the note is
 * lost. From then on it has passed another one, or (0) nobody wants to know.
 */
static __always_inline __u64 take_forward_note(const struct sk_buff *skb,
					       enum netstacklat_hook hook,
					       __u64 passed)
{
	__u64 number = skb_number(skb), tag = skb_tag(number), low, high;
	volatile struct forward_note *note = forward_note(number);

	if (!note || note->passed != hook + 1)
		return 0;
	low = note->low;
	high = note->high;
	if ((low ^ tag) >> NOTE_HALF_BITS || (high ^ tag) >> NOTE_HALF_BITS ||
	    note->header != (tag | header_hash(skb)))
		return 0;
	note->passed = passed;
	return high << NOTE_HALF_BITS | (low & NOTE_HALF_MASK);
}

/* The same at ip-forwarded. */
static __always_inline __u64 forwarded_timestamp(const struct sk_buff *skb)
{
	return take_forward_note(
		skb, HOOK_IP_FORWARD,
		is_noting(HOOK_IP_FORWARDED) ? HOOK_IP_FORWARDED + 1 : 0);
}

/* What record_ip_forwarded() has to know, where ip-forward is off. */
static __always_inline int note_ip_forward(struct sk_buff *skb)
{
	note_forward(skb, skb_has_tx_timestamp(skb) ? NOTED_TX_TIMESTAMP
						    : skb->tstamp);
	return 0;
}

/* As record_ip_start(). TCP of local containers comes here with a transmit time. */
static __always_inline int record_ip_forward(struct sk_buff *skb)
{
	struct sample_ctx ctx = of_skb(HOOK_IP_FORWARD, skb);
	int unwanted = selection_skip(&ctx);
	__u64 limit;

	if (unwanted >= 0) {
		/* Of another namespace than that which it is forwarded to. */
		if (is_noting(HOOK_IP_FORWARDED))
			note_ip_forward(skb);
		return skip_unselected(HOOK_IP_FORWARD, unwanted);
	}
	ctx.tstamp = skb->tstamp;
	limit = sampling_limit();
	if (is_sampled_out(limit, ctx.tstamp)) {
		note_forward(skb, ctx.tstamp);
		return skip_sampled_out(HOOK_IP_FORWARD);
	}
	if (skb_has_tx_timestamp(skb)) {
		note_forward(skb, NOTED_TX_TIMESTAMP);
		return skip(HOOK_IP_FORWARD, SKIP_TX_TIMESTAMP);
	}
	note_forward(skb, ctx.tstamp);
	return record_sampled(&ctx, limit);
}

/*
 * Packets that this host sends come to ip_output(), too, hence the cheapest test first:
 * they have come in by no interface.
 */
static __always_inline int record_ip_forwarded(struct sk_buff *skb)
{
	struct sample_ctx ctx = of_skb(HOOK_IP_FORWARDED, skb);
	int unwanted;

	if (!skb->skb_iif)
		return skip(HOOK_IP_FORWARDED, SKIP_NOT_FORWARDED);
	/* Also of packets that are not wanted: the next hook must be able to tell. */
	ctx.tstamp = forwarded_timestamp(skb);
	unwanted = selection_skip(&ctx);
	if (unwanted >= 0)
		return skip_unselected(HOOK_IP_FORWARDED, unwanted);
	if (!ctx.tstamp)
		return skip(HOOK_IP_FORWARDED, SKIP_ENTRY_MISSED);
	if (ctx.tstamp == NOTED_TX_TIMESTAMP)
		return skip(HOOK_IP_FORWARDED, SKIP_TX_TIMESTAMP);
	return record(&ctx);
}

/* What the inner hooks have to know, where ip-forwarded is off. */
static __always_inline int note_ip_forwarded(struct sk_buff *skb)
{
	if (skb->skb_iif)
		forwarded_timestamp(skb);
	return 0;
}

#endif /* NETSTACKLAT_FORWARDING_BPF_H */
