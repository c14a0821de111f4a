// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What became of `--fail-if` limits, in words.

use crate::analysis::Analysis;
use crate::analysis::fail_if::{Judged, NotJudged, Outcome, Unjudged};
use crate::model::fail_if::Bound;
use crate::render::diff::onset::{list, unjudged};
use crate::render::diff::view::{LimitView, Tone};
use crate::render::units;

/// What became of each limit.
pub(super) fn all(analysis: &Analysis) -> Vec<LimitView> {
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
    views.extend(analysis.not_judged.iter().map(|not_judged| LimitView {
        limit: not_judged.limit.to_string(),
        outcome: "not judged",
        tone: Tone::Worse,
        text: not_judged_text(not_judged),
    }));
    views
}

/// Where a limit for any hook could not be judged.
pub(super) fn not_judged_text(not_judged: &NotJudged) -> String {
    let hooks: Vec<&str> = not_judged.hooks.iter().map(|hook| hook.name()).collect();
    format!("too few samples at {}", list(&hooks))
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
