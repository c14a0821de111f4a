// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Options of `compare`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::durations::parse_duration;
use crate::cli::findings::FindingsArgs;
use crate::cli::select::SelectArgs;
use crate::stats::looks::MOST_ROUNDS;

pub(super) const HELP: &str = "\
A round has four periods, A B B A or B A A B, in an order drawn from the seed.
Each period begins with its side's start command and ends with its stop command.
The stop command is also run if the comparison is interrupted, fails or is
killed. If each start command undoes the other one, give no stop commands: A's
start command then runs last. Commands are run by /bin/sh.

Examples:
  netstacklat compare --a-name none --b-name rule \\
    --b-start 'iptables -I INPUT -j ACCEPT' \\
    --b-stop 'iptables -D INPUT -j ACCEPT'
  netstacklat compare --b-start 'ethtool -K eth0 gro off' \\
    --b-stop 'ethtool -K eth0 gro on' --fail-if 'tcp-start:p99>+10%'
  netstacklat compare --aa          this host against itself: no change
  netstacklat undo                  if the host could not be restored

docs/ab.md walks through an example. Exit code: 0 compared, 1 could not compare,
2 usage error, 3 a --fail-if limit is exceeded, 128 + N ended by signal N.";

/// Options that say what the sides are.
const OF_SIDES: [&str; 4] = ["a_start", "a_stop", "b_start", "b_stop"];

/// All options but --stop-timeout and those of output: --undo makes no
/// comparison.
const OF_COMPARISONS: [&str; 20] = [
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
    "SelectArgs",
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
    /// Name of side A
    #[arg(long, value_name = "NAME", default_value = "A")]
    pub a_name: String,

    /// Name of side B
    #[arg(long, value_name = "NAME", default_value = "B")]
    pub b_name: String,

    /// Shell command that runs before each period of A
    #[arg(long, value_name = "CMD")]
    pub a_start: Option<String>,

    /// Shell command that runs after each period of A and undoes --a-start
    #[arg(long, value_name = "CMD", requires = "a_start")]
    pub a_stop: Option<String>,

    /// Shell command that runs before each period of B
    #[arg(long, value_name = "CMD", required_unless_present_any = ["undo", "aa"])]
    pub b_start: Option<String>,

    /// Shell command that runs after each period of B and undoes --b-start
    #[arg(long, value_name = "CMD", requires = "b_start")]
    pub b_stop: Option<String>,

    /// Compare this host with itself, without commands: shows which differences
    /// appear when nothing is changed
    #[arg(long, conflicts_with_all = OF_SIDES)]
    pub aa: bool,

    /// Shell command that makes traffic; it runs during the whole comparison
    #[arg(long, value_name = "CMD")]
    pub load: Option<String>,

    /// Number of rounds, 10 to 1000; more rounds find smaller differences. auto:
    /// stop after 10, 16, 24 or 40 rounds, as soon as the answer is known
    #[arg(long, value_name = "N", default_value = "10", value_parser = parse_rounds)]
    pub rounds: Rounds,

    /// With --rounds auto and without --fail-if: the change, in percent, that
    /// must be found or excluded
    #[arg(long, value_name = "PERCENT", default_value = "10", value_parser = parse_precision)]
    pub precision: f64,

    /// How long each period is measured; auto: long enough for a p99 at this
    /// packet rate, within --max-duration
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = parse_period, allow_negative_numbers = true)]
    pub period: Period,

    /// With --period auto: time for the whole comparison, commands excluded
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = parse_duration, allow_negative_numbers = true)]
    pub max_duration: Duration,

    /// How long to wait after each start command before measuring
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = parse_duration, allow_negative_numbers = true)]
    pub settle: Duration,

    /// How long a stop command may take before it is killed and reported
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = parse_duration, allow_negative_numbers = true)]
    pub stop_timeout: Duration,

    /// Seed of the orders of the rounds; default: another one each time
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// The run file, for `show` and `diff`; default: compare-DATE-TIME.nsl
    #[arg(short = 'o', long, value_name = "FILE")]
    pub output: Option<PathBuf>,

    /// Run although another comparison runs in this network namespace (root
    /// only): each of the two then also measures the other
    #[arg(long)]
    pub force: bool,

    /// Same as `netstacklat undo`
    #[arg(long, hide = true, conflicts_with_all = OF_COMPARISONS)]
    pub undo: bool,

    /// What to measure.
    #[command(flatten)]
    pub select: SelectArgs,

    /// What to do with what is found.
    #[command(flatten)]
    pub findings: FindingsArgs,
}
