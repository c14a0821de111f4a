// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Exit codes, and nothing else: 0 fine, 1 could not run, 2 bad usage (clap's
//! own), 3 `check` found hooks missing or a `--fail-if` limit is passed,
//! 128 + n ended by signal n, and whatever a command of `record` ends with.

use std::io::Write as _;
use std::process::ExitCode;

use netstacklat::cli::{BadUsage, Cli, Command};
use netstacklat::commands;
use netstacklat::model::finding::Outcome;

const SUCCESS: u8 = 0;

fn main() -> ExitCode {
    let done = match Cli::read() {
        Command::Live(args) if args.list_probes => commands::list::run(&mut std::io::stdout())
            .or_else(ignore_broken_pipe)
            .map(|()| SUCCESS),
        Command::Live(args) => commands::live::run(&args).map(|()| SUCCESS),
        Command::Record(args) => commands::record::run(&args),
        Command::Compare(args) => commands::compare::run(&args),
        Command::Diff(args) => commands::diff::run(&args),
        Command::HoldTimestamps => commands::hold_timestamps::run().map(|()| SUCCESS),
        Command::Check(args) => commands::check::run(&args).map(|outcome| match outcome {
            Outcome::Usable => SUCCESS,
            Outcome::HooksMissing => 3,
            Outcome::NotUsable => 1,
        }),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            // Nobody may be reading; that is no reason to panic.
            let text = harmless(&format!("{error:#}"));
            let _ = writeln!(std::io::stderr(), "netstacklat: {text}");
            ExitCode::from(if error.is::<BadUsage>() { 2 } else { 1 })
        }
    }
}

/// Names of files, and what commands have said, can hold what a terminal obeys.
fn harmless(text: &str) -> String {
    let obeyed = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
    let shown = |c| {
        if obeyed(c) {
            char::REPLACEMENT_CHARACTER
        } else {
            c
        }
    };
    text.chars().map(shown).collect()
}

fn ignore_broken_pipe(error: std::io::Error) -> anyhow::Result<()> {
    match error.kind() {
        std::io::ErrorKind::BrokenPipe => Ok(()),
        _ => Err(error.into()),
    }
}
