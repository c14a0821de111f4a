// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of `show`.

use std::path::PathBuf;

use clap::Args;

use crate::cli::hook_parser::{HookParser, union};
use crate::cli::listing::ListingArgs;
use crate::cli::out::OutArgs;
use crate::model::grouping::GroupKey;
use crate::model::hook_choice::HookChoice;
use crate::model::hooks::HookSet;

pub(super) const HELP: &str = "\
Shows where, when and how a run file was recorded, and the total of each hook.
FILE is a run file of `record` or `compare`, or saved --json output.

Examples:
  netstacklat show base.nsl
  netstacklat show base.nsl -e 'udp*' --histograms
  netstacklat show services.nsl --by process --sort p99
  netstacklat show base.nsl --json | jq .

Exit code: 0 shown, 1 the file cannot be read, 2 usage error.";

/// Options of `show`.
#[derive(Args, Clone, Debug)]
pub struct ShowArgs {
    /// The run file
    #[arg(value_name = "FILE")]
    pub file: PathBuf,

    /// Show only these hooks, comma-separated: names, kernel functions, quoted
    /// globs ('tcp*'), or the sets light, original, forwarding, softirq, default and
    /// all
    #[arg(
        short = 'e',
        long,
        value_name = "HOOK,GLOB,SET",
        value_delimiter = ',',
        value_parser = HookParser,
        hide_possible_values = true
    )]
    pub hooks: Vec<HookChoice>,

    /// Print histograms instead of one line per hook
    #[arg(long, conflicts_with = "json")]
    pub histograms: bool,

    /// Show groups by these of the keys that were recorded (`--by` of `record`)
    #[arg(long, value_name = "KEY", value_delimiter = ',')]
    pub by: Vec<GroupKey>,

    /// Which groups to list.
    #[command(flatten)]
    pub listing: ListingArgs,

    /// How to print.
    #[command(flatten)]
    pub out: OutArgs,
}

impl ShowArgs {
    /// The hooks to show.
    pub fn wanted_hooks(&self) -> HookSet {
        if self.hooks.is_empty() {
            HookSet::ALL
        } else {
            union(&self.hooks)
        }
    }
}
