/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The loader's programs at the NET_RX softirq, which are loaded only if asked for. */
#ifndef NETSTACKLAT_HOOKS_SOFTIRQ_BPF_H
#define NETSTACKLAT_HOOKS_SOFTIRQ_BPF_H

#include <bpf/bpf_tracing.h>

#include "softirq.bpf.h"

SEC("tp_btf/softirq_raise")
int BPF_PROG(nsl_note_softirq_raise, unsigned int number)
{
	return note_softirq_raised(number);
}

SEC("fentry/net_rx_action")
int BPF_PROG(nsl_net_rx_action)
{
	return record_softirq_wait();
}

SEC("fentry/net_rx_action")
int BPF_PROG(nsl_note_net_rx_action)
{
	return note_softirq_began();
}

SEC("tp_btf/napi_poll")
int BPF_PROG(nsl_note_napi_poll, void *napi, int packets)
{
	return note_napi_poll(packets);
}

SEC("fexit/net_rx_action")
int BPF_PROG(nsl_in_net_rx_action)
{
	return record_softirq_run();
}

#endif /* NETSTACKLAT_HOOKS_SOFTIRQ_BPF_H */
