// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Verdicts. All questions of a comparison are answered together, so that the
//! probability that any answer is wrong is known.

use crate::analysis::hook_result::{HookResult, Row, Verdict};
use crate::analysis::input::Input;
use crate::analysis::samples::{Rounds, Samples, Scale};
use crate::model::quantity::Quantity;
use crate::stats::{looks, max_t};

/// The probability that any verdict is wrong, or that any limit is judged wrongly.
pub(crate) const LEVEL: f64 = 0.05;

/// The questions that are answered together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Family {
    pub questions: usize,
    /// The probability that any answer is wrong. Less than [`LEVEL`] if there are
    /// several looks, which share it.
    pub level: f64,
    /// The smallest p-value that these rounds or files can give.
    pub floor: f64,
}

/// The settings with which questions are answered.
pub(super) struct Judging {
    pub(super) level: f64,
    /// See [`Rounds::blocks`].
    pub(super) blocks: Vec<usize>,
    pub(super) seed: u64,
}

impl Judging {
    pub(super) fn of(input: &Input, rounds: &Rounds) -> Judging {
        let plan = match input {
            Input::Comparison(file) => file.info.comparison.as_ref(),
            Input::Recordings { .. } => None,
        };
        let auto_rounds = plan.is_some_and(|plan| plan.auto_rounds);
        Judging {
            level: if auto_rounds {
                looks::level(rounds.numbers().last().unwrap_or(0) as usize)
            } else {
                LEVEL
            },
            blocks: rounds.blocks(auto_rounds),
            seed: input.seed(),
        }
    }
}

/// The least standard deviation that a unit is assumed to have: half a bucket.
/// A smaller variation cannot be seen in the histogram.
pub(super) fn least_deviation(bucket: f64) -> f64 {
    bucket / 2.0
}

/// Judges all quantities that can be judged, together.
pub(super) fn give_verdicts(
    results: &mut [HookResult],
    samples: &[Vec<Samples>],
    judging: &Judging,
) -> Family {
    let mut rows: Vec<&mut Row> = Vec::new();
    let mut questions = Vec::new();
    let mut labels = None;
    let asked = results.iter_mut().zip(samples);
    for (result, samples) in asked.filter(|(result, _)| result.asked) {
        for (row, samples) in result.rows.iter_mut().zip(samples) {
            if Quantity::JUDGED.contains(&row.quantity) && samples.can_be_judged() {
                let least = least_deviation(finite(row.bucket_ln));
                questions.push(samples.question(Scale::Ratio, 0.0, least, false));
                labels.get_or_insert_with(|| samples.labels(&judging.blocks));
                rows.push(row);
            }
        }
    }
    let Some(labels) = labels else {
        return Family {
            questions: 0,
            level: judging.level,
            floor: 1.0,
        };
    };
    let answers = max_t::answer(&questions, &labels, judging.level, judging.seed);
    for (row, p_value) in rows.into_iter().zip(answers.p_values) {
        let Some(shift) = row.shift else { continue };
        row.p_value = Some(p_value);
        row.least_ln = Some((answers.critical * shift.error).max(row.bucket_ln));
        let verdict = if p_value > judging.level {
            Verdict::NotFound
        } else if shift.ln.abs() < row.bucket_ln {
            Verdict::BelowBucket
        } else if shift.ln > 0.0 {
            Verdict::Slower
        } else {
            Verdict::Faster
        };
        row.verdict = Some(verdict);
        if verdict.is_change() {
            row.shift = Some(shift.with_sure_direction());
        }
    }
    Family {
        questions: questions.len(),
        level: judging.level,
        floor: answers.floor,
    }
}

/// The width of a bucket, or 0 for the lowest bucket, which begins at 0 and has an
/// infinite ratio.
pub(super) fn finite(width: f64) -> f64 {
    if width.is_finite() { width } else { 0.0 }
}
