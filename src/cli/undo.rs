// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of `undo`.

use std::time::Duration;

use clap::Args;

use crate::cli::durations::parse_duration;

pub(super) const HELP: &str = "\
When a comparison is killed, its guardian process runs the stop command at once.
This command is for what remains: both were killed, or the stop command failed.
It runs the stop command in the comparison's directory, with the comparison's
environment, and only as the user who ran the comparison.

Examples:
  netstacklat undo --list           what is left, and in which files that is kept
  netstacklat undo                  undo it
  netstacklat undo --forget         drop it, after you have undone it by hand

Exit code: 0 undone, or nothing to undo; 1 something is left; 2 usage error.";

/// Options of `undo`.
#[derive(Args, Clone, Debug, Default)]
pub struct UndoArgs {
    /// Show what is left; undo nothing
    #[arg(long, conflicts_with = "forget")]
    pub list: bool,

    /// Show what is left, and drop it without undoing it
    #[arg(long)]
    pub forget: bool,

    /// Time that the stop command may take; default: that of its comparison
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, allow_negative_numbers = true)]
    pub stop_timeout: Option<Duration>,
}
