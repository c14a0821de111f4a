/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * From a latency to its bucket.
 *
 * Buckets are log-linear (H2): 2^g equal buckets per power of two, right-
 * inclusive, so that each upper bound is a Prometheus "le". With g = 0 this is
 * plain log2: bucket b holds (2^(b-1), 2^b] ns. Who includes this says which
 * it is: SUB_BITS is g.
 *
 * BPF has no count-leading-zeroes, so a table of 1 KiB gives the bucket of what
 * the top ten bits say. Latencies of 1 to 65 us touch 1 to 16 of its cache
 * lines.
 */
#ifndef NETSTACKLAT_BUCKET_BPF_H
#define NETSTACKLAT_BUCKET_BPF_H

#include "../types.bpf.h"

/* The sum of the latencies follows the last bucket. */
#define SUM_INDEX N_BUCKETS(SUB_BITS)

#define TABLE_BITS 10
/* A step of the shift: what is left then has all its SUB_BITS + 1 top bits. */
#define SHIFT_STEP 6

#if SUB_BITS
/* The buckets of one power of two, 2^e: each 2^(e-4) values wide. */
/* clang-format off */
#define SUB(e, i)                                                              \
	[(16 + (i)) << ((e) - 4) ... ((17 + (i)) << ((e) - 4)) - 1] =          \
		16 * ((e) - 3) + (i)
#define SUBS(e, i) SUB(e, i), SUB(e, (i) + 1), SUB(e, (i) + 2), SUB(e, (i) + 3)
#define POWER_OF_TWO(e) SUBS(e, 0), SUBS(e, 4), SUBS(e, 8), SUBS(e, 12)

static const __u8 bucket_table[1 << TABLE_BITS] = {
	0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
	POWER_OF_TWO(4), POWER_OF_TWO(5), POWER_OF_TWO(6),
	POWER_OF_TWO(7), POWER_OF_TWO(8), POWER_OF_TWO(9),
};
/* clang-format on */
_Static_assert(SUB_BITS == 4, "the table is made for 16 buckets");
#else
static const __u8 bucket_table[1 << TABLE_BITS] = {
	[0] = 0,
	[1] = 1,
	[2 ... 3] = 2,
	[4 ... 7] = 3,
	[8 ... 15] = 4,
	[16 ... 31] = 5,
	[32 ... 63] = 6,
	[64 ... 127] = 7,
	[128 ... 255] = 8,
	[256 ... 511] = 9,
	[512 ... 1023] = 10,
};
_Static_assert(SUB_BITS == 0, "the table is made for plain log2");
#endif
_Static_assert(SUB_BITS + SHIFT_STEP <= TABLE_BITS, "see SHIFT_STEP");
_Static_assert(NETSTACKLAT_MAX_BITS <= TABLE_BITS + 4 * SHIFT_STEP,
	       "four steps must do");

/*
 * The bucket of a latency of v ns, given u = v - 1 (< MAX_NS), which makes the
 * bounds right-inclusive.
 */
static __always_inline __u64 bucket_index(__u64 u)
{
	const __u64 step = SHIFT_STEP << SUB_BITS;

	/* The common case first: 1 to 65 us. */
	if (u < 1ULL << (TABLE_BITS + SHIFT_STEP)) {
		if (u < 1ULL << TABLE_BITS)
			return bucket_table[u];
		return step + bucket_table[u >> SHIFT_STEP];
	}
	if (u < 1ULL << (TABLE_BITS + 2 * SHIFT_STEP))
		return 2 * step + bucket_table[u >> 2 * SHIFT_STEP];
	if (u < 1ULL << (TABLE_BITS + 3 * SHIFT_STEP))
		return 3 * step + bucket_table[u >> 3 * SHIFT_STEP];
	/* Masked, because the verifier does not see that u < 2^34. */
	u = u >> 4 * SHIFT_STEP & ((1 << TABLE_BITS) - 1);
	return 4 * step + bucket_table[u];
}

#endif /* NETSTACKLAT_BUCKET_BPF_H */
