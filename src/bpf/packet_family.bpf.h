/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The version of IP that a packet came by: for filters, and for groups of either kind. */
#ifndef NETSTACKLAT_PACKET_FAMILY_BPF_H
#define NETSTACKLAT_PACKET_FAMILY_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "sample.bpf.h"

/* From the kernel's headers, which are not in BTF. */
#define AF_INET6 10

struct in6_addr___words {
	union {
		__u32 u6_addr32[4];
	} in6_u;
} __attribute__((preserve_access_index));

struct sock_common___family {
	unsigned short skc_family;
	struct in6_addr___words skc_v6_daddr;
} __attribute__((preserve_access_index));

static __always_inline __u32 family_of_skb(const struct sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP) ? 4 : 6;
}

/* An IPv6 socket may have an IPv4 connection: its addresses are ::ffff:a.b.c.d. */
static __always_inline __u32 family_of_socket(struct sock *sk)
{
	struct sock_common___family *common = (void *)&sk->__sk_common;
	const __u32 *remote;

	if (common->skc_family != AF_INET6 ||
	    !bpf_core_field_exists(common->skc_v6_daddr))
		return 4;
	remote = common->skc_v6_daddr.in6_u.u6_addr32;
	return remote[0] || remote[1] || remote[2] != bpf_htonl(0xffff) ? 6 : 4;
}

/* 4 or 6. Of a datagram that may have been freed: as noted. */
static __always_inline __u32 family_of(const struct sample_ctx *ctx)
{
	if (is_tcp_read(ctx->hook))
		return family_of_socket(ctx->sk);
	if (ctx->hook == HOOK_UDP_SOCKET_ENQUEUED)
		return ctx->noted_flow->family;
	return family_of_skb(ctx->skb);
}

#endif /* NETSTACKLAT_PACKET_FAMILY_BPF_H */
