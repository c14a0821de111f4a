/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The numbers that BPF and Rust share. As in tables.h, no C-only syntax.
 */
#ifndef NETSTACKLAT_LIMITS_H
#define NETSTACKLAT_LIMITS_H

/* Buckets are right-inclusive, (lo, hi], and cover (0, 2^34] ns. */
#define NETSTACKLAT_MAX_BITS 34
/* log2 of the buckets per power of two under the loader: 3.1 % error. */
#define NETSTACKLAT_FINE_SUB_BITS 4
/* u64 of a CPU's histogram under the loader: a power of two, a page. */
#define NETSTACKLAT_SLICE_ENTRIES 512
/*
 * The fast accessors of the kernel clocks lag other CPUs by some 100 ns; a
 * timestamp that is this far ahead (with room to spare) counts as now.
 */
#define NETSTACKLAT_CLOCK_LAG_NS 10000
/*
 * A step of the wall clock of at most this, and several within 2^35 ns that
 * together are no more, leave latencies wrong by at most this: 100 us. They are
 * counted, and no packet is refused for them.
 */
#define NETSTACKLAT_SMALL_STEP_NS 100000
/* Room for the out-of-order history of so many connections. */
#define NETSTACKLAT_MAX_HOL_SOCKETS 8192

/* CPUs that have a place for the datagram that they are about to enqueue. */
#define NETSTACKLAT_ARRIVALS 1024

/*
 * Groups (pairs of interface and cgroup, unless it counts by other keys) that the
 * grouped object tells apart; what comes after them is in the group "other".
 */
#define NETSTACKLAT_MAX_GROUPS 128
/*
 * Of them those that users can make as they like, at most: their cgroup belongs to
 * another user than root, or their port or network namespace takes no privilege.
 */
#define NETSTACKLAT_MAX_DELEGATED_GROUPS 32
/* Numbers that no cgroup and no interface has: 2^31 - 1, 2^31 - 2. */
#define NETSTACKLAT_GROUP_OTHER 2147483647
#define NETSTACKLAT_GROUP_OTHER_NETNS 2147483646
/* No port, but all of those from which the kernel takes a client's. */
#define NETSTACKLAT_GROUP_EPHEMERAL 65536
/* The first of them, as the kernel has it (net.ipv4.ip_local_port_range). */
#define NETSTACKLAT_FIRST_EPHEMERAL_PORT 32768
/* No receive queue: 2^32 - 1. */
#define NETSTACKLAT_GROUP_NONE 4294967295
/*
 * Where cgroups and interfaces are not all that it counts by: a group that has been
 * quiet for so long makes room when another finds none, and how often that is
 * looked for. 5 min, longer than scrapes are apart, and 10 s.
 */
#define NETSTACKLAT_QUIET_GROUP_NS 300000000000
#define NETSTACKLAT_QUIET_LOOK_NS 10000000000

/*
 * Words that tell a group: namespace, interface, cgroup, process, local port,
 * receive queue, family, and four of the remote address.
 */
#define NETSTACKLAT_GROUP_WORDS 11
/* In the slice of a group: whether it is one; its key comes behind. */
#define NETSTACKLAT_SLICE_IN_USE 498

/* Places in which a CPU remembers two slices each: a power of two, and its logarithm. */
#define NETSTACKLAT_RECENT_SLICES 2048
#define NETSTACKLAT_RECENT_SLICES_BITS 11

/* Counters of packets that were left out, from one CPU to the next. */
#define NETSTACKLAT_FILTERED_STRIDE 32

/* 2^64 divided by the golden ratio: an odd number without a pattern in it. */
#define NETSTACKLAT_SAMPLE_MULTIPLIER 0x9E3779B97F4A7C15
/* The smallest share that --sample takes is 1 divided by this. */
#define NETSTACKLAT_MAX_SAMPLE_ONE_IN 65536

/* Bits of a note (stages.bpf.h): the time, and above it the hook; the rest is its tag. */
#define NETSTACKLAT_NOTE_TIME_BITS 35
#define NETSTACKLAT_NOTE_HOOK_BITS 5
/* Hooks that a note can name, and the number that stands for no stage. */
#define NETSTACKLAT_NOTE_HOOKS 32
#define NETSTACKLAT_NO_STAGE 255
/* Hooks of which a slow packet shows when it passed them: all but the last one. */
#define NETSTACKLAT_WAY_NOTES 7

/* Packets begin at a hook; or those do that have no note. */
#define NETSTACKLAT_NOTE_BEGINS 1
#define NETSTACKLAT_NOTE_MAY_BEGIN 2
/* Notes that there is room for: powers of two. */
#define NETSTACKLAT_MIN_NOTES 1024
#define NETSTACKLAT_DEFAULT_NOTES 16384
#define NETSTACKLAT_MAX_NOTES 1048576

/*
 * Packets that are noted from ip-forward to inner-ip-start: a power of two, and its
 * logarithm.
 */
#define NETSTACKLAT_FORWARD_NOTES 16384
#define NETSTACKLAT_FORWARD_NOTES_BITS 14
/* The same for packets that have come through a veth pair, up to their read. */
#define NETSTACKLAT_ORIGIN_NOTES 16384
#define NETSTACKLAT_ORIGIN_NOTES_BITS 14

/* What a filter can name at most. */
#define NETSTACKLAT_MAX_FILTER_CGROUPS 8
#define NETSTACKLAT_MAX_FILTER_INTERFACES 256
#define NETSTACKLAT_MAX_FILTER_PIDS 4096
#define NETSTACKLAT_MAX_FILTER_NETWORKS 16
/* Receive queues that a filter can name: 0 to one less. */
#define NETSTACKLAT_MAX_RX_QUEUES 1024
/* As what a port is wanted, bits. */
#define NETSTACKLAT_PORT_LOCAL 1
#define NETSTACKLAT_PORT_REMOTE 2
#define NETSTACKLAT_PORT_EITHER 4
/*
 * Sockets of which the process that reads from them is known: 65,536, in rows of
 * eight (socket_readers.bpf.h), which take 512 KiB. Bits of a process id: those of the
 * kernel's limit of 4 million.
 */
#define NETSTACKLAT_READER_ROW_BITS 13
#define NETSTACKLAT_READERS_IN_ROW 8
#define NETSTACKLAT_PID_BITS 22
/* Processes of which the name is kept when they have ended. */
#define NETSTACKLAT_MAX_READER_NAMES 8192

/* Names of processes that are judged, and bytes for those to be. */
#define NETSTACKLAT_MAX_PROCESS_NAMES 8192
#define NETSTACKLAT_NEW_NAMES_BYTES 65536
/* What user space says to a name. */
#define NETSTACKLAT_NAME_UNJUDGED 0
#define NETSTACKLAT_NAME_WANTED 1
#define NETSTACKLAT_NAME_UNWANTED 2

/* How many interfaces are wanted. */
#define NETSTACKLAT_INTERFACES_ALL 0
#define NETSTACKLAT_INTERFACES_ONE 1
#define NETSTACKLAT_INTERFACES_MANY 2

#define NETSTACKLAT_CLOCK_VSYSCALL 0
#define NETSTACKLAT_CLOCK_TAI 1

#endif /* NETSTACKLAT_LIMITS_H */
