/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which process reads from which socket. In the stack this is all that is known of a
 * packet's process: nobody reads it yet. src/capture/socket_readers.rs writes the same
 * table before the programs run.
 */
#ifndef NETSTACKLAT_SOCKET_READERS_BPF_H
#define NETSTACKLAT_SOCKET_READERS_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "current_process.bpf.h"
#include "packet_owner.bpf.h"
#include "sample.bpf.h"
#include "types.bpf.h"

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

/* The process of a packet; 0: not known. */
static __always_inline __u32 pid_of(const struct sample_ctx *ctx)
{
	struct sock *sk;

	if (is_in_reader(ctx->hook))
		return current_pid();
	return find_socket(ctx, &sk) ? reader_of(sk) : 0;
}

#endif /* NETSTACKLAT_SOCKET_READERS_BPF_H */
