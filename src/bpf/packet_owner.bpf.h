/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose a packet is: the network namespace, the socket and the socket's cgroup. (The
 * interface: interface_of() in sample.bpf.h; the process: socket_readers.bpf.h.) Both
 * filters and groups ask this.
 */
#ifndef NETSTACKLAT_PACKET_OWNER_BPF_H
#define NETSTACKLAT_PACKET_OWNER_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "sample.bpf.h"
#include "types.bpf.h"

/* possible_net_t is an unnamed struct, which vmlinux/generate cannot pick. */
struct net___owner {
	struct {
		unsigned int inum;
	} ns;
} __attribute__((preserve_access_index));

struct net_device___owner {
	struct {
		struct net___owner *net;
	} nd_net;
} __attribute__((preserve_access_index));

struct sock_common___owner {
	volatile unsigned char skc_state;
	struct {
		struct net___owner *net;
	} skc_net;
} __attribute__((preserve_access_index));

struct sk_buff___owner {
	struct sock *sk;
} __attribute__((preserve_access_index));

/* From include/net/tcp_states.h. */
#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12

/*
 * The inode number of the network namespace, as in /proc/PID/ns/net. The
 * device's and the socket's are the same wherever both are known.
 */
static __always_inline __u32 netns_of(const struct sample_ctx *ctx)
{
	struct sock_common___owner *common;
	struct net_device___owner *device;

	if (where_it_runs(ctx->hook) >= AT_SOCKET) {
		common = (void *)&ctx->sk->__sk_common;
		return common->skc_net.net->ns.inum;
	}
	device = (void *)ctx->skb->dev;
	return device->nd_net.net->ns.inum;
}

/*
 * The socket that early demux has found, on the way through IP; NULL: none. A
 * connection that is being made, or that waits for late packets, has less than a
 * socket (sk_fullsock() in include/net/sock.h).
 */
static __always_inline struct sock *demuxed_socket(struct sk_buff *skb)
{
	struct sk_buff___owner *with_socket = (void *)skb;
	struct sock *sk = with_socket->sk;
	struct sock_common___owner *common;
	__u8 state;

	if (!sk)
		return NULL;
	common = (void *)&sk->__sk_common;
	state = common->skc_state;
	return state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV ? NULL : sk;
}

/*
 * Whether the packet's socket is known, and which it is. Asked for where it is
 * needed, so that other packets do not pay; and a socket that is there for sure
 * is not tested.
 */
static __always_inline bool find_socket(const struct sample_ctx *ctx,
					struct sock **sk)
{
	switch (where_it_runs(ctx->hook)) {
	case AT_IP:
	case BEFORE_SOCKET:
		return false;
	case EARLY_DEMUX:
		*sk = demuxed_socket(ctx->skb);
		return *sk;
	default:
		*sk = ctx->sk;
		return true;
	}
}

struct kernfs_node___owner {
	__u64 id;
} __attribute__((preserve_access_index));

struct cgroup___owner {
	int level;
	struct kernfs_node___owner *kn;
} __attribute__((preserve_access_index));

/* From 6.1 (7f203bc89eb6) a cgroup knows its ancestors themselves. */
struct cgroup___v61 {
	int level;
	struct cgroup___owner *ancestors[];
} __attribute__((preserve_access_index));

/* Before, their ids. */
struct cgroup___v60 {
	int level;
	__u64 ancestor_ids[];
} __attribute__((preserve_access_index));

/*
 * Up to 5.14 (8520e224f547) the pointer shares its word with the numbers of
 * cgroup v1, which have the lowest bit set.
 */
struct sock_cgroup_data___v514 {
	__u64 val;
} __attribute__((preserve_access_index));

/* The cgroup (v2) of the process that made the socket; NULL: not known. */
static __always_inline struct cgroup___owner *cgroup_of(struct sock *sk)
{
	struct sock_cgroup_data___v514 *v514;
	__u64 word;

	v514 = (void *)&sk->sk_cgrp_data;
	if (!bpf_core_field_exists(v514->val))
		return (void *)sk->sk_cgrp_data.cgroup;
	word = v514->val;
	return word & 1 ? NULL : (void *)word;
}

/*
 * On kernels of which the verifier knows that the above is a cgroup, plain loads
 * do; before, it is a number to it.
 */
#define CGROUP_IS_TYPED                                                        \
	(!bpf_core_field_exists(((struct sock_cgroup_data___v514 *)0)->val))

/* Ids count up from 1; those of cgroups that come after 2^31 are one group. */
static __always_inline __u32 cgroup_id_of(const struct sample_ctx *ctx)
{
	struct cgroup___owner *cgroup;
	struct sock *sk;
	__u64 id;

	if (!find_socket(ctx, &sk))
		return 0;
	cgroup = cgroup_of(sk);
	if (!cgroup)
		return 0;
	id = CGROUP_IS_TYPED ? cgroup->kn->id : BPF_CORE_READ(cgroup, kn, id);
	return id < NETSTACKLAT_GROUP_OTHER ? id : NETSTACKLAT_GROUP_OTHER;
}

/* How many cgroups are above this one. */
static __always_inline int cgroup_level(struct cgroup___owner *cgroup)
{
	return CGROUP_IS_TYPED ? cgroup->level : BPF_CORE_READ(cgroup, level);
}

/* Whether the cgroup is the one with this id, at this level, or below it. */
static __always_inline bool cgroup_is_below(struct cgroup___owner *cgroup,
					    int own_level, __u32 level,
					    __u64 id)
{
	struct cgroup___v61 *v61 = (void *)cgroup;
	struct cgroup___v60 *v60 = (void *)cgroup;
	struct cgroup___owner *ancestor = NULL;
	__u64 ancestor_id = 0;

	/* For the verifier: a path has no room for more. */
	level &= 0xffff;
	if (own_level < (int)level)
		return false;
	if (bpf_core_field_exists(v61->ancestors)) {
		bpf_core_read(&ancestor, sizeof(ancestor),
			      &v61->ancestors[level]);
		return BPF_CORE_READ(ancestor, kn, id) == id;
	}
	bpf_core_read(&ancestor_id, sizeof(ancestor_id),
		      &v60->ancestor_ids[level]);
	return ancestor_id == id;
}

#endif /* NETSTACKLAT_PACKET_OWNER_BPF_H */
