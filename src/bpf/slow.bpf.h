/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Slow packets in full (--slower-than): what is known of each goes to the loader
 * through a ring buffer. How many a CPU may send in a second is limited, and those
 * beyond are counted.
 */
#ifndef NETSTACKLAT_SLOW_BPF_H
#define NETSTACKLAT_SLOW_BPF_H

#define KEEPS_WAYS true

#include "filter.bpf.h"
#include "packet_flow.bpf.h"
#include "packet_owner.bpf.h"
#include "socket_readers.bpf.h"
#include "stages.bpf.h"

struct netstacklat_slow {
	/* A bit for each hook at which packets are shown */
	__u32 hooks;
};

const volatile struct netstacklat_slow netstacklat_slow = {};

/* From the kernel's headers, which are not in BTF: of bpf_ringbuf_submit(). */
#define BPF_RB_NO_WAKEUP 1

/* From which age on a packet is slow, by hook, ns. The loader moves it. */
volatile __u64 netstacklat_slow_from[NETSTACKLAT_NOTE_HOOKS]
	__attribute__((aligned(64)));

/* What a CPU may still send in this second. */
struct netstacklat_slow_budget {
	__u64 left;
	/* Slow packets that it could not send, since the start */
	__u64 not_sent;
	/* Age of the slowest that it has sent */
	__u64 slowest;
} __attribute__((aligned(64)));

volatile struct netstacklat_slow_budget
	netstacklat_slow_budgets[NETSTACKLAT_ARRIVALS];

/* As src/capture/slow_reader.rs reads it. */
struct netstacklat_slow_packet {
	__u64 tstamp;
	__u64 age;
	/* When it was at the hook: CLOCK_MONOTONIC */
	__u64 mono;
	/* Its notes, and perhaps such as are of others */
	__u64 way[NETSTACKLAT_WAY_NOTES];
	__u32 hook;
	__u32 cpu;
	__u32 netns;
	__u32 interface;
	__u32 cgroup;
	__u32 pid;
	/* In readers: what is left in the socket's queue, and who reads */
	__u32 queue_length;
	struct process_name reader;
	struct packet_flow flow;
};

/* The loader sets the size. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 4096);
} netstack_slow_packets SEC(".maps");

/*
 * Whether this CPU may send a packet. When it has sent all that it may, it still
 * sends one that is slower by a quarter than all those, so that the slowest is not
 * missed; each such packet raises the bar, so there are few. Values are read once:
 * an interrupt in between sends one more, and never 2^64.
 */
static __always_inline bool
may_send(volatile struct netstacklat_slow_budget *budget, __u64 age)
{
	__u64 slowest = budget->slowest;
	__u64 left = budget->left;

	if (left)
		budget->left = left - 1;
	else if (age <= slowest + slowest / 4)
		return false;
	if (age > slowest)
		budget->slowest = age;
	return true;
}

/* A place for a packet, if this CPU may send one. CPUs beyond share a budget. */
static __always_inline struct netstacklat_slow_packet *
reserve_slow_packet(__u32 number, __u64 age)
{
	struct netstacklat_slow_packet *packet = NULL;
	volatile struct netstacklat_slow_budget *budget;
	/* 64 bits: as in udp_note(). */
	__u64 cpu = number % NETSTACKLAT_ARRIVALS;

	budget = &netstacklat_slow_budgets[cpu];
	if (may_send(budget, age))
		packet = bpf_ringbuf_reserve(&netstack_slow_packets,
					     sizeof(*packet), 0);
	if (!packet)
		__sync_fetch_and_add(&budget->not_sent, 1);
	return packet;
}

/*
 * The notes of the packet. Where several packets have its timestamp, they may be
 * those of another one: then none is sent.
 */
static __always_inline void copy_way(struct netstacklat_slow_packet *packet)
{
	__u64 mixed = mixed_timestamp(packet->tstamp);
	__u64 shared = mixed << NOTE_TAG_SHIFT | (__u64)NOTE_SHARED
							 << NOTE_TIME_BITS;
	volatile struct note_slot *slot = note_slot(mixed, stages.slot_mask);
	__u32 i;

	if (slot && slot->last == shared)
		slot = NULL;
#pragma unroll
	for (i = 0; i < NETSTACKLAT_WAY_NOTES; i++)
		packet->way[i] = slot ? slot->way[i] : 0;
}

static __always_inline void send_slow_packet(const struct sample_ctx *ctx,
					     __u64 mono, __u64 age)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct netstacklat_slow_packet *packet = reserve_slow_packet(cpu, age);
	bool in_reader = is_in_reader(ctx->hook);
	struct packet_flow room, *flow;
	struct sample_ctx whole = *ctx;
	struct process_name reader;

	if (!packet)
		return;
	packet->tstamp = ctx->tstamp;
	packet->age = age;
	packet->mono = mono;
	packet->hook = ctx->hook;
	packet->cpu = cpu;
	packet->netns = netns_of(ctx);
	packet->interface = interface_of(ctx);
	packet->cgroup = cgroup_id_of(ctx);
	packet->pid = pid_of(ctx);
	packet->queue_length = in_reader ? left_in_queue(ctx) : 0;
	__builtin_memset(&reader, 0, sizeof(reader));
	if (in_reader)
		name_of_process(&reader);
	packet->reader = reader;
	copy_way(packet);
	__builtin_memset(&packet->flow, 0, sizeof(packet->flow));
	flow = in_memory(&room);
	/* What is noted on the way may be less than what is shown. */
	if (ctx->hook != HOOK_UDP_SOCKET_ENQUEUED)
		whole.noted_flow = NULL;
	read_flow(&whole, flow, &netstacklat_flow.shown);
	copy_flow(&packet->flow, flow, &netstacklat_flow.shown);
	/* The loader reads them once a second, so nobody is woken. */
	bpf_ringbuf_submit(packet, BPF_RB_NO_WAKEUP);
}

static __always_inline void show_if_slow(const struct sample_ctx *ctx,
					 __u64 mono, __u64 age)
{
	if (netstacklat_slow.hooks >> ctx->hook & 1 &&
	    age >= netstacklat_slow_from[ctx->hook])
		send_slow_packet(ctx, mono, age);
}

#endif /* NETSTACKLAT_SLOW_BPF_H */
