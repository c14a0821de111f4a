/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The index function of the histograms by itself, to be called with chosen
 * values (BPF_PROG_TEST_RUN). SUB_BITS says which of the two it is.
 */
#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "histogram/bucket.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* ctx[0] is u = latency - 1. */
SEC("raw_tp/netstacklat_bucket")
int bucket_of(__u64 *ctx)
{
	__u64 u = ctx[0];

	return u < MAX_NS ? bucket_index(u) : -1;
}
