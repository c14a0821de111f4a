// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a reader must know before any difference: how the sides differ in more
//! than what was meant to differ, and what is missing.

use crate::analysis::differences::{alternates, attachment, differences, short};
use crate::analysis::samples::{MIN_ROUNDS, Rounds};
use crate::analysis::{Design, Finding, Input};
use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::model::snapshot::HookStats;
use crate::runfile::Tally;

/// Something to know before the differences.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// What it is about.
    pub kind: Kind,
    /// The hook that it is about; `None`: all.
    pub hook: Option<Hook>,
    /// The quantity that it is about; `None`: all.
    pub quantity: Option<Quantity>,
}

/// What to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The sides differ in something else, or files of one side do.
    Differs {
        /// What it is: `kernel`, `host`, a fact's name, ...
        what: String,
        /// What A's files say of it, then B's; at most a few.
        values: PerSide<Vec<String>>,
    },
    /// The wall clock was stepped, so often with A and with B.
    ClockSteps(PerSide<u64>),
    /// So many rounds are excluded because the clock was stepped in them.
    RoundsExcluded(u64),
    /// At this quantity, rounds of these numbers are excluded, because one of
    /// their periods was disturbed.
    Disturbed(Vec<u64>),
    /// Latencies of A and B in the rounds or files that are used: so different
    /// that those of the richer side were thinned.
    UnequalRates(PerSide<u64>),
    /// All files of one side were made before all of the other.
    NotAlternating,
    /// Packets that should have been measured and were not, above 1 %.
    Skipped {
        /// Of A and of B.
        lost: PerSide<u64>,
        /// Those that were measured or lost.
        of: PerSide<u64>,
    },
    /// Runs that the kernel left out, above 1 %.
    Missed {
        /// Of A and of B.
        missed: PerSide<u64>,
        /// Those, and the ones that were not left out.
        of: PerSide<u64>,
    },
    /// Units (rounds, or files of A and B) that have enough samples.
    TooFewSamples {
        /// That have.
        units: PerSide<usize>,
        /// That there are.
        of: PerSide<usize>,
    },
    /// Fewer rounds than a verdict needs.
    FewRounds(usize),
    /// Fewer files a side than an interval needs.
    FewFiles(PerSide<usize>),
    /// Rounds were meant to be made, and were not.
    RoundsMissing {
        /// That are there.
        made: u64,
        /// That were meant to be.
        planned: u64,
    },
    /// A file's last run has not come to its end.
    Incomplete(String),
    /// What a file lacks, because it ended before its time.
    Excluded {
        /// The file.
        path: String,
        /// In words.
        text: String,
    },
    /// Something is wrong with a file.
    Problem {
        /// The file.
        path: String,
        /// In words.
        text: String,
    },
    /// Reports that were not made in time, with A and with B. Nothing is lost.
    MissedIntervals(PerSide<u64>),
    /// A file has several runs in it, which are added up.
    SeveralRuns {
        /// The file.
        path: String,
        /// How many.
        runs: u64,
    },
}

/// Above this share, what is not measured may matter.
const TOLERATED_PERCENT: u128 = 1;
/// What files can be strange in or lack, at most, and be told.
const MAX_PROBLEMS: usize = 10;

impl Warning {
    pub(super) fn about_all(kind: Kind) -> Warning {
        Warning {
            kind,
            hook: None,
            quantity: None,
        }
    }

    fn about(hook: Hook, kind: Kind) -> Warning {
        Warning {
            hook: Some(hook),
            ..Warning::about_all(kind)
        }
    }

    /// As in the JSON.
    pub fn code(&self) -> &'static str {
        match self.kind {
            Kind::Differs { .. } => "differs",
            Kind::ClockSteps(_) => "clock-steps",
            Kind::RoundsExcluded(_) => "rounds-excluded",
            Kind::Disturbed(_) => "disturbed",
            Kind::UnequalRates(_) => "unequal-rates",
            Kind::NotAlternating => "not-alternating",
            Kind::Skipped { .. } => "skipped",
            Kind::Missed { .. } => "missed",
            Kind::TooFewSamples { .. } => "too-few-samples",
            Kind::FewRounds(_) => "few-rounds",
            Kind::FewFiles(_) => "few-files",
            Kind::RoundsMissing { .. } => "rounds-missing",
            Kind::Incomplete(_) => "incomplete",
            Kind::Excluded { .. } => "excluded",
            Kind::Problem { .. } => "problem",
            Kind::MissedIntervals(_) => "missed-intervals",
            Kind::SeveralRuns { .. } => "several-runs",
        }
    }

    /// Whether verdicts may not mean what they seem to because of it. Those
    /// that do not, take verdicts away altogether, or nothing.
    pub fn is_serious(&self) -> bool {
        match self.kind {
            Kind::Differs { .. }
            | Kind::ClockSteps(_)
            | Kind::Skipped { .. }
            | Kind::Missed { .. }
            | Kind::TooFewSamples { .. }
            | Kind::NotAlternating
            | Kind::Problem { .. } => true,
            Kind::FewRounds(_)
            | Kind::RoundsExcluded(_)
            | Kind::Disturbed(_)
            | Kind::UnequalRates(_)
            | Kind::FewFiles(_)
            | Kind::RoundsMissing { .. }
            | Kind::Incomplete(_)
            | Kind::Excluded { .. }
            | Kind::MissedIntervals(_)
            | Kind::SeveralRuns { .. } => false,
        }
    }

    /// Whether it puts a verdict in doubt.
    pub fn puts_in_doubt(&self, hook: Hook, quantity: Quantity) -> bool {
        self.is_serious()
            && self.hook.is_none_or(|about| about == hook)
            && self.quantity.is_none_or(|about| about == quantity)
    }
}

pub(super) fn find(
    input: &Input,
    design: &Design,
    rounds: &Rounds,
    hooks: &[Finding],
) -> Vec<Warning> {
    let mut found = Vec::new();
    add_too_few_units(&mut found, input, design, rounds);
    if let Input::Recordings { sides, .. } = input {
        differences(&mut found, *sides);
        if !alternates(*sides) {
            found.push(Warning::about_all(Kind::NotAlternating));
        }
    }
    clock(&mut found, input, rounds);
    for finding in hooks {
        if let Input::Recordings { sides, .. } = input {
            attachment(&mut found, finding.hook, *sides);
        }
        not_measured(&mut found, input, finding.hook);
        if let Some(counts) = finding.thinned {
            found.push(Warning::about(finding.hook, Kind::UnequalRates(counts)));
        }
        disturbed(&mut found, finding);
        too_few_samples(&mut found, design, finding);
    }
    files(&mut found, input);
    found
}

fn add_too_few_units(found: &mut Vec<Warning>, input: &Input, design: &Design, rounds: &Rounds) {
    match *design {
        Design::Rounds { used, planned } => {
            if used < MIN_ROUNDS {
                found.push(Warning::about_all(Kind::FewRounds(used)));
            }
            let made = used as u64 + rounds.stepped;
            if made < planned {
                found.push(Warning::about_all(Kind::RoundsMissing { made, planned }));
            }
        }
        Design::Files(files) => {
            if !input.knows_how_it_varies() {
                found.push(Warning::about_all(Kind::FewFiles(files)));
            }
        }
    }
}

fn clock(found: &mut Vec<Warning>, input: &Input, rounds: &Rounds) {
    let steps = sums(input, |tally| tally.clock_steps);
    match input {
        // Those rounds are left out: the others are as good as ever.
        Input::Comparison(_) if rounds.stepped > 0 => {
            found.push(Warning::about_all(Kind::RoundsExcluded(rounds.stepped)));
        }
        Input::Recordings { .. } if steps != PerSide::both(0) => {
            found.push(Warning::about_all(Kind::ClockSteps(steps)));
        }
        _ => {}
    }
}

fn sums(input: &Input, of: impl Fn(&Tally) -> u64) -> PerSide<u64> {
    PerSide::of(|arm| {
        let files = input.side(arm).iter();
        files.fold(0, |sum: u64, file| sum.saturating_add(of(file.totals(arm))))
    })
}

fn not_measured(found: &mut Vec<Warning>, input: &Input, hook: Hook) {
    let stats = |of: fn(&HookStats) -> u64| sums(input, |tally| tally.hook(hook).map_or(0, of));
    let too_many = |part: PerSide<u64>, whole: PerSide<u64>| {
        let over = |(part, whole): (u64, u64)| {
            u128::from(part) * 100 > u128::from(whole) * TOLERATED_PERCENT
        };
        part.zip(whole).into_iter().any(over)
    };
    let add =
        |one: PerSide<u64>, other| one.zip(other).map(|(a, b): (u64, u64)| a.saturating_add(b));
    let count = stats(|stats| stats.histogram.count());
    let lost = stats(|stats| stats.skips.lost());
    let of = add(count, lost);
    if too_many(lost, of) {
        found.push(Warning::about(hook, Kind::Skipped { lost, of }));
    }
    let missed = stats(|stats| stats.missed);
    let of = add(add(count, missed), stats(|stats| stats.skips.total()));
    if too_many(missed, of) {
        found.push(Warning::about(hook, Kind::Missed { missed, of }));
    }
}

/// Of the quantiles that get verdicts; an idle hook is told as such.
fn too_few_samples(found: &mut Vec<Warning>, design: &Design, finding: &Finding) {
    if !finding.has_samples() {
        return;
    }
    let of = design.units();
    // The tail needs as many as the p99, or has no bound: nothing more to say.
    let quantiles = Quantity::JUDGED
        .into_iter()
        .filter(|q| q.quantile().is_some());
    for quantity in quantiles {
        let row = finding.row(quantity);
        // What was excluded as disturbed is told as such.
        let units = row.units.map(|units| units + row.left_out.len());
        if units != of {
            found.push(Warning {
                quantity: Some(quantity),
                ..Warning::about(finding.hook, Kind::TooFewSamples { units, of })
            });
        }
    }
}

fn disturbed(found: &mut Vec<Warning>, finding: &Finding) {
    for quantity in Quantity::JUDGED {
        let row = finding.row(quantity);
        let rounds = &row.left_out;
        // Of what is no question nothing is excluded.
        if !rounds.is_empty() && row.verdict.is_some() {
            found.push(Warning {
                quantity: Some(quantity),
                ..Warning::about(finding.hook, Kind::Disturbed(rounds.clone()))
            });
        }
    }
}

fn files(found: &mut Vec<Warning>, input: &Input) {
    let missed = sums(input, |tally| tally.missed_intervals);
    if missed != PerSide::both(0) {
        found.push(Warning::about_all(Kind::MissedIntervals(missed)));
    }
    let (mut excluded, mut problems) = (0, 0);
    for file in input.files() {
        let path = file.path.display().to_string();
        if !file.complete {
            found.push(Warning::about_all(Kind::Incomplete(path.clone())));
        }
        for text in &file.excluded {
            excluded += 1;
            if excluded <= MAX_PROBLEMS {
                found.push(Warning::about_all(Kind::Excluded {
                    path: path.clone(),
                    text: short(text),
                }));
            }
        }
        for text in &file.problems {
            problems += 1;
            if problems <= MAX_PROBLEMS {
                found.push(Warning::about_all(Kind::Problem {
                    path: path.clone(),
                    text: short(text),
                }));
            }
        }
        if file.runs > 1 {
            let runs = file.runs;
            found.push(Warning::about_all(Kind::SeveralRuns { path, runs }));
        }
    }
}
