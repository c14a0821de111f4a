// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of `record`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::durations::parse_duration;
use crate::cli::hooks::HookArgs;

pub(super) const HELP: &str = "\
Writes the JSON lines of --json, one interval a second (docs/run-file.md). The
file can be read while it grows, and after a crash up to its last whole line.

Examples:
  netstacklat record -o base.nsl --duration 30s
  netstacklat record -o new.nsl --name 25k-rules -- iperf3 -c 10.0.0.1
  netstacklat diff base.nsl new.nsl

Exit code: 0 recorded, 1 could not record, 2 bad usage. With a command: its
own, 128 + N where signal N ended it, and 125 where recording failed, 126
where it could not be run, 127 where it was not found.";

/// Options of `record`.
#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// The file; an existing one that is not empty is left alone
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: PathBuf,

    /// Add to an existing file
    #[arg(long)]
    pub append: bool,

    /// Stop after this time; default: when the command ends, or at Ctrl-C
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_duration,
        allow_negative_numbers = true
    )]
    pub duration: Option<Duration>,

    /// What to call this run, for `diff`
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// The hooks.
    #[command(flatten)]
    pub selection: HookArgs,

    /// Record while this command runs
    #[arg(last = true, value_name = "COMMAND", conflicts_with = "duration")]
    pub command: Vec<OsString>,
}
