/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Head-of-line blocking in TCP: tells reads that waited for a lost segment.
 *
 * Such a read is late because of the network, not because of this host. When
 * the socket's count of out-of-order segments has grown, all data up to the
 * highest out-of-order sequence may have waited; a read is taken as blocked
 * until it ends beyond that.
 */
#ifndef NETSTACKLAT_TCP_HOL_BPF_H
#define NETSTACKLAT_TCP_HOL_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_helpers.h>

#include "types.bpf.h"

struct ooo_history {
	/* who: an address may be reused by a later socket */
	__u64 bytes_received;
	__u32 sk_hash;
	/* rcv_ooopack when last looked at */
	__u32 ooo_packets;
	/* reads that end at or before this sequence are blocked */
	__u32 blocked_until;
	__u32 active;
};

/*
 * Only sockets that ever got a segment out of order are in here. If one is
 * evicted, its next read counts as blocked again: the safe side. A plain LRU
 * hash and not socket storage, which tracing programs cannot use before 5.11.
 */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, NETSTACKLAT_MAX_HOL_SOCKETS);
	__type(key, __u64);
	__type(value, struct ooo_history);
} netstack_ooo_history SEC(".maps");

/* a <= b in sequence space */
static __always_inline bool seq_at_or_before(__u32 a, __u32 b)
{
	return (__s32)(a - b) <= 0;
}

/* The highest sequence that can have arrived out of order so far. */
static __always_inline __u32 highest_ooo_end(struct tcp_sock *tp)
{
	__u32 rcv_nxt = tp->rcv_nxt;
	__u32 window_end, end;
	struct tcp_skb_cb *cb;

	/* Queue empty: the out-of-order data lies below rcv_nxt already. */
	if (!tp->out_of_order_queue.rb_node)
		return rcv_nxt;
	window_end = tp->rcv_wup + tp->rcv_wnd;
	if (seq_at_or_before(window_end, rcv_nxt))
		window_end = rcv_nxt;
	/*
	 * ooo_last_skb dangles when that skb was merged or freed, so believe
	 * it only inside the receive window.
	 */
	cb = (struct tcp_skb_cb *)tp->ooo_last_skb->cb;
	end = cb->end_seq;
	if (seq_at_or_before(end, rcv_nxt) ||
	    !seq_at_or_before(end, window_end))
		return window_end;
	return end;
}

/* Not inlined: two programs share it, and only connections with loss pay. */
static __noinline bool read_hol_blocked(struct tcp_sock *tp)
{
	struct ooo_history fresh = {}, *history;
	__u64 key = (__u64)tp, received = tp->bytes_received;
	__u32 hash = tp->inet_conn.icsk_inet.sk.__sk_common.skc_hash;
	__u32 packets = tp->rcv_ooopack;

	history = bpf_map_lookup_elem(&netstack_ooo_history, &key);
	if (!history || history->sk_hash != hash ||
	    history->bytes_received > received ||
	    history->ooo_packets != packets) {
		fresh.bytes_received = received;
		fresh.sk_hash = hash;
		fresh.ooo_packets = packets;
		fresh.blocked_until = highest_ooo_end(tp);
		fresh.active = 1;
		bpf_map_update_elem(&netstack_ooo_history, &key, &fresh,
				    BPF_ANY);
		return true;
	}
	history->bytes_received = received;
	if (!history->active)
		return false;
	if (seq_at_or_before(tp->copied_seq, history->blocked_until))
		return true;
	history->active = 0;
	return false;
}

#endif /* NETSTACKLAT_TCP_HOL_BPF_H */
