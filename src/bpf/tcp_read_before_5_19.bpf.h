/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TCP reads up to 5.18; on later kernels, a second choice. */
#ifndef NETSTACKLAT_TCP_READ_BEFORE_5_19_BPF_H
#define NETSTACKLAT_TCP_READ_BEFORE_5_19_BPF_H

#include <bpf/bpf_tracing.h>

#include "record.bpf.h"

SEC("fentry/tcp_recv_timestamp")
int BPF_PROG(nsl_tcp_recv_timestamp, struct msghdr *msg, struct sock *sk,
	     struct scm_timestamping_internal *tss)
{
	return record_tcp_recv_timestamp(sk, tss);
}

#endif /* NETSTACKLAT_TCP_READ_BEFORE_5_19_BPF_H */
