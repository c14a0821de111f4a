/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The kernel types that src/bpf uses. Made by vmlinux/generate from the BTF of
 * Linux 6.12.117+deb13-cloud-amd64; do not edit: change types.txt and run it again.
 */
#ifndef __VMLINUX_H__
#define __VMLINUX_H__

typedef _Bool bool;
typedef long unsigned int __kernel_ulong_t;
typedef __kernel_ulong_t __kernel_size_t;
typedef __kernel_size_t size_t;
typedef signed char __s8;
typedef unsigned char __u8;
typedef short int __s16;
typedef short unsigned int __u16;
typedef int __s32;
typedef unsigned int __u32;
typedef long long int __s64;
typedef long long unsigned int __u64;
typedef __s32 s32;
typedef __s64 s64;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef s64 ktime_t;
typedef __s64 time64_t;

enum {
	false = 0,
	true = 1,
};

enum {
	BPF_ANY = 0,
	BPF_NOEXIST = 1,
};

enum {
	BPF_F_MMAPABLE = 1024,
};

enum bpf_map_type {
	BPF_MAP_TYPE_ARRAY = 2,
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_HASH = 1,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_STACK = 23,
	BPF_MAP_TYPE_RINGBUF = 27,
};

enum bpf_func_id {
	BPF_FUNC_ktime_get_tai_ns = 208,
};

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct net_device;

struct sk_buff {
	ktime_t tstamp;
	char cb[48];
	__u8 tstamp_type: 2;
	__be16 protocol;
	int skb_iif;
	struct net_device *dev;
};

struct tcp_skb_cb {
	__u32 seq;
	__u32 end_seq;
};

struct sock_common {
	unsigned int skc_hash;
};

struct kernfs_node {
	u64 id;
};

struct cgroup {
	struct kernfs_node *kn;
};

struct sock_cgroup_data {
	struct cgroup *cgroup;
};

struct sock {
	struct sock_common __sk_common;
	int sk_rx_dst_ifindex;
	struct sock_cgroup_data sk_cgrp_data;
};

struct inet_sock {
	struct sock sk;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
};

struct rb_node;

struct rb_root {
	struct rb_node *rb_node;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u64 bytes_received;
	u32 rcv_nxt;
	u32 copied_seq;
	u32 rcv_wup;
	u32 rcv_wnd;
	u32 rcv_ooopack;
	struct rb_root out_of_order_queue;
	struct sk_buff *ooo_last_skb;
};

struct net {
	u64 net_cookie;
};

struct msghdr;

struct timespec64 {
	time64_t tv_sec;
	long int tv_nsec;
};

struct scm_timestamping_internal {
	struct timespec64 ts[3];
};

struct pollfd {
	int fd;
};

struct timekeeper {
	ktime_t offs_real;
	s32 tai_offset;
};

#pragma clang attribute pop

#endif /* __VMLINUX_H__ */
