// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Our object in the real ebpf_exporter: are the numbers that it serves true?

mod bounds;
mod clock;
mod counts;
mod dashboard;
mod exact;
mod groups;
mod keys;
mod kill;
mod picture;
mod promql;
mod snippet;
mod stamps;
mod units;
