// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Finds the warnings of a comparison: unintended differences between the sides,
//! and what is missing.

use crate::analysis::differences::{alternates, attachment, differences, shortened};
use crate::analysis::hook_result::HookResult;
use crate::analysis::input::{Design, Input};
use crate::analysis::samples::{MIN_ROUNDS, Rounds};
use crate::analysis::stages;
use crate::analysis::warnings::{Kind, Warning};
use crate::model::hook_counters::HookCounters;
use crate::model::hooks::Hook;
use crate::model::quantile::Quantile;
use crate::model::quantity::Quantity;
use crate::model::sampling::Sampling;
use crate::model::side::PerSide;
use crate::model::stage::Stage;
use crate::runfile::Totals;

/// Packets not measured above this share cause a warning.
const TOLERATED_PERCENT: u128 = 1;
/// The most problems, and the most exclusions, of all files that are reported.
const MAX_PROBLEMS: usize = 10;

/// All warnings, most important first: the order in which they are printed.
pub(super) fn find(
    input: &Input,
    design: &Design,
    rounds: &Rounds,
    hooks: &[HookResult],
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
    for result in hooks {
        if let Input::Recordings { sides, .. } = input {
            attachment(&mut found, result.hook, *sides);
        }
        not_measured(&mut found, input, result.hook);
        if let Some(counts) = result.thinned {
            found.push(Warning::about(result.hook, Kind::UnequalRates(counts)));
        }
        // Of what is not judged, no question lacks anything.
        if result.asked {
            disturbed(&mut found, result);
            too_few_samples(&mut found, design, result);
        }
    }
    files(&mut found, input);
    found
}

/// Whether enough notes were lost to change a quantile of the stage.
pub(super) fn lost_notes(input: &Input, stage: Stage) -> Option<Warning> {
    let counts = stages::lost_notes(input, stage.to());
    let missing = stages::missing(input, stage);
    let depends = |(missing, of): (u64, u64)| Quantile::P999.depends_on(missing, of);
    let were_lost = counts.iter().any(|&(lost, _)| lost > 0);
    (were_lost && missing.into_iter().any(depends)).then(|| {
        let (lost, of) = (counts.map(|(lost, _)| lost), counts.map(|(_, of)| of));
        Warning::about(stage.to(), Kind::LostNotes { lost, of })
    })
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
    let steps = sums(input, |totals| totals.interval.counters.clock_steps);
    match input {
        // These rounds are excluded, so the result is not in doubt.
        Input::Comparison(_) if rounds.stepped > 0 => {
            found.push(Warning::about_all(Kind::RoundsExcluded(rounds.stepped)));
        }
        Input::Recordings { .. } if steps != PerSide::both(0) => {
            found.push(Warning::about_all(Kind::ClockSteps(steps)));
        }
        _ => {}
    }
}

fn sums(input: &Input, of: impl Fn(&Totals) -> u64) -> PerSide<u64> {
    PerSide::of(|arm| {
        let files = input.side(arm).iter();
        files.fold(0, |sum: u64, file| sum.saturating_add(of(file.totals(arm))))
    })
}

fn not_measured(found: &mut Vec<Warning>, input: &Input, hook: Hook) {
    let stats =
        |of: fn(&HookCounters) -> u64| sums(input, |totals| totals.hook(hook).map_or(0, of));
    let too_many = |part: PerSide<u64>, whole: PerSide<u64>| {
        let over = |(part, whole): (u64, u64)| {
            u128::from(part) * 100 > u128::from(whole) * TOLERATED_PERCENT
        };
        part.zip(whole).into_iter().any(over)
    };
    let add =
        |one: PerSide<u64>, other| one.zip(other).map(|(a, b): (u64, u64)| a.saturating_add(b));
    // Of a sample, some of the lost are in it and some are not: their share is one
    // of packets.
    let packets = |of: fn(&HookCounters, Sampling) -> u64| {
        sums(input, |totals| {
            let sampling = totals.interval.counters.sampling;
            totals.hook(hook).map_or(0, |stats| of(stats, sampling))
        })
    };
    let lost = packets(|stats, sampling| stats.skips.lost(sampling));
    let met = packets(|stats, sampling| sampling.scale(stats.histogram.count()));
    let of = add(met, lost);
    if too_many(lost, of) {
        found.push(Warning::about(hook, Kind::Skipped { lost, of }));
    }
    let count = stats(|stats| stats.histogram.count());
    let missed = stats(|stats| stats.missed);
    let of = add(add(count, missed), stats(|stats| stats.skips.total()));
    if too_many(missed, of) {
        found.push(Warning::about(hook, Kind::Missed { missed, of }));
    }
}

/// Warns of each quantile with a verdict that some units lack. A hook without
/// samples is reported as idle instead.
fn too_few_samples(found: &mut Vec<Warning>, design: &Design, result: &HookResult) {
    if !result.has_samples() {
        return;
    }
    let of = design.units();
    // The tail needs as many samples as the p99, so its warning would repeat that.
    let quantiles = Quantity::JUDGED
        .into_iter()
        .filter(|q| q.quantile().is_some());
    for quantity in quantiles {
        let row = result.row(quantity);
        // Disturbed rounds have a warning of their own.
        let units = row.units.map(|units| units + row.excluded.len());
        if units != of {
            found.push(Warning {
                quantity: Some(quantity),
                ..Warning::about(result.hook, Kind::TooFewSamples { units, of })
            });
        }
    }
}

fn disturbed(found: &mut Vec<Warning>, result: &HookResult) {
    for quantity in Quantity::JUDGED {
        let row = result.row(quantity);
        let rounds = &row.excluded;
        // Without a verdict, excluding a round changed nothing.
        if !rounds.is_empty() && row.verdict.is_some() {
            found.push(Warning {
                quantity: Some(quantity),
                ..Warning::about(result.hook, Kind::Disturbed(rounds.clone()))
            });
        }
    }
}

fn files(found: &mut Vec<Warning>, input: &Input) {
    let missed = sums(input, |totals| totals.missed_intervals);
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
                    text: shortened(text),
                }));
            }
        }
        for text in &file.problems {
            problems += 1;
            if problems <= MAX_PROBLEMS {
                found.push(Warning::about_all(Kind::Problem {
                    path: path.clone(),
                    text: shortened(text),
                }));
            }
        }
        if file.runs > 1 {
            let runs = file.runs;
            found.push(Warning::about_all(Kind::SeveralRuns { path, runs }));
        }
    }
}
