// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * netstacklat-groups.bpf.o for ebpf_exporter, Linux 6.1 and newer: counts by
 * interface and cgroup, at fewer hooks.
 */
#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "filter_none.bpf.h"
#include "histogram/by_group.bpf.h"
#include "sampling_none.bpf.h"
#include "stages_none.bpf.h"
#include "record.bpf.h"

#include "hooks_grouped.bpf.h"
#include "tcp_read.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("fentry/__udp_enqueue_schedule_skb")
int BPF_PROG(nsl_for___udp_enqueue_schedule_skb, struct sock *sk,
	     struct sk_buff *skb)
{
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
