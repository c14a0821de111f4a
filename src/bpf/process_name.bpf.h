/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether packets are wanted by the name of the process that reads them. User
 * space matches names with the globs that the user wrote, and puts the answer
 * into a map. A name that is not there yet is put there without an answer, and
 * user space is told.
 */
#ifndef NETSTACKLAT_PROCESS_NAME_BPF_H
#define NETSTACKLAT_PROCESS_NAME_BPF_H

#include "packet_owner.bpf.h"
#include "socket_readers.bpf.h"

/*
 * Any process can give itself any number of names: those that are longest not
 * asked for make room.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, NETSTACKLAT_MAX_PROCESS_NAMES);
	__type(key, struct process_name);
	__type(value, __u32);
} netstack_process_names SEC(".maps");

/* The names that user space is to judge. From 5.8 on. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, NETSTACKLAT_NEW_NAMES_BYTES);
} netstack_new_names SEC(".maps");

/* NETSTACKLAT_NAME_*. Not inlined: several programs ask. */
static __noinline int judge_name(struct process_name *name)
{
	__u32 *known, unjudged = NETSTACKLAT_NAME_UNJUDGED;

	if (!name)
		return NETSTACKLAT_NAME_UNJUDGED;
	known = bpf_map_lookup_elem(&netstack_process_names, name);
	if (known)
		return *known;
	if (bpf_map_update_elem(&netstack_process_names, name, &unjudged,
				BPF_NOEXIST))
		return NETSTACKLAT_NAME_UNJUDGED;
	/* Without room for the question, the next packet asks again. */
	if (bpf_ringbuf_output(&netstack_new_names, name, sizeof(*name), 0))
		bpf_map_delete_elem(&netstack_process_names, name);
	return NETSTACKLAT_NAME_UNJUDGED;
}

/*
 * The skip reason if the name of the process is not one of those wanted, else -1.
 * At a read the name is given.
 */
static __always_inline int name_skip(const struct sample_ctx *ctx,
				     struct process_name *name)
{
	struct process_name *known;
	int verdict;
	__u32 pid;

	if (!is_in_reader(ctx->hook)) {
		if (!has_sockets(ctx->hook))
			return -1;
		/* 0 has no name. */
		pid = pid_of(ctx);
		known = bpf_map_lookup_elem(&netstack_reader_names, &pid);
		if (!known)
			return SKIP_OWNER_UNKNOWN;
		*name = *known;
	}
	verdict = judge_name(name);
	if (verdict == NETSTACKLAT_NAME_UNJUDGED)
		return SKIP_OWNER_UNKNOWN;
	return verdict == NETSTACKLAT_NAME_WANTED ? -1 : SKIP_FILTERED;
}

#endif /* NETSTACKLAT_PROCESS_NAME_BPF_H */
