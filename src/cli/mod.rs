// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The command line: what users type, checked, with errors that say the fix.

mod compare;
mod diff;
mod durations;
mod findings;
mod hooks;
mod live;
mod record;
mod undo;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, ColorChoice, CommandFactory as _, Parser, Subcommand};

pub use compare::{CompareArgs, Period, Rounds};
pub use diff::DiffArgs;
pub use durations::{parse_duration, parse_interval};
pub use findings::FindingsArgs;
pub use hooks::HookArgs;
pub use live::LiveArgs;
pub use record::RecordArgs;
pub use undo::UndoArgs;

use durations::is_bare_number;
use live::EXAMPLES;

/// How long packets spend inside the Linux receive network stack.
#[derive(Debug, Parser)]
#[command(
    name = "netstacklat",
    version = crate::VERSION,
    about,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true
)]
pub struct Cli {
    /// What to do; the live view if nothing is said.
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    live: LiveArgs,
}

/// The things a user can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show latency histograms and percentiles at intervals (the default)
    #[command(after_help = EXAMPLES)]
    Live(LiveArgs),
    /// Measure into a file, for a time or while a command runs
    #[command(after_help = record::HELP)]
    Record(RecordArgs),
    /// Compare two states of this host, in rounds that take turns
    #[command(after_help = compare::HELP)]
    Compare(Box<CompareArgs>),
    /// Restore this host after a comparison that could not
    #[command(after_help = undo::HELP)]
    Undo(UndoArgs),
    /// Tell what differs between recordings, by how much, and how sure that is
    #[command(after_help = diff::HELP)]
    Diff(DiffArgs),
    /// Tell what this host offers and what is in the way, and how to mend it
    #[command(after_help = CHECK_EXIT)]
    Check(CheckArgs),
    /// Have received packets stamped for others, while it runs
    #[command(after_help = HOLD)]
    HoldTimestamps,
    /// Run the commands of a comparison.
    #[command(hide = true)]
    Guardian,
}

const CHECK_EXIT: &str = "\
Works without root, and then says what it could not see. As root it loads and
attaches all programs for a moment, and sends itself datagrams over loopback,
which must be measured.

Exit code: 0 usable, 3 usable with hooks missing, 1 not usable.";

const HOLD: &str = "\
For ebpf_exporter with our netstacklat.bpf.o, and others that need software RX
timestamps and do not ask for them. The kernel stamps the packets of the whole
host while at least one socket asks; this holds such a socket and does nothing
else. It needs no privilege, loads nothing, and is not woken until SIGINT or
SIGTERM ends it. A service manager is told when stamps arrive (Type=notify).

Examples:
  netstacklat hold-timestamps       until Ctrl-C
  sudo systemctl enable --now \\
    /usr/local/share/netstacklat/netstacklat-hold-timestamps.service
                                    always, as a service without privileges

Exit code: 0 ended by SIGINT or SIGTERM, 1 no stamps to be had.";

/// Options of `check`.
#[derive(Args, Clone, Debug)]
pub struct CheckArgs {
    /// One JSON object (docs/json.md)
    #[arg(long)]
    pub json: bool,

    /// When to use colour; NO_COLOR in the environment turns auto off
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: ColorChoice,
}

impl Cli {
    /// Reads the command line; on bad usage explains it and exits with 2.
    pub fn read() -> Command {
        match Cli::try_parse() {
            Ok(cli) => {
                let command = cli.command.unwrap_or(Command::Live(cli.live));
                if command
                    .hooks()
                    .is_some_and(|hooks| hooks.hooks().is_empty())
                {
                    let text = "-d turns every hook off; leave at least one";
                    Cli::command()
                        .error(ErrorKind::ValueValidation, text)
                        .exit()
                }
                command
            }
            Err(error) => explain(error).exit(),
        }
    }
}

impl Command {
    /// The choice of hooks, of commands that measure.
    fn hooks(&self) -> Option<&HookArgs> {
        match self {
            Command::Live(args) => Some(&args.selection),
            Command::Record(args) => Some(&args.selection),
            Command::Compare(args) => Some(&args.selection),
            Command::Undo(_)
            | Command::Diff(_)
            | Command::Check(_)
            | Command::HoldTimestamps
            | Command::Guardian => None,
        }
    }
}

/// `netstacklat 10` is what many type first: say what they meant.
fn explain(error: clap::Error) -> clap::Error {
    let kind = match error.kind() {
        ErrorKind::InvalidSubcommand => ContextKind::InvalidSubcommand,
        ErrorKind::UnknownArgument => ContextKind::InvalidArg,
        _ => return error,
    };
    match error.get(kind) {
        Some(ContextValue::String(word)) if parse_interval(word).is_ok() => Cli::command().error(
            error.kind(),
            format!("unexpected argument '{word}'\n\n  tip: for a report every {word}{}: netstacklat -r {word}",
                if is_bare_number(word) { " seconds" } else { "" }),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::hooks::Hook;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    proptest! {
        /// Any subset, by hook name or by function, split over any options.
        #[test]
        fn hook_lists_add_up(picks in prop::collection::vec((0usize..10, any::<bool>()), 1..12)) {
            let hooks: Vec<Hook> = Hook::all().collect();
            let name = |&(index, by_function): &(usize, bool)| if by_function { hooks[index].programs().next().unwrap().function } else { hooks[index].name() };
            let (first, second) = picks.split_at(picks.len() / 2);
            let mut args = vec!["netstacklat".to_owned()];
            for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
                args.push("-e".into());
                args.push(part.iter().map(name).collect::<Vec<_>>().join(","));
            }
            let read = Cli::try_parse_from(args).unwrap().live.selection.hooks();
            prop_assert_eq!(read, picks.iter().map(|pick| hooks[pick.0]).collect());
        }
    }
}
