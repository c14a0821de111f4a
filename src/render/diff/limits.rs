// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The outcome of `--fail-if` limits, in words.

use crate::analysis::Analysis;
use crate::analysis::fail_if::{Judged, NotJudged, Outcome, Unjudged};
use crate::model::fail_if::{Bound, Limit};
use crate::model::hooks::Hook;
use crate::render::diff::group_names::{name, names};
use crate::render::diff::onset::{list, unjudged};
use crate::render::diff::view::{LimitView, Tone};
use crate::render::units;

/// The outcome of each limit.
pub(super) fn all(analysis: &Analysis) -> Vec<LimitView> {
    let mut views: Vec<LimitView> = analysis
        .limits
        .iter()
        .map(|outcome| {
            let (word, tone) = match &outcome.result {
                Ok(judged) if judged.exceeded => ("limit exceeded:", Tone::Worse),
                Ok(_) => ("ok:", Tone::Plain),
                Err(_) => ("not judged:", Tone::Worse),
            };
            LimitView {
                outcome: word,
                tone,
                text: limit_text(outcome),
            }
        })
        .collect();
    views.extend(analysis.not_judged.iter().map(|not_judged| LimitView {
        outcome: "not judged:",
        tone: Tone::Worse,
        text: not_judged_text(not_judged),
    }));
    views
}

/// The hooks at which a limit for `any` hook could not be judged.
pub(super) fn not_judged_text(not_judged: &NotJudged) -> String {
    let NotJudged {
        limit,
        hooks,
        groups,
    } = not_judged;
    let hooks: Vec<&str> = hooks.iter().map(|hook| hook.name()).collect();
    let places = match (hooks.as_slice(), groups.as_slice()) {
        (hooks, []) => format!("at {}", list(hooks)),
        ([], groups) => format!("for {}", names(groups, name)),
        (hooks, groups) => format!("at {}, nor for {}", list(hooks), names(groups, name)),
    };
    format!("{limit} was NOT checked {places}: too few samples")
}

/// The value, the limit, and how sure the outcome is.
pub(super) fn limit_text(outcome: &Outcome) -> String {
    let Limit {
        quantity, bound, ..
    } = outcome.limit;
    let hook = outcome.hook.map_or("any hook", Hook::name);
    let hook = match &outcome.group {
        Some(group) => format!("{}: {hook}", name(group)),
        None => hook.to_owned(),
    };
    let judged = match &outcome.result {
        Ok(judged) => judged,
        Err(Unjudged::TooFew(units)) => {
            return format!(
                "{hook} {quantity} (limit {bound}): too few samples; {} rounds or recordings of A \
                 and {} of B have enough",
                units.a, units.b
            );
        }
        Err(why) => {
            return format!("{hook} {quantity} (limit {bound}): {}", unjudged(*why));
        }
    };
    let Judged {
        found,
        lower_bound,
        p_value,
        together,
        within_bucket,
        ..
    } = *judged;
    let shown = |value: f64| match bound {
        Bound::Percent(_) => units::change(value),
        Bound::Slower(_) if value < 0.0 => format!("-{}", units::computed(-value)),
        Bound::Slower(_) => format!("+{}", units::computed(value)),
        Bound::Level(_) => units::computed(value),
    };
    let change = match bound {
        Bound::Level(_) => "of B is",
        Bound::Percent(_) | Bound::Slower(_) => "changed",
    };
    let mut text = format!(
        "{hook} {quantity} {change} {} (limit {bound}); above {} with 95% confidence; p {}",
        shown(found),
        shown(lower_bound),
        p_shown(p_value)
    );
    if together > 1 {
        text += &format!(" ({together} limits judged together)");
    }
    if within_bucket {
        text += "; above the limit, but not surely by more than a histogram bucket";
    }
    if matches!(bound, Bound::Level(_)) {
        text += "; valid for the measured time only";
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
