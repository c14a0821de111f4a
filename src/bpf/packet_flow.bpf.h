/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From whom to whom a packet goes: family, ports, addresses and receive queue.
 * They are read from the packet's headers, so that all hooks say the same of it;
 * in a TCP read, which has no packet, from the socket. "Local" is what the packet
 * is sent to, also when this host only forwards it.
 */
#ifndef NETSTACKLAT_PACKET_FLOW_BPF_H
#define NETSTACKLAT_PACKET_FLOW_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "packet_family.bpf.h"
#include "packet_headers.bpf.h"
#include "sample.bpf.h"
#include "types.bpf.h"

/* From the kernel's headers, which are not in BTF. */
#define IPPROTO_HOPOPTS 0
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define IPPROTO_ROUTING 43
#define IPPROTO_FRAGMENT 44
#define IPPROTO_DSTOPTS 60
#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8
/* Bytes of an IPv6 header. */
#define IPV6_HEADER 40
/* So many extension headers are passed over: as many as RFC 8200, 4.1, orders. */
#define MOST_EXTENSIONS 5

/* Which parts of it somebody asks for. */
struct flow_parts {
	__u32 family;
	__u32 ports;
	/* With them, the family */
	__u32 addresses;
	__u32 queue;
	/* Not of the headers: the interface */
	__u32 interface;
};

/* In .rodata, like struct filter: for filters, for groups, for either. */
struct netstacklat_flow {
	struct flow_parts filtered;
	struct flow_parts grouped;
	struct flow_parts noted;
	/* Of packets that are shown */
	struct flow_parts shown;
	/* Whether any is noted */
	__u32 note;
};

const volatile struct netstacklat_flow netstacklat_flow = {};
#define FLOW_IS_NOTED netstacklat_flow.note
#define INTERFACE_IS_NOTED netstacklat_flow.noted.interface

/*
 * Clang would load parts that this path has not written, and the verifier refuses
 * that. Hence those parts that are asked for are kept in memory, of which clang
 * does not know what it is.
 */
static __always_inline struct packet_flow *in_memory(struct packet_flow *flow)
{
	barrier_var(flow);
	return flow;
}

/*
 * Up to 6.7 the verifier loses track of constants that are stored through a copy
 * of the frame pointer (41f6f64e6999): it takes what it has seen on one path for
 * what is so on all, and removes the other branch. So what is stored there must
 * not be a constant to it. This is 0, and it does not know. In a cache line that
 * nobody writes to.
 */
volatile __u32 netstacklat_zero __attribute__((aligned(64)));

static __always_inline __u32 unknown_to_verifier(__u32 value)
{
	/* Not with "or", of which it knows the least value. */
	return value ^ netstacklat_zero;
}

struct sock_common___flow {
	__u32 skc_daddr;
	__u32 skc_rcv_saddr;
	__u16 skc_dport;
	__u16 skc_num;
	struct in6_addr___words skc_v6_daddr;
	struct in6_addr___words skc_v6_rcv_saddr;
	__u16 skc_rx_queue_mapping;
} __attribute__((preserve_access_index));

/* What the IP header says of what follows it: the result of ip_payload(). */
#define PAYLOAD_PROTOCOL(ip) ((ip)&0xff)
/* Whether it begins with ports; not in fragments after the first. */
#define PAYLOAD_HAS_PORTS(ip) ((ip) >> 8 & 1)
/* From skb->head. */
#define PAYLOAD_OFFSET(ip) ((ip) >> 16)
/* A number that is reserved: not known. */
#define PROTOCOL_UNKNOWN 255

static __always_inline bool has_ports(__u32 protocol)
{
	return protocol == IPPROTO_TCP || protocol == IPPROTO_UDP;
}

static __always_inline __u64 payload(__u32 protocol, __u64 offset,
				     bool is_fragment)
{
	__u32 ports = !is_fragment && has_ports(protocol);

	return offset << 16 | ports << 8 | protocol;
}

static __always_inline __u64 ipv4_payload(const struct sk_buff *skb,
					  __u32 network)
{
	__u32 header[3] = {};

	if (!header_words(skb, network, header, 3))
		return PROTOCOL_UNKNOWN;
	return payload(header[2] >> 8 & 0xff, network + (header[0] & 0xf) * 4,
		       bpf_ntohs(header[1] >> 16) & IPV4_FRAGMENT_OFFSET);
}

static __always_inline bool is_extension(__u32 next)
{
	return next == IPPROTO_HOPOPTS || next == IPPROTO_ROUTING ||
	       next == IPPROTO_FRAGMENT || next == IPPROTO_DSTOPTS;
}

static __always_inline __u64 ipv6_payload(const struct sk_buff *skb,
					  __u32 network)
{
	__u32 offset = network + IPV6_HEADER;
	__u32 next, word = 0, i;

	if (!header_words(skb, network + 4, &word, 1))
		return PROTOCOL_UNKNOWN;
	next = word >> 16 & 0xff;
	for (i = 0; i < MOST_EXTENSIONS; i++) {
		if (!is_extension(next))
			break;
		if (!header_words(skb, offset, &word, 1))
			return PROTOCOL_UNKNOWN;
		if (next != IPPROTO_FRAGMENT)
			offset += ((word >> 8 & 0xff) + 1) * 8;
		else if (bpf_ntohs(word >> 16) & IPV6_FRAGMENT_OFFSET)
			return payload(word & 0xff, 0, true);
		else
			offset += 8;
		next = word & 0xff;
	}
	if (is_extension(next))
		return PROTOCOL_UNKNOWN;
	return payload(next, offset, false);
}

/*
 * At IP, where the kernel has not yet found where the payload begins. Not
 * inlined: its size.
 */
static __noinline __u64 ip_payload(const struct sk_buff *skb)
{
	struct sk_buff___flow *flow = (void *)skb;

	if (!skb)
		return PROTOCOL_UNKNOWN;
	return skb->protocol == bpf_htons(ETH_P_IP)
		       ? ipv4_payload(skb, flow->network_header)
		       : ipv6_payload(skb, flow->network_header);
}

static __always_inline void read_header_ports(const struct sample_ctx *ctx,
					      struct packet_flow *flow)
{
	struct sk_buff___flow *skb = (void *)ctx->skb;
	__u32 offset, word = 0;

	if (is_at_ip(ctx->hook)) {
		__u64 ip = ip_payload(ctx->skb);

		flow->local_port = unknown_to_verifier(0);
		flow->remote_port = unknown_to_verifier(0);
		__u32 protocol = PAYLOAD_PROTOCOL(ip);

		/* A packet of another protocol is known to have no ports. */
		flow->ports_known = unknown_to_verifier(
			protocol != PROTOCOL_UNKNOWN && !has_ports(protocol));
		if (!PAYLOAD_HAS_PORTS(ip))
			return;
		offset = PAYLOAD_OFFSET(ip);
	} else {
		offset = skb->transport_header;
	}
	flow->ports_known =
		unknown_to_verifier(header_words(ctx->skb, offset, &word, 1));
	flow->remote_port = bpf_ntohs(word & 0xffff);
	flow->local_port = bpf_ntohs(word >> 16);
}

static __always_inline void copy_words(__u32 *to, const __u32 *from)
{
	__u32 i;

#pragma unroll
	for (i = 0; i < 4; i++)
		to[i] = from[i];
}

static __always_inline void no_addresses(struct packet_flow *flow)
{
	__u32 zero = unknown_to_verifier(0), i;

	flow->addresses_known = zero;
#pragma unroll
	for (i = 0; i < 4; i++)
		flow->local[i] = flow->remote[i] = zero;
}

static __always_inline void ipv4_mapped(struct packet_flow *flow, __u32 local,
					__u32 remote)
{
	__u32 zero = unknown_to_verifier(0), mark = zero ^ bpf_htonl(0xffff);

	flow->local[0] = zero;
	flow->local[1] = zero;
	flow->local[2] = mark;
	flow->local[3] = local;
	flow->remote[0] = zero;
	flow->remote[1] = zero;
	flow->remote[2] = mark;
	flow->remote[3] = remote;
}

static __always_inline void read_header_addresses(const struct sample_ctx *ctx,
						  struct packet_flow *flow)
{
	struct sk_buff___flow *skb = (void *)ctx->skb;
	__u32 network = skb->network_header;
	__u32 words[8];

	if (flow->family == 4) {
		if (!header_words(ctx->skb, network + IPV4_ADDRESSES, words, 2))
			return no_addresses(flow);
		ipv4_mapped(flow, words[1], words[0]);
	} else {
		if (!header_words(ctx->skb, network + IPV6_ADDRESSES, words, 8))
			return no_addresses(flow);
		copy_words(flow->remote, words);
		copy_words(flow->local, words + 4);
	}
	flow->addresses_known = unknown_to_verifier(true);
}

static __always_inline void read_socket_addresses(struct sock *sk,
						  struct packet_flow *flow)
{
	struct sock_common___flow *common = (void *)&sk->__sk_common;
	flow->addresses_known = unknown_to_verifier(true);
	if (bpf_core_field_exists(common->skc_v6_daddr) && flow->family == 6) {
		copy_words(flow->remote, common->skc_v6_daddr.in6_u.u6_addr32);
		copy_words(flow->local,
			   common->skc_v6_rcv_saddr.in6_u.u6_addr32);
		return;
	}
	ipv4_mapped(flow, common->skc_rcv_saddr, common->skc_daddr);
}

static __always_inline void
read_socket_flow(struct sock *sk, struct packet_flow *flow,
		 const volatile struct flow_parts *parts)
{
	struct sock_common___flow *common = (void *)&sk->__sk_common;

	if (parts->family)
		flow->family = unknown_to_verifier(family_of_socket(sk));
	if (parts->ports) {
		flow->ports_known = unknown_to_verifier(true);
		flow->local_port = common->skc_num;
		flow->remote_port = bpf_ntohs(common->skc_dport);
	}
	if (parts->queue) {
		flow->queue = unknown_to_verifier(0);
		/* 0xffff: not known */
		if (bpf_core_field_exists(common->skc_rx_queue_mapping))
			flow->queue = common->skc_rx_queue_mapping + 1;
	}
	if (parts->addresses)
		read_socket_addresses(sk, flow);
}

static __always_inline void
read_header_flow(const struct sample_ctx *ctx, struct packet_flow *flow,
		 const volatile struct flow_parts *parts)
{
	struct sk_buff___flow *skb = (void *)ctx->skb;

	if (parts->family)
		flow->family = unknown_to_verifier(family_of_skb(ctx->skb));
	/* Where a packet is sent, that is the transmit queue. */
	if (parts->queue)
		flow->queue = ctx->hook == HOOK_FORWARDED_SENT
				      ? unknown_to_verifier(0)
				      : skb->queue_mapping;
	if (parts->ports)
		read_header_ports(ctx, flow);
	if (parts->addresses)
		read_header_addresses(ctx, flow);
}

static __always_inline void copy_flow(struct packet_flow *to,
				      const volatile struct packet_flow *from,
				      const volatile struct flow_parts *parts)
{
	__u32 i;

	if (parts->family)
		to->family = from->family;
	if (parts->queue)
		to->queue = from->queue;
	if (parts->ports) {
		to->ports_known = from->ports_known;
		to->local_port = from->local_port;
		to->remote_port = from->remote_port;
	}
	if (parts->addresses) {
		to->addresses_known = from->addresses_known;
#pragma unroll
		for (i = 0; i < 4; i++) {
			to->local[i] = from->local[i];
			to->remote[i] = from->remote[i];
		}
	}
}

/* Fills in these parts; flow is in_memory(). */
static __always_inline void read_flow(const struct sample_ctx *ctx,
				      struct packet_flow *flow,
				      const volatile struct flow_parts *parts)
{
	if (is_tcp_read(ctx->hook))
		read_socket_flow(ctx->sk, flow, parts);
	else if (ctx->noted_flow)
		copy_flow(flow, ctx->noted_flow, parts);
	else
		read_header_flow(ctx, flow, parts);
}

/* The same, read now or found in the note. */
static __always_inline const struct packet_flow *
flow_of(const struct sample_ctx *ctx, struct packet_flow *room,
	const volatile struct flow_parts *parts)
{
	struct packet_flow *flow = in_memory(room);

	if (ctx->noted_flow)
		return in_memory((struct packet_flow *)ctx->noted_flow);
	read_flow(ctx, flow, parts);
	return flow;
}

/*
 * For the hook whose datagram may have been freed. Nobody else reads or writes it
 * meanwhile: the note is this CPU's, and the datagrams of a CPU come one by one.
 */
static __always_inline void note_flow(const struct sample_ctx *ctx,
				      volatile struct packet_flow *note)
{
	read_header_flow(ctx, in_memory((struct packet_flow *)note),
			 &netstacklat_flow.noted);
}

#endif /* NETSTACKLAT_PACKET_FLOW_BPF_H */
