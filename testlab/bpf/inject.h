/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * For an object for ebpf_exporter: one program more, which adds what the test
 * chooses: lseek(2) on /dev/null, with the choice in the offset.
 */

/* In the topmost bits, so that nobody else's seek is taken for ours. */
#define INJECT_MAGIC 0x4e5ULL
#define INJECT_MAGIC_SHIFT 52
/* 1: a packet stamped so long ago; 0: a latency, as it is */
#define INJECT_AGE_SHIFT 48
#define INJECT_HOOK_SHIFT 40
#define INJECT_NS_MASK ((1ULL << INJECT_HOOK_SHIFT) - 1)

static __always_inline int inject(enum netstacklat_hook hook, bool age,
				  __u64 ns)
{
	struct sample_ctx ctx = {.hook = hook};

	if (age) {
		ctx.tstamp = bpf_ktime_get_ns() + clock.offs_real - ns;
		return record(&ctx);
	}
	if (ns - 1 < MAX_NS)
		histogram_add(&ctx, ns - 1, ns);
	return 0;
}

#define INJECT_CASE(id, ...)                                                   \
	case HOOK_##id:                                                        \
		return inject(HOOK_##id, age, ns);

SEC("fentry/null_lseek")
int BPF_PROG(nsl_inject, struct file *file, __s64 offset)
{
	__u64 choice = offset, ns = choice & INJECT_NS_MASK;
	bool age = choice >> INJECT_AGE_SHIFT & 1;

	if (choice >> INJECT_MAGIC_SHIFT != INJECT_MAGIC)
		return 0;
	switch (choice >> INJECT_HOOK_SHIFT & 0xff) {
		EXPORTED_HOOKS(INJECT_CASE)
	}
	return 0;
}
