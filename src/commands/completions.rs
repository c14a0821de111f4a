// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `completions`: a script that a shell completes our command line with.

use anyhow::Result;
use clap_complete::Shell as Script;

use crate::cli::{Cli, CompletionsArgs, Shell};
use crate::render::terminal;

/// Prints the script.
///
/// # Errors
///
/// If standard output cannot be written.
pub fn run(args: CompletionsArgs) -> Result<()> {
    let shell = match args.shell {
        Shell::Bash => Script::Bash,
        Shell::Zsh => Script::Zsh,
        Shell::Fish => Script::Fish,
    };
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Cli::for_users(), "netstacklat", &mut text);
    terminal::print(&text)
}
