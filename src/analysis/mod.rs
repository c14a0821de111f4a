// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! From run files to findings: which hook got slower, by how much, how sure.
//!
//! Ties [`crate::runfile`]'s contents to the arithmetic of [`crate::stats`]; no
//! kernel, no I/O, no formatting.

mod differences;
pub mod fail_if;
#[cfg(test)]
mod fail_if_tests;
mod finding;
mod hook_samples;
pub mod onset;
#[cfg(test)]
mod onset_tests;
pub mod outlook;
pub mod path;
pub mod samples;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod warning_tests;
pub mod warnings;

use std::time::Duration;

use crate::model::comparison::Arm;
use crate::model::fail_if::Limit;
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::model::skips::SkipReason;
use crate::runfile::{Content, RunFile};
use crate::stats::{looks, max_t};

pub use finding::{Analysis, Family, Finding, Row, Verdict};

use hook_samples::HookSamples;
use samples::{Rounds, Samples, Scale};
use warnings::Warning;

/// How likely any verdict, or any limit's, may be wrong.
pub const LEVEL: f64 = 0.05;

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A file of `compare`, which has both sides.
    Comparison(&'a RunFile),
    /// Recordings, A's and B's.
    Recordings {
        /// What the sides are called.
        names: PerSide<&'a str>,
        /// Their files, one or more each.
        sides: PerSide<&'a [RunFile]>,
    },
}

/// What is repeated, so that it is known how it varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Design {
    /// Rounds of four periods.
    Rounds {
        /// That count.
        used: usize,
        /// That were meant to be made.
        planned: u64,
    },
    /// Files, of A and of B.
    Files(PerSide<usize>),
}

impl Design {
    /// Units of A and of B.
    pub fn units(&self) -> PerSide<usize> {
        match *self {
            Design::Rounds { used, .. } => PerSide::both(used),
            Design::Files(files) => files,
        }
    }
}

impl Input<'_> {
    /// The files of a side.
    pub fn side(&self, arm: Arm) -> &[RunFile] {
        match self {
            Input::Comparison(file) => std::slice::from_ref(file),
            Input::Recordings { sides, .. } => sides[arm],
        }
    }

    /// How long each period of a comparison is measured.
    pub fn period(&self) -> Option<Duration> {
        match self {
            Input::Comparison(file) => Some(file.info.comparison.as_ref()?.period),
            Input::Recordings { .. } => None,
        }
    }

    /// Each file once, A's first.
    pub fn files(&self) -> impl Iterator<Item = &RunFile> {
        let (first, second): (&[RunFile], &[RunFile]) = match self {
            Input::Comparison(file) => (std::slice::from_ref(file), &[]),
            Input::Recordings { sides, .. } => (sides.a, sides.b),
        };
        first.iter().chain(second)
    }

    /// All latencies of a side at a hook by powers of two, whatever the
    /// resolutions of its files, and those over range.
    pub fn log2(&self, arm: Arm, hook: Hook) -> (Histogram, u64) {
        let mut sum = (Histogram::new(Resolution::LOG2), 0);
        for file in self.side(arm) {
            let Some(stats) = file.totals(arm).hook(hook) else {
                continue;
            };
            let over_range = stats.skips.get(SkipReason::OVER_RANGE);
            let more = stats.histogram.count().checked_add(over_range);
            let fits = more.and_then(|more| more.checked_add(sum.0.count())?.checked_add(sum.1));
            if fits.is_some() {
                sum.0.merge(&stats.histogram.to_log2());
                sum.1 += over_range;
            }
        }
        sum
    }

    /// Whether limits can be judged at all: else it is bad usage to ask.
    pub fn knows_how_it_varies(&self) -> bool {
        match self {
            Input::Comparison(_) => true,
            Input::Recordings { sides, .. } => {
                sides.iter().all(|side| side.len() >= samples::MIN_FILES)
            }
        }
    }

    fn names(&self) -> PerSide<String> {
        match self {
            Input::Recordings { names, .. } => names.map(String::from),
            Input::Comparison(file) => match &file.info.comparison {
                Some(comparison) => PerSide::of(|arm| comparison.side(arm).name.clone()),
                None => PerSide {
                    a: "A".into(),
                    b: "B".into(),
                },
            },
        }
    }

    /// What assignments are drawn from, where there are too many to try all.
    fn seed(&self) -> u64 {
        match self {
            Input::Comparison(file) => file.info.comparison.as_ref().map_or(0, |plan| plan.seed),
            Input::Recordings { .. } => 0,
        }
    }
}

/// Compares the sides, and judges the limits.
pub fn analyse(input: &Input, limits: &[Limit]) -> Analysis {
    let rounds = match input {
        Input::Comparison(RunFile {
            content: Content::Comparison { periods, .. },
            ..
        }) => Rounds::of(periods),
        _ => Rounds::default(),
    };
    let design = match input {
        Input::Comparison(file) => Design::Rounds {
            used: rounds.len(),
            planned: file.info.comparison.as_ref().map_or(0, |plan| plan.rounds),
        },
        Input::Recordings { sides, .. } => Design::Files(sides.map(<[RunFile]>::len)),
    };
    let hooks: Vec<HookSamples> = Hook::all()
        .map(|hook| HookSamples::new(input, &rounds, hook, input.seed()))
        .collect();
    let samples: Vec<Vec<Samples>> = hooks
        .iter()
        .map(|hook| Quantity::ALL.map(|quantity| hook.of(quantity)).into())
        .collect();
    let mut findings: Vec<Finding> = Hook::all()
        .zip(hooks.iter().zip(&samples))
        .map(|(hook, (of_hook, samples))| finding(input, hook, of_hook, samples, &rounds))
        .collect();
    let judging = Judging::of(input, &rounds);
    let family = give_verdicts(&mut findings, &samples, &judging);
    let warnings = warnings::find(input, &design, &rounds, &findings);
    for finding in &mut findings {
        for row in &mut finding.rows {
            let doubts = |warning: &Warning| warning.puts_in_doubt(finding.hook, row.quantity);
            row.in_doubt = warnings.iter().any(doubts);
        }
    }
    let outcomes = fail_if::judge(limits, &findings, &samples, &judging);
    Analysis {
        design,
        names: input.names(),
        onsets: onset::find(&findings, &warnings),
        not_judged: fail_if::not_judged(&outcomes, &findings),
        limits: outcomes,
        family,
        warnings,
        hooks: findings,
    }
}

/// How questions are answered.
struct Judging {
    level: f64,
    /// Of rounds: see [`Rounds::blocks`].
    blocks: Vec<usize>,
    seed: u64,
}

impl Judging {
    fn of(input: &Input, rounds: &Rounds) -> Judging {
        let plan = match input {
            Input::Comparison(file) => file.info.comparison.as_ref(),
            Input::Recordings { .. } => None,
        };
        let auto_rounds = plan.is_some_and(|plan| plan.auto_rounds);
        Judging {
            level: match auto_rounds {
                true => looks::level(rounds.numbers().last().unwrap_or(0) as usize),
                false => LEVEL,
            },
            blocks: rounds.blocks(auto_rounds),
            seed: input.seed(),
        }
    }
}

fn finding(
    input: &Input,
    hook: Hook,
    of_hook: &HookSamples,
    samples: &[Samples],
    rounds: &Rounds,
) -> Finding {
    let sides = PerSide::of(|arm| {
        let files = input.side(arm).iter();
        let stats = files.filter_map(move |file| file.totals(arm).hook(hook));
        stats.fold((false, 0u64), |(_, count), stats| {
            let over_range = stats.skips.get(SkipReason::OVER_RANGE);
            let more = stats.histogram.count().saturating_add(over_range);
            (true, count.saturating_add(more))
        })
    });
    let resolution = input.files().map(|file| file.info.resolution);
    let coarsest = resolution.min_by_key(|resolution| resolution.sub_bits());
    let quantities = Quantity::ALL.into_iter().zip(samples);
    Finding {
        hook,
        measured: sides.map(|(measured, _)| measured),
        counts: sides.map(|(_, count)| count),
        thinned: of_hook.thinned,
        rows: quantities
            .map(|(quantity, samples)| {
                let resolution = coarsest.unwrap_or(Resolution::FINE);
                row(quantity, samples, resolution, rounds)
            })
            .collect(),
    }
}

fn row(quantity: Quantity, samples: &Samples, resolution: Resolution, rounds: &Rounds) -> Row {
    let numbers: Vec<u64> = rounds.numbers().collect();
    let levels = samples.levels();
    // A share is not in a bucket.
    let of_bucket = quantity.quantile().is_some();
    let buckets = levels.map(|level| bucket(level.filter(|_| of_bucket)?, resolution));
    let widest = |width: fn((f64, f64)) -> f64| {
        let widths = buckets.into_iter().flatten().map(width);
        widths.max_by(f64::total_cmp)
    };
    let bucket_ln = match of_bucket {
        // A bucket from 0 on is infinitely wide: no ratio can be told there.
        true => widest(|(lo, hi)| (hi / lo).ln()).unwrap_or(0.0),
        false => 0.0,
    };
    Row {
        quantity,
        levels,
        units: samples.units(),
        left_out: samples
            .left_out
            .iter()
            .map(|&place| numbers[place])
            .collect(),
        shift: samples
            .shift(Scale::Ratio)
            .map(|shift| shift.with_bucket(bucket_ln)),
        by_round: numbers.iter().copied().zip(samples.by_round()).collect(),
        bucket_ln,
        bucket_ns: widest(|(lo, hi)| hi - lo),
        b_low_ns: buckets.b.map(|(lo, _)| lo),
        p_value: None,
        verdict: None,
        least_ln: None,
        in_doubt: false,
    }
}

/// The bounds of the bucket that holds a value, ns.
fn bucket(ns: f64, resolution: Resolution) -> Option<(f64, f64)> {
    let index = resolution.index(ns.ceil() as u64)?;
    let (lo, hi) = resolution.bounds(index);
    Some((lo as f64, hi as f64))
}

/// A unit's standard deviation is taken to be at least half a bucket: what
/// varies by less does so because of the buckets.
fn least_deviation(bucket: f64) -> f64 {
    bucket / 2.0
}

/// All that can be judged, together.
fn give_verdicts(findings: &mut [Finding], samples: &[Vec<Samples>], judging: &Judging) -> Family {
    let mut rows: Vec<&mut Row> = Vec::new();
    let mut questions = Vec::new();
    let mut labels = None;
    for (finding, samples) in findings.iter_mut().zip(samples) {
        for (row, samples) in finding.rows.iter_mut().zip(samples) {
            if Quantity::JUDGED.contains(&row.quantity) && samples.can_be_judged() {
                let least = least_deviation(finite(row.bucket_ln));
                questions.push(samples.question(Scale::Ratio, 0.0, least, false));
                labels.get_or_insert_with(|| samples.labels(&judging.blocks));
                rows.push(row);
            }
        }
    }
    let Some(labels) = labels else {
        return Family {
            questions: 0,
            level: judging.level,
            floor: 1.0,
        };
    };
    let answers = max_t::answer(&questions, &labels, judging.level, judging.seed);
    for (row, p_value) in rows.into_iter().zip(answers.p_values) {
        let Some(shift) = row.shift else { continue };
        let found = p_value <= judging.level;
        row.p_value = Some(p_value);
        row.least_ln = Some((answers.critical * shift.error).max(row.bucket_ln));
        let verdict = match found {
            true if shift.ln.abs() < row.bucket_ln => Verdict::BelowBucket,
            true if shift.ln > 0.0 => Verdict::Slower,
            true => Verdict::Faster,
            false => Verdict::NotFound,
        };
        row.verdict = Some(verdict);
        if verdict.is_change() {
            row.shift = Some(shift.with_sure_direction());
        }
    }
    Family {
        questions: questions.len(),
        level: judging.level,
        floor: answers.floor,
    }
}

/// An infinite bucket is one from 0 on.
fn finite(width: f64) -> f64 {
    if width.is_finite() { width } else { 0.0 }
}
