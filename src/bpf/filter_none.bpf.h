/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* For objects that measure all packets: the test of filter.bpf.h, at no cost. */
#ifndef NETSTACKLAT_FILTER_NONE_BPF_H
#define NETSTACKLAT_FILTER_NONE_BPF_H

#include "sample.bpf.h"

#define FLOW_IS_NOTED false
#define INTERFACE_IS_NOTED INTERFACE_MATTERS

static __always_inline void note_flow(const struct sample_ctx *ctx,
				      volatile struct packet_flow *note)
{
}

static __always_inline int selection_skip(const struct sample_ctx *ctx)
{
	return -1;
}

static __always_inline int skip_unselected(enum netstacklat_hook hook,
					   enum netstacklat_skip reason)
{
	return 0;
}

#endif /* NETSTACKLAT_FILTER_NONE_BPF_H */
