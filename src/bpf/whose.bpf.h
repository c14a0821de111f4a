/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose packet: the group that a sample belongs to. Only the object that counts
 * by group (NETSTACKLAT_GROUPS) asks; in the others nothing is left of this.
 */
#ifndef NETSTACKLAT_WHOSE_BPF_H
#define NETSTACKLAT_WHOSE_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "types.bpf.h"

#ifdef NETSTACKLAT_GROUPS
/* All bytes are a key of a map: no holes. */
struct group_key {
	/* id of the socket's cgroup (v2); 0: not known at this hook */
	__u32 cgroup;
	/* index of the interface that the packet came in by; 0: not known */
	__u32 interface;
	__u32 bucket;
};

struct cgroup___whose;

struct whose {
	struct group_key key;
	/* For what is asked of a new group only; NULL: not known */
	struct cgroup___whose *cgroup;
};

/* include/linux/cgroup-defs.h: goes when the cgroup is removed */
#define CSS_ONLINE (1 << 1)

struct kernfs_iattrs___whose {
	struct {
		unsigned int val;
	} ia_uid;
} __attribute__((preserve_access_index));

struct kernfs_node___whose {
	__u64 id;
	/* NULL: nobody has changed its owner, which is root */
	struct kernfs_iattrs___whose *iattr;
	/* Of a cgroup's directory: the cgroup */
	void *priv;
} __attribute__((preserve_access_index));

struct cgroup_subsys_state___whose {
	unsigned int flags;
} __attribute__((preserve_access_index));

struct cgroup_root___whose {
	int hierarchy_id;
} __attribute__((preserve_access_index));

struct cgroup___whose {
	struct cgroup_subsys_state___whose self;
	struct kernfs_node___whose *kn;
	struct cgroup_root___whose *root;
} __attribute__((preserve_access_index));

/* possible_net_t is an unnamed struct, which vmlinux/generate cannot pick. */
struct net_device___whose {
	int ifindex;
	struct {
		struct net *net;
	} nd_net;
} __attribute__((preserve_access_index));

struct sock_common___whose {
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

/* Where there is no socket yet. */
static __always_inline struct whose whose_skb(struct sk_buff *skb)
{
	struct net_device___whose *device = (void *)skb->dev;

	return (struct whose){
		.key.interface =
			named_interface(device->nd_net.net, skb->skb_iif),
	};
}

/* Its directory belongs to another user than root. */
static __always_inline bool is_delegated(struct cgroup___whose *cgroup)
{
	struct kernfs_iattrs___whose *iattr = cgroup->kn->iattr;

	return iattr && iattr->ia_uid.val;
}

static __always_inline struct whose whose_sock(struct sock *sk, __u32 interface)
{
	struct sock_common___whose *common = (void *)&sk->__sk_common;
	struct cgroup___whose *cgroup = (void *)sk->sk_cgrp_data.cgroup;

	return (struct whose){
		.key.cgroup = cgroup_number(cgroup->kn->id),
		.key.interface =
			named_interface(common->skc_net.net, interface),
		.cgroup = cgroup,
	};
}

#define SKB_INTERFACE(skb) ((skb)->skb_iif)
#define SOCK_INTERFACE(sk) ((sk)->sk_rx_dst_ifindex)
#else
struct whose {};
#define whose_skb(skb) ((struct whose){})
#define whose_sock(sk, interface) ((struct whose){})
#define SKB_INTERFACE(skb) 0
#define SOCK_INTERFACE(sk) 0
#endif

#endif /* NETSTACKLAT_WHOSE_BPF_H */
