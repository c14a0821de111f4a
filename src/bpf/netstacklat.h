/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What BPF and Rust share: the hook table, the skip reasons, the limits and
 * the wire types, each declared once. build.rs runs src/bpf/wire.rs.in, which
 * includes this file, through the C preprocessor to get the Rust side, so keep
 * macro values free of C-only syntax (suffixes, casts) and texts free of
 * apostrophes.
 */
#ifndef NETSTACKLAT_H
#define NETSTACKLAT_H

/*
 * HOOK(ID, ident, name, meaning), in the order in which a packet meets them.
 * ident makes the map name: netstack_<ident>_latency_seconds.
 */
#define NETSTACKLAT_HOOKS(HOOK)                                                \
	HOOK(IP_START, ip_start, "ip-start", "past traffic control, at IP")    \
	HOOK(TCP_START, tcp_start, "tcp-start",                                \
	     "past routing and netfilter, at TCP")                             \
	HOOK(TCP_DO_RCV, tcp_do_rcv, "tcp-do-rcv",                             \
	     "socket found and owned (or backlog replayed)")                   \
	HOOK(TCP_DATA_QUEUE, tcp_data_queue, "tcp-data-queue",                 \
	     "data segment off the header-prediction path")                    \
	HOOK(TCP_SOCKET_ENQUEUED, tcp_socket_enqueued, "tcp-socket-enqueued",  \
	     "in-order segment in the receive queue of the socket")            \
	HOOK(TCP_SOCKET_READ, tcp_socket_read, "tcp-socket-read",              \
	     "last segment of a read handed to user space")                    \
	HOOK(UDP_START, udp_start, "udp-start",                                \
	     "past routing and netfilter, at UDP")                             \
	HOOK(UDP_QUEUE_RCV, udp_queue_rcv, "udp-queue-rcv", "socket found")    \
	HOOK(UDP_SOCKET_ENQUEUED, udp_socket_enqueued, "udp-socket-enqueued",  \
	     "in the receive queue of the socket")                             \
	HOOK(UDP_SOCKET_READ, udp_socket_read, "udp-socket-read",              \
	     "handed to user space")

/*
 * PROGRAM(HOOK_ID, attach, function, role): the programs of netstacklat.bpf.c.
 *
 * RECORDS: nsl_<function> adds the hook's samples.
 * STANDS_IN: the same, where the hook's other function does not exist or
 * cannot be attached to: BPF trampolines pass on 6 arguments, and
 * tcp_recvmsg_locked had 7 until 5.19.
 * SERVES: nsl_for_<function> does only what other hooks rely on; it is loaded
 * in place of the recording program when the hook itself is off.
 */
#define NETSTACKLAT_PROGRAMS(PROGRAM)                                          \
	PROGRAM(IP_START, "fentry", ip_rcv_core, RECORDS)                      \
	PROGRAM(IP_START, "fentry", ip6_rcv_core, RECORDS)                     \
	PROGRAM(IP_START, "fentry", ip_rcv_core, SERVES)                       \
	PROGRAM(IP_START, "fentry", ip6_rcv_core, SERVES)                      \
	PROGRAM(TCP_START, "fentry", tcp_v4_rcv, RECORDS)                      \
	PROGRAM(TCP_START, "fentry", tcp_v6_rcv, RECORDS)                      \
	PROGRAM(TCP_DO_RCV, "fentry", tcp_v4_do_rcv, RECORDS)                  \
	PROGRAM(TCP_DO_RCV, "fentry", tcp_v6_do_rcv, RECORDS)                  \
	PROGRAM(TCP_DATA_QUEUE, "fentry", tcp_data_queue, RECORDS)             \
	PROGRAM(TCP_SOCKET_ENQUEUED, "fexit", tcp_queue_rcv, RECORDS)          \
	PROGRAM(TCP_SOCKET_READ, "fexit", tcp_recvmsg_locked, RECORDS)         \
	PROGRAM(TCP_SOCKET_READ, "fentry", tcp_recv_timestamp, STANDS_IN)      \
	PROGRAM(UDP_START, "fentry", udp_rcv, RECORDS)                         \
	PROGRAM(UDP_START, "fentry", udpv6_rcv, RECORDS)                       \
	PROGRAM(UDP_QUEUE_RCV, "fentry", udp_queue_rcv_one_skb, RECORDS)       \
	PROGRAM(UDP_QUEUE_RCV, "fentry", udpv6_queue_rcv_one_skb, RECORDS)     \
	PROGRAM(UDP_QUEUE_RCV, "fentry", udp_queue_rcv_one_skb, SERVES)        \
	PROGRAM(UDP_QUEUE_RCV, "fentry", udpv6_queue_rcv_one_skb, SERVES)      \
	PROGRAM(UDP_SOCKET_ENQUEUED, "fexit", __udp_enqueue_schedule_skb,      \
		RECORDS)                                                       \
	PROGRAM(UDP_SOCKET_READ, "fentry", skb_consume_udp, RECORDS)

/*
 * SKIP(ID, name, lost, meaning): why a program run added no sample.
 * lost = 1: a packet that should have been measured was not, users see it as
 * "not measured". lost = 0: there was no packet to measure at this point.
 */
#define NETSTACKLAT_SKIPS(SKIP)                                                \
	SKIP(NO_TIMESTAMP, "no-timestamp", 1,                                  \
	     "the skb carries no receive timestamp")                           \
	SKIP(TX_TIMESTAMP, "tx-timestamp", 1,                                  \
	     "the stamp is a transmit time (TCP over loopback or veth)")       \
	SKIP(CLOCK_NOT_READY, "clock-not-ready", 1,                            \
	     "the clock offset was not known yet")                             \
	SKIP(CLOCK_STEP, "clock-step", 1,                                      \
	     "the wall clock was stepped between stamp and reading")           \
	SKIP(NEGATIVE, "negative", 1,                                          \
	     "the stamp lies in the future by more than the clock lag")        \
	SKIP(OVER_RANGE, "over-range", 1, "more than 2^34 ns (17.2 s)")        \
	SKIP(HOL_BLOCKED, "hol-blocked", 1,                                    \
	     "read late because an earlier segment was missing")               \
	SKIP(MPTCP, "mptcp", 1, "the stamp belongs to an MPTCP read")          \
	SKIP(ENTRY_MISSED, "entry-missed", 1,                                  \
	     "the kernel left out the program that notes the stamp")           \
	SKIP(MAP_FULL, "map-full", 1, "no room left for the group")            \
	SKIP(V4_MAPPED, "v4-mapped", 0,                                        \
	     "IPv4 passing tcp_v6_do_rcv, recorded by tcp_v4_do_rcv")          \
	SKIP(PEEK, "peek", 0, "MSG_PEEK: the data stays in the queue")         \
	SKIP(NO_DATA, "no-data", 0,                                            \
	     "a read without data, or a segment without")                      \
	SKIP(DROPPED, "dropped", 0, "the kernel refused to enqueue the skb")

/*
 * HOOK(ID, ident): those that the grouped object has. At the first of each
 * protocol the socket is not known yet, hence no cgroup.
 */
#define NETSTACKLAT_GROUPED_HOOKS(HOOK)                                        \
	HOOK(TCP_START, tcp_start)                                             \
	HOOK(TCP_SOCKET_ENQUEUED, tcp_socket_enqueued)                         \
	HOOK(TCP_SOCKET_READ, tcp_socket_read)                                 \
	HOOK(UDP_START, udp_start)                                             \
	HOOK(UDP_SOCKET_ENQUEUED, udp_socket_enqueued)                         \
	HOOK(UDP_SOCKET_READ, udp_socket_read)

/*
 * STATE(ID, name, meaning): what ebpf_exporter shows of the clock, 1 for the
 * one that it is in. Neither before the first update, some ms from the start.
 */
#define NETSTACKLAT_CLOCK_STATES(STATE)                                        \
	STATE(SETTLED, "settled", "no step that matters any more")             \
	STATE(SETTLING, "settling",                                            \
	      "within 2^35 ns (34.4 s) of a step: stamps from before it are "  \
	      "refused as clock-step")

/* Limits. Buckets are right-inclusive, (lo, hi], and cover (0, 2^34] ns. */
#define NETSTACKLAT_MAX_BITS 34
/* log2 of the buckets per power of two under the loader: 3.1 % error. */
#define NETSTACKLAT_FINE_SUB_BITS 4
/* u64 of a CPU's histogram under the loader: a power of two, a page. */
#define NETSTACKLAT_SLICE_ENTRIES 512
/*
 * The fast accessors of the kernel clocks lag other CPUs by some 100 ns; a
 * stamp that is this far ahead (with room to spare) counts as now.
 */
#define NETSTACKLAT_CLOCK_LAG_NS 10000
/* Room for the out-of-order history of so many connections. */
#define NETSTACKLAT_MAX_HOL_SOCKETS 8192

/* CPUs that have a place for the datagram that they are about to enqueue. */
#define NETSTACKLAT_ARRIVALS 1024

/*
 * Pairs of interface and cgroup that the grouped object tells apart; what comes
 * after them is in the group "other".
 */
#define NETSTACKLAT_MAX_GROUPS 128
/* Of them those whose cgroup belongs to another user than root, at most. */
#define NETSTACKLAT_MAX_DELEGATED_GROUPS 32
/* Numbers that no cgroup and no interface has: 2^31 - 1, 2^31 - 2. */
#define NETSTACKLAT_GROUP_OTHER 2147483647
#define NETSTACKLAT_GROUP_OTHER_NETNS 2147483646

#define NETSTACKLAT_CLOCK_VSYSCALL 0
#define NETSTACKLAT_CLOCK_TAI 1

#endif /* NETSTACKLAT_H */
