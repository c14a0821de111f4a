// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The command line: what users type, checked, with errors that say the fix.
//!
//! Options come in groups: [`SelectArgs`] says what is measured, [`ReportArgs`]
//! when the live view reports, [`OutArgs`] how results are printed. Each command
//! has the groups that it needs, and its own options.

mod compare;
mod completions;
mod diff;
mod durations;
mod explain;
mod findings;
mod hook_parser;
mod listing;
mod live;
mod out;
mod record;
mod reports;
mod select;
mod selected;
mod show;
mod sizes;
mod undo;

use clap::error::ErrorKind;
use clap::{Args as _, CommandFactory as _, Parser, Subcommand};

pub use compare::{CompareArgs, Period, Rounds};
pub use completions::{CompletionsArgs, Shell};
pub use diff::DiffArgs;
pub use durations::{parse_duration, parse_interval};
pub use findings::FindingsArgs;
pub use listing::ListingArgs;
pub use live::LiveArgs;
pub use out::OutArgs;
pub use record::RecordArgs;
pub use reports::ReportArgs;
pub use select::SelectArgs;
pub use show::ShowArgs;
pub use sizes::{Size, parse_size};
pub use undo::UndoArgs;

use explain::explain;
use live::EXAMPLES;

/// How long packets spend inside the Linux receive network stack.
#[derive(Debug, Parser)]
#[command(
    name = "netstacklat",
    version = crate::VERSION,
    about,
    after_help = EXAMPLES,
    args_conflicts_with_subcommands = true
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
    /// A/B test a change on this host, alternating A and B
    #[command(after_help = compare::HELP)]
    Compare(Box<CompareArgs>),
    /// Restore this host after a comparison that was killed
    #[command(after_help = undo::HELP)]
    Undo(UndoArgs),
    /// Show what is in a run file
    #[command(after_help = show::HELP)]
    Show(ShowArgs),
    /// Compare recordings: what changed, by how much, how sure that is
    #[command(after_help = diff::HELP)]
    Diff(DiffArgs),
    /// Check whether this host can measure, and how to fix it
    #[command(after_help = CHECK)]
    Check(OutArgs),
    /// Keep RX timestamping on, for ebpf_exporter
    #[command(after_help = HOLD)]
    HoldTimestamps,
    /// Print a completion script for a shell
    #[command(after_help = completions::HELP)]
    Completions(CompletionsArgs),
    /// Run the commands of a comparison.
    #[command(hide = true)]
    Guardian,
}

const CHECK: &str = "\
Works without root, and then says what it could not see. As root it loads and
attaches all programs for a moment and sends itself datagrams over loopback,
which must be measured.

Exit code: 0 usable, 3 usable with hooks missing, 1 not usable, 2 usage error.";

const HOLD: &str = "\
For programs that need software RX timestamps and do not request them, such as
ebpf_exporter with our netstacklat.bpf.o. The kernel timestamps received packets
of the whole host while at least one socket requests it. This command holds such
a socket and does nothing else: it needs no privilege, loads nothing, and sleeps
until SIGINT or SIGTERM ends it. It tells a service manager when timestamps
arrive (Type=notify).

Examples:
  netstacklat hold-timestamps       until Ctrl-C
  sudo systemctl enable --now \\
    /usr/local/share/netstacklat/netstacklat-hold-timestamps.service
                                    always, as a service without privileges

Exit code: 0 ended by SIGINT or SIGTERM, 1 packets get no timestamps, 2 usage
error.";

impl Cli {
    /// Reads the command line; explains a usage error and exits with 2.
    pub fn read() -> Command {
        let arguments: Vec<_> = std::env::args_os().collect();
        match Cli::try_parse_from(&arguments) {
            Ok(cli) => {
                let command = cli.into_command();
                if let Some(select) = command.select()
                    && select.wanted_hooks().is_empty()
                {
                    let text = "no hook is left: -e, -d, --tcp and --udp together turn every hook \
                                off";
                    Cli::command()
                        .error(ErrorKind::ValueValidation, text)
                        .exit()
                }
                command
            }
            Err(error) => explain(Cli::command(), error, &arguments).exit(),
        }
    }

    /// The command, the live view if none was named.
    pub fn into_command(self) -> Command {
        self.command.unwrap_or(Command::Live(self.live))
    }

    /// The definition without what is not for users: for completion scripts and
    /// man pages. (The live view is what runs without a command.)
    pub fn for_users() -> clap::Command {
        let whole = Cli::command();
        let shown = whole.get_subcommands().filter(|command| {
            let name = command.get_name();
            !command.is_hide_set() && name != "live"
        });
        let bare = clap::Command::new("netstacklat")
            .version(crate::VERSION)
            .args_conflicts_with_subcommands(true)
            .subcommands(shown.cloned());
        let about = whole.get_about().cloned().unwrap_or_default();
        LiveArgs::augment_args(bare)
            .about(about)
            .after_help(EXAMPLES)
    }
}

impl Command {
    /// What to measure, of commands that measure.
    pub fn select(&self) -> Option<&SelectArgs> {
        match self {
            Command::Live(args) => Some(&args.select),
            Command::Record(args) => Some(&args.select),
            Command::Compare(args) => Some(&args.select),
            Command::Undo(_)
            | Command::Show(_)
            | Command::Diff(_)
            | Command::Check(_)
            | Command::HoldTimestamps
            | Command::Completions(_)
            | Command::Guardian => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::model::hooks::Hook;
    use crate::model::selection::Selection;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
        Cli::for_users().debug_assert();
    }

    fn read(args: &[&str]) -> Command {
        let cli = Cli::try_parse_from([&["netstacklat"], args].concat());
        cli.unwrap_or_else(|error| panic!("{args:?}: {error}"))
            .into_command()
    }

    /// A value for each option of SELECT, as it is written again: a new one fails
    /// here until it has one. `None`: it takes none.
    fn sample(option: &clap::Arg) -> Option<&'static str> {
        Some(
            match option.get_long().expect("each option has a long name") {
                "hooks" | "exclude-hooks" => "TCP*,udp-start",
                "interfaces" => "eth0,7",
                "network-namespace" => "pid:1",
                "pids" => "1,22",
                "cgroups" => "system.slice/x.service,77",
                "cgroup-mount" => "/sys/fs/cgroup",
                "port" | "local-port" | "remote-port" => "80,8000-8080",
                "ip" => "192.0.2.0/24,::1",
                "rx-queue" => "0,2-3",
                "min-queue-length" => "3",
                "sample" => "1/16",
                "notes" => "5000",
                "slower-than" => "1ms,udp-start:100us",
                "slowest" => "3",
                "container" => "web,0123456789ab",
                "pod" => "default/web-*,db",
                "comm" => "nginx*,dnsdist",
                "max-groups" => "9",
                "group-memory" => "8MiB",
                "top" => "5",
                "sort" => "p99",
                "by" => "process,interface",
                "ipv4" | "ipv6" | "tcp" | "udp" => return None,
                "include-tcp-hol-delay" | "groupby-interface" | "groupby-cgroup" => return None,
                "stages" | "no-stages" | "redact" => return None,
                other => panic!("give --{other} a value here"),
            },
        )
    }

    /// All that measure have the same SELECT, and say by the option's name what
    /// was selected.
    #[test]
    fn select_is_the_same_for_all_that_measure() {
        let select = SelectArgs::augment_args(clap::Command::new("select"));
        let commands = [
            &[][..],
            &["live"],
            &["record", "-o", "FILE"],
            &["compare", "--aa"],
        ];
        for option in select.get_arguments() {
            let name = option.get_long().expect("each option has a long name");
            let (long, value) = (format!("--{name}"), sample(option));
            let values: Vec<String> = value
                .map(|value| value.split(',').map(String::from).collect())
                .unwrap_or_default();
            let expected = match name {
                "by" => Selection {
                    by: values,
                    ..Selection::default()
                },
                "groupby-interface" | "groupby-cgroup" => Selection {
                    by: vec![name.replace("groupby-", "")],
                    ..Selection::default()
                },
                _ => Selection {
                    options: BTreeMap::from([(name.to_owned(), values)]),
                    by: Vec::new(),
                },
            };
            let short = option.get_short().map(|short| format!("-{short}"));
            let old = option.get_all_aliases().unwrap_or_default();
            let old = old.into_iter().map(|alias| format!("--{alias}"));
            for spelling in short.into_iter().chain(old).chain([long]) {
                let words: Vec<&str> = [spelling.as_str()].into_iter().chain(value).collect();
                for command in commands {
                    let command = read(&[command, &words].concat());
                    let selection = command.select().expect("it measures").selection();
                    assert_eq!(selection, expected, "{command:?}");
                }
            }
        }
        for command in commands {
            let command = read(command);
            let selection = command.select().expect("it measures").selection();
            assert_eq!(selection, Selection::default());
        }
    }

    /// Run files and JSON say what was selected: not so with --redact.
    #[test]
    fn redact_hides_what_was_selected() {
        let select = SelectArgs::augment_args(clap::Command::new("select"));
        for option in select.get_arguments() {
            let name = option.get_long().expect("each option has a long name");
            let Some(value) = sample(option).filter(|_| name != "by") else {
                continue;
            };
            let command = read(&["--redact", &format!("--{name}"), value]);
            let selection = command.select().expect("it measures").selection();
            let hidden = selection.options[name] == ["[redacted]"];
            // What tells nothing of who uses the host.
            let open = [
                "hooks",
                "exclude-hooks",
                "port",
                "local-port",
                "remote-port",
                "rx-queue",
                "min-queue-length",
                "sample",
                "notes",
                "slower-than",
                "slowest",
                "max-groups",
                "group-memory",
                "top",
                "sort",
            ];
            assert_eq!(hidden, !open.contains(&name), "--{name}");
        }
    }

    #[test]
    fn there_are_no_slow_packets_without_stages() {
        for option in ["--slower-than=1ms", "--slowest=3", "--notes=5000"] {
            let words = ["netstacklat", "--no-stages", option];
            let error = Cli::try_parse_from(words).expect_err("it is refused");
            assert_eq!(error.kind(), clap::error::ErrorKind::ArgumentConflict);
        }
    }

    #[test]
    fn keys_of_groups_add_up_and_count_once() {
        let command = read(&["--by", "process,cgroup", "-I", "-C", "--by", "process"]);
        let grouping = command.select().unwrap().grouping().unwrap();
        let keys: Vec<_> = grouping.keys.iter().map(|key| key.name()).collect();
        assert_eq!(keys, ["process", "cgroup", "interface"]);
        assert_eq!((grouping.max_groups, grouping.memory), (256, 64 << 20));
        assert_eq!(read(&[]).select().unwrap().grouping(), None);
    }

    #[test]
    fn old_names_of_options_still_work() {
        let old = read(&["--enable-probes", "tcp-start"]);
        let new = read(&["--hooks", "tcp-start"]);
        let hooks = |command: &Command| command.select().unwrap().wanted_hooks();
        assert_eq!(hooks(&old), hooks(&new));
        let old = read(&["record", "-o", "x", "--disable-probes", "tcp-start"]);
        let new = read(&["--exclude-hooks", "tcp-start"]);
        assert_eq!(hooks(&old), hooks(&new));
        let Command::Live(old) = read(&["--list-probes"]) else {
            panic!("the live view lists");
        };
        assert!(old.list_hooks);
    }

    proptest! {
        /// Any subset, by hook name or by function, split over any options.
        #[test]
        fn hook_lists_add_up(
            picks in prop::collection::vec((any::<prop::sample::Index>(), any::<bool>()), 1..12),
        ) {
            let hooks: Vec<Hook> = Hook::all().collect();
            let picks: Vec<(Hook, bool)> = picks
                .into_iter()
                .map(|(index, by_function)| (*index.get(&hooks), by_function))
                .collect();
            let name = |&(hook, by_function): &(Hook, bool)| {
                let function = hook.own_functions().next();
                function.filter(|_| by_function).unwrap_or(hook.name())
            };
            let (first, second) = picks.split_at(picks.len() / 2);
            let mut args = Vec::new();
            for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
                args.push("-e".to_owned());
                args.push(part.iter().map(name).collect::<Vec<_>>().join(","));
            }
            let args: Vec<&str> = args.iter().map(String::as_str).collect();
            let wanted = read(&args).select().unwrap().wanted_hooks();
            prop_assert_eq!(wanted, picks.iter().map(|pick| pick.0).collect());
        }
    }
}
