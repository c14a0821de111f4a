// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! All that is said of a comparison, in words and figures, before it becomes
//! text, JSON or a page: each renderer shows the same.

use std::time::Duration;

use crate::analysis::fail_if::{Judged, Outcome, Unjudged};
use crate::analysis::outlook::period_for;
use crate::analysis::samples::{MIN_FILES, MIN_ROUNDS, tally};
use crate::analysis::warnings::{Kind, Warning};
use crate::analysis::{Analysis, Design, Finding, Input, LEVEL, Row, Verdict};
use crate::model::comparison::Arm;
use crate::model::fail_if::{Bound, Limit};
use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::render::diff::onset::{list, sentence, unjudged};
use crate::render::units;
use crate::runfile::Tally;
use crate::runfile::text::clean;
use crate::stats::shift::percent;

/// Characters of a name that are shown.
const MAX_NAME: usize = 40;
/// Rounds that `--rounds` takes at least.
const PLANNED_ROUNDS: usize = 10;

/// How a text is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Plain,
    /// Of less weight: known, and not judged.
    Dim,
    Worse,
    Better,
}

/// All of it.
#[derive(Clone, Debug)]
pub(super) struct View {
    /// What each side is: its name, and what was measured.
    pub(super) sides: PerSide<(String, String)>,
    pub(super) warnings: Vec<String>,
    /// Whether rows have intervals and verdicts.
    pub(super) judged: bool,
    pub(super) rows: Vec<RowView>,
    /// Hooks without a row.
    pub(super) idle: Vec<Hook>,
    pub(super) off: Vec<Hook>,
    /// A label, which may be empty, and a text.
    pub(super) notes: Vec<(String, String)>,
    pub(super) limits: Vec<LimitView>,
}

/// A row of the table.
#[derive(Clone, Debug)]
pub(super) struct RowView {
    /// The first row of its hook.
    pub(super) first: bool,
    pub(super) hook: Hook,
    pub(super) quantity: Quantity,
    pub(super) levels: PerSide<String>,
    pub(super) change: String,
    pub(super) interval: Option<(String, String)>,
    pub(super) verdict: String,
    pub(super) tone: Tone,
}

/// What became of a limit.
#[derive(Clone, Debug)]
pub(super) struct LimitView {
    pub(super) limit: String,
    pub(super) outcome: &'static str,
    pub(super) tone: Tone,
    pub(super) text: String,
}

impl View {
    pub(super) fn of(input: &Input, analysis: &Analysis) -> View {
        let with_samples = |finding: &&Finding| finding.has_samples();
        let silent = || {
            analysis
                .hooks
                .iter()
                .filter(|finding| !finding.has_samples())
        };
        let measured = |finding: &&Finding| finding.measured.iter().any(|&measured| measured);
        let names = |findings: Vec<&Finding>| findings.iter().map(|f| f.hook).collect();
        View {
            sides: PerSide::of(|arm| (short(&analysis.names[arm]), side(input, analysis, arm))),
            warnings: warnings(input, analysis),
            judged: analysis
                .hooks
                .iter()
                .flat_map(Finding::rows)
                .any(|row| row.shift.is_some()),
            rows: analysis
                .hooks
                .iter()
                .filter(with_samples)
                .flat_map(rows)
                .collect(),
            idle: names(silent().filter(measured).collect()),
            off: names(silent().filter(|finding| !measured(finding)).collect()),
            notes: notes(analysis),
            limits: limits(analysis),
        }
    }
}

/// A name from a file or a user, fit for a terminal.
pub(super) fn short(text: &str) -> String {
    clean(text, MAX_NAME)
}

/// What was measured of a side, and on which host.
fn side(input: &Input, analysis: &Analysis, arm: Arm) -> String {
    let files = input.side(arm);
    let sum = |of: fn(&Tally) -> u64| {
        let all = files.iter().map(|file| of(tally(file, arm)));
        all.fold(0, u64::saturating_add)
    };
    let length = units::duration(sum(|tally| tally.duration_ns));
    let amount = match (analysis.design, files) {
        (Design::Rounds { used, .. }, _) => {
            let length = input.period().map_or(length, |period| {
                let ns = period.as_nanos().saturating_mul(2 * used as u128);
                units::duration(u64::try_from(ns).unwrap_or(u64::MAX))
            });
            format!("{}, {length} measured", count(used as u64, "round"))
        }
        (Design::Files(_), files) => {
            format!("{}, {length}", count(files.len() as u64, "recording"))
        }
    };
    match files.first() {
        Some(file) => {
            let (host, kernel) = (short(&file.info.host), short(&file.info.kernel));
            format!("{amount}; {host}, Linux {kernel}")
        }
        None => amount,
    }
}

/// `1 round`, `2 rounds`.
fn count(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// Quantities that have a value; the others are in a warning.
fn rows(finding: &Finding) -> impl Iterator<Item = RowView> {
    let known = finding.rows().filter(|row| {
        let judged = Quantity::JUDGED.contains(&row.quantity);
        // A tail that is the same on both sides is worth no row.
        let tail = row.quantity == Quantity::Tail && !row.verdict.is_some_and(Verdict::is_change);
        row.ln().is_some() && !tail && (judged || row.shift.is_some())
    });
    known.enumerate().map(|(place, row)| {
        let level = |value: Option<f64>| match (value, row.quantity) {
            (None, _) => units::NONE.into(),
            (Some(share), Quantity::Tail) => format!("{:.2}%", share * 100.0),
            (Some(ns), _) => units::computed(ns),
        };
        let (verdict, tone) = verdict(row);
        RowView {
            first: place == 0,
            hook: finding.hook,
            quantity: row.quantity,
            levels: row.levels.map(level),
            change: row
                .ln()
                .map_or(units::NONE.into(), |ln| units::change(percent(ln))),
            interval: row.shift.map(|shift| {
                let (low, high) = shift.interval_percent();
                (units::change(low), units::change(high))
            }),
            verdict,
            tone,
        }
    })
}

fn verdict(row: &Row) -> (String, Tone) {
    let question = if row.in_doubt { "?" } else { "" };
    match row.verdict {
        Some(Verdict::Slower) if row.quantity == Quantity::Tail => {
            (format!("longer{question}"), Tone::Worse)
        }
        Some(Verdict::Faster) if row.quantity == Quantity::Tail => {
            (format!("shorter{question}"), Tone::Better)
        }
        Some(Verdict::Slower) => (format!("slower{question}"), Tone::Worse),
        Some(Verdict::Faster) => (format!("faster{question}"), Tone::Better),
        Some(Verdict::BelowBucket | Verdict::NotFound) => ("~".into(), Tone::Plain),
        None => (String::new(), Tone::Dim),
    }
}

/// A line each; those of too few samples, and of disturbed rounds, together.
fn warnings(input: &Input, analysis: &Analysis) -> Vec<String> {
    let mut texts = Vec::new();
    for warning in &analysis.warnings {
        if !matches!(
            warning.kind,
            Kind::TooFewSamples { .. } | Kind::Disturbed(_) | Kind::UnequalRates(_)
        ) {
            texts.push(clean(&text(warning), usize::MAX));
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
            "A and B have very different numbers of packets at {}: as many of each were compared, \
             drawn from the richer side",
            list(&unequal)
        ));
    }
    texts.extend(disturbed(analysis));
    for quantity in Quantity::JUDGED {
        texts.extend(too_few_samples(input, analysis, quantity));
    }
    texts
}

/// Rounds that were excluded, and at how many quantities.
fn disturbed(analysis: &Analysis) -> Option<String> {
    let mut rounds: Vec<usize> = Vec::new();
    let mut times = 0;
    for warning in &analysis.warnings {
        if let Kind::Disturbed(numbers) = &warning.kind {
            times += 1;
            rounds.extend(numbers);
        }
    }
    rounds.sort_unstable();
    rounds.dedup();
    let names: Vec<String> = rounds.iter().map(usize::to_string).collect();
    (times > 0).then(|| {
        format!(
            "a period of round {} was far from all others: that round is excluded in {} of {}",
            list(&names),
            times,
            count(analysis.family.questions as u64, "question"),
        )
    })
}

/// Hooks of which the same is true are said together; and what would help.
fn too_few_samples(input: &Input, analysis: &Analysis, quantity: Quantity) -> Option<String> {
    let lacking: Vec<&Finding> = analysis
        .warnings
        .iter()
        .filter(|warning| {
            matches!(warning.kind, Kind::TooFewSamples { .. }) && warning.quantity == Some(quantity)
        })
        .filter_map(|warning| Some(&analysis.hooks[warning.hook?.index()]))
        .collect();
    // The tail is judged beside the p99: one of the two warnings is enough.
    if lacking.is_empty() || quantity == Quantity::Tail {
        return None;
    }
    let all = analysis.hooks.iter().filter(|hook| hook.has_samples());
    let at = match lacking.len() == all.count() {
        true => String::new(),
        false => {
            let names: Vec<&str> = lacking.iter().map(|finding| finding.hook.name()).collect();
            format!(" at {}", list(&names))
        }
    };
    let needed = quantity.samples_to_compare();
    let units = analysis.design.units();
    let periods = match analysis.design {
        Design::Rounds { .. } => 2 * units.a as u64,
        Design::Files(_) => units.a.min(units.b) as u64,
    };
    // Of the hook that lacks the least, so that the remedy helps at once.
    let most = lacking
        .iter()
        .map(|finding| finding.counts.a.min(finding.counts.b));
    let most = most.max().unwrap_or(0).checked_div(periods).unwrap_or(0);
    let unit = match analysis.design {
        Design::Rounds { .. } => "period",
        Design::Files(_) => "recording",
    };
    Some(format!(
        "{quantity} is not judged{at}: it needs {needed} packets in each {unit}; there were {most}{}",
        remedy(input, quantity, most)
    ))
}

/// How much longer to measure.
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

/// What to know, as in both forms.
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
            format!("{what} is not the same: {} (A), {} (B)", values.a, values.b)
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
            let rounds: Vec<String> = rounds.iter().map(usize::to_string).collect();
            format!(
                "round {} excluded for {quantity}{at}: one of its periods was far from all others",
                list(&rounds)
            )
        }
        Kind::UnequalRates(counts) => format!(
            "A has {} packets{at}, B has {}: as many of each were compared, drawn from the richer \
             side",
            counts.a, counts.b
        ),
        Kind::NotAlternating => {
            "all recordings of one side were made before those of the other: a \
                                 drift of the host would look like a change. Alternate the sides"
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
            "no verdicts: {} can be used, and {MIN_ROUNDS} are needed (--rounds {PLANNED_ROUNDS})",
            count(*n as u64, "whole round")
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
        Kind::Incomplete(path) => format!("{path} ends before its total"),
        Kind::Excluded { path, text } | Kind::Problem { path, text } => format!("{path}: {text}"),
        Kind::MissedIntervals(missed) => format!(
            "late reports: A {}, B {}; no sample is lost by that",
            missed.a, missed.b
        ),
        Kind::SeveralRuns { path, runs } => format!("{path} holds {runs} runs, added up"),
    }
}

/// Where changes begin, what was not found, and how to read the table.
fn notes(analysis: &Analysis) -> Vec<(String, String)> {
    let mut notes: Vec<(String, String)> = Vec::new();
    let mut note = |label: &str, text: String| notes.push((label.into(), text));
    for onset in &analysis.onsets {
        note(&format!("{}:", onset.path.name()), sentence(onset));
    }
    let rows = || {
        let hooks = analysis.hooks.iter();
        hooks.flat_map(|finding| finding.rows().map(move |row| (finding.hook, row)))
    };
    let of = |wanted: fn(Verdict) -> bool| {
        rows().filter(move |(_, row)| row.verdict.is_some_and(wanted))
    };
    if rows().all(|(_, row)| row.verdict.is_none()) {
        let measured = analysis.hooks.iter().any(Finding::has_samples);
        let text = match (measured, analysis.design) {
            (false, _) => "Nothing was measured: no packet reached these hooks.",
            (true, Design::Rounds { .. }) => "No verdicts: see the warnings above.",
            (true, Design::Files(_)) => {
                "No verdicts: nobody knows how much recordings of one side differ by themselves."
            }
        };
        note("", text.into());
        return notes;
    }
    let changed = of(Verdict::is_change).next().is_some();
    let below: Vec<String> = of(|verdict| verdict == Verdict::BelowBucket)
        .map(|(hook, row)| {
            let width = units::change(percent(row.bucket_ln));
            format!(
                "{hook} {} ({})",
                row.quantity,
                width.trim_start_matches('+')
            )
        })
        .collect();
    if !below.is_empty() {
        let text = format!(
            "A change of less than a bucket of the histogram: {}.",
            below.join(", ")
        );
        note("", text);
    } else if !changed {
        note("", "No difference was found.".into());
    }
    let mut unseen: Vec<(Hook, Vec<String>)> = Vec::new();
    for (hook, row) in of(|verdict| verdict == Verdict::NotFound) {
        // A tail is a share: its smallest change says little to a reader.
        let Some(least) = row.least_ln.filter(|_| row.quantity != Quantity::Tail) else {
            continue;
        };
        let least = units::change(percent(least));
        let item = format!("{} {}", row.quantity, least.trim_start_matches('+'));
        match unseen.last_mut() {
            Some((last, items)) if *last == hook => items.push(item),
            _ => unseen.push((hook, vec![item])),
        }
    }
    if !unseen.is_empty() {
        let items = unseen
            .iter()
            .map(|(hook, items)| format!("{hook} {}", items.join(" ")));
        let text = format!(
            "no change seen. The smallest change that this run could see: {}",
            items.collect::<Vec<_>>().join(", ")
        );
        note("~:", text);
    }
    if changed {
        let text = format!(
            "{}; the chance that any verdict is wrong is at most 5%{}",
            count(analysis.family.questions as u64, "question"),
            match analysis.family.level < LEVEL {
                true => format!(", {:.0}% of it at this look", analysis.family.level * 100.0),
                false => String::new(),
            }
        );
        note("verdicts:", text);
    }
    if of(Verdict::is_change).any(|(_, row)| row.quantity == Quantity::Tail) {
        let text = "the share of packets above the p99.9 of both sides together";
        note("tail:", text.into());
    }
    if rows().any(|(_, row)| row.ln().is_some_and(|ln| units::is_factor(percent(ln)))) {
        note("x20:", "B is 20 times A".into());
    }
    if of(Verdict::is_change).any(|(_, row)| row.in_doubt) {
        note("?:", "a warning above may be the cause".into());
    }
    notes
}

/// What became of each limit.
fn limits(analysis: &Analysis) -> Vec<LimitView> {
    let mut views: Vec<LimitView> = analysis
        .limits
        .iter()
        .map(|outcome| {
            let at = match (outcome.limit.hook, outcome.hook) {
                (None, Some(hook)) => format!(" at {hook}"),
                _ => String::new(),
            };
            let (word, tone) = match &outcome.result {
                Ok(judged) if judged.exceeded => ("exceeded", Tone::Worse),
                Ok(_) => ("within", Tone::Plain),
                Err(_) => ("not judged", Tone::Worse),
            };
            LimitView {
                limit: format!("{}{at}", outcome.limit),
                outcome: word,
                tone,
                text: limit_text(outcome),
            }
        })
        .collect();
    for limit in any_that_were_judged(analysis) {
        let others: Vec<&str> = not_judged(analysis, limit).map(Hook::name).collect();
        if !others.is_empty() {
            views.push(LimitView {
                limit: limit.to_string(),
                outcome: "not judged",
                tone: Tone::Worse,
                text: format!("too few samples at {}", list(&others)),
            });
        }
    }
    views
}

/// Limits for any hook, each once, that could be judged somewhere.
fn any_that_were_judged(analysis: &Analysis) -> Vec<Limit> {
    let mut limits: Vec<Limit> = Vec::new();
    for outcome in &analysis.limits {
        let any = outcome.limit.hook.is_none() && outcome.hook.is_some();
        if any && !limits.contains(&outcome.limit) {
            limits.push(outcome.limit);
        }
    }
    limits
}

/// Hooks with samples at which such a limit could not be judged.
fn not_judged(analysis: &Analysis, limit: Limit) -> impl Iterator<Item = Hook> {
    let judged = move |hook: Hook| {
        let mut outcomes = analysis.limits.iter();
        outcomes.any(|outcome| outcome.limit == limit && outcome.hook == Some(hook))
    };
    let with_samples = analysis.hooks.iter().filter(|hook| hook.has_samples());
    with_samples
        .map(|finding| finding.hook)
        .filter(move |hook| !judged(*hook))
}

/// What was found, and how sure it is.
pub(super) fn limit_text(outcome: &Outcome) -> String {
    let judged = match &outcome.result {
        Ok(judged) => judged,
        Err(Unjudged::TooFew(units)) => {
            return format!(
                "too few samples: rounds or recordings with enough: A {}, B {}",
                units.a, units.b
            );
        }
        Err(why) => return unjudged(*why).into(),
    };
    let Judged {
        found,
        lower_bound,
        p_value,
        together,
        within_bucket,
        ..
    } = *judged;
    let shown = |value: f64| match outcome.limit.bound {
        Bound::Percent(_) => units::change(value),
        Bound::Slower(_) if value < 0.0 => format!("-{}", units::computed(-value)),
        Bound::Slower(_) => format!("+{}", units::computed(value)),
        Bound::Level(_) => units::computed(value),
    };
    let mut text = format!(
        "found {}, with 95% confidence above {}; p {}",
        shown(found),
        shown(lower_bound),
        p_shown(p_value)
    );
    if together > 1 {
        text += &format!(", one of {together} limits");
    }
    if within_bucket {
        text += "; above the limit, but not surely by more than a bucket of the histogram";
    }
    if matches!(outcome.limit.bound, Bound::Level(_)) {
        text += "; of the minutes measured, and no others";
    }
    text
}

fn p_shown(p_value: f64) -> String {
    match p_value {
        p if p < 1e-6 => "below 1e-6".into(),
        p if p < 0.001 => format!("{p:.0e}"),
        p => format!("{p:.3}"),
    }
}
