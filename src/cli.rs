// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The command line: what users type, checked, with errors that say the fix.

use std::time::Duration;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Args, CommandFactory as _, Parser, Subcommand, ValueEnum};

use crate::model::hooks::{Hook, HookSet, parse_hook};

/// Shortest and longest report interval.
const INTERVALS: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_secs(24 * 60 * 60));

/// Longest run: what timers take has an end, too.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const EXAMPLES: &str = "\
Examples:
  netstacklat                       a report every 5 seconds, until Ctrl-C
  netstacklat -r 10                 every 10 seconds
  netstacklat -r 1 --count 30       30 reports, then the total
  netstacklat --duration 1m         one report, about one minute
  netstacklat -e tcp-start,udp_rcv  two hooks only: by name or kernel function
  netstacklat --summary -r 1        one line per hook
  netstacklat --json -r 1 | jq .    for programs: docs/json.md
  netstacklat check                 what this host offers, and what is missing
  netstacklat hold-timestamps       packets stamped, for ebpf_exporter

Figures are from the packet's entry into the network stack (its software RX
timestamp) to the hook; the wire, the NIC, its interrupt and GRO are before
that and not included. Counts are of skbs: GRO may have merged packets.";

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
    /// Tell what this host offers and what is in the way, and how to mend it
    #[command(after_help = CHECK_EXIT)]
    Check(CheckArgs),
    /// Have received packets stamped for others, while it runs
    #[command(after_help = HOLD)]
    HoldTimestamps,
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
    pub color: When,
}

/// Options of the live view.
#[derive(Args, Clone, Debug)]
pub struct LiveArgs {
    /// Time between reports: 10, 0.5, 500ms, 1m30s (bare numbers are seconds;
    /// 10ms to 24h) [default: 5s]
    #[arg(
        short = 'r',
        long,
        value_name = "DURATION",
        value_parser = parse_interval,
        allow_negative_numbers = true
    )]
    pub report_interval: Option<Duration>,

    /// Stop after N reports
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub count: Option<u64>,

    /// Stop after this time; without -r, one report at the end
    #[arg(
        long,
        value_name = "DURATION",
        value_parser = parse_duration,
        allow_negative_numbers = true
    )]
    pub duration: Option<Duration>,

    /// Report what was counted since the start, not since the last report
    #[arg(long)]
    pub cumulative: bool,

    /// One line per hook instead of histograms
    #[arg(long, conflicts_with = "json")]
    pub summary: bool,

    /// One JSON object per line (docs/json.md)
    #[arg(long)]
    pub json: bool,

    /// List the hooks with their kernel functions, and exit
    #[arg(short = 'l', long)]
    pub list_probes: bool,

    /// Measure only these hooks: names or kernel functions, comma-separated
    #[arg(
        short = 'e',
        long,
        value_name = "HOOK,...",
        value_delimiter = ',',
        value_parser = parse_hook,
        conflicts_with = "disable_probes"
    )]
    pub enable_probes: Vec<Hook>,

    /// Measure all hooks but these
    #[arg(
        short = 'd',
        long,
        value_name = "HOOK,...",
        value_delimiter = ',',
        value_parser = parse_hook
    )]
    pub disable_probes: Vec<Hook>,

    /// Also report what the BPF programs cost, as the kernel measures it. While
    /// it runs this slows every BPF program of the host by some 20 ns a run
    #[arg(long)]
    pub bpf_stats: bool,

    /// When to use colour; NO_COLOR in the environment turns auto off
    #[arg(long, value_name = "WHEN", default_value = "auto")]
    pub color: When,
}

/// When to use colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum When {
    /// On a terminal.
    Auto,
    /// Also when piped.
    Always,
    /// Not at all.
    Never,
}

impl Cli {
    /// Reads the command line; on bad usage explains it and exits with 2.
    pub fn read() -> Command {
        match Cli::try_parse() {
            Ok(cli) => {
                let command = cli.command.unwrap_or(Command::Live(cli.live));
                if matches!(&command, Command::Live(live) if live.hooks().is_empty()) {
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

impl LiveArgs {
    /// The hooks that the user wants.
    pub fn hooks(&self) -> HookSet {
        if self.enable_probes.is_empty() {
            HookSet::ALL.minus(self.disable_probes.iter().copied().collect())
        } else {
            self.enable_probes.iter().copied().collect()
        }
    }

    /// Time between reports; `None` for a single report at the end.
    pub fn interval(&self) -> Option<Duration> {
        match (self.report_interval, self.duration, self.count) {
            (None, Some(_), None) => None,
            (interval, ..) => Some(interval.unwrap_or(Duration::from_secs(5))),
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

fn is_bare_number(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Reads `10`, `0.5` (seconds) or `500ms`, `1m30s` (humantime).
///
/// # Errors
///
/// Says how durations are written.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = if is_bare_number(text) {
        let seconds = text.parse::<f64>().ok();
        seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    } else {
        humantime::parse_duration(text).ok()
    };
    match duration {
        None => Err("not a duration: write 10, 0.5, 500ms or 1m30s".into()),
        Some(Duration::ZERO) => Err("must be longer than zero".into()),
        Some(duration) if duration > LONGEST => Err("too long: 365days at most".into()),
        Some(duration) => Ok(duration),
    }
}

/// A duration within the limits of report intervals.
///
/// # Errors
///
/// Says how durations are written, or names the limit.
pub fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text).map_err(|error| match error.as_str() {
        "must be longer than zero" => "too short: 10ms at least".into(),
        _ => error,
    })?;
    if interval < INTERVALS.0 {
        Err("too short: 10ms at least".into())
    } else if interval > INTERVALS.1 {
        Err("too long: 24h at most".into())
    } else {
        Ok(interval)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn intervals_are_read_as_documented() {
        let ms = |text| parse_interval(text).map(|d| d.as_millis());
        assert_eq!(ms("10"), Ok(10_000));
        assert_eq!(ms("0.5"), Ok(500));
        assert_eq!(ms(".5"), Ok(500));
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(ms("1m30s"), Ok(90_000));
        assert_eq!(ms("10ms"), Ok(10));
        assert_eq!(ms("24h"), Ok(86_400_000));
        for bad in [
            "",
            "0",
            "0.0",
            "9ms",
            "25h",
            "86401",
            "-1",
            "+1",
            "1e3",
            "inf",
            "NaN",
            "1,5",
            "ten",
            "5 x",
            ".",
            "1.2.3",
            "99999999999999999999999",
        ] {
            assert!(ms(bad).is_err(), "{bad:?} was taken for an interval");
        }
    }

    proptest! {
        #[test]
        fn what_humantime_writes_is_read_back(millis in 10u64..=86_400_000) {
            let duration = Duration::from_millis(millis);
            let text = humantime::format_duration(duration).to_string();
            prop_assert_eq!(parse_interval(&text), Ok(duration));
        }

        #[test]
        fn bare_numbers_are_seconds(tenths in 1u64..=864_000) {
            let text = format!("{}.{}", tenths / 10, tenths % 10);
            let read = parse_interval(&text).unwrap();
            prop_assert_eq!(read.as_millis(), u128::from(tenths) * 100);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,12}") {
            let _ = parse_interval(&text);
            let _ = parse_duration(&text);
        }

        /// Any subset, by hook name or by function, split over any options.
        #[test]
        fn hook_lists_add_up(picks in prop::collection::vec((0usize..10, any::<bool>()), 1..12)) {
            let hooks: Vec<Hook> = Hook::all().collect();
            let name = |&(index, by_function): &(usize, bool)| match by_function {
                true => hooks[index].programs().next().unwrap().function,
                false => hooks[index].name(),
            };
            let (first, second) = picks.split_at(picks.len() / 2);
            let mut args = vec!["netstacklat".to_owned()];
            for part in [first, second].into_iter().filter(|part| !part.is_empty()) {
                args.push("-e".into());
                args.push(part.iter().map(name).collect::<Vec<_>>().join(","));
            }
            let read = Cli::try_parse_from(args).unwrap().live.hooks();
            prop_assert_eq!(read, picks.iter().map(|pick| hooks[pick.0]).collect());
        }
    }
}
