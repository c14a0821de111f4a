// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of `undo`.

use std::time::Duration;

use clap::Args;

use crate::cli::durations::parse_duration;

pub(super) const HELP: &str = "\
When a comparison is killed, its guardian process runs the stop command at once.
This is for what remains: both were killed, or the stop command failed. The
command is run in the comparison's directory, with its environment, and only
with the identity of the user who made it.

Examples:
  netstacklat undo --list           what is left, and where that is written
  netstacklat undo                  undo it
  netstacklat undo --forget         give it up, after you have undone it by hand

Exit code: 0 undone, or nothing was to be undone; 1 something is left.";

/// Options of `undo`.
#[derive(Args, Clone, Debug, Default)]
pub struct UndoArgs {
    /// Show what is left, and undo nothing
    #[arg(long, conflicts_with = "forget")]
    pub list: bool,

    /// Show what is left, and give it up
    #[arg(long)]
    pub forget: bool,

    /// How long the stop command may take; default: as its comparison said
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, allow_negative_numbers = true)]
    pub stop_timeout: Option<Duration>,
}
