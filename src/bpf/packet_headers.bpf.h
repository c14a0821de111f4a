/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Reads words of a packet's headers. */
#ifndef NETSTACKLAT_PACKET_HEADERS_BPF_H
#define NETSTACKLAT_PACKET_HEADERS_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "compat.bpf.h"
#include "packet_family.bpf.h"

/* Where the addresses are in the IP header, in bytes. */
#define IPV6_ADDRESSES 8
#define IPV4_ADDRESSES 12

struct sk_buff___flow {
	unsigned char *head;
	unsigned int tail;
	__u16 network_header;
	__u16 transport_header;
	__u16 queue_mapping;
} __attribute__((preserve_access_index));

/*
 * Reads words of the packet's headers; false: they are not in its linear part. At
 * ip-start they need not be: virtio's driver leaves large packets in pages, and
 * the kernel's functions copy their header to the linear part one by one.
 */
static __always_inline bool header_words(const struct sk_buff *skb,
					 __u32 offset, __u32 *words, __u32 n)
{
	struct sk_buff___flow *flow = (void *)skb;
	const unsigned char *at = flow->head + offset;
	const struct in6_addr___words *four = NULL;
	__u32 i;

	if (offset + n * sizeof(*words) > flow->tail)
		return false;
	if (bpf_ksym_exists(bpf_rdonly_cast)) {
		/* Any struct with an array of words would do. */
#pragma unroll
		for (i = 0; i < n; i++) {
			if (i % 4 == 0)
				four = bpf_rdonly_cast(
					at + i * sizeof(*words),
					bpf_core_type_id_kernel(
						struct in6_addr___words));
			words[i] = four->in6_u.u6_addr32[i % 4];
		}
		return true;
	}
	bpf_probe_read_kernel(words, n * sizeof(*words), at);
	return true;
}

#endif /* NETSTACKLAT_PACKET_HEADERS_BPF_H */
