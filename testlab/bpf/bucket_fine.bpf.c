// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The buckets of the loader. */
#include "limits.h"

#define SUB_BITS NETSTACKLAT_FINE_SUB_BITS
#include "bucket.h"
