// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "exporter_before_5_19.bpf.c"
#include "inject.h"
