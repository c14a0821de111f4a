// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How results are printed: the options that all commands with results share.

use clap::{Args, ColorChoice};

/// How to print.
#[derive(Args, Clone, Copy, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutArgs {
    /// Print JSON, one object per line (docs/json.md)
    #[arg(long)]
    pub json: bool,

    /// When to use colour; NO_COLOR in the environment turns auto off
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}
