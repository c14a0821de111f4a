// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "exporter.bpf.c"
#include "inject.h"
