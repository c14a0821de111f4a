// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is said around the table of a comparison: cautions before it, what was
//! found and what became of limits after it.

use crate::analysis::caution::{Caution, Kind};
use crate::analysis::judge::{Judged, Outcome, Unjudged};
use crate::analysis::limit::{Bound, Limit};
use crate::analysis::{Analysis, Design, JUDGED, Row, Verdict};
use crate::model::hooks::Hook;
use crate::model::quantile::REPORTED;
use crate::render::diff_onset::{is_change, list, sentence, unjudged};
use crate::render::{Screen, units};
use crate::runfile::text::clean;
use crate::stats::shift::percent;

/// Characters of a name that are shown.
const MAX_NAME: usize = 40;

/// A name from a file or a user, fit for a terminal.
pub(super) fn short(text: &str) -> String {
    clean(text, MAX_NAME)
}

fn flow(page: &mut String, screen: &Screen, label: &str, text: &str) {
    let label = (!label.is_empty()).then(|| label.to_owned());
    let words = text
        .split(' ')
        .flat_map(|word| chunks(word, screen.width() - 2));
    screen.flow(page, " ", label.into_iter().chain(words));
}

/// A word that no line can hold, such as a path, in parts.
fn chunks(word: &str, columns: usize) -> Vec<String> {
    if word.len() <= columns || word.contains('\x1b') {
        return vec![word.into()];
    }
    let chars: Vec<char> = word.chars().collect();
    let parts = chars.chunks(columns / 4);
    parts.map(|part| part.iter().collect()).collect()
}

/// A line each; those of too few samples together.
pub(super) fn cautions(page: &mut String, screen: &Screen, analysis: &Analysis) {
    for caution in &analysis.cautions {
        if !matches!(caution.kind, Kind::TooFewSamples { .. }) {
            flow(
                page,
                screen,
                &screen.dim("caution:"),
                &clean(&text(caution), usize::MAX),
            );
        }
    }
    for quantile in JUDGED {
        if let Some(text) = too_few_samples(analysis, quantile) {
            flow(page, screen, &screen.dim("caution:"), &text);
        }
    }
}

/// Hooks of which the same is true are said together.
fn too_few_samples(analysis: &Analysis, quantile: usize) -> Option<String> {
    let mut found: Vec<(String, Vec<Hook>)> = Vec::new();
    for caution in &analysis.cautions {
        let (Kind::TooFewSamples { units, of }, Some(hook)) = (&caution.kind, caution.hook) else {
            continue;
        };
        if caution.quantile != Some(quantile) {
            continue;
        }
        let have = match analysis.design {
            Design::Rounds { .. } => format!("{} of {} rounds", units[0], of[0]),
            Design::Files(_) => format!(
                "{} of {} recordings of A and {} of {} of B",
                units[0], of[0], units[1], of[1]
            ),
        };
        match found.iter_mut().find(|(known, _)| *known == have) {
            Some((_, hooks)) => hooks.push(hook),
            None => found.push((have, vec![hook])),
        }
    }
    let with_samples = analysis.hooks.iter().filter(|hook| hook.has_samples());
    let all = with_samples.count();
    let found: Vec<String> = found
        .iter()
        .map(|(have, hooks)| match hooks.iter().map(|hook| hook.name()) {
            _ if hooks.len() == all => format!("{have} have them"),
            names => format!("{have} have them at {}", list(&names.collect::<Vec<_>>())),
        })
        .collect();
    let unit = match analysis.design {
        Design::Rounds { .. } => "period",
        Design::Files(_) => "recording",
    };
    (!found.is_empty()).then(|| {
        format!(
            "too few samples for {}, which takes {} in each {unit}: {}",
            REPORTED[quantile].name(),
            REPORTED[quantile].samples_to_compare(),
            found.join("; ")
        )
    })
}

/// What to know, as in both forms.
pub(super) fn text(caution: &Caution) -> String {
    let at = match caution.hook {
        Some(hook) => format!(" at {hook}"),
        None => String::new(),
    };
    let share = |part: &[u64; 2], of: &[u64; 2]| {
        let [a, b] = [0, 1].map(|side: usize| {
            let percent = units::percentage(part[side], of[side]);
            format!("{} of {} ({percent})", part[side], of[side])
        });
        format!("A {a}, B {b}")
    };
    match &caution.kind {
        Kind::Differs { what, values } => {
            let [a, b] = [0, 1].map(|side: usize| values[side].join(" and "));
            format!("{what} is not the same: {a} (A), {b} (B)")
        }
        Kind::ClockSteps([a, b]) => format!("the wall clock was stepped: A {a} times, B {b} times"),
        Kind::RoundsLeftOut(1) => "1 round is left out: the wall clock was stepped in it".into(),
        Kind::RoundsLeftOut(n) => {
            format!("{n} rounds are left out: the wall clock was stepped in them")
        }
        Kind::Skipped { lost, of } => format!("not measured{at}: {}", share(lost, of)),
        Kind::Missed { missed, of } => {
            format!("missed by the kernel{at}: {}", share(missed, of))
        }
        Kind::TooFewSamples { units, of } => {
            let quantile = caution.quantile.map(|place| REPORTED[place].name());
            let quantile = quantile.unwrap_or_default();
            format!(
                "too few samples for {quantile}{at}: enough in {} of {} (A), {} of {} (B)",
                units[0], of[0], units[1], of[1]
            )
        }
        Kind::FewRounds(n) => format!(
            "no verdicts: whole rounds: {n}. It takes 6 to know well enough how rounds differ by \
             themselves"
        ),
        Kind::FewFiles([a, b]) => format!(
            "no intervals and no verdicts: recordings of A: {a}, of B: {b}. It takes 3 a side to \
             know how much recordings differ by themselves: record more, or use \
             `netstacklat compare`"
        ),
        Kind::RoundsMissing { made, planned } => {
            format!("whole rounds that were made: {made} of {planned}")
        }
        Kind::Incomplete(path) => format!("{path} was not brought to its end"),
        Kind::LeftOut { path, text } | Kind::Flaw { path, text } => format!("{path}: {text}"),
        Kind::MissedIntervals([a, b]) => {
            format!("reports not made in time: A {a}, B {b}; nothing is lost by that")
        }
        Kind::SeveralRuns { path, runs } => format!("{path} holds {runs} runs, added up"),
    }
}

/// Where changes begin, what was not found, and how to read the table.
pub(super) fn conclusion(page: &mut String, screen: &Screen, analysis: &Analysis) {
    for onset in &analysis.onsets {
        let label = screen.bold(&format!("{}:", onset.path.name()));
        flow(page, screen, &label, &sentence(onset));
    }
    let rows = || {
        let hooks = analysis.hooks.iter();
        hooks.flat_map(|finding| JUDGED.map(|place| (finding, place, &finding.rows[place])))
    };
    let judged = rows().filter(|(_, _, row)| row.verdict.is_some()).count();
    let changed = rows().any(|(_, _, row)| is_change(row.verdict));
    if judged == 0 {
        let text = match analysis.hooks.iter().any(|finding| finding.has_samples()) {
            true => "Nothing could be judged: see the cautions.",
            false => "Nothing was measured: no packet reached these hooks.",
        };
        flow(page, screen, "", text);
        return;
    }
    if !changed {
        flow(page, screen, "", "No difference was found.");
    }
    let mut unseen: Vec<(Hook, Vec<String>)> = Vec::new();
    for (finding, place, row) in rows() {
        let (Some(Verdict::NotFound), Some(least)) = (row.verdict, row.least_ln) else {
            continue;
        };
        let least = units::change(percent(least));
        let item = format!(
            "{} {}",
            REPORTED[place].name(),
            least.trim_start_matches('+')
        );
        match unseen.last_mut() {
            Some((hook, items)) if *hook == finding.hook => items.push(item),
            _ => unseen.push((finding.hook, vec![item])),
        }
    }
    if !unseen.is_empty() {
        let lead = "no change found, which does not mean that there is none: to be found, it \
                    would have had to be about";
        let items = unseen
            .iter()
            .map(|(hook, items)| format!("{hook} {}", items.join(" ")));
        let text = format!("{lead} {}", items.collect::<Vec<_>>().join(", "));
        flow(page, screen, &screen.dim("~:"), &text);
    }
    if changed {
        let text = "p50 and p99 only; the chance that any one of them is wrong is at most 5%";
        flow(page, screen, &screen.dim("slower, faster:"), text);
    }
    let factor = |row: &Row| row.ln().is_some_and(|ln| units::is_factor(percent(ln)));
    if analysis
        .hooks
        .iter()
        .flat_map(|finding| &finding.rows)
        .any(factor)
    {
        flow(page, screen, &screen.dim("x20:"), "B is 20 times A");
    }
    if rows().any(|(_, _, row)| is_change(row.verdict) && row.tempered) {
        flow(
            page,
            screen,
            &screen.dim("?:"),
            "a caution above may be the cause",
        );
    }
}

/// What became of each limit.
pub(super) fn limits(page: &mut String, screen: &Screen, analysis: &Analysis) {
    if analysis.limits.is_empty() {
        return;
    }
    page.push('\n');
    for outcome in &analysis.limits {
        let limit = outcome.limit.to_string();
        let at = match (outcome.limit.hook, outcome.hook) {
            (None, Some(hook)) => format!("at {hook} "),
            _ => String::new(),
        };
        let told = match &outcome.result {
            Ok(judged) if judged.passed => screen.worse("passed"),
            Ok(_) => "not passed".into(),
            Err(_) => screen.bold("cannot be judged"),
        };
        let text = format!("{limit} {at}{told}: {}", limit_text(outcome));
        flow(page, screen, &screen.dim("limit:"), &text);
    }
    for limit in any_that_were_judged(analysis) {
        let left_out: Vec<&str> = left_out(analysis, limit).map(Hook::name).collect();
        if !left_out.is_empty() {
            let text = format!(
                "{limit} does not speak for {}: too few samples there",
                list(&left_out)
            );
            flow(page, screen, &screen.dim("limit:"), &text);
        }
    }
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
fn left_out(analysis: &Analysis, limit: Limit) -> impl Iterator<Item = Hook> {
    let judged = move |hook: Hook| {
        let mut outcomes = analysis.limits.iter();
        outcomes.any(|outcome| outcome.limit == limit && outcome.hook == Some(hook))
    };
    let with_samples = analysis.hooks.iter().filter(|hook| hook.has_samples());
    with_samples
        .map(|finding| finding.hook)
        .filter(move |hook| !judged(*hook))
}

fn p_shown(p_value: f64) -> String {
    match p_value {
        p if p < 1e-6 => "below 1e-6".into(),
        p if p < 0.001 => format!("{p:.0e}"),
        p => format!("{p:.3}"),
    }
}

/// What was found, and how sure it is.
pub(super) fn limit_text(outcome: &Outcome) -> String {
    let judged = match &outcome.result {
        Ok(judged) => judged,
        Err(Unjudged::TooFew(units)) => {
            return format!(
                "too few rounds or recordings have samples enough (A {}, B {})",
                units[0], units[1]
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
        passed,
    } = *judged;
    let shown = |value: f64| match outcome.limit.bound {
        Bound::Percent(_) => units::change(value),
        Bound::Slower(_) if value < 0.0 => format!("-{}", units::computed(-value)),
        Bound::Slower(_) => format!("+{}", units::computed(value)),
        Bound::Level(_) => units::computed(value),
    };
    let mut text = format!(
        "{}, with 95% confidence above {}",
        shown(found),
        shown(lower_bound)
    );
    if together > 1 {
        text += &format!("; p {}, one of {together} (Holm)", p_shown(p_value));
    }
    if within_bucket && !passed {
        text += "; nearer than the histogram's buckets can tell";
    }
    text
}
