// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The rows of the table: quantities that have a value, with their verdicts.

use crate::analysis::{Design, HookResult, Row, Verdict};
use crate::model::quantity::Quantity;
use crate::render::diff::view::{RowView, Tone};
use crate::render::units;
use crate::stats::shift::percent;

/// The rows of a hook: quantities that have a value. The others are in a warning.
pub(super) fn rows(result: &HookResult, design: Design) -> impl Iterator<Item = RowView> {
    let known = result.rows().filter(move |row| {
        let judged = Quantity::JUDGED.contains(&row.quantity);
        // The tail gets a row only if it has changed.
        let tail = row.quantity == Quantity::Tail && !row.verdict.is_some_and(Verdict::is_change);
        let units = row.units.map(|units| units + row.excluded.len());
        // If only busy periods have a quantity, its mean is biased.
        let everywhere = row.shift.is_some() && units == design.units();
        row.ln().is_some() && !tail && (judged || everywhere)
    });
    known.enumerate().map(|(place, row)| {
        let level = |value: Option<f64>| match (value, row.quantity) {
            (None, _) => units::NONE.into(),
            (Some(share), Quantity::Tail) => format!("{:.2}%", share * 100.0),
            (Some(ns), _) => units::computed(ns),
        };
        let (verdict, tone) = verdict(row);
        RowView {
            // The name of a stage is a line of its own.
            first: place == 0 && result.stage.is_none(),
            hook: result.hook,
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
