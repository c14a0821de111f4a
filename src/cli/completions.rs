// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of `completions`.

use clap::{Args, ValueEnum};

pub(super) const HELP: &str = "\
`make install` installs these scripts where the shells look for them. For the
present shell alone, in bash and zsh:

  source <(netstacklat completions bash)

Exit code: 0 printed, 2 usage error.";

/// Options of `completions`.
#[derive(Args, Clone, Copy, Debug)]
pub struct CompletionsArgs {
    /// The shell
    #[arg(value_name = "SHELL")]
    pub shell: Shell,
}

/// Shells with a completion script.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}
