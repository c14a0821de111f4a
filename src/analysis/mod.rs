// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! From run files to findings: which hook got slower, by how much, how sure.
//!
//! Ties [`crate::runfile`]'s contents to the arithmetic of [`crate::stats`]; no
//! kernel, no I/O, no formatting.

pub mod caution;
#[cfg(test)]
mod caution_tests;
pub mod judge;
pub mod limit;
#[cfg(test)]
mod limit_tests;
pub mod onset;
pub mod path;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
pub mod values;

use std::time::Duration;

use crate::model::comparison::Arm;
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hooks::Hook;
use crate::model::quantile::REPORTED;
use crate::model::skips::SkipReason;
use crate::runfile::RunFile;
use crate::stats::holm;
use crate::stats::shift::Shift;

use caution::Caution;
use judge::Outcome;
use limit::Limit;
use onset::Onset;
use values::{Rounds, Values, tally};

/// Places in [`REPORTED`] of the quantiles that get verdicts: p50 and p99.
pub const JUDGED: [usize; 2] = [0, 2];
/// How likely any verdict, or any limit's, may be wrong.
const LEVEL: f64 = 0.05;

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A file of `compare`, which has both sides.
    Comparison(&'a RunFile),
    /// Recordings, A's and B's.
    Recordings {
        /// What the sides are called.
        names: [&'a str; 2],
        /// Their files, one or more each.
        sides: [&'a [RunFile]; 2],
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
    Files([usize; 2]),
}

impl Design {
    /// Units of A and of B.
    pub fn units(&self) -> [usize; 2] {
        match *self {
            Design::Rounds { used, .. } => [used; 2],
            Design::Files(files) => files,
        }
    }
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// What is repeated.
    pub design: Design,
    /// What the sides are called.
    pub names: [String; 2],
    /// What a reader must know first.
    pub cautions: Vec<Caution>,
    /// All hooks of the tool, in path order.
    pub hooks: Vec<Finding>,
    /// Where changes begin.
    pub onsets: Vec<Onset>,
    /// What became of the limits, `any` taken apart.
    pub limits: Vec<Outcome>,
}

/// What was found at a hook.
#[derive(Clone, Debug)]
pub struct Finding {
    /// The hook.
    pub hook: Hook,
    /// Whether the hook is in the files of A and of B.
    pub measured: [bool; 2],
    /// Latencies of A and of B.
    pub counts: [u64; 2],
    /// By place in [`REPORTED`].
    pub rows: Vec<Row>,
}

/// What was found of a hook's quantile.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// A, ns: over rounds and files the geometric mean of their quantiles.
    pub a_ns: Option<f64>,
    /// B, ns.
    pub b_ns: Option<f64>,
    /// Rounds or files of A and of B that have the quantile.
    pub units: [usize; 2],
    /// B against A, where it is known how units vary.
    pub shift: Option<Shift>,
    /// Width of the bucket there, as ln of its bounds' ratio.
    pub bucket_ln: Option<f64>,
    /// The same in ns.
    pub bucket_ns: Option<f64>,
    /// Lower bound of the bucket of B, ns.
    pub b_low_ns: Option<f64>,
    /// For [`JUDGED`] quantiles that could be judged.
    pub verdict: Option<Verdict>,
    /// The smallest shift, as ln, that would have had a verdict, had it varied
    /// as much: what a `~` has not excluded.
    pub least_ln: Option<f64>,
    /// A caution says why a verdict may not mean what it seems to.
    pub tempered: bool,
}

/// What can be said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// B is slower.
    Slower,
    /// B is faster.
    Faster,
    /// No difference was found.
    NotFound,
}

impl Verdict {
    /// As in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Slower => "slower",
            Verdict::Faster => "faster",
            Verdict::NotFound => "not-found",
        }
    }
}

impl Row {
    /// ln(B / A), also where it is not known how it varies.
    pub fn ln(&self) -> Option<f64> {
        self.shift
            .map(|shift| shift.ln)
            .or_else(|| Some((self.b_ns? / self.a_ns?).ln()))
    }
}

impl Finding {
    /// Whether either side has a latency to show.
    pub fn has_samples(&self) -> bool {
        self.counts != [0, 0]
    }
}

impl Input<'_> {
    /// The files of a side.
    pub fn side(&self, arm: Arm) -> &[RunFile] {
        match self {
            Input::Comparison(file) => std::slice::from_ref(file),
            Input::Recordings { sides, .. } => sides[arm as usize],
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
            Input::Recordings { sides, .. } => (sides[0], sides[1]),
        };
        first.iter().chain(second)
    }

    /// All latencies of a side at a hook by powers of two, whatever the
    /// resolutions of its files, and those over range.
    pub fn log2(&self, arm: Arm, hook: Hook) -> (Histogram, u64) {
        let mut sum = (Histogram::new(Resolution::LOG2), 0);
        for file in self.side(arm) {
            let Some(stats) = tally(file, arm).hook(hook) else {
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
                sides.iter().all(|side| side.len() >= values::MIN_FILES)
            }
        }
    }

    fn names(&self) -> [String; 2] {
        match self {
            Input::Recordings { names, .. } => names.map(String::from),
            Input::Comparison(file) => match &file.info.comparison {
                Some(comparison) => Arm::BOTH.map(|arm| comparison.side(arm).name.clone()),
                None => ["A".into(), "B".into()],
            },
        }
    }
}

/// Compares the sides, and judges the limits.
pub fn analyse(input: &Input, limits: &[Limit]) -> Analysis {
    let rounds = match input {
        Input::Comparison(RunFile {
            content: crate::runfile::Content::Comparison { periods, .. },
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
    let values: Vec<Vec<Values>> = Hook::all()
        .map(|hook| {
            let quantiles = 0..REPORTED.len();
            quantiles
                .map(|q| Values::of(input, &rounds, hook, q))
                .collect()
        })
        .collect();
    let mut hooks: Vec<Finding> = Hook::all()
        .zip(&values)
        .map(|(hook, values)| finding(input, hook, values))
        .collect();
    give_verdicts(&mut hooks, &values);
    let cautions = caution::find(input, &design, &rounds, &hooks);
    for finding in &mut hooks {
        for (place, row) in finding.rows.iter_mut().enumerate() {
            row.tempered = cautions.iter().any(|c| c.tempers(finding.hook, place));
        }
    }
    Analysis {
        design,
        names: input.names(),
        onsets: onset::find(&hooks, &cautions),
        limits: judge::judge(limits, &hooks, &values),
        cautions,
        hooks,
    }
}

fn finding(input: &Input, hook: Hook, values: &[Values]) -> Finding {
    let sides = Arm::BOTH.map(|arm| {
        let files = input.side(arm).iter();
        files.filter_map(move |file| tally(file, arm).hook(hook))
    });
    let [a, b] = sides.map(|stats| {
        stats.fold((false, 0u64), |(_, count), stats| {
            let over_range = stats.skips.get(SkipReason::OVER_RANGE);
            let more = stats.histogram.count().saturating_add(over_range);
            (true, count.saturating_add(more))
        })
    });
    let resolution = input.files().map(|file| file.info.resolution);
    let coarsest = resolution.min_by_key(|resolution| resolution.sub_bits());
    Finding {
        hook,
        measured: [a.0, b.0],
        counts: [a.1, b.1],
        rows: values
            .iter()
            .map(|values| row(values, coarsest.unwrap_or(Resolution::FINE)))
            .collect(),
    }
}

fn row(values: &Values, resolution: Resolution) -> Row {
    let [a_ns, b_ns] = values.means();
    let buckets = [a_ns, b_ns].map(|ns| bucket(ns?, resolution));
    let widest = |width: fn((f64, f64)) -> f64| {
        let widths = buckets.into_iter().flatten().map(width);
        widths.max_by(f64::total_cmp)
    };
    Row {
        a_ns,
        b_ns,
        units: values.units(),
        shift: values.shift(),
        bucket_ln: widest(|(lo, hi)| (hi / lo).ln()),
        bucket_ns: widest(|(lo, hi)| hi - lo),
        b_low_ns: buckets[1].map(|(lo, _)| lo),
        verdict: None,
        least_ln: None,
        tempered: false,
    }
}

/// The bounds of the bucket that holds a value, ns.
fn bucket(ns: f64, resolution: Resolution) -> Option<(f64, f64)> {
    let index = resolution.index(ns.ceil() as u64)?;
    let (lo, hi) = resolution.bounds(index);
    Some((lo as f64, hi as f64))
}

/// Holm's correction over all that can be judged.
fn give_verdicts(hooks: &mut [Finding], values: &[Vec<Values>]) {
    let mut judged: Vec<(&mut Row, Shift)> = Vec::new();
    for (finding, values) in hooks.iter_mut().zip(values) {
        for (place, (row, values)) in finding.rows.iter_mut().zip(values).enumerate() {
            if !JUDGED.contains(&place) || !values.can_be_judged() {
                continue;
            }
            if let Some(shift) = row.shift {
                judged.push((row, shift));
            }
        }
    }
    let p_values: Vec<f64> = judged.iter().map(|(_, shift)| shift.p_value()).collect();
    let rejected = holm::rejected(&p_values, LEVEL);
    let first_step = LEVEL / p_values.len().max(1) as f64;
    for ((row, shift), rejected) in judged.into_iter().zip(rejected) {
        // A bucket from 0 on is infinitely wide: no ratio can be told there.
        let width = row.bucket_ln.unwrap_or(f64::INFINITY);
        row.least_ln = Some(shift.least(first_step).max(width));
        row.verdict = Some(match rejected && shift.ln.abs() >= width {
            true if shift.ln > 0.0 => Verdict::Slower,
            true => Verdict::Faster,
            false => Verdict::NotFound,
        });
    }
}
