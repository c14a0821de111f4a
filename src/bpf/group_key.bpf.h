/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The group that a sample belongs to: the socket's cgroup, and the interface
 * that the packet came in by.
 */
#ifndef NETSTACKLAT_GROUP_KEY_BPF_H
#define NETSTACKLAT_GROUP_KEY_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "sample.bpf.h"

/* All bytes are a key of a map: no holes. */
struct group_key {
	/* id of the socket's cgroup (v2); 0: not known at this hook */
	__u32 cgroup;
	/* index of the interface that the packet came in by; 0: not known */
	__u32 interface;
	__u32 bucket;
};

struct cgroup___group;

struct group {
	struct group_key key;
	/* For what is asked of a new group only; NULL: not known */
	struct cgroup___group *cgroup;
};

/* include/linux/cgroup-defs.h: goes when the cgroup is removed */
#define CSS_ONLINE (1 << 1)

struct kernfs_iattrs___group {
	struct {
		unsigned int val;
	} ia_uid;
} __attribute__((preserve_access_index));

struct kernfs_node___group {
	__u64 id;
	/* NULL: nobody has changed its owner, which is root */
	struct kernfs_iattrs___group *iattr;
	/* Of a cgroup's directory: the cgroup */
	void *priv;
} __attribute__((preserve_access_index));

struct cgroup_subsys_state___group {
	unsigned int flags;
} __attribute__((preserve_access_index));

struct cgroup_root___group {
	int hierarchy_id;
} __attribute__((preserve_access_index));

struct cgroup___group {
	struct cgroup_subsys_state___group self;
	struct kernfs_node___group *kn;
	struct cgroup_root___group *root;
} __attribute__((preserve_access_index));

/* possible_net_t is an unnamed struct, which vmlinux/generate cannot pick. */
struct net_device___group {
	int ifindex;
	struct {
		struct net *net;
	} nd_net;
} __attribute__((preserve_access_index));

struct sock_common___group {
	struct {
		struct net *net;
	} skc_net;
} __attribute__((preserve_access_index));

/*
 * An index means something in its own network namespace only, and who reads it
 * sits in the first one; containers' interfaces are one group to us.
 */
static __always_inline __u32 named_interface(struct net *net, __u32 interface)
{
	if (net->net_cookie == init_net_cookie())
		return interface;
	return NETSTACKLAT_GROUP_OTHER_NETNS;
}

/* They count up from 1; a key of 12 bytes is cheaper to look up than 16. */
static __always_inline __u32 cgroup_number(__u64 id)
{
	return id < NETSTACKLAT_GROUP_OTHER ? id : NETSTACKLAT_GROUP_OTHER;
}

/* Its directory belongs to another user than root. */
static __always_inline bool is_delegated(struct cgroup___group *cgroup)
{
	struct kernfs_iattrs___group *iattr = cgroup->kn->iattr;

	return iattr && iattr->ia_uid.val;
}

/* Where the socket is not known yet, the interface is all that there is. */
static __always_inline struct group group_of(const struct sample_ctx *ctx)
{
	struct sock_common___group *common;
	struct net_device___group *device;
	struct cgroup___group *cgroup;

	if (where_it_runs(ctx->hook) < AT_SOCKET) {
		device = (void *)ctx->skb->dev;
		return (struct group){
			.key.interface = named_interface(device->nd_net.net,
							 ctx->interface),
		};
	}
	common = (void *)&ctx->sk->__sk_common;
	cgroup = (void *)ctx->sk->sk_cgrp_data.cgroup;
	return (struct group){
		.key.cgroup = cgroup_number(cgroup->kn->id),
		.key.interface =
			named_interface(common->skc_net.net, ctx->interface),
		.cgroup = cgroup,
	};
}

#endif /* NETSTACKLAT_GROUP_KEY_BPF_H */
