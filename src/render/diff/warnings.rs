// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The warnings of a comparison in words, with the fix if there is one.

use std::time::Duration;

use crate::analysis::outlook::period_for;
use crate::analysis::samples::{MIN_FILES, MIN_ROUNDS};
use crate::analysis::warnings::{Kind, Warning};
use crate::analysis::{Analysis, Design, HookResult, Input};
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::render::diff::onset::list;
use crate::render::units;
use crate::render::units::count;
use crate::text::one_line;

/// The lowest number of rounds that `--rounds` accepts.
const PLANNED_ROUNDS: usize = 10;

/// All warnings. Those about too few samples, disturbed rounds and unequal rates are
/// summarised.
pub(super) fn all(input: &Input, analysis: &Analysis) -> Vec<String> {
    let mut texts = Vec::new();
    for warning in &analysis.warnings {
        if !matches!(
            warning.kind,
            Kind::TooFewSamples { .. } | Kind::Disturbed(_) | Kind::UnequalRates(_)
        ) {
            texts.push(one_line(&text(warning), usize::MAX));
        }
    }
    let unequal: Vec<&str> = analysis
        .warnings
        .iter()
        .filter(|warning| matches!(warning.kind, Kind::UnequalRates(_)))
        .filter_map(|warning| Some(warning.hook?.name()))
        .collect();
    if !unequal.is_empty() {
        texts.push(format!(
            "A and B have very different numbers of samples at {}: the larger side was thinned to \
             as many",
            list(&unequal)
        ));
    }
    texts.extend(disturbed(analysis));
    for quantity in Quantity::JUDGED {
        texts.extend(too_few_samples(input, analysis, quantity));
    }
    texts
}

/// The rounds that are excluded as disturbed, and in how many questions.
fn disturbed(analysis: &Analysis) -> Option<String> {
    let mut rounds: Vec<u64> = Vec::new();
    let mut times = 0;
    for warning in &analysis.warnings {
        if let Kind::Disturbed(numbers) = &warning.kind {
            times += 1;
            rounds.extend(numbers);
        }
    }
    for row in analysis.stages.iter().flat_map(HookResult::rows) {
        if Quantity::JUDGED.contains(&row.quantity) && !row.excluded.is_empty() {
            times += 1;
            rounds.extend(&row.excluded);
        }
    }
    rounds.sort_unstable();
    rounds.dedup();
    let names: Vec<String> = rounds.iter().map(u64::to_string).collect();
    (times > 0).then(|| {
        format!(
            "a period of round {} was far from all others: that round is excluded in {} of {}",
            list(&names),
            times,
            count(analysis.family.questions as u64, "question"),
        )
    })
}

/// The hooks with too few samples for a quantity, and the fix.
fn too_few_samples(input: &Input, analysis: &Analysis, quantity: Quantity) -> Option<String> {
    let lacking: Vec<&HookResult> = analysis
        .warnings
        .iter()
        .filter(|warning| {
            matches!(warning.kind, Kind::TooFewSamples { .. }) && warning.quantity == Some(quantity)
        })
        .filter_map(|warning| Some(&analysis.hooks[warning.hook?.index()]))
        .collect();
    // The tail needs as many samples as the p99: one of the two warnings is enough.
    if lacking.is_empty() || quantity == Quantity::Tail {
        return None;
    }
    let all = analysis.hooks.iter().filter(|hook| hook.has_samples());
    let at = if lacking.len() == all.count() {
        String::new()
    } else {
        let names: Vec<&str> = lacking.iter().map(|result| result.hook.name()).collect();
        format!(" at {}", list(&names))
    };
    let needed = quantity.samples_to_compare();
    let units = analysis.design.units();
    let periods = match analysis.design {
        Design::Rounds { .. } => 2 * units.a as u64,
        Design::Files(_) => units.a.min(units.b) as u64,
    };
    // The fix is for the hook that lacks least.
    let most = lacking
        .iter()
        .map(|result| result.counts.a.min(result.counts.b));
    let most = most.max().unwrap_or(0).checked_div(periods).unwrap_or(0);
    let unit = match analysis.design {
        Design::Rounds { .. } => "period",
        Design::Files(_) => "recording",
    };
    let sampled = input
        .files()
        .any(|file| file.info.selection.sampling().is_on());
    let what = if sampled { "samples" } else { "packets" };
    Some(format!(
        "{quantity} is not judged{at}: it needs {needed} {what} in each {unit}; there were {most}{}",
        remedy(input, quantity, most)
    ))
}

/// The fix: how much longer to measure.
fn remedy(input: &Input, quantity: Quantity, had: u64) -> String {
    let unit = input.period().unwrap_or(Duration::from_secs(1));
    match (period_for(quantity, had, unit), input.period()) {
        (None, _) => String::new(),
        (Some(period), Some(_)) => {
            let period = humantime::format_duration(period).to_string();
            format!(" (--period {})", period.replace(' ', ""))
        }
        (Some(times), None) => format!(" (record {} times as long)", times.as_secs().max(2)),
    }
}

/// One warning in words, as in the JSON.
pub(super) fn text(warning: &Warning) -> String {
    let at = match warning.hook {
        Some(hook) => format!(" at {hook}"),
        None => String::new(),
    };
    let share = |part: &PerSide<u64>, of: &PerSide<u64>| {
        let sides = part.zip(*of).map(|(part, of)| {
            let percent = units::percentage(part, of);
            format!("{part} of {of} ({percent})")
        });
        format!("A {}, B {}", sides.a, sides.b)
    };
    match &warning.kind {
        Kind::Differs { what, values } => {
            let values = values.as_ref().map(|values| values.join(" and "));
            format!("{what} differs: {} (A), {} (B)", values.a, values.b)
        }
        Kind::SharesDiffer(shares) => {
            let shares = shares.as_ref().map(|shares| shares.join(" and "));
            format!(
                "different shares of the packets were measured: {} (A), {} (B). Latencies \
                 can be compared; counts are of the packets measured",
                shares.a, shares.b
            )
        }
        Kind::ClockSteps(steps) => format!(
            "the wall clock was stepped: A {} times, B {} times",
            steps.a, steps.b
        ),
        Kind::RoundsExcluded(n) => {
            let was = if *n == 1 { "it" } else { "them" };
            format!(
                "{} excluded: the wall clock was stepped in {was}",
                count(*n, "round")
            )
        }
        Kind::Disturbed(rounds) => {
            let quantity = warning.quantity.map(Quantity::name).unwrap_or_default();
            let rounds: Vec<String> = rounds.iter().map(u64::to_string).collect();
            format!(
                "round {} excluded for {quantity}{at}: one of its periods was far from all others",
                list(&rounds)
            )
        }
        Kind::UnequalRates(counts) => format!(
            "A has {} samples{at}, B has {}: the larger side was thinned to as many",
            counts.a, counts.b
        ),
        Kind::NotAlternating => {
            "all recordings of one side are older than those of the other, so a drift of the host \
             would look like a change. Alternate the sides"
                .into()
        }
        Kind::Skipped { lost, of } => format!("not measured{at}: {}", share(lost, of)),
        Kind::Missed { missed, of } => format!(
            "missed{at} (the CPU was already in this program): {}",
            share(missed, of)
        ),
        Kind::TooFewSamples { units, of } => {
            let quantity = warning.quantity.map(Quantity::name).unwrap_or_default();
            format!(
                "too few samples for {quantity}{at}: enough in {} of {} (A), {} of {} (B)",
                units.a, of.a, units.b, of.b
            )
        }
        Kind::FewRounds(n) => format!(
            "no verdicts: {}, and {MIN_ROUNDS} are needed (--rounds {PLANNED_ROUNDS})",
            count(*n as u64, "complete round")
        ),
        Kind::FewFiles(files) => format!(
            "no intervals and no verdicts: {} of A, {} of B. Record {MIN_FILES} of each, \
             alternating, or use netstacklat compare",
            count(files.a as u64, "recording"),
            files.b
        ),
        Kind::RoundsMissing { made, planned } => {
            format!("{made} of {planned} rounds were made")
        }
        Kind::Incomplete(path) => format!("{path} ended early, without a total"),
        Kind::Excluded { path, text } | Kind::Problem { path, text } => format!("{path}: {text}"),
        Kind::OtherGroup(packets) => format!(
            "there was no room for all groups: A {}, B {} packets are in the group other, and \
             groups may have more packets than shown (--max-groups, --group-memory)",
            packets.a, packets.b
        ),
        Kind::LostNotes { lost, of } => format!(
            "notes lost{at}: {}. Packets that wait long lose theirs first, so high quantiles of \
             stages that end there may be too low. A larger --notes loses fewer",
            share(lost, of)
        ),
        Kind::MissedIntervals(missed) => format!(
            "late reports: A {}, B {} (no sample is lost)",
            missed.a, missed.b
        ),
        Kind::SeveralRuns { path, runs } => format!("{path} has {runs} runs, which are added up"),
    }
}
