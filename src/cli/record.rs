// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of `record`.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::durations::parse_duration;
use crate::cli::select::SelectArgs;

pub(super) const HELP: &str = "\
Writes the JSON lines of --json, one interval a second (docs/run-file.md). The
file can be read while it grows. After a crash it is good up to its last
complete line.

Examples:
  netstacklat record -o base.nsl --duration 30s
  netstacklat record -o new.nsl --name 25k-rules -- iperf3 -c 10.0.0.1
  netstacklat show base.nsl
  netstacklat diff base.nsl new.nsl

Exit code: 0 recorded, 1 could not record, 2 usage error. With a command: the
command's own code, 128 + N if signal N ended it, 125 if recording failed, 126
if the command could not be run, 127 if it was not found.";

/// Options of `record`.
#[derive(Args, Clone, Debug)]
pub struct RecordArgs {
    /// The run file; a file that exists and is not empty is not overwritten
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: PathBuf,

    /// Add to an existing file
    #[arg(long)]
    pub append: bool,

    /// Stop after this time; default: when the command ends, or on Ctrl-C
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_duration,
        allow_negative_numbers = true
    )]
    pub duration: Option<Duration>,

    /// Name of this run, for `diff`
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// What to measure.
    #[command(flatten)]
    pub select: SelectArgs,

    /// Record while this command runs; `--` separates it from the options
    #[arg(
        last = true,
        value_name = "COMMAND",
        conflicts_with = "duration",
        help_heading = None
    )]
    pub command: Vec<OsString>,
}
