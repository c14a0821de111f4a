/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For ebpf_exporter: a histogram for each hook, one bucket for each power of
 * two.
 */
#ifndef NETSTACKLAT_HISTOGRAM_BY_HOOK_BPF_H
#define NETSTACKLAT_HISTOGRAM_BY_HOOK_BPF_H

#include "sample.bpf.h"

#define SUB_BITS 0
#include "histogram/bucket.bpf.h"

#define INTERFACE_MATTERS false

#define NAME(name) netstack_##name
#define EXPORTED_HOOKS NETSTACKLAT_DEFAULT_HOOKS
/* Bucket to count, and after the last bucket the sum. */
#define HISTOGRAM(name) PERCPU_COUNTERS(name, N_BUCKETS(0) + 1)
#include "histogram/exporter.bpf.h"

/* Returns what stage_add() wants, which is nothing. */
static __always_inline __u64 *histogram_add(const struct sample_ctx *ctx,
					    __u64 latency_m1, __u64 latency)
{
	array_add(histogram_of(ctx->hook), bucket_index(latency_m1), 1);
	array_add(histogram_of(ctx->hook), SUM_INDEX, latency);
	return NULL;
}

/* A latency of 0 ns, which only the lag between two CPUs' clocks produces. */
static __always_inline __u64 *histogram_add_zero(const struct sample_ctx *ctx)
{
	array_add(histogram_of(ctx->hook), 0, 1);
	return NULL;
}

#endif /* NETSTACKLAT_HISTOGRAM_BY_HOOK_BPF_H */
