/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The places for groups: which group gets one, and when it gives it back. Part of
 * by_group.bpf.h, which has the maps of the histograms.
 */
#ifndef NETSTACKLAT_HISTOGRAM_GROUP_PLACES_BPF_H
#define NETSTACKLAT_HISTOGRAM_GROUP_PLACES_BPF_H

#include <bpf/bpf_core_read.h>

#include "group_key.bpf.h"

/* What is known of a group since the last look for quiet ones. */
struct activity {
	/* What its packets had taken, and since when it has been quiet */
	__u64 sum;
	__u64 since;
	/* Whether its entries are being deleted */
	__u64 leaving;
};

struct place {
	/* Whether the cgroup is delegated, or the group made up */
	__u64 delegated;
	struct activity activity[QUIET_GROUPS_MAKE_ROOM];
};

/* The groups that are admitted: one for all hooks, so they agree. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NETSTACKLAT_MAX_GROUPS);
	__type(key, struct group_key);
	__type(value, struct place);
} groups SEC(".maps");

/* How many of them are delegated. */
static __u32 delegated_groups;

#define FORGET(id, ident, ...)                                                 \
	bpf_map_delete_elem(&NAME(ident##_latency_seconds), key);

static long forget_entry(__u32 from_the_end, struct group_key *key)
{
	key->bucket = SUM_INDEX - from_the_end;
	NETSTACKLAT_GROUPED_HOOKS(FORGET)
	return 0;
}

#define ADD_SUM(id, ident, ...)                                                \
	slot = is_in_reader(HOOK_##id)                                         \
		       ? NULL                                                  \
		       : bpf_map_lookup_elem(&NAME(ident##_latency_seconds),   \
					     key);                             \
	if (slot)                                                              \
		sum += *slot;

/*
 * The time that the group's packets have taken in the stack. Unlike the time until
 * they are read, users can stretch it by sending packets only.
 */
static __always_inline __u64 sum_of(struct group_key *key)
{
	__u64 *slot, sum = 0;

	key->bucket = SUM_INDEX;
	NETSTACKLAT_GROUPED_HOOKS(ADD_SUM)
	return sum;
}

/* A look for groups that are quiet, among all or some of them. */
struct look {
	__u64 now;
	/* A group whose packets have not taken longer than this is quiet */
	__u64 quiet;
	enum look_among { AMONG_ALL, AMONG_DELEGATED } among;
};

/*
 * When the last one was, and the time in the stack of packets that have found no
 * place since. By the places that were full, so that what users make up is held
 * against what users have made up.
 */
static struct {
	__u64 last;
	__u64 refused;
} looks[2];

/*
 * Unlike a cgroup that is removed, the group may have a packet at any moment. While
 * its entries are deleted its place stays, and says that it is leaving: packets
 * then count with the others. So nothing is left of a group without a place.
 */
static long forget_if_quiet(void *map, struct group_key *key,
			    struct place *place, struct look *look)
{
	struct activity *activity = place->activity;
	struct group_key copy = *key;
	__u64 sum, grown;

	if (look->among == AMONG_DELEGATED && !place->delegated)
		return 0;
	sum = sum_of(&copy);
	grown = sum - activity->sum;
	activity->sum = sum;
	if (grown > look->quiet || !activity->since) {
		activity->since = look->now;
		return 0;
	}
	if (look->now - activity->since < NETSTACKLAT_QUIET_GROUP_NS)
		return 0;
	activity->leaving = true;
	if (sum_of(&copy) != sum) {
		activity->leaving = false;
		return 0;
	}
	bpf_loop(SUM_INDEX + 1, forget_entry, &copy, 0);
	if (place->delegated)
		__sync_fetch_and_add(&delegated_groups, -1);
	bpf_map_delete_elem(&groups, &copy);
	return 0;
}

/*
 * Groups make room when for long they have had no packets, or few of them beside
 * what finds no place. So who has come first, and sends a packet now and then, does
 * not keep others out. By one CPU at a time, and seldom: as long as there is no
 * room, each packet of a group without a place comes here.
 *
 * Not inlined: rare.
 */
static __noinline int make_room(enum look_among among, __u64 refused)
{
	struct look look = {.now = bpf_ktime_get_ns(), .among = among};
	__u64 last = looks[among & 1].last;

	__sync_fetch_and_add(&looks[among & 1].refused, refused);
	if (look.now - last < NETSTACKLAT_QUIET_LOOK_NS ||
	    __sync_val_compare_and_swap(&looks[among & 1].last, last,
					look.now) != last)
		return 0;
	look.quiet = __sync_lock_test_and_set(&looks[among & 1].refused, 0) /
		     NETSTACKLAT_MAX_GROUPS;
	bpf_for_each_map_elem(&groups, forget_if_quiet, &look, 0);
	return 0;
}

static __always_inline bool may_stay(const struct place *place)
{
	return place && !(QUIET_GROUPS_MAKE_ROOM && place->activity[0].leaving);
}

/*
 * Whether the group has a place, or gets one. Users can make as many cgroups as
 * they like in a tree that is delegated to them: those share a part of the
 * places. (CPUs that admit at the same time may exceed it by one each.)
 */
static __always_inline bool admitted(const struct group *group, __u64 latency)
{
	struct cgroup___group *cgroup = group->cgroup;
	struct place place = {}, *known;

	known = bpf_map_lookup_elem(&groups, &group->key);
	if (known)
		return may_stay(known);
	if (cgroup) {
		/*
		 * Sockets may outlive their cgroup. Its group has been freed, and
		 * nobody would free it again.
		 */
		if (!(cgroup->self.flags & CSS_ONLINE))
			return false;
		place.delegated = is_delegated(cgroup);
	}
	if (is_made_up(group))
		place.delegated = true;
	if (place.delegated &&
	    delegated_groups >= NETSTACKLAT_MAX_DELEGATED_GROUPS) {
		if (QUIET_GROUPS_MAKE_ROOM)
			make_room(AMONG_DELEGATED,
				  group->in_reader[0] ? 0 : latency);
		return false;
	}
	if (bpf_map_update_elem(&groups, &group->key, &place, BPF_NOEXIST)) {
		/* Another CPU was first, or there is no room. */
		if (bpf_map_lookup_elem(&groups, &group->key))
			return true;
		if (QUIET_GROUPS_MAKE_ROOM)
			make_room(AMONG_ALL, group->in_reader[0] ? 0 : latency);
		return false;
	}
	if (place.delegated)
		__sync_fetch_and_add(&delegated_groups, 1);
	/* Removed meanwhile: perhaps before there was anything to free. */
	if (cgroup && !(cgroup->self.flags & CSS_ONLINE) &&
	    !bpf_map_delete_elem(&groups, &group->key)) {
		if (place.delegated)
			__sync_fetch_and_add(&delegated_groups, -1);
		return false;
	}
	return true;
}

/* What is gone: a cgroup, or, where that is 0, an interface. */
struct gone {
	__u32 cgroup;
	__u32 interface;
};

static __always_inline void free_place(struct group_key *key,
				       const struct place *place)
{
	if (place->delegated)
		__sync_fetch_and_add(&delegated_groups, -1);
	/*
	 * In the order in which packets ask: whoever does not find the sum asks
	 * for the group, and whoever does not find that, whether the cgroup is
	 * there. In another order packets would make again what was deleted.
	 */
	bpf_map_delete_elem(&groups, key);
	bpf_loop(SUM_INDEX + 1, forget_entry, key, 0);
}

static long forget_group(void *map, struct group_key *key, struct place *place,
			 struct gone *gone)
{
	struct group_key copy = *key;

	if (GROUP_BY_CGROUP && gone->cgroup
		    ? copy.cgroup[0] != gone->cgroup
		    : copy.interface[0] != gone->interface)
		return 0;
	free_place(&copy, place);
	return 0;
}

static long forget_group_of_netns(void *map, struct group_key *key,
				  struct place *place, __u32 *netns)
{
	struct group_key copy = *key;

	if (GROUP_BY_NETNS && copy.netns[0] == *netns)
		free_place(&copy, place);
	return 0;
}

/*
 * A cgroup that is removed gives its places back, at most 128 of them, with six
 * times 36 entries each. To whoever scrapes, its series end; those of the next
 * cgroup of that name begin anew.
 */
static __always_inline int forget_cgroup(struct kernfs_node___group *kn)
{
	struct cgroup___group *cgroup = kn->priv;
	struct gone gone = {};

	/*
	 * Ids of other hierarchies (v1) are others. The verifier knows nothing of
	 * what is behind a void pointer.
	 */
	if (!GROUP_BY_CGROUP ||
	    (cgroup && BPF_CORE_READ(cgroup, root, hierarchy_id)))
		return 0;
	gone.cgroup = cgroup_number(kn->id);
	if (gone.cgroup != NETSTACKLAT_GROUP_OTHER)
		bpf_for_each_map_elem(&groups, forget_group, &gone, 0);
	return 0;
}

/*
 * So does an interface. The index of another namespace is none of ours. And so does
 * a network namespace: its loopback, which has the same index everywhere, goes with
 * it.
 */
static __always_inline int forget_interface(struct net_device *dev)
{
	struct net_device___group *device = (void *)dev;
	struct gone gone = {.interface = device->ifindex};
	__u32 netns;

	if (GROUP_BY_INTERFACE &&
	    device->nd_net.net->net_cookie == init_net_cookie())
		bpf_for_each_map_elem(&groups, forget_group, &gone, 0);
	if (GROUP_BY_NETNS && device->ifindex == LOOPBACK_IFINDEX) {
		netns = netns_number(device->nd_net.net);
		bpf_for_each_map_elem(&groups, forget_group_of_netns, &netns,
				      0);
	}
	return 0;
}

#endif /* NETSTACKLAT_HISTOGRAM_GROUP_PLACES_BPF_H */
