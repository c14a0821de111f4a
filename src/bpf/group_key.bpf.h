/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The group that a sample belongs to: by default the socket's cgroup, and the
 * interface that the packet came in by.
 */
#ifndef NETSTACKLAT_GROUP_KEY_BPF_H
#define NETSTACKLAT_GROUP_KEY_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "group_by.bpf.h"
#include "group_flow.bpf.h"
#include "sample.bpf.h"

#define KEY_WORD(id, ident, ...) __u32 ident[GROUP_BY_##id];

/*
 * All bytes are a key of a map: no holes, and nothing that is not counted by, since
 * a short key is found faster. A key that is off is an array of nothing.
 *
 * cgroup: id of the socket's cgroup (v2); 0: not known at this hook
 * interface: index of the one that the packet came in by; 0: not known
 * netns: inode number of the network namespace
 * local_port: 0: not known at this hook
 * rx_queue: its number
 * family: 4 or 6
 */
struct group_key {
	NETSTACKLAT_EXPORTED_KEYS(KEY_WORD)
	__u32 bucket;
};

#define GROUP_KEY_WORDS (sizeof(struct group_key) / sizeof(__u32) - 1)

struct cgroup___group;

struct group {
	struct group_key key;
	/* For what is asked of a new group only; NULL: not known */
	struct cgroup___group *cgroup;
	struct net *net[NAMESPACE_MATTERS];
	/* Whether the hook is one at a read */
	__u64 in_reader[QUIET_GROUPS_MAKE_ROOM];
};

/* What found no room. Nothing else has this number first. */
static __always_inline bool is_others(const struct group_key *key)
{
	return *(const __u32 *)key == NETSTACKLAT_GROUP_OTHER;
}

static __always_inline void join_others(struct group_key *key)
{
	__u32 *words = (__u32 *)key;
	__u32 i;

#pragma unroll
	for (i = 0; i < GROUP_KEY_WORDS; i++)
		words[i] = NETSTACKLAT_GROUP_OTHER;
}

/* include/linux/cgroup-defs.h: goes when the cgroup is removed */
#define CSS_ONLINE (1 << 1)
/* include/net/flow.h: the index of the loopback of each namespace */
#define LOOPBACK_IFINDEX 1

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

struct user_namespace___group {
	int level;
} __attribute__((preserve_access_index));

struct net___group {
	struct {
		unsigned int inum;
	} ns;
	struct user_namespace___group *user_ns;
	struct {
		int sysctl_ip_prot_sock;
	} ipv4;
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

/* Whether a process needs no privilege to have this port there. */
static __always_inline bool is_unprivileged(__u32 port, struct net___group *net)
{
	return port >= 1024 || (int)port >= net->ipv4.sysctl_ip_prot_sock ||
	       net->user_ns->level;
}

/*
 * Whether users can make as many such groups as they like: by ports, or by network
 * namespaces in a user namespace of theirs. (Cgroups: is_delegated().)
 */
static __always_inline bool is_made_up(const struct group *group)
{
	struct net___group *net;

	if (!NAMESPACE_MATTERS)
		return false;
	net = (void *)group->net[0];
	if (GROUP_BY_NETNS && net->user_ns->level)
		return true;
	return GROUP_BY_LOCAL_PORT && group->key.local_port[0] &&
	       group->key.local_port[0] != NETSTACKLAT_GROUP_EPHEMERAL &&
	       is_unprivileged(group->key.local_port[0], net);
}

static __always_inline __u32 netns_number(struct net *net)
{
	return ((struct net___group *)net)->ns.inum;
}

/* The device's and the socket's are the same wherever both are known. */
static __always_inline struct net *net_of(const struct sample_ctx *ctx)
{
	struct sock_common___group *common;
	struct net_device___group *device;

	if (socket_is_known(ctx)) {
		common = (void *)&ctx->sk->__sk_common;
		return common->skc_net.net;
	}
	device = (void *)ctx->skb->dev;
	return device->nd_net.net;
}

/* Where the socket is not known yet, neither are cgroup and port. */
static __always_inline struct group group_of(const struct sample_ctx *ctx)
{
	struct group group = {};

	if (GROUP_BY_CGROUP && socket_is_known(ctx)) {
		group.cgroup = (void *)ctx->sk->sk_cgrp_data.cgroup;
		group.key.cgroup[0] = cgroup_number(group.cgroup->kn->id);
	}
	if (GROUP_BY_INTERFACE)
		group.key.interface[0] =
			named_interface(net_of(ctx), interface_of(ctx));
	if (GROUP_BY_NETNS)
		group.key.netns[0] = netns_number(net_of(ctx));
	if (GROUP_BY_LOCAL_PORT)
		group.key.local_port[0] = local_port_of(ctx);
	if (GROUP_BY_RX_QUEUE)
		group.key.rx_queue[0] = rx_queue_of(ctx);
	if (GROUP_BY_CPU)
		group.key.cpu[0] = bpf_get_smp_processor_id();
	if (GROUP_BY_FAMILY)
		group.key.family[0] = family_of(ctx);
	if (NAMESPACE_MATTERS)
		group.net[0] = net_of(ctx);
	if (QUIET_GROUPS_MAKE_ROOM)
		group.in_reader[0] = is_in_reader(ctx->hook);
	return group;
}

#endif /* NETSTACKLAT_GROUP_KEY_BPF_H */
