// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What `compare` and `diff` do with what they find.

use clap::Args;

use crate::cli::out::OutArgs;
use crate::model::fail_if::Limit;

/// How to show findings, and which of them are failures.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct FindingsArgs {
    /// Exit with code 3 if this limit is exceeded beyond doubt, for example
    /// 'tcp-start:p99>+10%'; can be given several times (docs/ab.md)
    #[arg(long, value_name = "LIMIT")]
    pub fail_if: Vec<Limit>,

    /// Also show the histograms of both sides
    #[arg(long)]
    pub histograms: bool,

    /// How to print.
    #[command(flatten)]
    pub out: OutArgs,
}
