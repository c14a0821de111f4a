// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The buckets of the objects for ebpf_exporter. */
#define SUB_BITS 0
#include "bucket.h"
