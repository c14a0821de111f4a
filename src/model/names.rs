// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Names in the BPF object and in the kernel that do not belong to a hook.

/// Timestamps of packets that are about to be forwarded.
pub const FORWARD_NOTES_MAP: &str = "netstack_forward_notes";
/// When packets entered the host that have come through a veth pair.
pub const ORIGIN_NOTES_MAP: &str = "netstack_origin_notes";
/// The map of skip counters.
pub const SKIPPED_MAP: &str = "netstack_skipped";
/// The slices of groups, by CPU, hook and group.
pub const GROUP_SLOTS_MAP: &str = "netstack_group_slots";
/// The slices themselves.
pub const GROUP_SLICES_MAP: &str = "netstack_group_slices";
/// Slices in which each CPU has counted of late.
pub const RECENT_SLICES_MAP: &str = "netstack_recent_slices";
/// The slices that nobody uses.
pub const FREE_SLICES_MAP: &str = "netstack_free_slices";
/// The groups that there are.
pub const GROUPS_MAP: &str = "netstack_groups";
/// The interfaces whose packets are wanted, where there are several.
pub const INTERFACES_MAP: &str = "netstack_interfaces";
/// The processes whose packets are wanted.
pub const PIDS_MAP: &str = "netstack_pids";
/// Who reads from a socket.
pub const READERS_MAP: &str = "netstack_readers";
/// What readers called themselves, by their number.
pub const READER_NAMES_MAP: &str = "netstack_reader_names";
/// Which names of processes are wanted.
pub const PROCESS_NAMES_MAP: &str = "netstack_process_names";
/// Names of processes that are to be judged.
pub const NEW_NAMES_MAP: &str = "netstack_new_names";
/// The notes of packets, where stages are measured.
pub const NOTES_MAP: &str = "netstack_notes";
/// Slow packets on their way to the loader.
pub const SLOW_PACKETS_MAP: &str = "netstack_slow_packets";
/// The program that publishes the clock offset.
pub const CLOCK_PROGRAM: &str = "nsl_update_vsyscall";
/// The kernel function that it attaches to.
pub const CLOCK_FUNCTION: &str = "update_vsyscall";
