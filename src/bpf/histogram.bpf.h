/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Histograms and skip counters: one array map per hook, one for the skips.
 *
 * Buckets are log-linear (H2): 2^g equal buckets per power of two, right-
 * inclusive, so that each upper bound is a Prometheus "le". With g = 0 this is
 * plain log2: bucket b holds (2^(b-1), 2^b] ns. After the last bucket stands
 * the sum, where ebpf_exporter looks for it.
 */
#ifndef NETSTACKLAT_HISTOGRAM_BPF_H
#define NETSTACKLAT_HISTOGRAM_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "config.bpf.h"

/*
 * As the drop-in needs them: bucket index to count, per CPU. The loader makes
 * them mmap-able arrays with a CPU's whole histogram as a value (sizes and not
 * types here, so that libbpf lets it): one look-up less per packet.
 */
#define HISTOGRAM_MAP(id, ident, ...)                                          \
	struct {                                                               \
		__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);                       \
		__uint(max_entries, N_BUCKETS(0) + 1);                         \
		__uint(key_size, sizeof(__u32));                               \
		__uint(value_size, sizeof(__u64));                             \
	} netstack_##ident##_latency_seconds SEC(".maps");
NETSTACKLAT_HOOKS(HISTOGRAM_MAP)

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, N_HOOKS * NETSTACKLAT_SKIP_STRIDE);
	__type(key, __u32);
	__type(value, __u64);
} netstack_skipped_total SEC(".maps");

#define HISTOGRAM_CASE(id, ident, ...)                                         \
	case HOOK_##id:                                                        \
		return &netstack_##ident##_latency_seconds;

/* hook is a constant wherever this is inlined, so the switch folds away. */
static __always_inline void *histogram_of(enum netstacklat_hook hook)
{
	switch (hook) {
		NETSTACKLAT_HOOKS(HISTOGRAM_CASE)
	default:
		return NULL;
	}
}

static __always_inline void array_add(void *map, __u32 index, __u64 amount)
{
	__u64 *slot = bpf_map_lookup_elem(map, &index);

	/*
	 * Atomic, because a task can be interrupted by a softirq that records
	 * at the same hook (TCP backlog replay). The result is not used, so
	 * this is one locked add and works on 5.10.
	 */
	if (slot)
		__sync_fetch_and_add(slot, amount);
}

/* Keeps clang from turning the branches below into branch-free code, which
 * costs more instructions. */
#define keep_branch(x) asm volatile("" : "+r"(x))

/*
 * The bucket of a latency of v ns, given v - 1 (< MAX_NS): u = v - 1 makes the
 * bounds right-inclusive. clang 14 has no count-leading-zeroes for BPF, so u
 * is normalised by shifts until its top bit is bit 33.
 */
static __always_inline __u32 bucket_index(__u64 u, __u32 sub_bits)
{
	__u32 exponent = NETSTACKLAT_MAX_BITS - 1;
	__u64 x = u;

	if (u < (1ULL << sub_bits))
		return u;
	if (x < (1ULL << (NETSTACKLAT_MAX_BITS - 16))) {
		x <<= 16;
		exponent -= 16;
		keep_branch(exponent);
	}
	if (x < (1ULL << (NETSTACKLAT_MAX_BITS - 8))) {
		x <<= 8;
		exponent -= 8;
		keep_branch(exponent);
	}
	if (x < (1ULL << (NETSTACKLAT_MAX_BITS - 4))) {
		x <<= 4;
		exponent -= 4;
		keep_branch(exponent);
	}
	if (x < (1ULL << (NETSTACKLAT_MAX_BITS - 2))) {
		x <<= 2;
		exponent -= 2;
		keep_branch(exponent);
	}
	if (x < (1ULL << (NETSTACKLAT_MAX_BITS - 1))) {
		x <<= 1;
		exponent -= 1;
		keep_branch(exponent);
	}
	return ((exponent - sub_bits) << sub_bits) +
	       (__u32)(x >> (NETSTACKLAT_MAX_BITS - 1 - sub_bits));
}

/*
 * The slice of this CPU; only in maps that hold a histogram per value. The
 * look-up cannot fail: there is a slice for each possible CPU.
 */
static __always_inline void slice_add(void *map, __u32 index, __u32 sum_index,
				      __u64 latency)
{
	__u32 cpu = bpf_get_smp_processor_id();
	__u64 *slice = bpf_map_lookup_elem(map, &cpu);

	if (!slice || index >= sum_index)
		return;
	__sync_fetch_and_add(&slice[index], 1);
	__sync_fetch_and_add(&slice[sum_index], latency);
}

/*
 * Adds one sample, given its latency and, for the bucket, that minus one
 * (apart, because a latency of 0 is counted in bucket 0 with sum 0). The
 * loader's resolution has a branch of its own, in which the verifier sees
 * constants; the other branches vanish at load.
 */
static __always_inline void histogram_add(enum netstacklat_hook hook,
					  __u64 below, __u64 latency)
{
	void *map = histogram_of(hook);
	__u32 sub_bits = config.sub_bits;

	if (sub_bits == NETSTACKLAT_FINE_SUB_BITS) {
		slice_add(map, bucket_index(below, NETSTACKLAT_FINE_SUB_BITS),
			  N_BUCKETS(NETSTACKLAT_FINE_SUB_BITS), latency);
	} else {
		array_add(map, bucket_index(below, 0), 1);
		array_add(map, N_BUCKETS(0), latency);
	}
}

/*
 * Counts a program run that adds no sample; returns 0 for SEC() one-liners.
 * Not inlined: it is rare, and each program has several calls.
 */
static __noinline int skip(enum netstacklat_hook hook,
			   enum netstacklat_skip reason)
{
	__u32 index = hook * NETSTACKLAT_SKIP_STRIDE + reason;

	if (config.skip_stride)
		index = bpf_get_smp_processor_id() * config.skip_stride +
			hook * N_SKIPS + reason;
	array_add(&netstack_skipped_total, index, 1);
	return 0;
}

#endif /* NETSTACKLAT_HISTOGRAM_BPF_H */
