// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! When the live view reports, and how much of it: text that goes down the page.

use std::time::Duration;

use clap::Args;

use crate::cli::durations::{parse_duration, parse_interval};

/// Time between reports where the user gives none.
const DEFAULT_INTERVAL: Duration = Duration::from_secs(5);

/// Reports as text.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Reports")]
pub struct ReportArgs {
    /// Time between reports: 10, 0.5, 500ms, 1m30s (a bare number is seconds;
    /// 10ms to 24h) [default: 5s]
    #[arg(
        short = 'r',
        long,
        value_name = "DURATION",
        value_parser = parse_interval,
        allow_negative_numbers = true
    )]
    pub report_interval: Option<Duration>,

    /// Print reports one below the other, on a terminal too. This version
    /// always does
    #[arg(short = 'b', long)]
    pub batch: bool,

    /// Stop after N reports
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Stop after this time; without -r, print one report at the end
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_duration,
        allow_negative_numbers = true
    )]
    pub duration: Option<Duration>,

    /// Report what was counted since the start, not since the last report
    #[arg(long)]
    pub cumulative: bool,

    /// Print one line per hook instead of histograms
    #[arg(long, conflicts_with_all = ["histograms", "json"])]
    pub summary: bool,

    /// Print histograms, a row per power of two (the default)
    #[arg(long, conflicts_with = "json")]
    pub histograms: bool,

    /// Also report what the BPF programs cost, as the kernel measures it. This
    /// makes each run of each BPF program on this host some 20 ns slower
    #[arg(long)]
    pub bpf_stats: bool,
}

impl ReportArgs {
    /// Time between reports; `None` for a single report at the end.
    pub fn interval(&self) -> Option<Duration> {
        match (self.report_interval, self.duration, self.count) {
            (None, Some(_), None) => None,
            (interval, ..) => Some(interval.unwrap_or(DEFAULT_INTERVAL)),
        }
    }
}
