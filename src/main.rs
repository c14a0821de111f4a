// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Exit codes, and nothing else: 0 fine, 1 could not run, 2 bad usage (clap's
//! own), 3 `check` found hooks missing or a `--fail-if` limit is exceeded,
//! 128 + n ended by signal n, and whatever a command of `record` ends with.

use std::process::ExitCode;

use netstacklat::cli::{Cli, Command};
use netstacklat::commands;
use netstacklat::error::UsageError;
use netstacklat::model::check::CheckOutcome;
use netstacklat::runtime::event_loop::{end_at_next_signal, end_requested};
use netstacklat::runtime::messages::Messages;
use netstacklat::runtime::sink::STALL_TIMEOUT;

const SUCCESS: u8 = 0;

fn main() -> ExitCode {
    let command = Cli::read();
    // It has nobody to talk to, and says nothing by a thread.
    if matches!(command, Command::Guardian) {
        return match commands::guardian::run() {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("netstacklat: {error:#}");
                ExitCode::from(code_of(&error))
            }
        };
    }
    let messages = match Messages::start() {
        Ok(messages) => messages,
        Err(error) => {
            eprintln!("netstacklat: starting a thread for messages: {error}");
            return ExitCode::FAILURE;
        }
    };
    let code = match run(command, &messages) {
        Ok(code) => code,
        Err(error) => {
            messages.print(&format!("netstacklat: {error:#}\n"));
            code_of(&error)
        }
    };
    // All is undone and detached: whoever asks for the end now gets it.
    let _ = end_at_next_signal();
    messages.flush(end_requested().then_some(STALL_TIMEOUT));
    ExitCode::from(code)
}

fn run(command: Command, messages: &Messages) -> anyhow::Result<u8> {
    let success = |()| SUCCESS;
    match command {
        Command::Live(args) if args.list_hooks => commands::list::run(&args).map(success),
        Command::Live(args) => commands::live::run(&args, messages).map(success),
        Command::Record(args) => commands::record::run(&args, messages),
        Command::Compare(args) => commands::compare::run(&args, messages),
        Command::Undo(args) => commands::undo::run(&args, messages).map(success),
        Command::Show(args) => commands::show::run(&args).map(success),
        Command::Diff(args) => commands::diff::run(&args),
        Command::Completions(args) => commands::completions::run(args).map(success),
        Command::HoldTimestamps => commands::hold_timestamps::run(messages).map(success),
        Command::Guardian => commands::guardian::run().map(success),
        Command::Check(args) => commands::check::run(&args).map(|outcome| match outcome {
            CheckOutcome::Usable => SUCCESS,
            CheckOutcome::HooksMissing => 3,
            CheckOutcome::NotUsable => 1,
        }),
    }
}

fn code_of(error: &anyhow::Error) -> u8 {
    if error.is::<UsageError>() { 2 } else { 1 }
}
