// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of the live view.

use std::time::Duration;

use clap::{Args, ColorChoice};

use crate::cli::durations::{parse_duration, parse_interval};
use crate::cli::hooks::HookArgs;

pub(super) const EXAMPLES: &str = "\
Examples:
  netstacklat                       a report every 5 seconds, until Ctrl-C
  netstacklat -r 10                 every 10 seconds
  netstacklat -r 1 --count 30       30 reports, then the total
  netstacklat --duration 1m         one report, about one minute
  netstacklat -e tcp-start,udp_rcv  two hooks only: by name or kernel function
  netstacklat --summary -r 1        one line per hook
  netstacklat --json -r 1 | jq .    for programs: docs/json.md
  netstacklat check                 what this host offers, and what is missing
  netstacklat hold-timestamps       packets stamped, for ebpf_exporter

Figures are from the packet's entry into the network stack (its software RX
timestamp) to the hook; the wire, the NIC, its interrupt and GRO are before
that and not included. Counts are of skbs: GRO may have merged packets.";

/// Options of the live view.
#[derive(Args, Clone, Debug)]
pub struct LiveArgs {
    /// Time between reports: 10, 0.5, 500ms, 1m30s (bare numbers are seconds;
    /// 10ms to 24h) [default: 5s]
    #[arg(
        short = 'r',
        long,
        value_name = "DURATION",
        value_parser = parse_interval,
        allow_negative_numbers = true
    )]
    pub report_interval: Option<Duration>,

    /// Stop after N reports
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Stop after this time; without -r, one report at the end
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

    /// One line per hook instead of histograms
    #[arg(long, conflicts_with = "json")]
    pub summary: bool,

    /// One JSON object per line (docs/json.md)
    #[arg(long)]
    pub json: bool,

    /// List the hooks with their kernel functions, and exit
    #[arg(short = 'l', long)]
    pub list_probes: bool,

    /// The hooks.
    #[command(flatten)]
    pub selection: HookArgs,

    /// Also report what the BPF programs cost, as the kernel measures it. While
    /// it runs this slows every BPF program of the host by some 20 ns a run
    #[arg(long)]
    pub bpf_stats: bool,

    /// When to use colour; NO_COLOR in the environment turns auto off
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

impl LiveArgs {
    /// Time between reports; `None` for a single report at the end.
    pub fn interval(&self) -> Option<Duration> {
        match (self.report_interval, self.duration, self.count) {
            (None, Some(_), None) => None,
            (interval, ..) => Some(interval.unwrap_or(Duration::from_secs(5))),
        }
    }
}
