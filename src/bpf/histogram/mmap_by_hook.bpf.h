/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The loader's histograms where all packets are counted in one. */
#ifndef NETSTACKLAT_HISTOGRAM_MMAP_BY_HOOK_BPF_H
#define NETSTACKLAT_HISTOGRAM_MMAP_BY_HOOK_BPF_H

#include "histogram/mmap.bpf.h"

#define INTERFACE_MATTERS false

/* Gives back where the histograms of stages are, for stage_add(). */
static __always_inline __u64 *histogram_add(const struct sample_ctx *ctx,
					    __u64 latency_m1, __u64 latency)
{
	__u64 *slices = slice_of(histogram_of(ctx->hook));

	slice_add(slices, latency_m1, latency);
	return slices;
}

/* Not inlined: rare. */
static __noinline __u64 *add_zero(void *histogram)
{
	__u64 *slices = slice_of(histogram);

	slice_add_zero(slices);
	return slices;
}

static __always_inline __u64 *histogram_add_zero(const struct sample_ctx *ctx)
{
	return add_zero(histogram_of(ctx->hook));
}

#endif /* NETSTACKLAT_HISTOGRAM_MMAP_BY_HOOK_BPF_H */
