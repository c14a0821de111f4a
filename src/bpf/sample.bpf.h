/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What a run of a program knows of its packet: the input of record(). */
#ifndef NETSTACKLAT_SAMPLE_BPF_H
#define NETSTACKLAT_SAMPLE_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "types.bpf.h"

/*
 * From whom to whom a packet goes. packet_flow.bpf.h fills in those parts that
 * somebody asks for; the others are never written.
 */
struct packet_flow {
	/* 4 or 6 */
	__u32 family;
	bool ports_known;
	bool addresses_known;
	/* In the host's byte order; 0: the packet has none, or not known */
	__u16 local_port;
	__u16 remote_port;
	/* 1 more than the number of the receive queue; 0: not known */
	__u16 queue;
	/* In the network's byte order; IPv4 as ::ffff:a.b.c.d */
	__u32 local[4];
	__u32 remote[4];
};

/*
 * Everything is inlined, so a field that an object does not use costs nothing:
 * not even the load that fills it is left.
 */
struct sample_ctx {
	/* A constant wherever a program begins */
	enum netstacklat_hook hook;
	/* NULL: there is none (a TCP read), or it may have been freed */
	struct sk_buff *skb;
	/* Where the hook's packets have one for sure (AT_SOCKET, IN_READER) */
	struct sock *sk;
	/* When the packet entered the stack, on CLOCK_REALTIME; 0: not known */
	__u64 tstamp;
	/* What was noted on the way in, of a datagram that may have been freed */
	__u32 noted_interface;
	/* NULL: nothing was noted, or nobody asks for it */
	const volatile struct packet_flow *noted_flow;
};

/*
 * Index of the interface that the packet came in by; 0: not known. A TCP read has no
 * skb: its interface is that of the socket's last packet.
 */
static __always_inline __u32 interface_of(const struct sample_ctx *ctx)
{
	if (is_tcp_read(ctx->hook))
		return rx_interface(ctx->sk);
	/* Elsewhere nothing is noted, and this is 0. */
	if (ctx->hook == HOOK_UDP_SOCKET_ENQUEUED || ctx->noted_interface)
		return ctx->noted_interface;
	return ctx->skb->skb_iif;
}

#endif /* NETSTACKLAT_SAMPLE_BPF_H */
