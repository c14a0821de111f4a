/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The loader's histograms where all packets are counted in one. */
#ifndef NETSTACKLAT_HISTOGRAM_MMAP_BY_HOOK_BPF_H
#define NETSTACKLAT_HISTOGRAM_MMAP_BY_HOOK_BPF_H

#include "histogram/mmap.bpf.h"

#define INTERFACE_MATTERS false

static __always_inline void histogram_add(const struct sample_ctx *ctx,
					  __u64 latency_m1, __u64 latency)
{
	slice_add(slice_of(histogram_of(ctx->hook)), latency_m1, latency);
}

/* Not inlined: rare. */
static __noinline int add_zero(void *histogram)
{
	slice_add_zero(slice_of(histogram));
	return 0;
}

static __always_inline void histogram_add_zero(const struct sample_ctx *ctx)
{
	add_zero(histogram_of(ctx->hook));
}

#endif /* NETSTACKLAT_HISTOGRAM_MMAP_BY_HOOK_BPF_H */
