/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What the grouped object can count by besides cgroup, interface and namespace: the
 * port and IP version of a packet, and its receive queue. packet_flow.bpf.h reads
 * all that there is to know, as the loader asks for it before load; this object
 * cannot be asked, and needs no addresses and no headers.
 */
#ifndef NETSTACKLAT_GROUP_FLOW_BPF_H
#define NETSTACKLAT_GROUP_FLOW_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "group_by.bpf.h"
#include "packet_family.bpf.h"
#include "sample.bpf.h"

/* From the kernel's headers, which are not in BTF. */
#define NO_QUEUE_MAPPING 0xffff

struct sk_buff___group {
	__u16 queue_mapping;
} __attribute__((preserve_access_index));

struct sock_common___flow {
	__u16 skc_num;
	__u16 skc_rx_queue_mapping;
} __attribute__((preserve_access_index));

/* A constant. What early demux finds at tcp-start is not asked for. */
static __always_inline bool socket_is_known(const struct sample_ctx *ctx)
{
	return where_it_runs(ctx->hook) >= AT_SOCKET;
}

static __always_inline __u16 queue_of_skb(struct sk_buff *skb)
{
	return ((struct sk_buff___group *)skb)->queue_mapping;
}

/* Of the socket's last packet; as of a packet, 0: not known. */
static __always_inline __u16 queue_of_socket(struct sock *sk)
{
	struct sock_common___flow *common = (void *)&sk->__sk_common;
	__u16 queue = NO_QUEUE_MAPPING;

	if (bpf_core_field_exists(common->skc_rx_queue_mapping))
		queue = common->skc_rx_queue_mapping;
	return queue + 1;
}

/* The number of the receive queue; NETSTACKLAT_GROUP_NONE: there is none. */
static __always_inline __u32 rx_queue_of(const struct sample_ctx *ctx)
{
	__u32 queue;

	if (is_tcp_read(ctx->hook))
		queue = queue_of_socket(ctx->sk);
	else if (ctx->hook == HOOK_UDP_SOCKET_ENQUEUED)
		queue = ctx->noted_flow->queue;
	else
		queue = queue_of_skb(ctx->skb);
	return queue - 1;
}

/*
 * The port of the socket; 0 where the socket is not known yet: anybody can send
 * packets to any port, and a scan of them must not take the places of the ports
 * that there are. A client's port is made up for one connection.
 */
static __always_inline __u32 local_port_of(const struct sample_ctx *ctx)
{
	struct sock_common___flow *common;
	__u16 port;

	if (!socket_is_known(ctx))
		return 0;
	common = (void *)&ctx->sk->__sk_common;
	port = common->skc_num;
	return port < NETSTACKLAT_FIRST_EPHEMERAL_PORT
		       ? port
		       : NETSTACKLAT_GROUP_EPHEMERAL;
}

#endif /* NETSTACKLAT_GROUP_FLOW_BPF_H */
