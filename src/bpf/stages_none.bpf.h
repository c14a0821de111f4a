/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For objects that measure no stages: what stages.bpf.h does, at no cost. */
#ifndef NETSTACKLAT_STAGES_NONE_BPF_H
#define NETSTACKLAT_STAGES_NONE_BPF_H

#include "sample.bpf.h"

static __always_inline void stage_add(const struct sample_ctx *ctx, __u64 mono,
				      __u64 *slices)
{
}

#endif /* NETSTACKLAT_STAGES_NONE_BPF_H */
