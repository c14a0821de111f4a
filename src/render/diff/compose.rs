// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Turns an analysis into the texts that are shown of it ([`View`]).

use crate::analysis::samples::{MIN_FILES, MIN_ROUNDS};
use crate::analysis::{Analysis, Design, HookResult, Input, LEVEL, Verdict};
use crate::model::comparison::Arm;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::render::diff::onset::sentence;
use crate::render::diff::rows::rows;
use crate::render::diff::view::View;
use crate::render::diff::{groups, limits, stages, warnings};
use crate::render::units::{self, count};
use crate::runfile::Totals;
use crate::stats::shift::percent;
use crate::text::one_line;

/// The most characters of a name that are shown.
const MAX_NAME: usize = 40;
/// The most characters of the options that selected what was measured: all of them,
/// unless they are lists of names.
const MAX_SELECTION: usize = 400;

/// All texts of a comparison.
pub(super) fn compose(input: &Input, analysis: &Analysis) -> View {
    let with_samples = |result: &&HookResult| result.has_samples();
    let silent = || analysis.hooks.iter().filter(|result| !result.has_samples());
    let measured = |result: &&HookResult| result.measured.iter().any(|&measured| measured);
    let names = |results: Vec<&HookResult>| results.iter().map(|f| f.hook).collect();
    View {
        sides: PerSide::of(|arm| (short_name(&analysis.names[arm]), side(input, analysis, arm))),
        warnings: warnings::all(input, analysis),
        judged: analysis.rows().any(|row| row.shift.is_some()),
        rows: analysis
            .hooks
            .iter()
            .filter(with_samples)
            .flat_map(|result| rows(result, analysis.design))
            .collect(),
        idle: names(
            silent()
                .filter(measured)
                .filter(|result| !result.is_unsampled())
                .collect(),
        ),
        unsampled: names(silent().filter(|result| result.is_unsampled()).collect()),
        off: names(silent().filter(|result| !measured(result)).collect()),
        stages: stages::all(analysis),
        groups: groups::all(analysis),
        notes: notes(analysis),
        limits: limits::all(analysis),
    }
}

/// A name from a file or a user, shortened and without control characters.
pub(super) fn short_name(text: &str) -> String {
    one_line(text, MAX_NAME)
}

/// How much was measured of a side, and on which host.
fn side(input: &Input, analysis: &Analysis, arm: Arm) -> String {
    let files = input.side(arm);
    let sum = |of: fn(&Totals) -> u64| {
        let all = files.iter().map(|file| of(file.totals(arm)));
        all.fold(0, u64::saturating_add)
    };
    let length = units::duration(sum(|totals| totals.interval.duration_ns));
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
            let (host, kernel) = (short_name(&file.info.host), short_name(&file.info.kernel));
            let selected = file.info.selection.text();
            let selected = selected.map_or(String::new(), |selected| {
                format!("; selected by {}", one_line(&selected, MAX_SELECTION))
            });
            format!("{amount}; {host}, Linux {kernel}{selected}")
        }
        None => amount,
    }
}

fn excludes_zero((low, high): (f64, f64)) -> bool {
    low > 0.0 || high < 0.0
}

/// The number of questions, how many units a verdict needs, and how sure it is.
fn verdicts(analysis: &Analysis) -> String {
    let asked = count(analysis.family.questions as u64, "question");
    let asked = match analysis.design {
        Design::Rounds { used, .. } => format!(
            "{asked}, {} (a verdict needs {MIN_ROUNDS})",
            count(used as u64, "round")
        ),
        Design::Files(files) => format!(
            "{asked}, {} and {} (a verdict needs {MIN_FILES} a side)",
            files.a,
            count(files.b as u64, "recording")
        ),
    };
    let level = if analysis.family.level < LEVEL {
        format!(
            ", of which {:.0}% at this look",
            analysis.family.level * 100.0
        )
    } else {
        String::new()
    };
    format!("{asked}; the chance that any verdict is wrong is at most 5%{level}")
}

/// The sentences below the table: where changes begin, what could not be seen, and
/// how to read the table.
fn notes(analysis: &Analysis) -> Vec<(String, String)> {
    let mut notes: Vec<(String, String)> = Vec::new();
    let mut note = |label: &str, text: String| notes.push((label.into(), text));
    for onset in &analysis.onsets {
        note(&format!("{}:", onset.path.name()), sentence(onset));
    }
    for (label, text) in stages::sentences(analysis) {
        note(&label, text);
    }
    let rows = || {
        let results = analysis.of_all();
        results.flat_map(|result| result.rows().map(move |row| (result.name(), row)))
    };
    let of = |wanted: fn(Verdict) -> bool| {
        rows().filter(move |(_, row)| row.verdict.is_some_and(wanted))
    };
    if rows().all(|(_, row)| row.verdict.is_none()) {
        let measured = analysis.hooks.iter().any(HookResult::has_samples);
        let text = match (measured, analysis.design) {
            (false, _) => "Nothing was measured: no packet reached these hooks.",
            (true, Design::Rounds { .. }) => "No verdicts: see the warnings above.",
            (true, Design::Files(_)) => {
                "No verdicts: too few recordings to know how much they vary."
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
            "Change smaller than a histogram bucket: {}.",
            below.join(", ")
        );
        note("", text);
    } else if !changed {
        // Of a group that has changed there is a table above.
        let of = if analysis.groups.is_some() {
            " in all packets together"
        } else {
            ""
        };
        note("", format!("No change seen{of}."));
    }
    let mut unseen: Vec<(String, Vec<String>)> = Vec::new();
    for (hook, row) in of(|verdict| verdict == Verdict::NotFound) {
        // The tail is a share. Its smallest visible change is of little use.
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
            "no change seen. The smallest change this run could see: {}",
            items.collect::<Vec<_>>().join(", ")
        );
        note("~:", text);
    }
    let outside: Vec<String> = of(|verdict| verdict == Verdict::NotFound)
        .filter(|(_, row)| {
            row.shift
                .is_some_and(|shift| excludes_zero(shift.interval()))
        })
        .filter(|(_, row)| row.quantity != Quantity::Tail)
        .map(|(hook, row)| format!("{hook} {}", row.quantity))
        .collect();
    if !outside.is_empty() {
        let text = format!(
            "Rows with ~ and an interval without 0: {}. An interval is about its own row, a \
             verdict about all rows together.",
            outside.join(", ")
        );
        note("", text);
    }
    note("verdicts:", verdicts(analysis));
    let changes = || {
        analysis
            .rows()
            .filter(|row| row.verdict.is_some_and(Verdict::is_change))
    };
    if changes().any(|row| row.quantity == Quantity::Tail) {
        let text = "the share of packets above the p99.9 of both sides together";
        note("tail:", text.into());
    }
    if analysis
        .rows()
        .any(|row| row.ln().is_some_and(|ln| units::is_factor(percent(ln))))
    {
        note("x20:", "B is 20 times A".into());
    }
    if changes().any(|row| row.in_doubt) {
        let or_else = if analysis.groups.is_some() {
            ", or that not all rounds have packets of the group"
        } else {
            ""
        };
        note("?:", format!("a warning above may be the cause{or_else}"));
    }
    notes
}
