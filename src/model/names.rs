// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Names in the BPF object and in the kernel that do not belong to a hook.

/// The map of skip counters.
pub const SKIPPED_MAP: &str = "netstack_skipped";
/// The program that publishes the clock offset.
pub const CLOCK_PROGRAM: &str = "nsl_update_vsyscall";
/// The kernel function that it attaches to.
pub const CLOCK_FUNCTION: &str = "update_vsyscall";
