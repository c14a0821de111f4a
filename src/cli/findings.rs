// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What `compare` and `diff` do with what they find.

use clap::{Args, ColorChoice};

use crate::model::fail_if::Limit;

/// How to show findings, and which of them are failures.
#[derive(Args, Clone, Debug)]
pub struct FindingsArgs {
    /// Exit with 3 if a limit is surely exceeded, as
    /// 'tcp-start:p99>+10%'; can be repeated (docs/ab.md)
    #[arg(long, value_name = "LIMIT")]
    pub fail_if: Vec<Limit>,

    /// Also show the histograms of both sides
    #[arg(long)]
    pub histograms: bool,

    /// The result as one JSON object (docs/json.md)
    #[arg(long)]
    pub json: bool,

    /// When to use colour; NO_COLOR in the environment turns auto off
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}
