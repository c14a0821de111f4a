/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whose a packet is: the interface that it came in by, the network namespace,
 * the cgroup of its socket, and the process that reads from that socket. Both
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

struct inode___owner {
	unsigned long i_ino;
} __attribute__((preserve_access_index));

struct file___owner {
	struct inode___owner *f_inode;
} __attribute__((preserve_access_index));

struct socket___owner {
	struct file___owner *file;
} __attribute__((preserve_access_index));

struct sock___owner {
	struct socket___owner *sk_socket;
} __attribute__((preserve_access_index));

/* The inode of a socket lies beside it: SOCK_INODE() in include/net/sock.h. */
struct socket_alloc {
	struct inode___owner vfs_inode;
} __attribute__((preserve_access_index));

/*
 * The inode number of the socket, as in /proc/PID/fd; 0: it has none, because
 * nobody has accepted the connection yet. (Up to 6.1 also where the kernel made the
 * socket for itself, without a file.)
 */
static __always_inline __u64 socket_inode(struct sock *sk)
{
	struct sock___owner *owned = (void *)sk;
	struct socket___owner *socket = owned->sk_socket;
	struct socket_alloc *with_inode;

	/* A load through NULL gives 0. */
	if (!bpf_ksym_exists(bpf_rdonly_cast))
		return socket->file->f_inode->i_ino;
	with_inode = bpf_rdonly_cast(
		socket, bpf_core_type_id_kernel(struct socket_alloc));
	return with_inode->vfs_inode.i_ino;
}

/* As /proc/PID/comm shows it, with zeroes to its end. */
struct process_name {
	char comm[16];
} __attribute__((aligned(4)));

struct task_struct___owner {
	struct task_struct___owner *group_leader;
	char comm[16];
} __attribute__((preserve_access_index));

/*
 * The name of the current process: that of its first thread. The others can have
 * names of their own.
 */
static __always_inline void name_of_process(struct process_name *name)
{
	struct task_struct___owner *task;
	const __u64 *comm;
	__u64 words[2];

	if (bpf_ksym_exists(bpf_rdonly_cast)) {
		/* 6.2 or newer: loads need no helper calls. */
		task = (void *)bpf_get_current_task_btf();
		comm = (const void *)task->group_leader->comm;
		words[0] = comm[0];
		words[1] = comm[1];
		__builtin_memcpy(name, words, sizeof(*name));
		return;
	}
	/*
	 * Before 5.17 (06c5088aeecf) what is left of a longer name can be behind
	 * the end, so it is copied as a string, into zeroes.
	 */
	task = (void *)bpf_get_current_task();
	task = BPF_CORE_READ(task, group_leader);
	bpf_core_read_str(name->comm, sizeof(name->comm), &task->comm);
}

/*
 * The process that last read from a socket, by the socket's inode number: what
 * user space calls the process id. Sockets have no field for this, and storage
 * for sockets cannot be used by tracing programs before 5.11. The loader fills
 * in, from /proc, who has which socket open at the start.
 *
 * A socket's place is one of a row of words, most often that which its number says,
 * and is found without a look-up in a hash, which takes 110 instructions. A word is
 * written whole or not at all:
 *
 *   bits 22 to 63  tag: what the row's number does not say of the inode number
 *   bits  0 to 21  the process
 *
 * Row and tag together are the inode number's low 55 bits (sockets have 32), mixed
 * by a multiplication with an odd number, which takes each value to another one: so
 * no socket is taken for another. Nothing leaves a row when a socket is closed. In a
 * row that is full, a new socket takes the place that its number says; who was there
 * comes back when it is read from.
 */
struct reader_row {
	__u64 words[NETSTACKLAT_READERS_IN_ROW];
};

#define READER_TAG_BITS (64 - NETSTACKLAT_PID_BITS)
#define READER_PID_MASK ((1 << NETSTACKLAT_PID_BITS) - 1)

_Static_assert(sizeof(struct reader_row) == 64, "a cache line");

/* The loader sets how many rows there are. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct reader_row);
} netstack_readers SEC(".maps");

/* What these processes call themselves. It stays when they have ended. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, NETSTACKLAT_MAX_READER_NAMES);
	__type(key, __u32);
	__type(value, struct process_name);
} netstack_reader_names SEC(".maps");

static __always_inline bool is_same_name(const struct process_name *a,
					 const struct process_name *b)
{
	const __u32 *x = (const void *)a, *y = (const void *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

static __always_inline __u64 mixed_inode(__u64 inode)
{
	return inode * NETSTACKLAT_SAMPLE_MULTIPLIER;
}

static __always_inline volatile struct reader_row *reader_row(__u64 mixed)
{
	__u32 row = mixed >> READER_TAG_BITS &
		    ((1 << NETSTACKLAT_READER_ROW_BITS) - 1);

	return bpf_map_lookup_elem(&netstack_readers, &row);
}

static __always_inline bool is_of_socket(__u64 word, __u64 mixed)
{
	return !((word ^ mixed << NETSTACKLAT_PID_BITS) >>
		 NETSTACKLAT_PID_BITS);
}

/* Where in its row a socket is, unless another was there first. */
static __always_inline __u32 home_in_row(__u64 mixed)
{
	/* Any three bits that say nothing of the row. */
	return mixed & (NETSTACKLAT_READERS_IN_ROW - 1);
}

/* The word of a socket in its row; if it has none, that which it may take. */
static __always_inline volatile __u64 *
place_in_row(volatile struct reader_row *row, __u64 mixed)
{
	volatile __u64 *place = &row->words[home_in_row(mixed)];
	bool is_taken = *place;
	__u32 i;

#pragma unroll
	for (i = 0; i < NETSTACKLAT_READERS_IN_ROW; i++) {
		__u64 word = row->words[i];

		if (word && is_of_socket(word, mixed))
			return &row->words[i];
		if (!word && is_taken) {
			place = &row->words[i];
			is_taken = false;
		}
	}
	return place;
}

/* Not inlined: what is not where it is looked for first is rare. */
static __noinline __u32 search_row(volatile struct reader_row *row, __u64 mixed)
{
	__u64 word = row ? *place_in_row(row, mixed) : 0;

	return is_of_socket(word, mixed) ? word & READER_PID_MASK : 0;
}

/* Not inlined: rare, but for packets that are selected by name. */
static __noinline int note_row(volatile struct reader_row *row, __u64 mixed,
			       __u32 pid, struct process_name *name)
{
	__u64 word = mixed << NETSTACKLAT_PID_BITS | pid;
	struct process_name own = {}, *known_name;
	volatile __u64 *place;

	if (!row)
		return 0;
	place = place_in_row(row, mixed);
	if (*place != word)
		*place = word;
	else if (!name)
		return 0;
	if (name)
		own = *name;
	else
		name_of_process(&own);
	known_name = bpf_map_lookup_elem(&netstack_reader_names, &pid);
	if (!known_name || !is_same_name(known_name, &own))
		bpf_map_update_elem(&netstack_reader_names, &pid, &own,
				    BPF_ANY);
	return 0;
}

/*
 * Notes that this process reads from the socket. The name is given where packets
 * are selected by it: it can be another than at the last read. Otherwise it is
 * looked up for a new reader only.
 */
static __always_inline void note_reader(struct sock *sk, __u32 pid,
					struct process_name *name)
{
	volatile struct reader_row *row;
	__u64 inode = socket_inode(sk), mixed;

	if (!inode)
		return;
	mixed = mixed_inode(inode);
	row = reader_row(mixed);
	if (!row)
		return;
	if (name || row->words[home_in_row(mixed)] !=
			    (mixed << NETSTACKLAT_PID_BITS | pid))
		note_row(row, mixed, pid, name);
}

/* The process that last read from a socket; 0: not known. */
static __always_inline __u32 reader_of(struct sock *sk)
{
	__u64 mixed = mixed_inode(socket_inode(sk)), word;
	volatile struct reader_row *row = reader_row(mixed);

	if (!row)
		return 0;
	word = row->words[home_in_row(mixed)];
	if (is_of_socket(word, mixed))
		return word & READER_PID_MASK;
	return search_row(row, mixed);
}

static __always_inline __u32 current_pid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

/* The process of a packet; 0: not known. */
static __always_inline __u32 pid_of(const struct sample_ctx *ctx)
{
	struct sock *sk;

	if (is_in_reader(ctx->hook))
		return current_pid();
	return find_socket(ctx, &sk) ? reader_of(sk) : 0;
}

#endif /* NETSTACKLAT_PACKET_OWNER_BPF_H */
