/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Kernel drift, in one place: CO-RE flavours, suffixed with the first kernel
 * that has (or the last that had) the shape, each citing the change.
 */
#ifndef NETSTACKLAT_COMPAT_BPF_H
#define NETSTACKLAT_COMPAT_BPF_H

#include "vmlinux.h"

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* From the kernel's headers, which are not in BTF. */
#define ETH_P_IP 0x0800

/* bpf_ktime_get_tai_ns() came with 6.1 (c8996c98f703). */
#define HAVE_KTIME_TAI                                                         \
	bpf_core_enum_value_exists(enum bpf_func_id, BPF_FUNC_ktime_get_tai_ns)

/*
 * 5.18 (a1ac9c8acec1) let a transmit time survive in skb->tstamp and marked it
 * by mono_delivery_time; 6.11 (4d25ca2d6801) renamed the mark tstamp_type and
 * gave it values, 0 still meaning "a receive time". Only the mark tells: a
 * transmit time on the TAI clock looks like a receive time.
 */
struct sk_buff___v518 {
	__u8 mono_delivery_time : 1;
} __attribute__((preserve_access_index));

/*
 * A field of some bits of the byte that it lies in; libbpf's own macro is ready
 * for all sizes, and costs twice the instructions.
 */
#define BITS_OF_BYTE(object, field)                                            \
	((__u64) * ((__u8 *)(object) +                                         \
		    __builtin_preserve_field_info((object)->field,             \
						  BPF_FIELD_BYTE_OFFSET))      \
		 << __builtin_preserve_field_info((object)->field,             \
						  BPF_FIELD_LSHIFT_U64) >>     \
	 __builtin_preserve_field_info((object)->field, BPF_FIELD_RSHIFT_U64))

static __always_inline bool skb_has_tx_timestamp(struct sk_buff *skb)
{
	struct sk_buff___v518 *v518 = (void *)skb;

	/* A byte on all kernels known; if it ever is more, slower and right. */
	if (bpf_core_field_exists(skb->tstamp_type))
		return bpf_core_field_size(skb->tstamp_type) == 1
			       ? BITS_OF_BYTE(skb, tstamp_type)
			       : BPF_CORE_READ_BITFIELD(skb, tstamp_type);
	if (bpf_core_field_exists(v518->mono_delivery_time))
		return BITS_OF_BYTE(v518, mono_delivery_time);
	return false;
}

/*
 * Timestamps of a read. Up to 6.12 ts was a timespec64[3]; Debian's 7.2 and 7.3 have a
 * ktime_t[3]. Told apart by the size of the whole.
 */
struct scm_timestamping_internal___v7x {
	ktime_t ts[3];
} __attribute__((preserve_access_index));

static __always_inline __u64
timestamp_of_read(struct scm_timestamping_internal *tss, const int kind)
{
	struct scm_timestamping_internal___v7x *v7x = (void *)tss;

	if (bpf_core_type_size(struct scm_timestamping_internal) ==
	    sizeof(struct scm_timestamping_internal___v7x))
		return v7x->ts[kind];
	return tss->ts[kind].tv_sec * 1000000000ULL + tss->ts[kind].tv_nsec;
}

/* As in include/linux/socket.h; that between them is not used any more. */
static __always_inline __u64
software_timestamp(struct scm_timestamping_internal *tss)
{
	return timestamp_of_read(tss, 0);
}

static __always_inline __u64
hardware_timestamp(struct scm_timestamping_internal *tss)
{
	return timestamp_of_read(tss, 2);
}

/*
 * From 6.2 (a35b9af4ec2c) the verifier takes our word for what a pointer points
 * to, and loads through it need no helper call.
 */
extern void *bpf_rdonly_cast(const void *obj, __u32 btf_id) __ksym __weak;

/* Only for kernels with bpf_rdonly_cast(). Any struct that begins with an int would do. */
static __always_inline int known_int(const int *from)
{
	struct pollfd *first =
		bpf_rdonly_cast(from, bpf_core_type_id_kernel(struct pollfd));

	return first->fd;
}

static __always_inline int kernel_int(const int *from)
{
	int value = 0;

	if (bpf_ksym_exists(bpf_rdonly_cast))
		return known_int(from);
	bpf_probe_read_kernel(&value, sizeof(value), from);
	return value;
}

/* For a socket that is known to be TCP; NULL where that is found wrong. */
static __always_inline struct tcp_sock *known_tcp_sock(struct sock *sk)
{
	if (bpf_ksym_exists(bpf_rdonly_cast))
		return bpf_rdonly_cast(
			sk, bpf_core_type_id_kernel(struct tcp_sock));
	return bpf_skc_to_tcp_sock(sk);
}

/*
 * Index of the interface that the socket's last packet came in by. In 5.16
 * (0c0a5ef809f9) it moved from the part of internet sockets to that of all.
 */
struct inet_sock___v515 {
	int rx_dst_ifindex;
} __attribute__((preserve_access_index));

static __always_inline __u32 rx_interface(struct sock *sk)
{
	struct inet_sock___v515 *v515 = (void *)sk;
	int index = 0;

	if (bpf_core_field_exists(sk->sk_rx_dst_ifindex))
		return sk->sk_rx_dst_ifindex;
	bpf_core_read(&index, sizeof(index), &v515->rx_dst_ifindex);
	return index;
}

/*
 * The cookie of the first network namespace. Cookies were counted from 1 on
 * (seen up to 6.12); where namespaces have ids, those of the first ones are
 * fixed, and the cookie is the id (seen in 7.3).
 */
enum init_ns_id___v7x { NET_NS_INIT_ID___v7x = 7 };

static __always_inline __u64 init_net_cookie(void)
{
	if (bpf_core_enum_value_exists(enum init_ns_id___v7x,
				       NET_NS_INIT_ID___v7x))
		return bpf_core_enum_value(enum init_ns_id___v7x,
					   NET_NS_INIT_ID___v7x);
	return 1;
}

#endif /* NETSTACKLAT_COMPAT_BPF_H */
