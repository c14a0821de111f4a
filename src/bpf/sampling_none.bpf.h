/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For objects that measure every packet: the test of sampling.bpf.h, at no cost. */
#ifndef NETSTACKLAT_SAMPLING_NONE_BPF_H
#define NETSTACKLAT_SAMPLING_NONE_BPF_H

#include "types.bpf.h"

#define CAN_SAMPLE false

static __always_inline __u64 sampling_limit(void)
{
	return 0;
}

static __always_inline bool is_sampled_out(__u64 limit, __u64 tstamp)
{
	return false;
}

static __always_inline int skip_sampled_out(enum netstacklat_hook hook)
{
	return 0;
}

#endif /* NETSTACKLAT_SAMPLING_NONE_BPF_H */
