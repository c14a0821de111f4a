// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The loader's own object: the programs for all kernels, of which it loads those
 * that the plan names (src/capture/plan.rs).
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "histogram/mmap.bpf.h"
#include "record.bpf.h"

#include "hooks.bpf.h"
#include "tcp_read.bpf.h"
#include "tcp_read_before_5_19.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("fentry/ip_rcv_core")
int BPF_PROG(nsl_for_ip_rcv_core, struct sk_buff *skb)
{
	return count_tx_timestamps(skb);
}

SEC("fentry/ip6_rcv_core")
int BPF_PROG(nsl_for_ip6_rcv_core, struct sk_buff *skb)
{
	return count_tx_timestamps(skb);
}

SEC("fentry/__udp_enqueue_schedule_skb")
int BPF_PROG(nsl_for___udp_enqueue_schedule_skb, struct sock *sk,
	     struct sk_buff *skb)
{
	return note_udp(skb, skb->tstamp);
}
