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
#include "packet_owner.bpf.h"
#include "record.bpf.h"

/* In place of a timestamp, in ns after 1970: it was a transmit time, or there was none. */
#define NOTED_TX_TIMESTAMP 1
#define NOTED_NO_TIMESTAMP 2

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
	/*
	 * 1 more than the hook that the packet has passed last, and above that the network
	 * namespace; 0: none wants the note
	 */
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

static __always_inline __u64 passed_hook(enum netstacklat_hook hook,
					 __u32 netns)
{
	return (__u64)netns << 8 | (hook + 1);
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
	if (!tstamp)
		tstamp = NOTED_NO_TIMESTAMP;
	note->low = tag | (tstamp & NOTE_HALF_MASK);
	note->high = tag | tstamp >> NOTE_HALF_BITS;
	note->header = tag | header_hash(skb);
	note->passed = passed_hook(HOOK_IP_FORWARD, 0);
}

/*
 * The timestamp that a packet had when it passed a hook, in another network namespace
 * than this one, if one is given; 0: it did not, or the note is lost. From then on it
 * has passed another hook, or (0) nobody wants to know.
 */
static __always_inline __u64 take_forward_note(const struct sk_buff *skb,
					       enum netstacklat_hook hook,
					       __u32 other_netns, __u64 passed)
{
	__u64 number = skb_number(skb), tag = skb_tag(number), low, high;
	volatile struct forward_note *note = forward_note(number);

	if (!note || (note->passed & 0xff) != hook + 1 ||
	    (other_netns && note->passed >> 8 == other_netns))
		return 0;
	low = note->low;
	high = note->high;
	if ((low ^ tag) >> NOTE_HALF_BITS || (high ^ tag) >> NOTE_HALF_BITS ||
	    note->header != (tag | header_hash(skb)))
		return 0;
	note->passed = passed;
	return high << NOTE_HALF_BITS | (low & NOTE_HALF_MASK);
}

/*
 * The kernel has copied an skb that has passed ip-forwarded, because there was no room
 * for the header of the device. (IPv6 does so from 5.15 on, where the device needs more
 * than an Ethernet header: f1260ff15a71.)
 */
static __always_inline int move_forward_note(const struct sk_buff *from,
					     const struct sk_buff *to)
{
	__u64 number = skb_number(from), tag = skb_tag(number), low, high,
	      header;
	volatile struct forward_note *note = forward_note(number), *moved;
	__u64 passed;

	if (!to || to == from || !note)
		return 0;
	low = note->low ^ tag;
	high = note->high ^ tag;
	header = note->header ^ tag;
	passed = note->passed;
	if (low >> NOTE_HALF_BITS || high >> NOTE_HALF_BITS ||
	    header >> NOTE_HALF_BITS ||
	    (passed & 0xff) != HOOK_IP_FORWARDED + 1)
		return 0;
	note->passed = 0;
	number = skb_number(to);
	tag = skb_tag(number);
	moved = forward_note(number);
	if (!moved)
		return 0;
	moved->low = tag | low;
	moved->high = tag | high;
	moved->header = tag | header;
	moved->passed = passed;
	return 0;
}

struct net_device___forwarding {
	void *rtnl_link_ops;
} __attribute__((preserve_access_index));

struct dst_entry___forwarding {
	struct net_device___forwarding *dev;
} __attribute__((preserve_access_index));

struct sk_buff___forwarding {
	unsigned long _skb_refdst;
} __attribute__((preserve_access_index));

/*
 * Whether the packet goes out by a device without hardware, such as veth or a bridge. An
 * skb that goes out by a card is freed there, and its note would be found by whoever
 * gets it next, unless forwarded-sent takes it.
 */
static __always_inline bool goes_to_virtual_device(const struct sk_buff *skb)
{
	struct sk_buff___forwarding *with_dst = (void *)skb;
	/* The lowest bit says that there is no reference (SKB_DST_NOREF). */
	unsigned long place = with_dst->_skb_refdst & ~1UL;
	struct dst_entry___forwarding *dst = (void *)place;

	if (!place)
		return false;
	if (bpf_ksym_exists(bpf_rdonly_cast)) {
		dst = bpf_rdonly_cast(
			dst,
			bpf_core_type_id_kernel(struct dst_entry___forwarding));
		return dst->dev->rtnl_link_ops;
	}
	return BPF_CORE_READ(dst, dev, rtnl_link_ops);
}

/* The same at ip-forwarded. */
static __always_inline __u64 forwarded_timestamp(const struct sample_ctx *ctx)
{
	__u64 passed = 0;

	if (is_noting(HOOK_IP_FORWARDED) &&
	    (config.notes_to_cards || goes_to_virtual_device(ctx->skb)))
		passed = passed_hook(HOOK_IP_FORWARDED, netns_of(ctx));
	return take_forward_note(ctx->skb, HOOK_IP_FORWARD, 0, passed);
}

/* What record_ip_forwarded() has to know, where ip-forward is off. */
static __always_inline int note_ip_forward(struct sk_buff *skb)
{
	__u64 tstamp = skb->tstamp;

	/* As record_ip_forward(). */
	if (!is_sampled_out(sampling_limit(), tstamp) &&
	    skb_has_tx_timestamp(skb))
		tstamp = NOTED_TX_TIMESTAMP;
	note_forward(skb, tstamp);
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

/* A packet of which it was noted when it came, or why that is not known. */
static __always_inline int record_noted(const struct sample_ctx *ctx)
{
	int unwanted = selection_skip(ctx);

	if (unwanted >= 0)
		return skip_unselected(ctx->hook, unwanted);
	if (!ctx->tstamp)
		return skip(ctx->hook, SKIP_ENTRY_MISSED);
	if (ctx->tstamp == NOTED_TX_TIMESTAMP)
		return skip(ctx->hook, SKIP_TX_TIMESTAMP);
	if (ctx->tstamp == NOTED_NO_TIMESTAMP)
		return skip(ctx->hook, SKIP_NO_TIMESTAMP);
	return record(ctx);
}

/*
 * Packets that this host sends come to ip_output(), too, hence the cheapest test first:
 * they have come in by no interface.
 */
static __always_inline int record_ip_forwarded(struct sk_buff *skb)
{
	struct sample_ctx ctx = of_skb(HOOK_IP_FORWARDED, skb);

	if (!skb->skb_iif)
		return skip(HOOK_IP_FORWARDED, SKIP_NOT_FORWARDED);
	/* Also of packets that are not wanted: the next hook must be able to tell. */
	ctx.tstamp = forwarded_timestamp(&ctx);
	return record_noted(&ctx);
}

/*
 * Each device on its way has a queueing discipline, and the last one is a card: so what
 * a device without hardware sends is not looked at.
 */
static __always_inline int
record_forwarded_sent(struct sk_buff *skb, struct net_device___forwarding *dev)
{
	struct sample_ctx ctx = of_skb(HOOK_FORWARDED_SENT, skb);

	if (!skb->skb_iif || dev->rtnl_link_ops)
		return skip(HOOK_FORWARDED_SENT, SKIP_NOT_FORWARDED);
	ctx.tstamp = take_forward_note(skb, HOOK_IP_FORWARDED, 0, 0);
	if (!ctx.tstamp)
		return skip(HOOK_FORWARDED_SENT, SKIP_NOT_FORWARDED);
	return record_noted(&ctx);
}

/* What the inner hooks have to know, where ip-forwarded is off. */
static __always_inline int note_ip_forwarded(struct sk_buff *skb)
{
	struct sample_ctx ctx = of_skb(HOOK_IP_FORWARDED, skb);

	if (skb->skb_iif)
		forwarded_timestamp(&ctx);
	return 0;
}

#endif /* NETSTACKLAT_FORWARDING_BPF_H */
