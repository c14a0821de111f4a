/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The tables that BPF and Rust share: hooks, programs, skip reasons. C makes
 * enums and maps of them. build.rs runs tables.rs.in, which includes this file
 * and limits.h, through the C preprocessor to get the Rust side, so keep values
 * free of C-only syntax (suffixes, casts), and write a text of several lines as
 * TEXT("...", "..."). Names and meanings must have no apostrophes, because they
 * get into YAML.
 *
 * Names are an interface: users type them, recordings, rules and dashboards
 * contain them. When one changes, the old one becomes an alias.
 */
#ifndef NETSTACKLAT_TABLES_H
#define NETSTACKLAT_TABLES_H

/*
 * HOOK(ID, ident, name, aliases, protocol, runs, after, needs, meaning, stage,
 *      before)
 * in the order in which a packet meets them. DEFAULT hooks measure unless the user
 * chooses others; OPTIONAL ones only if the user asks for them.
 *
 * ident: makes the map name, netstack_<ident>_latency_seconds.
 * name: what users type, and what every output shows.
 * aliases: former names: NONE, or ALIASES("name", ...).
 * protocol: whose packets pass: ANY, or the name of one protocol, whose hooks
 *   form a path of their own. So do those of "forwarded" packets, be they TCP, UDP
 *   or others.
 *   Runs of a "softirq" are no packets.
 * runs: NO_PACKET: what is measured is no packet; AT_IP: in the stack, where neither the packet's socket nor its transport
 *   protocol is known yet; BEFORE_SOCKET: in the stack, where the socket is not
 *   known yet; EARLY_DEMUX: in the stack, where the sockets of established connections
 *   are known, unless net.ipv4.ip_early_demux or tcp_early_demux is off;
 *   AT_SOCKET: in the stack, where it is known; IN_READER: in the task that reads
 *   from the socket.
 * after: the hook before it on the path: AFTER(ID); FIRST: there is none, and
 *   before it is the timestamp.
 * needs: what programs of another hook must do for it. They are loaded also
 *   when that hook is off (HELPER, see below). NOTHING; REQUIRES(ID): the hook
 *   cannot be measured without; USES(ID): it can, but it is then not known how
 *   many of its packets came with a transmit timestamp, which they lose on the
 *   way.
 * meaning: what a packet has behind it here, in a few words.
 * stage: what happens between the hook before and this one, in two or three words.
 * before: the same in full, from net/core/dev.c,
 *   net/ipv4/ip_input.c, net/ipv6/ip6_input.c, net/ipv4/ip_forward.c,
 *   net/ipv6/ip6_output.c, net/ipv4/tcp_ipv4.c, net/ipv4/tcp_input.c and
 *   net/ipv4/udp.c of Linux 5.10 to 7.
 */
#define NETSTACKLAT_HOOKS(HOOK)                                                \
	NETSTACKLAT_DEFAULT_HOOKS(HOOK)                                        \
	NETSTACKLAT_OPTIONAL_HOOKS(HOOK)

#define NETSTACKLAT_DEFAULT_HOOKS(HOOK)                                        \
	HOOK(IP_START, ip_start, "ip-start", NONE, ANY, AT_IP, FIRST, NOTHING, \
	     "past traffic control, at IP", "traffic control",                 \
	     TEXT("receive steering (RPS), generic XDP, packet taps, ",        \
		  "traffic control, bridges and bonds"))                       \
	HOOK(TCP_START, tcp_start, "tcp-start", NONE, "TCP", EARLY_DEMUX,      \
	     AFTER(IP_START), USES(IP_START),                                  \
	     "past routing and netfilter, at TCP", "netfilter, routing",       \
	     "netfilter (connection tracking included) and routing")           \
	HOOK(TCP_DO_RCV, tcp_do_rcv, "tcp-do-rcv", NONE, "TCP", AT_SOCKET,     \
	     AFTER(TCP_START), USES(IP_START),                                 \
	     "socket found and owned (or backlog replayed)",                   \
	     "socket lookup, backlog",                                         \
	     TEXT("the socket lookup, socket filters and the wait in the ",    \
		  "backlog while a task owns the socket"))                     \
	HOOK(TCP_DATA_QUEUE, tcp_data_queue, "tcp-data-queue", NONE, "TCP",    \
	     AT_SOCKET, AFTER(TCP_DO_RCV), USES(IP_START),                     \
	     "data segment off the header-prediction path", "checks of TCP",   \
	     "the checks of TCP's receive processing and of the ACK")          \
	HOOK(TCP_SOCKET_ENQUEUED, tcp_socket_enqueued, "tcp-socket-enqueued",  \
	     NONE, "TCP", AT_SOCKET, AFTER(TCP_DATA_QUEUE), USES(IP_START),    \
	     "in-order segment in the receive queue of the socket",            \
	     "enqueuing",                                                      \
	     TEXT("putting segments in order, and the socket's memory ",       \
		  "accounting"))                                               \
	HOOK(TCP_SOCKET_READ, tcp_socket_read, "tcp-socket-read", NONE, "TCP", \
	     IN_READER, AFTER(TCP_SOCKET_ENQUEUED), USES(IP_START),            \
	     "last segment of a read handed to user space",                    \
	     "waiting for the reader",                                         \
	     TEXT("the wait in the socket until the reader asks, its ",        \
		  "wake-up and scheduling included"))                          \
	HOOK(UDP_START, udp_start, "udp-start", NONE, "UDP", BEFORE_SOCKET,    \
	     AFTER(IP_START), NOTHING, "past routing and netfilter, at UDP",   \
	     "netfilter, routing",                                             \
	     "netfilter (connection tracking included) and routing")           \
	HOOK(UDP_QUEUE_RCV, udp_queue_rcv, "udp-queue-rcv", NONE, "UDP",       \
	     AT_SOCKET, AFTER(UDP_START), NOTHING, "socket found",             \
	     "socket lookup", "the checksum and the socket lookup")            \
	HOOK(UDP_SOCKET_ENQUEUED, udp_socket_enqueued, "udp-socket-enqueued",  \
	     NONE, "UDP", AT_SOCKET, AFTER(UDP_QUEUE_RCV),                     \
	     REQUIRES(UDP_QUEUE_RCV), "in the receive queue of the socket",    \
	     "enqueuing",                                                      \
	     TEXT("encapsulation, socket filters, the lock and memory ",       \
		  "accounting of the queue, and waking the reader"))           \
	HOOK(UDP_SOCKET_READ, udp_socket_read, "udp-socket-read", NONE, "UDP", \
	     IN_READER, AFTER(UDP_SOCKET_ENQUEUED), NOTHING,                   \
	     "handed to user space", "waiting for the reader",                 \
	     TEXT("the wait in the socket until the reader asks, its ",        \
		  "wake-up and scheduling included"))

#define NETSTACKLAT_OPTIONAL_HOOKS(HOOK)                                       \
	NETSTACKLAT_HOOKS_OF_FORWARDED(HOOK)                                   \
	NETSTACKLAT_SOFTIRQ_HOOKS(HOOK)

/*
 * Hosts that do not forward need none of these, and the programs of the second and the
 * third one also run for each packet that the host itself sends. The last three measure
 * the age since the packet entered the host, behind a veth pair, where the kernel gives
 * it a new timestamp.
 */
#define NETSTACKLAT_HOOKS_OF_FORWARDED(HOOK)                                   \
	HOOK(IP_FORWARD, ip_forward, "ip-forward", NONE, "forwarded", AT_IP,   \
	     AFTER(IP_START), NOTHING, "past routing, to be forwarded",        \
	     "netfilter, routing",                                             \
	     TEXT("netfilter before routing (PREROUTING, connection ",         \
		  "tracking included) and routing"))                           \
	HOOK(IP_FORWARDED, ip_forwarded, "ip-forwarded", NONE, "forwarded",    \
	     AT_IP, AFTER(IP_FORWARD), REQUIRES(IP_FORWARD),                   \
	     "past the FORWARD chain, to be sent", "netfilter FORWARD",        \
	     "the FORWARD chain of netfilter")                                 \
	HOOK(FORWARDED_SENT, forwarded_sent, "forwarded-sent", NONE,           \
	     "forwarded", AT_IP, AFTER(IP_FORWARDED), REQUIRES(IP_FORWARDED),  \
	     "past the queueing discipline, handed to a card",                 \
	     "queueing discipline",                                            \
	     TEXT("the POSTROUTING chain, the queueing discipline, and ",      \
		  "devices without hardware on the way (bridge, bond, VLAN)")) \
	HOOK(INNER_IP_START, inner_ip_start, "inner-ip-start", NONE,           \
	     "forwarded", AT_IP, AFTER(IP_FORWARDED), REQUIRES(IP_FORWARDED),  \
	     "forwarded over veth, at IP in the other namespace",              \
	     "queueing discipline, veth",                                      \
	     TEXT("the POSTROUTING chain, the queueing discipline, and the ",  \
		  "way through the veth pair"))                                \
	HOOK(INNER_TCP_SOCKET_READ, inner_tcp_socket_read,                     \
	     "inner-tcp-socket-read", NONE, "forwarded", IN_READER,            \
	     AFTER(INNER_IP_START), REQUIRES(INNER_IP_START),                  \
	     "forwarded over veth, last segment of a TCP read there",          \
	     "inner stack, waiting for the reader",                            \
	     TEXT("the stack of the other namespace, and the wait in the ",    \
		  "socket until the reader asks"))                             \
	HOOK(INNER_UDP_SOCKET_READ, inner_udp_socket_read,                     \
	     "inner-udp-socket-read", NONE, "forwarded", IN_READER,            \
	     AFTER(INNER_IP_START), REQUIRES(INNER_IP_START),                  \
	     "forwarded over veth, read by UDP there",                         \
	     "inner stack, waiting for the reader",                            \
	     TEXT("the stack of the other namespace, and the wait in the ",    \
		  "socket until the reader asks"))

/*
 * What lies before the timestamp, and is in no age: how long a CPU takes to come to
 * its packets, and how long it then is busy with them. These are times of a CPU, not
 * ages of packets (net/core/dev.c and kernel/softirq.c).
 */
#define NETSTACKLAT_SOFTIRQ_HOOKS(HOOK)                                        \
	HOOK(RX_SOFTIRQ_WAIT, rx_softirq_wait, "rx-softirq-wait", NONE,        \
	     "softirq", NO_PACKET, FIRST, NOTHING,                             \
	     "time from raising NET_RX on a CPU until its softirq runs",       \
	     "wait for the softirq",                                           \
	     TEXT("interrupts and other softirqs of this CPU, and the wait ",  \
		  "until ksoftirqd gets the CPU"))                             \
	HOOK(NET_RX_ACTION, net_rx_action, "net-rx-action", NONE, "softirq",   \
	     NO_PACKET, FIRST, NOTHING,                                        \
	     "time that one run of the NET_RX softirq takes",                  \
	     "run of the softirq",                                             \
	     TEXT("the polls of the drivers, and for the packets that they ",  \
		  "bring the whole way up to the sockets, interrupts ",        \
		  "included"))

/*
 * PROGRAM(HOOK_ID, attach, function, role): the programs, and where they
 * attach. hooks.bpf.h and the objects (*.bpf.c) have their SEC() lines.
 *
 * PRIMARY: nsl_<function> adds the samples of the hook.
 * FALLBACK(what is different then): the same, where the primary function does
 *   not exist or cannot be attached to. (BPF trampolines pass on 6 arguments,
 *   and tcp_recvmsg_locked had 7 until 5.19.)
 * INNER, INNER_FALLBACK(what is different then), INNER_HELPER: the same, where
 *   another hook has a program at the function; they are called nsl_in_<function>
 *   and nsl_in_for_<function>.
 * NOTES: nsl_note_<function> notes what other programs of the hook need, which cannot
 *   be measured without it. NOTES_IF_THERE: the same; a kernel without the function
 *   does nothing that must be noted.
 * HELPER, HELPER_FROM(major, minor): nsl_for_<function> only does what hooks
 *   that need this one rely on. It is loaded in place of the primary programs
 *   when this hook is off, from that kernel on.
 */
#define NETSTACKLAT_PROGRAMS(PROGRAM)                                          \
	PROGRAM(IP_START, "fentry", ip_rcv_core, PRIMARY)                      \
	PROGRAM(IP_START, "fentry", ip6_rcv_core, PRIMARY)                     \
	/* skb->tstamp can be a transmit time from 5.18 on. */                 \
	PROGRAM(IP_START, "fentry", ip_rcv_core, HELPER_FROM(5, 18))           \
	PROGRAM(IP_START, "fentry", ip6_rcv_core, HELPER_FROM(5, 18))          \
	PROGRAM(TCP_START, "fentry", tcp_v4_rcv, PRIMARY)                      \
	PROGRAM(TCP_START, "fentry", tcp_v6_rcv, PRIMARY)                      \
	PROGRAM(TCP_DO_RCV, "fentry", tcp_v4_do_rcv, PRIMARY)                  \
	PROGRAM(TCP_DO_RCV, "fentry", tcp_v6_do_rcv, PRIMARY)                  \
	PROGRAM(TCP_DATA_QUEUE, "fentry", tcp_data_queue, PRIMARY)             \
	PROGRAM(TCP_SOCKET_ENQUEUED, "fexit", tcp_queue_rcv, PRIMARY)          \
	PROGRAM(TCP_SOCKET_READ, "fexit", tcp_recvmsg_locked, PRIMARY)         \
	PROGRAM(TCP_SOCKET_READ, "fentry", tcp_recv_timestamp,                 \
		FALLBACK("MSG_PEEK reads are counted as reads there"))         \
	PROGRAM(UDP_START, "fentry", udp_rcv, PRIMARY)                         \
	PROGRAM(UDP_START, "fentry", udpv6_rcv, PRIMARY)                       \
	PROGRAM(UDP_QUEUE_RCV, "fentry", udp_queue_rcv_one_skb, PRIMARY)       \
	PROGRAM(UDP_QUEUE_RCV, "fentry", udpv6_queue_rcv_one_skb, PRIMARY)     \
	/* Where the fexit program attaches too: one trampoline for both. */   \
	PROGRAM(UDP_QUEUE_RCV, "fentry", __udp_enqueue_schedule_skb, HELPER)   \
	PROGRAM(UDP_SOCKET_ENQUEUED, "fexit", __udp_enqueue_schedule_skb,      \
		PRIMARY)                                                       \
	PROGRAM(UDP_SOCKET_READ, "fentry", skb_consume_udp, PRIMARY)           \
	PROGRAM(IP_FORWARD, "fentry", ip_forward, PRIMARY)                     \
	PROGRAM(IP_FORWARD, "fentry", ip6_forward, PRIMARY)                    \
	PROGRAM(IP_FORWARD, "fentry", ip_forward, HELPER)                      \
	PROGRAM(IP_FORWARD, "fentry", ip6_forward, HELPER)                     \
	PROGRAM(IP_FORWARDED, "fentry", ip_output, PRIMARY)                    \
	PROGRAM(IP_FORWARDED, "fentry", ip6_output, PRIMARY)                   \
	PROGRAM(IP_FORWARDED, "fentry", ip_output, HELPER)                     \
	PROGRAM(IP_FORWARDED, "fentry", ip6_output, HELPER)                    \
	PROGRAM(FORWARDED_SENT, "tp_btf", net_dev_start_xmit, PRIMARY)         \
	PROGRAM(FORWARDED_SENT, "fexit", skb_expand_head, NOTES_IF_THERE)      \
	PROGRAM(INNER_IP_START, "fentry", ip_rcv_core, INNER)                  \
	PROGRAM(INNER_IP_START, "fentry", ip6_rcv_core, INNER)                 \
	PROGRAM(INNER_IP_START, "fentry", ip_rcv_core, INNER_HELPER)           \
	PROGRAM(INNER_IP_START, "fentry", ip6_rcv_core, INNER_HELPER)          \
	PROGRAM(INNER_TCP_SOCKET_READ, "fexit", tcp_recvmsg_locked, INNER)     \
	PROGRAM(INNER_TCP_SOCKET_READ, "fentry", tcp_recv_timestamp,           \
		INNER_FALLBACK("MSG_PEEK reads are counted as reads there"))   \
	PROGRAM(INNER_UDP_SOCKET_READ, "fentry", skb_consume_udp, INNER)       \
	PROGRAM(RX_SOFTIRQ_WAIT, "tp_btf", softirq_raise, NOTES)               \
	PROGRAM(RX_SOFTIRQ_WAIT, "fentry", net_rx_action, PRIMARY)             \
	PROGRAM(NET_RX_ACTION, "fentry", net_rx_action, NOTES)                 \
	PROGRAM(NET_RX_ACTION, "tp_btf", napi_poll, NOTES)                     \
	PROGRAM(NET_RX_ACTION, "fexit", net_rx_action, INNER)

/*
 * HOOK(ID, ident): the hooks of the object for ebpf_exporter that counts by
 * group. At the first of each protocol the socket is not known yet, hence no
 * cgroup.
 */
#define NETSTACKLAT_GROUPED_HOOKS(HOOK)                                        \
	HOOK(TCP_START, tcp_start)                                             \
	HOOK(TCP_SOCKET_ENQUEUED, tcp_socket_enqueued)                         \
	HOOK(TCP_SOCKET_READ, tcp_socket_read)                                 \
	HOOK(UDP_START, udp_start)                                             \
	HOOK(UDP_SOCKET_ENQUEUED, udp_socket_enqueued)                         \
	HOOK(UDP_SOCKET_READ, udp_socket_read)

/*
 * KEY(ID, ident, name): what that object can count by, in the order of the labels.
 * ident is the label, and the name is that of --by. Below, by what it does count
 * unless `make bpf GROUP_BY=...` says otherwise.
 */
#define NETSTACKLAT_EXPORTED_KEYS(KEY)                                         \
	KEY(CGROUP, cgroup, "cgroup")                                          \
	KEY(INTERFACE, interface, "interface")                                 \
	KEY(NETNS, netns, "netns")                                             \
	KEY(LOCAL_PORT, local_port, "local-port")                              \
	KEY(RX_QUEUE, rx_queue, "rx-queue")                                    \
	KEY(CPU, cpu, "cpu")                                                   \
	KEY(FAMILY, family, "family")
#define NETSTACKLAT_DEFAULT_KEYS(KEY)                                          \
	KEY(CGROUP)                                                            \
	KEY(INTERFACE)

/*
 * HOOK(ID): the sets of hooks that have names (-e light). Light are the first hook
 * of all, and for each protocol the last one before the wait for the reader and
 * the one after it: three hooks a packet, not five. Forwarding are those that
 * forwarded packets pass (but for forwarded-sent, which not everybody needs and which
 * runs for all that the host sends), and softirq those before the timestamp.
 */
#define NETSTACKLAT_LIGHT_HOOKS(HOOK)                                          \
	HOOK(IP_START)                                                         \
	HOOK(TCP_SOCKET_ENQUEUED)                                              \
	HOOK(TCP_SOCKET_READ)                                                  \
	HOOK(UDP_SOCKET_ENQUEUED)                                              \
	HOOK(UDP_SOCKET_READ)
#define NETSTACKLAT_FORWARDING_HOOKS(HOOK)                                     \
	HOOK(IP_START)                                                         \
	HOOK(IP_FORWARD)                                                       \
	HOOK(IP_FORWARDED)                                                     \
	HOOK(INNER_IP_START)                                                   \
	HOOK(INNER_TCP_SOCKET_READ)                                            \
	HOOK(INNER_UDP_SOCKET_READ)
#define NETSTACKLAT_ORIGINAL_HOOKS(HOOK)                                       \
	HOOK(TCP_DO_RCV)                                                       \
	HOOK(TCP_DATA_QUEUE)                                                   \
	HOOK(UDP_QUEUE_RCV)

/* HOOK(ID): at these hooks some packets leave the host, though others go on. */
#define NETSTACKLAT_WAYS_OUT(HOOK) HOOK(IP_FORWARDED)

/*
 * SKIP(ID, name, aliases, lost, meaning): why a program run added no sample.
 * lost = 1: a packet that should have been measured was not, users see it as
 * "not measured". lost = 0: there was no packet to measure at this point, or
 * the user did not want it.
 */
#define NETSTACKLAT_SKIPS(SKIP)                                                \
	SKIP(NO_TIMESTAMP, "no-timestamp", NONE, 1,                            \
	     "the skb carries no receive timestamp")                           \
	SKIP(TX_TIMESTAMP, "tx-timestamp", NONE, 1,                            \
	     "the timestamp is a transmit time (TCP over loopback or veth)")   \
	SKIP(CLOCK_NOT_READY, "clock-not-ready", NONE, 1,                      \
	     "the clock offset was not known yet")                             \
	SKIP(CLOCK_STEP, "clock-step", NONE, 1,                                \
	     "the wall clock was stepped between timestamp and reading")       \
	SKIP(NEGATIVE, "negative", NONE, 1,                                    \
	     "the timestamp lies in the future by more than the clock lag")    \
	SKIP(OVER_RANGE, "over-range", NONE, 1, "more than 2^34 ns (17.2 s)")  \
	SKIP(HOL_BLOCKED, "hol-blocked", NONE, 1,                              \
	     "read late because an earlier segment was missing")               \
	SKIP(COLLAPSED, "collapsed", NONE, 1,                                  \
	     TEXT("a late read of TCP whose age is not known: the ",           \
		  "kernel had collapsed the receive queue, which ",            \
		  "removes timestamps"))                                       \
	SKIP(MPTCP, "mptcp", NONE, 1,                                          \
	     "the timestamp belongs to an MPTCP read")                         \
	SKIP(ENTRY_MISSED, "entry-missed", NONE, 1,                            \
	     "the timestamp was not noted on the way, or the note was lost")   \
	SKIP(MAP_FULL, "map-full", NONE, 1, "no room left for the group")      \
	SKIP(V4_MAPPED, "v4-mapped", NONE, 0,                                  \
	     "IPv4 passing tcp_v6_do_rcv, recorded by tcp_v4_do_rcv")          \
	SKIP(PEEK, "peek", NONE, 0, "MSG_PEEK: the data stays in the queue")   \
	SKIP(NO_DATA, "no-data", NONE, 0,                                      \
	     "a read without data, or a segment without")                      \
	SKIP(DROPPED, "dropped", NONE, 0,                                      \
	     "the kernel refused to enqueue the skb")                          \
	SKIP(FILTERED, "filtered", NONE, 0,                                    \
	     "not among the packets that the user selected")                   \
	SKIP(OWNER_UNKNOWN, "owner-unknown", NONE, 1,                          \
	     TEXT("not known whose the packet is: which process reads from ",  \
		  "the socket, whether its name is wanted, or what the ",      \
		  "headers say"))                                              \
	SKIP(SAMPLED_OUT, "sampled-out", NONE, 0,                              \
	     "not among the share of packets that --sample measures")          \
	SKIP(NOT_FORWARDED, "not-forwarded", NONE, 0,                          \
	     "not a forwarded packet, or on a way that is not measured")       \
	SKIP(NOT_RAISED, "not-raised", NONE, 0,                                \
	     TEXT("nothing has waited: the softirq had been raised before ",   \
		  "its last run began, or before the start"))                  \
	SKIP(POLLED_ELSEWHERE, "polled-elsewhere", NONE, 1,                    \
	     TEXT("a poll that brought packets outside of the softirq: ",      \
		  "threaded NAPI, or busy polling"))

/*
 * SKIP(ID): the reasons that are found behind the test of --sample, hence only of
 * packets that are in the sample. All others are counted of all packets.
 */
#define NETSTACKLAT_SAMPLED_SKIPS(SKIP)                                        \
	SKIP(TX_TIMESTAMP)                                                     \
	SKIP(COLLAPSED)                                                        \
	SKIP(CLOCK_NOT_READY)                                                  \
	SKIP(CLOCK_STEP)                                                       \
	SKIP(NEGATIVE)                                                         \
	SKIP(OVER_RANGE)

/*
 * CAUSE(ID, name, meaning): why a packet was recorded at a hook without a stage that
 * ends there (--stages). At the first hook of a path all packets begin, and are not
 * counted under BEGUN.
 */
#define NETSTACKLAT_STAGELESS(CAUSE)                                           \
	CAUSE(BEGUN, "begun",                                                  \
	      TEXT("the packet has no note yet: TCP over loopback or veth, ",  \
		   "which gets its timestamp at local delivery; or the note ", \
		   "was lost before"))                                         \
	CAUSE(NOTE_LOST, "note-lost",                                          \
	      "the note was overwritten by that of another packet")            \
	CAUSE(SAME_TIMESTAMP, "same-timestamp",                                \
	      "another packet has the same timestamp")

/*
 * STATE(ID, name, meaning): what ebpf_exporter shows of the clock, 1 for the
 * one that it is in. Neither before the first update, some ms from the start.
 */
#define NETSTACKLAT_CLOCK_STATES(STATE)                                        \
	STATE(SETTLED, "settled", "no step that matters any more")             \
	STATE(SETTLING, "settling",                                            \
	      TEXT("within 2^35 ns (34.4 s) of a step: timestamps from "       \
		   "before ",                                                  \
		   "it are refused as clock-step"))

#endif /* NETSTACKLAT_TABLES_H */
