// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * netstacklat-groups.bpf.o for ebpf_exporter, Linux 6.1 and newer: counts by
 * interface and cgroup, or by other keys (group_by.bpf.h), at fewer hooks.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "filter_none.bpf.h"
#include "histogram/by_group.bpf.h"
#include "sampling_none.bpf.h"
#include "slow_none.bpf.h"
#include "stages_none.bpf.h"
#include "record.bpf.h"

#include "hooks_grouped.bpf.h"
#include "tcp_read.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* For udp-socket-enqueued, where the datagram may have been freed. */
static __always_inline void note_group_flow(struct sk_buff *skb)
{
	volatile struct udp_note *note;

	if (!GROUP_BY_FAMILY && !GROUP_BY_RX_QUEUE)
		return;
	note = udp_note();
	if (!note)
		return;
	if (GROUP_BY_FAMILY)
		note->flow.family = family_of_skb(skb);
	if (GROUP_BY_RX_QUEUE)
		note->flow.queue = queue_of_skb(skb);
}

SEC("fentry/__udp_enqueue_schedule_skb")
int BPF_PROG(nsl_for___udp_enqueue_schedule_skb, struct sock *sk,
	     struct sk_buff *skb)
{
	note_group_flow(skb);
	return note_udp_skb(sk, skb);
}

/* The tracepoint of that name would have us work with interrupts off. */
SEC("fexit/cgroup_rmdir")
int BPF_PROG(nsl_cgroup_rmdir, struct kernfs_node *kn, int error)
{
	return error ? 0 : forget_cgroup((struct kernfs_node___group *)kn);
}

SEC("fentry/free_netdev")
int BPF_PROG(nsl_free_netdev, struct net_device *dev)
{
	return forget_interface(dev);
}
