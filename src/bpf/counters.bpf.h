/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Counters in arrays. */
#ifndef NETSTACKLAT_COUNTERS_BPF_H
#define NETSTACKLAT_COUNTERS_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

/*
 * Atomic, because a task can be interrupted by a softirq that records at the
 * same hook (TCP backlog replay). The result is not used, so this is one
 * locked add and works on 5.10.
 */
static __always_inline void array_add(void *map, __u32 index, __u64 amount)
{
	__u64 *slot = bpf_map_lookup_elem(map, &index);

	if (slot)
		__sync_fetch_and_add(slot, amount);
}

#endif /* NETSTACKLAT_COUNTERS_BPF_H */
