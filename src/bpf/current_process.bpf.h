/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The process that runs: in a reader, the one that reads. */
#ifndef NETSTACKLAT_CURRENT_PROCESS_BPF_H
#define NETSTACKLAT_CURRENT_PROCESS_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"

/* What user space calls the process id. */
static __always_inline __u32 current_pid(void)
{
	return bpf_get_current_pid_tgid() >> 32;
}

/* As /proc/PID/comm shows it, with zeroes to its end. */
struct process_name {
	char comm[16];
} __attribute__((aligned(4)));

struct task_struct___owner {
	struct task_struct___owner *group_leader;
	char comm[16];
} __attribute__((preserve_access_index));

/*
 * The name of the current process: that of its first thread. The others can have
 * names of their own.
 */
static __always_inline void name_of_process(struct process_name *name)
{
	struct task_struct___owner *task;
	const __u64 *comm;
	__u64 words[2];

	if (bpf_ksym_exists(bpf_rdonly_cast)) {
		/* 6.2 or newer: loads need no helper calls. */
		task = (void *)bpf_get_current_task_btf();
		comm = (const void *)task->group_leader->comm;
		words[0] = comm[0];
		words[1] = comm[1];
		__builtin_memcpy(name, words, sizeof(*name));
		return;
	}
	/*
	 * Before 5.17 (06c5088aeecf) what is left of a longer name can be behind
	 * the end, so it is copied as a string, into zeroes.
	 */
	task = (void *)bpf_get_current_task();
	task = BPF_CORE_READ(task, group_leader);
	bpf_core_read_str(name->comm, sizeof(name->comm), &task->comm);
}

static __always_inline bool is_same_name(const struct process_name *a,
					 const struct process_name *b)
{
	const __u32 *x = (const void *)a, *y = (const void *)b;

	return x[0] == y[0] && x[1] == y[1] && x[2] == y[2] && x[3] == y[3];
}

#endif /* NETSTACKLAT_CURRENT_PROCESS_BPF_H */
