/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The timestamp of the datagram that this CPU is about to enqueue.
 *
 * When __udp_enqueue_schedule_skb() returns, a reader on another CPU may have
 * freed the skb (seen: 2 in 200,000). So the timestamp is noted on the way in,
 * on the same CPU with softirqs off: by the program at udp_queue_rcv_one_skb(),
 * which every such skb passes and which reads the timestamp anyway; or, where
 * that hook is off, by a helper at the function's own entry. (Nothing between
 * the two changes skb->tstamp.)
 */
#ifndef NETSTACKLAT_UDP_NOTE_BPF_H
#define NETSTACKLAT_UDP_NOTE_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "sample.bpf.h"
#include "types.bpf.h"

struct udp_note {
	/* Of which datagram; NULL: used */
	struct sk_buff *skb;
	__u64 tstamp;
	/* Only where somebody asks for them */
	__u32 interface;
	struct packet_flow flow;
} __attribute__((aligned(64)));

_Static_assert(sizeof(struct udp_note) == 64, "one cache line");

/* By CPU; for those beyond, datagrams are not recorded there (entry-missed). */
volatile struct udp_note udp_notes[NETSTACKLAT_ARRIVALS];

static __always_inline volatile struct udp_note *udp_note(void)
{
	/* 64 bits: 5.10 does not conclude from a 32-bit test on an index. */
	__u64 cpu = bpf_get_smp_processor_id();

	if (cpu >= NETSTACKLAT_ARRIVALS)
		return NULL;
	/* So that clang does not compute the address before the test. */
	barrier_var(cpu);
	return &udp_notes[cpu];
}

/* Reads what it notes, too. The note; NULL: there is no place for it. */
static __always_inline volatile struct udp_note *
note_udp(struct sample_ctx *ctx)
{
	volatile struct udp_note *note;

	ctx->tstamp = ctx->skb->tstamp;
	if (INTERFACE_IS_NOTED)
		ctx->noted_interface = ctx->skb->skb_iif;
	note = udp_note();
	if (note) {
		note->skb = ctx->skb;
		note->tstamp = ctx->tstamp;
		if (INTERFACE_IS_NOTED)
			note->interface = ctx->noted_interface;
		if (FLOW_IS_NOTED)
			note_flow(ctx, &note->flow);
	}
	return note;
}

#endif /* NETSTACKLAT_UDP_NOTE_BPF_H */
