/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The knobs that the loader sets before load, and the exporter objects' defaults. */
#ifndef NETSTACKLAT_CONFIG_BPF_H
#define NETSTACKLAT_CONFIG_BPF_H

#include "types.bpf.h"

/*
 * Knobs, in .rodata: the verifier drops what they turn off. The defaults are
 * those of the objects for ebpf_exporter, which nobody configures.
 */
struct netstacklat_config {
	/* Loader: entries of the skip map from one CPU to the next. */
	__u32 skip_stride;
	/* NETSTACKLAT_CLOCK_* */
	__u32 clock_source;
	/* Whether TCP reads that waited for a missing segment count, too */
	__u32 include_hol_blocked;
	/* A bit for each hook of which another one needs the notes */
	__u32 noting_hooks;
	/* Whether also packets that go out by a card leave a note */
	__u32 notes_to_cards;
};

const volatile struct netstacklat_config netstacklat_config = {
	.skip_stride = 0,
	.clock_source = NETSTACKLAT_CLOCK_VSYSCALL,
	.include_hol_blocked = false,
	.noting_hooks = 0,
	.notes_to_cards = false,
};
#define config netstacklat_config

#endif /* NETSTACKLAT_CONFIG_BPF_H */
