/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Slow packets in full (--slower-than): what is known of each goes to the loader
 * through a ring buffer. How many a CPU may send between two reports is limited,
 * and those beyond are counted.
 */
#ifndef NETSTACKLAT_SLOW_BPF_H
#define NETSTACKLAT_SLOW_BPF_H

#define KEEPS_WAYS true

#include "filter.bpf.h"
#include "packet_flow.bpf.h"
#include "packet_owner.bpf.h"
#include "stages.bpf.h"

struct netstacklat_slow {
	/* A bit for each hook at which packets are shown */
	__u32 hooks;
};

const volatile struct netstacklat_slow netstacklat_slow = {};

/* From the kernel's headers, which are not in BTF: of bpf_ringbuf_submit(). */
#define BPF_RB_NO_WAKEUP 1

/* From which age on a packet is slow, by hook, ns. The loader moves it. */
volatile __u64 netstacklat_slow_from[NETSTACKLAT_NOTE_HOOKS];

/* What a CPU may still send, and what it could not. */
struct netstacklat_slow_budget {
	__u64 left;
	__u64 not_sent;
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
	/* In readers: what is left in the socket's queue */
	__u32 queue_length;
	struct packet_flow flow;
};

/* The loader makes it a page where no packets are shown. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, NETSTACKLAT_SLOW_BYTES);
} netstack_slow_packets SEC(".maps");

/* A place for a packet, if this CPU may send one. */
static __always_inline struct netstacklat_slow_packet *
reserve_slow_packet(__u32 number)
{
	struct netstacklat_slow_packet *packet = NULL;
	/* 64 bits, and the barrier: as in udp_note(). */
	__u64 cpu = number;

	if (cpu >= NETSTACKLAT_ARRIVALS)
		return NULL;
	barrier_var(cpu);
	if (netstacklat_slow_budgets[cpu].left) {
		/* An interrupt in between sends one more. */
		netstacklat_slow_budgets[cpu].left--;
		packet = bpf_ringbuf_reserve(&netstack_slow_packets,
					     sizeof(*packet), 0);
	}
	if (!packet)
		__sync_fetch_and_add(&netstacklat_slow_budgets[cpu].not_sent,
				     1);
	return packet;
}

static __always_inline void send_slow_packet(const struct sample_ctx *ctx,
					     __u64 mono, __u64 age)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct netstacklat_slow_packet *packet = reserve_slow_packet(cpu);
	volatile struct note_slot *slot;
	struct packet_flow room, *flow;
	__u32 i;

	if (!packet)
		return;
	packet->tstamp = ctx->tstamp;
	packet->age = age;
	packet->mono = mono;
	packet->hook = ctx->hook;
	packet->cpu = cpu;
	packet->netns = netns_of(ctx);
	packet->interface = ctx->interface;
	packet->cgroup = cgroup_id_of(ctx);
	packet->pid = pid_of(ctx);
	packet->queue_length = is_in_reader(ctx->hook) ? left_in_queue(ctx) : 0;
	slot = note_slot(mixed_timestamp(ctx->tstamp));
#pragma unroll
	for (i = 0; i < NETSTACKLAT_WAY_NOTES; i++)
		packet->way[i] = slot ? slot->way[i] : 0;
	__builtin_memset(&packet->flow, 0, sizeof(packet->flow));
	flow = in_memory(&room);
	read_flow(ctx, flow, &netstacklat_flow.shown);
	copy_flow(&packet->flow, flow, &netstacklat_flow.shown);
	/* It is read with the next report, so nobody is woken. */
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
