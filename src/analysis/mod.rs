// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! From run files to findings: which hook got slower, by how much, how sure.
//!
//! Ties [`crate::runfile`]'s contents to the arithmetic of [`crate::stats`]; no
//! kernel, no I/O, no formatting.

mod differences;
pub(crate) mod fail_if;
#[cfg(test)]
mod fail_if_tests;
mod find_warnings;
mod hook_result;
mod hook_samples;
mod input;
pub(crate) mod onset;
#[cfg(test)]
mod onset_tests;
pub(crate) mod outlook;
pub(crate) mod samples;
pub(crate) mod sides;
#[cfg(test)]
pub(crate) mod test_support;
#[cfg(test)]
mod tests;
mod verdicts;
#[cfg(test)]
mod warning_tests;
pub(crate) mod warnings;

use crate::model::fail_if::Limit;
use crate::model::histogram::Resolution;
use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::model::skips::SkipReason;
use crate::runfile::{Content, RunFile};

pub use hook_result::{HookResult, Row, Verdict};
pub use input::{Design, Input};
pub use verdicts::{Family, LEVEL};

use fail_if::{NotJudged, Outcome};
use hook_samples::HookSamples;
use onset::Onset;
use samples::{Rounds, Samples, Scale};
use verdicts::{Judging, give_verdicts};
use warnings::Warning;

/// What was found.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// What is repeated.
    pub design: Design,
    /// What the sides are called.
    pub names: PerSide<String>,
    /// What a reader must know first.
    pub warnings: Vec<Warning>,
    /// All hooks of the tool, in path order.
    pub hooks: Vec<HookResult>,
    /// What was asked, to get verdicts.
    pub family: Family,
    /// Where changes begin.
    pub onsets: Vec<Onset>,
    /// What became of the limits, `any` taken apart.
    pub limits: Vec<Outcome>,
    /// Where limits for any hook could not be judged.
    pub not_judged: Vec<NotJudged>,
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
    let mut findings: Vec<HookResult> = Hook::all()
        .zip(hooks.iter().zip(&samples))
        .map(|(hook, (of_hook, samples))| finding(input, hook, of_hook, samples, &rounds))
        .collect();
    let judging = Judging::of(input, &rounds);
    let family = give_verdicts(&mut findings, &samples, &judging);
    let warnings = find_warnings::find(input, &design, &rounds, &findings);
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

fn finding(
    input: &Input,
    hook: Hook,
    of_hook: &HookSamples,
    samples: &[Samples],
    rounds: &Rounds,
) -> HookResult {
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
    HookResult {
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
    let bucket_ln = if of_bucket {
        // A bucket from 0 on is infinitely wide: no ratio can be told there.
        widest(|(lo, hi)| (hi / lo).ln()).unwrap_or(0.0)
    } else {
        0.0
    };
    Row {
        quantity,
        levels,
        units: samples.units(),
        excluded: samples
            .excluded
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
