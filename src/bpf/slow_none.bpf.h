/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For objects that show no slow packets: what slow.bpf.h does, at no cost. */
#ifndef NETSTACKLAT_SLOW_NONE_BPF_H
#define NETSTACKLAT_SLOW_NONE_BPF_H

#include "sample.bpf.h"

#define KEEPS_WAYS false

static __always_inline void show_if_slow(const struct sample_ctx *ctx,
					 __u64 mono, __u64 age)
{
}

#endif /* NETSTACKLAT_SLOW_NONE_BPF_H */
