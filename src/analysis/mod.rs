// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! From run files to results: which hook got slower, by how much, how sure.
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

pub use hook_result::{HookResult, Verdict};
pub use input::Input;

pub(crate) use hook_result::Row;
pub(crate) use input::Design;
pub(crate) use verdicts::LEVEL;

use fail_if::{NotJudged, Outcome};
use hook_samples::HookSamples;
use onset::Onset;
use samples::{Rounds, Samples, Scale};
use verdicts::{Family, Judging, give_verdicts};
use warnings::Warning;

/// The result of a comparison.
#[derive(Clone, Debug)]
pub struct Analysis {
    /// Rounds or files, and how many.
    pub design: Design,
    /// The names of the sides.
    pub names: PerSide<String>,
    /// What makes the result incomplete or doubtful.
    pub warnings: Vec<Warning>,
    /// All hooks of the tool, in path order.
    pub hooks: Vec<HookResult>,
    /// The questions behind the verdicts.
    pub family: Family,
    /// The first hook of each path at which a change is seen.
    pub onsets: Vec<Onset>,
    /// The outcome of each limit. A limit for `any` hook has one for each hook.
    pub limits: Vec<Outcome>,
    /// Hooks at which a limit for `any` hook could not be judged.
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
    let mut results: Vec<HookResult> = Hook::all()
        .zip(hooks.iter().zip(&samples))
        .map(|(hook, (of_hook, samples))| hook_result(input, hook, of_hook, samples, &rounds))
        .collect();
    let judging = Judging::of(input, &rounds);
    let family = give_verdicts(&mut results, &samples, &judging);
    let warnings = find_warnings::find(input, &design, &rounds, &results);
    for result in &mut results {
        for row in &mut result.rows {
            let doubts = |warning: &Warning| warning.puts_in_doubt(result.hook, row.quantity);
            row.in_doubt = warnings.iter().any(doubts);
        }
    }
    let outcomes = fail_if::judge(limits, &results, &samples, &judging);
    Analysis {
        design,
        names: input.names(),
        onsets: onset::find(&results, &warnings),
        not_judged: fail_if::not_judged(&outcomes, &results),
        limits: outcomes,
        family,
        warnings,
        hooks: results,
    }
}

fn hook_result(
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
    // The tail is a share of samples, so it lies in no bucket.
    let of_bucket = quantity.quantile().is_some();
    let buckets = levels.map(|level| bucket(level.filter(|_| of_bucket)?, resolution));
    let widest = |width: fn((f64, f64)) -> f64| {
        let widths = buckets.into_iter().flatten().map(width);
        widths.max_by(f64::total_cmp)
    };
    let bucket_ln = if of_bucket {
        // The lowest bucket begins at 0. As a ratio it is infinitely wide.
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
