// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! PromQL on the series that exporter/prometheus.yml makes.

use netstacklat::model::skips::SkipReason;

/// A family by hook, of `netstacklat.bpf.o`.
pub const LATENCY: &str = "ebpf_exporter_netstack_latency_seconds";
pub const SKIPPED: &str = "ebpf_exporter_netstack_skipped_total";
/// The same by group, of `netstacklat-groups.bpf.o`.
pub const GROUP_LATENCY: &str = "ebpf_exporter_netstack_group_latency_seconds";
pub const GROUP_SKIPPED: &str = "ebpf_exporter_netstack_group_skipped_total";

/// TCP over loopback and veth. Usual on many hosts, and kept apart: those packets
/// have no receive timestamp that could be measured from.
pub const TRANSMIT: &str = "tx-timestamp";

/// Reasons of runs that had no packet to measure, as alternatives.
pub fn nothing_to_measure() -> String {
    let reasons = SkipReason::all().filter(|reason| !reason.is_loss());
    reasons.map(SkipReason::name).collect::<Vec<_>>().join("|")
}

/// A selector of the reasons for which a packet was not measured that should have
/// been.
pub fn not_measured() -> String {
    format!("reason!~\"{}|{TRANSMIT}\"", nothing_to_measure())
}

/// `name{selectors}`
pub fn select(name: &str, selectors: &[&str]) -> String {
    let selectors: Vec<&str> = selectors
        .iter()
        .copied()
        .filter(|selector| !selector.is_empty())
        .collect();
    if selectors.is_empty() {
        name.into()
    } else {
        format!("{name}{{{}}}", selectors.join(", "))
    }
}

/// Buckets a second. Latencies above 2^34 ns (17.2 s) are in no bucket, only
/// under the reason over-range: they are put into +Inf here, so that quantiles do
/// not look better for the worst latencies.
pub fn buckets(selector: &str, window: &str) -> String {
    let bucket = select(&format!("{LATENCY}_bucket"), &[selector]);
    let over = select(SKIPPED, &[selector, "reason=\"over-range\""]);
    format!(
        "rate({bucket}[{window}]) or label_replace(rate({over}[{window}]), \"le\", \"+Inf\", \"\", \"\")"
    )
}

/// Samples a second.
pub fn samples(selector: &str, window: &str) -> String {
    format!(
        "rate({}[{window}])",
        select(&format!("{LATENCY}_count"), &[selector])
    )
}

/// Packets a second that should have been measured and were not, by reason.
pub fn lost(selector: &str, window: &str) -> String {
    format!(
        "rate({}[{window}])",
        select(SKIPPED, &[selector, &not_measured()])
    )
}

/// The seconds of a second's samples.
pub fn seconds(selector: &str, window: &str) -> String {
    format!(
        "rate({}[{window}])",
        select(&format!("{LATENCY}_sum"), &[selector])
    )
}
