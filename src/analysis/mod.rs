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
mod groups;
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
mod stage_tests;
mod stages;
#[cfg(test)]
mod tests;
mod verdicts;
#[cfg(test)]
mod warning_tests;
pub(crate) mod warnings;

use crate::model::fail_if::Limit;
use crate::model::group::Group;
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hooks::{HOOK_COUNT, Hook};
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::model::skips::SkipReason;
use crate::model::stage::Stage;
use crate::runfile::{Content, RunFile};

pub use groups::{By, GroupResult, Groups};
pub use hook_result::{HookResult, Verdict};
pub use input::Input;

pub(crate) use hook_result::Row;
pub(crate) use input::Design;
pub(crate) use verdicts::LEVEL;

use fail_if::{NotJudged, Outcome};
use groups::Found;
use hook_samples::{HookSamples, Times};
use onset::Onset;
use samples::{Rounds, Samples, Scale};
use stages::Stages;
use verdicts::{Family, Judging, give_verdicts};
use warnings::{Kind, Warning};

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
    /// The stages that both sides have measured, in path order. Empty: there is none.
    pub stages: Vec<HookResult>,
    /// Stages that were not compared, because few packets go that way.
    pub stages_left_out: Vec<Stage>,
    /// The groups, if the comparison is grouped.
    pub groups: Option<Groups>,
    /// The questions behind the verdicts.
    pub family: Family,
    /// The first hook of each path at which a change is seen, where no stages say where
    /// it is.
    pub onsets: Vec<Onset>,
    /// The outcome of each limit. A limit for `any` hook has one for each hook.
    pub limits: Vec<Outcome>,
    /// Hooks at which a limit for `any` hook could not be judged.
    pub not_judged: Vec<NotJudged>,
}

impl Analysis {
    /// The results of all packets: at the hooks, and of the stages.
    pub fn of_all(&self) -> impl Iterator<Item = &HookResult> {
        self.hooks.iter().chain(&self.stages)
    }

    /// The rows of all packets, and of all groups.
    pub fn rows(&self) -> impl Iterator<Item = &Row> {
        let of_groups = self.groups.iter().flat_map(|groups| &groups.compared);
        let of_groups = of_groups.flat_map(|group| &group.hooks);
        let hooks = self.of_all().chain(of_groups);
        hooks.flat_map(HookResult::rows)
    }
}

/// Compares the sides, and judges the limits.
pub fn analyse(input: &Input, limits: &[Limit]) -> Analysis {
    analyse_by(input, limits, None)
}

/// Compares the sides, and judges the limits, with `by` also for each group. All
/// questions, and all limits, are judged together.
pub fn analyse_by(input: &Input, limits: &[Limit], by: Option<By>) -> Analysis {
    let rounds = rounds_in(input);
    let design = match input {
        Input::Comparison(file) => Design::Rounds {
            used: rounds.len(),
            planned: file.info.comparison.as_ref().map_or(0, |plan| plan.rounds),
        },
        Input::Recordings { sides, .. } => Design::Files(sides.map(<[RunFile]>::len)),
    };
    let judging = Judging::of(input, &rounds);
    let stages = Stages::of(input);
    // All packets first, then group by group, then stage by stage.
    let (mut results, mut samples) = hooks(input, None, input.seed());
    for result in &mut results {
        result.asked = stages.asks_for_age(result.hook);
    }
    let found = by.map(|by| Found::of(input, &by));
    if let Some(found) = &found {
        for (place, (group, _)) in found.groups.iter().enumerate() {
            let files = found.files_of(group);
            let seed = input.seed() ^ (place as u64 + 1).rotate_left(32);
            let (of_group, samples_of_group) = hooks(&files.input(), Some(group), seed);
            results.extend(of_group);
            samples.extend(samples_of_group);
        }
    }
    let limited = results.len();
    for &stage in &stages.compared {
        let (result, of_stage) = compare(input, &rounds, Times::Stage(stage), input.seed());
        results.push(result);
        samples.push(of_stage);
    }
    let family = give_verdicts(&mut results, &samples, &judging);
    let mut warnings = find_warnings::find(input, &design, &rounds, &results[..HOOK_COUNT]);
    // One for all stages that end at a hook.
    let mut of_stages: Vec<Warning> = stages
        .compared
        .iter()
        .filter_map(|stage| find_warnings::lost_notes(input, *stage))
        .collect();
    of_stages.dedup();
    let other = found.as_ref().map(|found| found.other).unwrap_or_default();
    if other != PerSide::both(0) {
        warnings.push(Warning::about_all(Kind::OtherGroup(other)));
    }
    for result in &mut results {
        // A group may have more packets than were counted as its own.
        let incomplete = result.group.is_some() && other != PerSide::both(0);
        let missing = result.stage.map(|stage| stages::missing(input, stage));
        for row in &mut result.rows {
            let doubts = |warning: &Warning| warning.puts_in_doubt(result.hook, row.quantity);
            let units = row.units.map(|units| units + row.excluded.len());
            let is_part = result.group.is_some() || result.stage.is_some();
            let some_lack_it = is_part && units != design.units();
            let depends = |&(missing, of): &(u64, u64)| row.depends_on(missing, of);
            let some_miss = missing.as_ref().is_some_and(|it| it.iter().any(depends));
            row.in_doubt = incomplete || some_lack_it || some_miss || warnings.iter().any(doubts);
        }
    }
    warnings.extend(of_stages);
    let of_stages = results.split_off(limited);
    let outcomes = fail_if::judge(limits, &results, &samples, &judging);
    let not_judged = fail_if::not_judged(&outcomes, &results);
    let mut of_groups = results.split_off(HOOK_COUNT).into_iter();
    let groups = found.zip(by).map(|(found, by)| Groups {
        by: by.keys.to_vec(),
        compared: found
            .groups
            .into_iter()
            .map(|(group, packets)| {
                let hooks: Vec<HookResult> = of_groups.by_ref().take(HOOK_COUNT).collect();
                GroupResult {
                    group,
                    packets,
                    onsets: onset::find(&hooks, &warnings),
                    hooks,
                }
            })
            .collect(),
        only: found.only,
        left_out: found.left_out,
    });
    Analysis {
        design,
        names: input.names(),
        onsets: onset::find(&results, &warnings)
            .into_iter()
            .filter(|onset| !stages.are_of(onset.path))
            .collect(),
        stages: of_stages,
        stages_left_out: stages.left_out,
        not_judged,
        limits: outcomes,
        groups,
        family,
        warnings,
        hooks: results,
    }
}

/// The rounds of a comparison; recordings have none.
fn rounds_in<'a>(input: &Input<'a>) -> Rounds<'a> {
    match *input {
        Input::Comparison(RunFile {
            content: Content::Comparison { periods, .. },
            ..
        }) => Rounds::of(periods),
        _ => Rounds::default(),
    }
}

/// The results at all hooks, not yet judged, and what they are judged by.
fn hooks(input: &Input, group: Option<&Group>, seed: u64) -> (Vec<HookResult>, Vec<Vec<Samples>>) {
    let rounds = rounds_in(input);
    let hooks = Hook::all().map(|hook| {
        let (result, samples) = compare(input, &rounds, Times::Age(hook), seed);
        let group = group.cloned();
        (HookResult { group, ..result }, samples)
    });
    hooks.unzip()
}

/// One result, not yet judged, and what it is judged by.
fn compare(input: &Input, rounds: &Rounds, times: Times, seed: u64) -> (HookResult, Vec<Samples>) {
    let of_hook = HookSamples::new(input, rounds, times, seed);
    let samples = Quantity::ALL.map(|quantity| of_hook.of(quantity));
    let result = hook_result(input, times, &of_hook, &samples, rounds);
    (result, samples.into())
}

fn hook_result(
    input: &Input,
    times: Times,
    of_hook: &HookSamples,
    samples: &[Samples],
    rounds: &Rounds,
) -> HookResult {
    let sides = PerSide::of(|arm| {
        let files = input.side(arm).iter();
        let stats = files.filter_map(move |file| file.totals(arm).hook(times.hook()));
        stats.fold((false, 0u64, 0u64), |(_, count, sampled_out), stats| {
            let latencies = times.of(stats).map_or(0, Histogram::count);
            let more = latencies.saturating_add(times.beyond(stats));
            let out = stats.skips.get(SkipReason::SAMPLED_OUT);
            (
                true,
                count.saturating_add(more),
                sampled_out.saturating_add(out),
            )
        })
    });
    let resolution = input.files().map(|file| file.info.resolution);
    let coarsest = resolution.min_by_key(|resolution| resolution.sub_bits());
    let quantities = Quantity::ALL.into_iter().zip(samples);
    HookResult {
        hook: times.hook(),
        stage: times.stage(),
        asked: true,
        group: None,
        measured: sides.map(|(measured, _, _)| measured),
        counts: sides.map(|(_, count, _)| count),
        sampled_out: sides.map(|(_, _, sampled_out)| sampled_out),
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
