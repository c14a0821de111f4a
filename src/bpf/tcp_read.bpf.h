/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TCP reads from 5.19 on, where the function has 6 arguments. */
#ifndef NETSTACKLAT_TCP_READ_BPF_H
#define NETSTACKLAT_TCP_READ_BPF_H

#include <bpf/bpf_tracing.h>

#include "record.bpf.h"

SEC("fexit/tcp_recvmsg_locked")
int BPF_PROG(nsl_tcp_recvmsg_locked, struct sock *sk, struct msghdr *msg,
	     size_t len, int flags, struct scm_timestamping_internal *tss,
	     int *cmsg_flags, int copied)
{
	return record_tcp_recvmsg(sk, flags, tss, cmsg_flags, copied);
}

#endif /* NETSTACKLAT_TCP_READ_BPF_H */
