// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Exit codes, and nothing else: 0 fine, 1 could not run, 2 bad usage (clap's
//! own), 128 + n ended by a second signal n.

use std::io::Write as _;
use std::process::ExitCode;

use netstacklat::cli::{Cli, Command};
use netstacklat::commands;

fn main() -> ExitCode {
    let Command::Live(args) = Cli::read();
    let done = if args.list_probes {
        commands::list::run(&mut std::io::stdout()).or_else(ignore_broken_pipe)
    } else {
        commands::live::run(&args)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody may be reading; that is no reason to panic.
            let _ = writeln!(std::io::stderr(), "netstacklat: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn ignore_broken_pipe(error: std::io::Error) -> anyhow::Result<()> {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error.into()),
    }
}
