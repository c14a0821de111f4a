// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Queries of what the variables have chosen.

use netstacklat::model::hooks::Hook;

use crate::monitoring::queries::{lost, samples, select};

/// What the variables have chosen.
pub(super) const CHOSEN: &str = "cluster=~\"$cluster\", job=~\"$job\", instance=~\"$instance\"";
pub(super) const NOW: &str = "$__rate_interval";
pub(super) const SHOWN: &str = "$__range";
/// Of the panels that show the present: `$__rate_interval` grows with the time
/// shown, and a long one would go on showing what is no more.
pub(super) const PRESENT: &str = "5m";
/// Of either object: both have a clock.
pub(super) const EITHER: &str =
    "{__name__=~\"ebpf_exporter_netstack_(group_)?clock_updates_total\"";

/// 0 where an exporter answers and there is nothing to show; no data where none
/// answers.
pub(super) fn or_zero(expression: &str) -> String {
    format!("{expression} or 0 * sum(up{{{CHOSEN}}} == 1)")
}

/// The same for series by a label, under the name `none`.
pub(super) fn or_none(expression: &str, label: &str) -> String {
    let none =
        format!("label_replace(0 * sum(up{{{CHOSEN}}} == 1), \"{label}\", \"none\", \"\", \"\")");
    format!("{expression} or ({none} unless ignoring ({label}) count({expression}))")
}

/// Of the clock of either object, as a host may export one of them only.
pub(super) fn of_either_clock(function: &str, name: &str) -> String {
    let of = |object: &str| {
        let series = select(
            &format!("ebpf_exporter_netstack_{object}clock_{name}"),
            &[CHOSEN],
        );
        format!("{function}({series}[{NOW}])")
    };
    format!("{} or {}", of(""), of("group_"))
}

/// Of targets that are up: the others have nothing present.
pub(super) fn of_those_up(series: &str) -> String {
    format!("({series} and ignoring (hook) up{{{CHOSEN}}} == 1)")
}

/// The share of packets that should have been measured and were not, by hook.
pub(super) fn share_lost(window: &str) -> String {
    let lost = lost(CHOSEN, window);
    format!(
        "sum by (hook) ({lost}) / (sum by (hook) ({lost}) + sum by (hook) ({}) > 0)",
        samples(CHOSEN, window)
    )
}

/// The selector of one hook beside those chosen.
pub(super) fn of_hook(hook: Hook) -> String {
    format!("{CHOSEN}, hook=\"{hook}\"")
}
