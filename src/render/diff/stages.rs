// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is shown of the stages of a comparison: a table of each, and one sentence for
//! each protocol that says where time was added. It is measured packet by packet, so
//! nothing is concluded from quantiles of ages.

use crate::analysis::{Analysis, HookResult, Row, Verdict};
use crate::model::hooks::Protocol;
use crate::model::quantity::Quantity;
use crate::model::stage::Stage;
use crate::render::diff::onset::list;
use crate::render::diff::rows::rows;
use crate::render::diff::view::StageView;
use crate::render::units;
use crate::stats::shift::percent;

/// The tables, in path order.
pub(super) fn all(analysis: &Analysis) -> Vec<StageView> {
    let stages = analysis.stages.iter().filter_map(|result| {
        let stage = result.stage?;
        Some(StageView {
            name: format!("{stage}: {}", stage.meaning()),
            rows: rows(result, analysis.design).collect(),
        })
    });
    stages.collect()
}

/// A sentence for each protocol that has stages.
pub(super) fn sentences(analysis: &Analysis) -> Vec<(String, String)> {
    let paths = Protocol::all().into_iter().filter_map(|path| {
        let own = analysis.stages.iter().filter_map(|result| {
            let stage = result.stage?;
            (stage.to().protocol() == Some(path)).then_some((stage, result))
        });
        let own: Vec<(Stage, &HookResult)> = own.collect();
        (!own.is_empty()).then(|| (format!("{}:", path.name()), sentence(&own)))
    });
    let mut found: Vec<(String, String)> = paths.collect();
    if !analysis.stages_left_out.is_empty() {
        let names = analysis.stages_left_out.iter().map(Stage::to_string);
        let names: Vec<String> = names.collect();
        let text = format!(
            "{}: less than 1% of the packets at the hook where the stage ends",
            names.join(", ")
        );
        found.push(("stages not compared:".into(), text));
    }
    found
}

fn sentence(stages: &[(Stage, &HookResult)]) -> String {
    let mut parts = Vec::new();
    for (verdict, words) in [
        (Verdict::Slower, "slower in"),
        (Verdict::Faster, "faster in"),
    ] {
        let changed = stages.iter().filter_map(|(stage, result)| {
            let rows = result.rows().filter(|row| row.verdict == Some(verdict));
            let changes: Vec<String> = rows.map(change).collect();
            (!changes.is_empty()).then(|| format!("{} ({})", stage.meaning(), changes.join(", ")))
        });
        let changed: Vec<String> = changed.collect();
        if !changed.is_empty() {
            parts.push(format!("{words}: {}", changed.join("; ")));
        }
    }
    let has = |result: &HookResult, wanted: &dyn Fn(Verdict) -> bool| {
        result.rows().any(|row| row.verdict.is_some_and(wanted))
    };
    let below = |result: &HookResult| {
        has(result, &|verdict| verdict == Verdict::BelowBucket) && !has(result, &Verdict::is_change)
    };
    let unchanged = |result: &HookResult| {
        has(result, &|_| true) && !has(result, &|verdict| verdict != Verdict::NotFound)
    };
    let names = |wanted: &dyn Fn(&HookResult) -> bool| {
        let found = stages.iter().filter(|(_, result)| wanted(result));
        let names = found.map(|(stage, result)| format!("{}{}", stage.meaning(), only(result)));
        names.collect::<Vec<_>>().join("; ")
    };
    let same = names(&unchanged);
    if !same.is_empty() {
        parts.push(format!("no change seen in: {same}"));
    }
    let small = names(&below);
    if !small.is_empty() {
        parts.push(format!(
            "change smaller than a histogram bucket in: {small}"
        ));
    }
    let unjudged = names(&|result| !has(result, &|_| true));
    if !unjudged.is_empty() {
        parts.push(format!("not judged, too few packets: {unjudged}"));
    }
    let mut text = String::new();
    for part in &parts {
        let mut letters = part.chars();
        match letters.next() {
            // It follows the label.
            Some(first) if text.is_empty() => text.push(first),
            Some(first) => text += &format!(" {}", first.to_uppercase()),
            None => {}
        }
        text += letters.as_str();
        text.push('.');
    }
    text
}

/// Which quantities were judged, if not all: ` (p50 and p90)`.
fn only(result: &HookResult) -> String {
    let asked = result
        .rows()
        .filter(|row| Quantity::JUDGED.contains(&row.quantity));
    let judged: Vec<String> = asked
        .filter(|row| row.verdict.is_some())
        .map(|row| row.quantity.name())
        .collect();
    if judged.is_empty() || judged.len() == Quantity::JUDGED.len() {
        return String::new();
    }
    format!(" ({})", list(&judged))
}

/// `p50 +399us`; of the tail, how much longer it is.
fn change(row: &Row) -> String {
    let difference = match (row.quantity.quantile(), row.levels.a, row.levels.b) {
        (Some(_), Some(a), Some(b)) => {
            let sign = if b >= a { '+' } else { '-' };
            format!("{sign}{}", units::computed((b - a).abs()))
        }
        _ => row
            .ln()
            .map_or(units::NONE.into(), |ln| units::change(percent(ln))),
    };
    let doubt = if row.in_doubt { "?" } else { "" };
    format!("{} {difference}{doubt}", row.quantity)
}
