// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the objects for ebpf_exporter show: their maps are metrics, and
//! `exporter/*.yaml` describes them.

use crate::model::hooks::Hook;
use crate::model::wire;

/// The last bucket, up to 2^34 ns; the sum follows it.
pub const BUCKET_MAX: u32 = wire::MAX_BITS;

/// The states of the clock, in the order of their keys.
pub const CLOCK_STATES: &[&str] = wire::CLOCK_STATES;

/// The map with the hook's skip counters, a key for each reason.
pub fn skips_map_name(hook: Hook) -> String {
    hook.map_name()
        .replace("_latency_seconds", "_skipped_total")
}
