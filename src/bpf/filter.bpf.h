/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which packets the user wants measured. The loader says so in .rodata before
 * it loads the object, and the verifier removes the tests of what is off; two
 * instructions are left of each, which read the knob.
 *
 * The cheapest test comes first. A hook cannot apply a filter of something that
 * is not known there yet: it measures all packets, and the loader names it
 * (src/model/packet_filter.rs has the same table).
 */
#ifndef NETSTACKLAT_FILTER_BPF_H
#define NETSTACKLAT_FILTER_BPF_H

#include "histogram/mmap.bpf.h"
#include "packet_flow.bpf.h"
#include "packet_owner.bpf.h"
#include "process_name.bpf.h"
#include "socket_readers.bpf.h"
#include "types.bpf.h"

struct netstacklat_filter {
	/* NETSTACKLAT_INTERFACES_*: whether, and how many */
	__u32 interfaces;
	/* Inode number of the network namespace; 0: all */
	__u32 netns;
	/* Whether only some processes are wanted; and the one, where it is one */
	__u32 pids;
	__u32 only_pid;
	/* How many places there are for wanted cgroups; 0: all are wanted */
	__u32 cgroup_count;
	/* Reads that leave at least so much in the socket's queue; 0: all */
	__u32 min_queue;
	/* Whether hooks in the stack need to know who reads from a socket */
	__u32 note_readers;
	/* Whether family, protocols, ports, queues or network_count is on */
	__u32 flow;
	/* 4 or 6: of packets, or of all networks; 0: both */
	__u32 family;
	/* Protocols of which packets are wanted at IP, a bit for each number; 0: all */
	__u32 protocols;
	/* NETSTACKLAT_PORT_*: what is asked of ports */
	__u32 ports;
	/* Whether only receive queues in rx_queues are wanted */
	__u32 queues;
	/* How many networks are wanted; 0: all */
	__u32 network_count;
	/* Whether only processes of some names are wanted */
	__u32 process_names;
};

const volatile struct netstacklat_filter netstacklat_filter = {};
#define filter netstacklat_filter

/* A network of IP addresses, IPv4 ones as ::ffff:a.b.c.d. */
struct netstacklat_network {
	__u32 family;
	/* In the network's byte order */
	__u32 mask[4];
	__u32 address[4];
};

/* The networks that are wanted, and a bit for each receive queue. */
const volatile struct netstacklat_network
	netstacklat_networks[NETSTACKLAT_MAX_FILTER_NETWORKS] = {};
const volatile __u64 netstacklat_rx_queues[NETSTACKLAT_MAX_RX_QUEUES / 64] = {};

/*
 * For each port NETSTACKLAT_PORT_*: as what it is wanted. Not in .rodata, which
 * is part of the object's file.
 */
volatile __u8 netstacklat_ports[65536];

/* An interface is known by its index within its namespace. */
struct netstacklat_interface {
	__u32 index;
	__u32 netns;
};

/*
 * The interface that is wanted, where it is one. Interfaces come and go, hence
 * the loader may change it; an index of 2^32 - 1: there is none of that name now.
 * (Index 0 means that the interface of the packet is not known.)
 */
volatile struct netstacklat_interface netstacklat_interface;

/*
 * The ids of the cgroups that are wanted. A service that is restarted gets
 * another cgroup at the same path; 2^64 - 1: there is none now; 0: there are no
 * more behind it.
 */
volatile __u64 netstacklat_cgroup_ids[NETSTACKLAT_MAX_FILTER_CGROUPS];

/* How many cgroups are above each of them: containers come and go anywhere. */
volatile __u32 netstacklat_cgroup_levels[NETSTACKLAT_MAX_FILTER_CGROUPS];

/* The interfaces, where there are several. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, NETSTACKLAT_MAX_FILTER_INTERFACES);
	__type(key, struct netstacklat_interface);
	__type(value, __u32);
} netstack_interfaces SEC(".maps");

/*
 * A bit for each process, by what user space calls the process id. A look-up in a
 * hash would take 110 instructions. The loader sets how many words there are.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} netstack_pids SEC(".maps");

struct sk_buff_head___filter {
	__u32 qlen;
} __attribute__((preserve_access_index));

struct sock___filter {
	struct sk_buff_head___filter sk_receive_queue;
} __attribute__((preserve_access_index));

struct udp_sock___filter {
	struct sk_buff_head___filter reader_queue;
} __attribute__((preserve_access_index));

static __always_inline bool interface_is_wanted(const struct sample_ctx *ctx,
						__u32 wanted)
{
	struct netstacklat_interface interface = {.index = interface_of(ctx)};

	if (wanted == NETSTACKLAT_INTERFACES_ONE) {
		if (interface.index != netstacklat_interface.index)
			return false;
		return netns_of(ctx) == netstacklat_interface.netns;
	}
	interface.netns = netns_of(ctx);
	return bpf_map_lookup_elem(&netstack_interfaces, &interface);
}

/* The skip reason if the cgroup is not one of those wanted, else -1. */
static __always_inline int cgroup_skip(const struct sample_ctx *ctx)
{
	struct cgroup___owner *cgroup;
	struct sock *sk;
	int own_level;
	__u64 id;
	__u32 i;

	if (!has_sockets(ctx->hook))
		return -1;
	if (!find_socket(ctx, &sk))
		return SKIP_OWNER_UNKNOWN;
	cgroup = cgroup_of(sk);
	if (!cgroup)
		return SKIP_FILTERED;
	own_level = cgroup_level(cgroup);
#pragma unroll
	for (i = 0; i < NETSTACKLAT_MAX_FILTER_CGROUPS; i++) {
		if (i >= filter.cgroup_count)
			return SKIP_FILTERED;
		id = netstacklat_cgroup_ids[i];
		if (!id)
			return SKIP_FILTERED;
		if (cgroup_is_below(cgroup, own_level,
				    netstacklat_cgroup_levels[i], id))
			return -1;
	}
	return SKIP_FILTERED;
}

static __always_inline bool port_is_wanted(const struct packet_flow *flow)
{
	__u32 local = netstacklat_ports[flow->local_port];
	__u32 remote = netstacklat_ports[flow->remote_port];
	__u32 wanted = filter.ports;

	/* Port 0 is never wanted: it stands for a packet without ports, too. */
	if (wanted & NETSTACKLAT_PORT_LOCAL &&
	    !(local & NETSTACKLAT_PORT_LOCAL))
		return false;
	if (wanted & NETSTACKLAT_PORT_REMOTE &&
	    !(remote & NETSTACKLAT_PORT_REMOTE))
		return false;
	return !(wanted & NETSTACKLAT_PORT_EITHER) ||
	       (local | remote) & NETSTACKLAT_PORT_EITHER;
}

static __always_inline bool
is_in_network(const __u32 *address,
	      const volatile struct netstacklat_network *network)
{
	__u32 i;

	if ((address[3] & network->mask[3]) != network->address[3])
		return false;
	if (network->family == 4)
		return true;
#pragma unroll
	for (i = 0; i < 3; i++)
		if ((address[i] & network->mask[i]) != network->address[i])
			return false;
	return true;
}

static __always_inline bool
goes_to_network(const struct packet_flow *flow,
		const volatile struct netstacklat_network *network)
{
	return network->family == flow->family &&
	       (is_in_network(flow->local, network) ||
		is_in_network(flow->remote, network));
}

/* Not inlined: its size. */
static __noinline int goes_to_networks(const struct packet_flow *flow)
{
	__u32 i;

	if (!flow)
		return 0;
	for (i = 0; i < NETSTACKLAT_MAX_FILTER_NETWORKS; i++) {
		if (i >= filter.network_count)
			return 0;
		if (goes_to_network(flow, &netstacklat_networks[i]))
			return 1;
	}
	return 0;
}

static __always_inline bool address_is_wanted(const struct packet_flow *flow)
{
	if (filter.network_count == 1)
		return goes_to_network(flow, &netstacklat_networks[0]);
	return goes_to_networks(flow);
}

static __always_inline bool queue_is_wanted(const struct packet_flow *flow)
{
	/* 64 bits: as in udp_note(). Not known: no queue, so not wanted. */
	__u64 queue = (__u64)flow->queue - 1;

	if (queue >= NETSTACKLAT_MAX_RX_QUEUES)
		return false;
	barrier_var(queue);
	return netstacklat_rx_queues[queue / 64] >> (queue & 63) & 1;
}

/* The skip reason of a packet whose headers do not match the filter, else -1. */
static __always_inline int flow_skip(const struct sample_ctx *ctx)
{
	const struct packet_flow *flow;
	struct packet_flow room;

	/* The IP version comes first: no address of the other version is read. */
	if (filter.family && family_of(ctx) != filter.family)
		return SKIP_FILTERED;
	flow = flow_of(ctx, &room, &netstacklat_flow.filtered);
	if (filter.queues && !queue_is_wanted(flow))
		return SKIP_FILTERED;
	/* Other hooks are those of one protocol. */
	if (is_at_ip(ctx->hook) && filter.protocols) {
		__u32 protocol = PAYLOAD_PROTOCOL(ip_payload(ctx->skb));

		if (protocol == PROTOCOL_UNKNOWN)
			return SKIP_OWNER_UNKNOWN;
		if (protocol > 31 || !(filter.protocols >> protocol & 1))
			return SKIP_FILTERED;
	}
	/* The reads of forwarded packets are of one path, and of two protocols. */
	if (ctx->hook == HOOK_INNER_TCP_SOCKET_READ && filter.protocols &&
	    !(filter.protocols >> IPPROTO_TCP & 1))
		return SKIP_FILTERED;
	if (ctx->hook == HOOK_INNER_UDP_SOCKET_READ && filter.protocols &&
	    !(filter.protocols >> IPPROTO_UDP & 1))
		return SKIP_FILTERED;
	if (filter.ports) {
		if (!flow->ports_known)
			return SKIP_OWNER_UNKNOWN;
		if (!port_is_wanted(flow))
			return SKIP_FILTERED;
	}
	if (filter.network_count) {
		if (!flow->addresses_known)
			return SKIP_OWNER_UNKNOWN;
		if (!address_is_wanted(flow))
			return SKIP_FILTERED;
	}
	return -1;
}

/*
 * Hooks in readers run after the packet has left the queue, so this is what is
 * left there. UDP has a second queue, which only readers touch: they take over
 * the first one whole.
 */
static __always_inline __u32 left_in_queue(const struct sample_ctx *ctx)
{
	struct sock___filter *sk = (void *)ctx->sk;
	struct udp_sock___filter *udp = (void *)ctx->sk;
	__u32 left = sk->sk_receive_queue.qlen;
	__u32 second = 0;

	if (!is_tcp_read(ctx->hook))
		bpf_core_read(&second, sizeof(second), &udp->reader_queue.qlen);
	return left + second;
}

/*
 * Packets that were left out, by CPU and hook. Apart from the other skips: they
 * can be most of all packets, and this is found without a look-up. Aligned: no CPU
 * writes to a cache line of another, nor to one that packets read.
 */
volatile __u64 netstacklat_filtered[NETSTACKLAT_ARRIVALS]
				   [NETSTACKLAT_FILTERED_STRIDE]
	__attribute__((aligned(64)));

_Static_assert(N_HOOKS <= NETSTACKLAT_FILTERED_STRIDE, "a counter for each");

/* Counts a packet that the user does not want. */
static __always_inline int skip_unselected(enum netstacklat_hook hook,
					   enum netstacklat_skip reason)
{
	/* 64 bits, and the barrier: as in udp_note(). */
	__u64 cpu = bpf_get_smp_processor_id();

	if (reason != SKIP_FILTERED || cpu >= NETSTACKLAT_ARRIVALS)
		return skip(hook, reason);
	barrier_var(cpu);
	__sync_fetch_and_add(&netstacklat_filtered[cpu][hook], 1);
	return 0;
}

/*
 * The skip reason if the process is not one of those wanted, else -1. At a read,
 * the reader is given.
 */
static __always_inline int process_skip(const struct sample_ctx *ctx,
					__u32 reader)
{
	__u32 pid, index;
	__u64 *bits;

	if (!has_sockets(ctx->hook))
		return -1;
	pid = is_in_reader(ctx->hook) ? reader : pid_of(ctx);
	if (!pid)
		return SKIP_OWNER_UNKNOWN;
	if (filter.only_pid)
		return pid == filter.only_pid ? -1 : SKIP_FILTERED;
	index = pid / 64;
	bits = bpf_map_lookup_elem(&netstack_pids, &index);
	return bits && *bits >> (pid & 63) & 1 ? -1 : SKIP_FILTERED;
}

/* The skip reason of a packet that the user does not want, else -1. */
static __always_inline int selection_skip(const struct sample_ctx *ctx)
{
	__u32 interfaces = filter.interfaces, by_name, by_pid, reader = 0;
	bool in_reader = is_in_reader(ctx->hook);
	struct process_name name;

	if (interfaces && !interface_is_wanted(ctx, interfaces))
		return SKIP_FILTERED;
	if (filter.netns && netns_of(ctx) != filter.netns)
		return SKIP_FILTERED;
	if (in_reader && filter.min_queue &&
	    left_in_queue(ctx) < filter.min_queue)
		return SKIP_FILTERED;
	if (filter.flow) {
		int reason = flow_skip(ctx);

		if (reason >= 0)
			return reason;
	}
	by_name = filter.process_names;
	by_pid = filter.pids;
	/* Before packets of others are left out: who reads them is known now. */
	if (in_reader && by_name) {
		__builtin_memset(&name, 0, sizeof(name));
		name_of_process(&name);
	}
	if (in_reader && (by_pid || filter.note_readers))
		reader = current_pid();
	if (in_reader && filter.note_readers)
		note_reader(ctx->sk, reader, by_name ? &name : NULL);
	if (filter.cgroup_count) {
		int reason = cgroup_skip(ctx);

		if (reason >= 0)
			return reason;
	}
	if (by_pid) {
		int reason = process_skip(ctx, reader);

		if (reason >= 0)
			return reason;
	}
	if (by_name)
		return name_skip(ctx, &name);
	return -1;
}

#endif /* NETSTACKLAT_FILTER_BPF_H */
