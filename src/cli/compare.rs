// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of `compare`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::durations::parse_duration;
use crate::cli::findings::FindingsArgs;
use crate::cli::hooks::HookArgs;
use crate::stats::looks::MOST_ROUNDS;

pub(super) const HELP: &str = "\
A round is four periods, A B B A or B A A B, as the seed says. Each period
begins with its side's start command and ends with its stop command, which is
also run when the comparison is interrupted, fails, or is killed. Where each
start command undoes the other, leave both stop commands out: then A's start
command runs last. Commands are run by /bin/sh.

Examples:
  netstacklat compare --a-name none --b-name rule \\
    --b-start 'iptables -I INPUT -j ACCEPT' \\
    --b-stop 'iptables -D INPUT -j ACCEPT'
  netstacklat compare --b-start 'ethtool -K eth0 gro off' \\
    --b-stop 'ethtool -K eth0 gro on' --fail-if 'tcp-start:p99>+10%'
  netstacklat compare --aa          differences without any change
  netstacklat undo                  where the host could not be restored

docs/ab.md walks through one. Exit code: 0 compared, 1 could not, 2 bad usage,
3 a --fail-if limit is exceeded, 128 + N ended by signal N.";

/// Options that say what the sides are.
const OF_SIDES: [&str; 4] = ["a_start", "a_stop", "b_start", "b_stop"];

/// All options but how long the stop command may take: --undo makes no
/// comparison.
const OF_COMPARISONS: [&str; 21] = [
    "a_name",
    "a_start",
    "a_stop",
    "b_name",
    "b_start",
    "b_stop",
    "aa",
    "load",
    "rounds",
    "precision",
    "period",
    "max_duration",
    "settle",
    "seed",
    "output",
    "fail_if",
    "histograms",
    "json",
    "enable_probes",
    "disable_probes",
    "force",
];

/// How long each period is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Period {
    /// So long.
    Fixed(Duration),
    /// As long as the packet rate demands.
    Auto,
}

fn parse_period(text: &str) -> Result<Period, String> {
    match text {
        "auto" => Ok(Period::Auto),
        text => parse_duration(text).map(Period::Fixed),
    }
}

/// How many rounds are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounds {
    /// So many.
    Fixed(u32),
    /// As many as it takes.
    Auto,
}

impl Rounds {
    /// At most so many.
    pub fn most(self) -> u32 {
        match self {
            Rounds::Fixed(rounds) => rounds,
            Rounds::Auto => MOST_ROUNDS as u32,
        }
    }
}

fn parse_rounds(text: &str) -> Result<Rounds, String> {
    if text == "auto" {
        return Ok(Rounds::Auto);
    }
    let rounds = text.parse().map_err(|_| "a number of rounds, or auto")?;
    match rounds {
        10..=1000 => Ok(Rounds::Fixed(rounds)),
        _ => Err(format!("{rounds} is not in 10..=1000")),
    }
}

fn parse_precision(text: &str) -> Result<f64, String> {
    let number = text.strip_suffix('%').unwrap_or(text).trim_end();
    match number.parse() {
        Ok(percent) if (1.0..=1000.0).contains(&percent) => Ok(percent),
        _ => Err("a change in percent, 1 to 1000".into()),
    }
}

/// Options of `compare`.
#[derive(Args, Clone, Debug)]
pub struct CompareArgs {
    /// What to call side A
    #[arg(long, value_name = "NAME", default_value = "A")]
    pub a_name: String,

    /// What to call side B
    #[arg(long, value_name = "NAME", default_value = "B")]
    pub b_name: String,

    /// Run before each period of A
    #[arg(long, value_name = "CMD")]
    pub a_start: Option<String>,

    /// Run after each period of A: undoes --a-start
    #[arg(long, value_name = "CMD", requires = "a_start")]
    pub a_stop: Option<String>,

    /// Run before each period of B
    #[arg(long, value_name = "CMD", required_unless_present_any = ["undo", "aa"])]
    pub b_start: Option<String>,

    /// Run after each period of B: undoes --b-start
    #[arg(long, value_name = "CMD", requires = "b_start")]
    pub b_stop: Option<String>,

    /// Compare this host with itself: a difference then has another cause than a
    /// change
    #[arg(long, conflicts_with_all = OF_SIDES)]
    pub aa: bool,

    /// Traffic: runs from before the first period until after the last
    #[arg(long, value_name = "CMD")]
    pub load: Option<String>,

    /// Rounds, 10 to 1000: more of them find smaller differences; auto: stop
    /// after 10, 16, 24 or 40, when the answer is known
    #[arg(long, value_name = "N", default_value = "10", value_parser = parse_rounds)]
    pub rounds: Rounds,

    /// With --rounds auto and without --fail-if: the change in percent that is
    /// to be found, or excluded
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = parse_precision)]
    pub precision: f64,

    /// How long each period is measured; auto: as a p99 needs at this packet
    /// rate, within --max-duration
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = parse_period, allow_negative_numbers = true)]
    pub period: Period,

    /// How long all may take with --period auto, without the commands
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = parse_duration, allow_negative_numbers = true)]
    pub max_duration: Duration,

    /// How long to wait, unmeasured, after each start command
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration, allow_negative_numbers = true)]
    pub settle: Duration,

    /// How long a stop command may take before it is killed, and you are told
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration, allow_negative_numbers = true)]
    pub stop_timeout: Duration,

    /// Draws the orders of the rounds; default: a new one each time
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// The run file, for `diff`; default: compare-DATE-TIME.nsl
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// What to do with what is found.
    #[command(flatten)]
    pub findings: FindingsArgs,

    /// The hooks.
    #[command(flatten)]
    pub selection: HookArgs,

    /// Run beside another comparison in this network namespace, as root: each
    /// of the two then measures the other, too
    #[arg(long)]
    pub force: bool,

    /// What `netstacklat undo` does
    #[arg(long, hide = true, conflicts_with_all = OF_COMPARISONS)]
    pub undo: bool,
}
