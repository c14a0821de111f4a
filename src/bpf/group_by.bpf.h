/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * By which keys netstacklat-groups.bpf.o counts. ebpf_exporter sets nothing before
 * load, so this is chosen when the object is compiled: `make bpf GROUP_BY=...` has
 * clang define GROUP_BY as some of BY_*. Each GROUP_BY_* is 1 or 0 then, to be
 * tested like any constant.
 */
#ifndef NETSTACKLAT_GROUP_BY_BPF_H
#define NETSTACKLAT_GROUP_BY_BPF_H

#include "tables.h"

#define KEY_NUMBER(id, ...) KEY_##id,
#define KEY_BIT(id, ...) BY_##id = 1 << KEY_##id,
#define KEY_IS_ON(id, ...) GROUP_BY_##id = !!((GROUP_BY)&BY_##id),
#define OR_KEY(id) | BY_##id

#ifndef GROUP_BY
#define GROUP_BY (0 NETSTACKLAT_DEFAULT_KEYS(OR_KEY))
#endif

enum { NETSTACKLAT_EXPORTED_KEYS(KEY_NUMBER) };
enum { NETSTACKLAT_EXPORTED_KEYS(KEY_BIT) };
enum { NETSTACKLAT_EXPORTED_KEYS(KEY_IS_ON) };

_Static_assert(GROUP_BY, "a group has at least one key");

enum {
	/*
	 * Cgroups and interfaces give their places back when they are removed. What
	 * else there is to count by may just not come any more.
	 */
	QUIET_GROUPS_MAKE_ROOM = !!((GROUP_BY) & ~(BY_CGROUP | BY_INTERFACE)),
	/* Whether a new group is asked for its network namespace. */
	NAMESPACE_MATTERS = GROUP_BY_NETNS || GROUP_BY_LOCAL_PORT,
};

#endif /* NETSTACKLAT_GROUP_BY_BPF_H */
