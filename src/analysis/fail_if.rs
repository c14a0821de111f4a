// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Whether `--fail-if` limits are exceeded, as sure as 95 %.

use crate::analysis::hook_result::{HookResult, Row};
use crate::analysis::samples::{Samples, Scale};
use crate::analysis::verdicts::{Judging, finite, least_deviation};
use crate::model::fail_if::{Bound, Limit};
use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::stats::max_t::{self, Question};
use crate::stats::shift::{Shift, percent};

/// What is worst among what became of all limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worst {
    /// A limit is exceeded: that outweighs one that could not be judged.
    Exceeded,
    /// A limit could not be judged.
    NotJudged,
    /// All were judged, and none is exceeded.
    Within,
}

/// What is worst among these.
pub(crate) fn worst(outcomes: &[Outcome]) -> Worst {
    let any = |of: fn(&Outcome) -> bool| outcomes.iter().any(of);
    if any(|outcome| outcome.result.as_ref().is_ok_and(|judged| judged.exceeded)) {
        Worst::Exceeded
    } else if any(|outcome| outcome.result.is_err()) {
        Worst::NotJudged
    } else {
        Worst::Within
    }
}

/// What became of a limit at a hook.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The limit as the user wrote it, perhaps for any hook.
    pub limit: Limit,
    /// The hook that it was judged at. `None`: `any`, and none could be.
    pub hook: Option<Hook>,
    /// What became of it.
    pub result: Result<Judged, Unjudged>,
}

/// A limit that could be judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// The value is surely above the limit.
    pub exceeded: bool,
    /// What was found, in the limit's unit: percent, or ns.
    pub found: f64,
    /// What the true value is above with 95 % confidence, the bucket included,
    /// with no correction for there being other limits.
    pub lower_bound: f64,
    /// How likely a value at least as large is at the limit, adjusted for all
    /// limits that were judged together.
    pub p_value: f64,
    /// How many those are.
    pub together: usize,
    /// It was found above the limit, but by less than a bucket is wide.
    pub within_bucket: bool,
    /// The value is surely below the limit, as sure as it would be above.
    pub surely_within: bool,
}

/// Why a limit could not be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// A side does not have the hook.
    Off,
    /// A side has no latency there.
    Idle,
    /// Rounds or files that have the quantile, of A and of B, are too few.
    TooFew(PerSide<usize>),
    /// `any`, and no hook could be judged.
    None,
}

impl Unjudged {
    /// As in the JSON.
    pub fn code(self) -> &'static str {
        match self {
            Unjudged::Off => "off",
            Unjudged::Idle => "idle",
            Unjudged::TooFew(_) => "too-few-samples",
            Unjudged::None => "no-hook",
        }
    }
}

/// Where a limit for any hook could not be judged, though it could elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct NotJudged {
    /// The limit.
    pub limit: Limit,
    /// Hooks with too few samples for it.
    pub hooks: Vec<Hook>,
}

/// Of each limit for any hook that could be judged somewhere: where not. A hook
/// without samples is not meant.
pub(super) fn not_judged(outcomes: &[Outcome], findings: &[HookResult]) -> Vec<NotJudged> {
    let mut found: Vec<NotJudged> = Vec::new();
    for Outcome { limit, hook, .. } in outcomes {
        let known = found.iter().any(|other| other.limit == *limit);
        if known || limit.hook.is_some() || hook.is_none() {
            continue;
        }
        let judged = |hook: Hook| {
            let mut outcomes = outcomes.iter();
            outcomes.any(|outcome| outcome.limit == *limit && outcome.hook == Some(hook))
        };
        let hooks = findings.iter().filter(|finding| finding.has_samples());
        let hooks = hooks
            .map(|finding| finding.hook)
            .filter(|&hook| !judged(hook));
        found.push(NotJudged {
            limit: *limit,
            hooks: hooks.collect(),
        });
    }
    found.retain(|not_judged| !not_judged.hooks.is_empty());
    found
}

/// Judges all limits together. `any` stands for each hook that can be judged.
///
/// Limits on a change are answered like verdicts, by drawing the labels again,
/// for the values less the limit and a bucket. A level has no label: it is
/// judged by Student's t, for the minutes that were measured. Where there are
/// limits of both kinds, each kind gets half of the level (Bonferroni), as does
/// each level among several.
pub(super) fn judge(
    limits: &[Limit],
    findings: &[HookResult],
    samples: &[Vec<Samples>],
    judging: &Judging,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut changes: Vec<(usize, Question)> = Vec::new();
    let mut levels: Vec<(usize, f64)> = Vec::new();
    let mut labels = None;
    for limit in limits {
        let before = outcomes.len();
        for (finding, samples) in findings.iter().zip(samples) {
            if limit.hook.is_some_and(|hook| hook != finding.hook) {
                continue;
            }
            let samples = &samples[limit.quantity as usize];
            let row = finding.row(limit.quantity);
            let result = if samples.can_be_judged() {
                Ok(one(limit, samples, row, judging))
            } else {
                Err(unjudged(finding, limit.quantity))
            };
            if limit.hook.is_none() && result.is_err() {
                continue;
            }
            if let Ok(asked) = &result {
                match asked.question.clone() {
                    Some(question) => changes.push((outcomes.len(), question)),
                    None => levels.push((outcomes.len(), asked.judged.p_value)),
                }
                labels.get_or_insert_with(|| samples.labels(&judging.blocks));
            }
            outcomes.push(Outcome {
                limit: *limit,
                hook: Some(finding.hook),
                result: result.map(|asked| asked.judged),
            });
        }
        if outcomes.len() == before {
            outcomes.push(Outcome {
                limit: *limit,
                hook: None,
                result: Err(Unjudged::None),
            });
        }
    }
    let together = changes.len() + levels.len();
    let kinds = usize::from(!changes.is_empty()) + usize::from(!levels.is_empty());
    let (places, questions): (Vec<usize>, Vec<Question>) = changes.into_iter().unzip();
    let of_changes = match &labels {
        Some(labels) => max_t::answer(&questions, labels, judging.level, judging.seed).p_values,
        None => Vec::new(),
    };
    let of_levels = levels.len() as f64;
    let levels = levels.into_iter().map(|(place, p)| (place, p * of_levels));
    for (place, p_value) in places.into_iter().zip(of_changes).chain(levels) {
        if let Ok(judged) = &mut outcomes[place].result {
            judged.p_value = (p_value * kinds as f64).min(1.0);
            judged.together = together;
            judged.exceeded = judged.p_value <= judging.level;
            judged.within_bucket &= !judged.exceeded;
        }
    }
    outcomes
}

/// Why a hook's quantity cannot be judged, if it cannot.
pub(super) fn unjudged(finding: &HookResult, quantity: Quantity) -> Unjudged {
    if finding.measured.iter().any(|measured| !measured) {
        Unjudged::Off
    } else if finding.counts.iter().any(|&count| count == 0) {
        Unjudged::Idle
    } else {
        Unjudged::TooFew(finding.row(quantity).units)
    }
}

/// A limit at a hook, before it is known how many are judged with it.
struct Asked {
    judged: Judged,
    /// Of limits on a change.
    question: Option<Question>,
}

fn one(limit: &Limit, samples: &Samples, row: &Row, judging: &Judging) -> Asked {
    // A bucket is added to the limit: true values may be that much nearer.
    let (estimate, at, bucket, scale) = match limit.bound {
        Bound::Percent(percent) => {
            let bucket = row.bucket_ln;
            let at = (percent / 100.0).ln_1p();
            (samples.shift(Scale::Ratio), at, bucket, Some(Scale::Ratio))
        }
        Bound::Slower(ns) => {
            let bucket = row.bucket_ns.unwrap_or(0.0);
            let shift = samples.shift(Scale::Difference);
            (shift, ns as f64, bucket, Some(Scale::Difference))
        }
        Bound::Level(ns) => {
            let at = (ns.max(1) as f64).ln();
            (samples.level(), at, row.bucket_ln, None)
        }
    };
    let estimate = estimate.expect("it can be judged").with_bucket(bucket);
    let shown = |value: f64| match limit.bound {
        Bound::Percent(_) => percent(value),
        Bound::Slower(_) => value,
        Bound::Level(_) => value.exp(),
    };
    let question = scale.map(|scale| {
        let least = least_deviation(finite(bucket));
        // No value is above an infinite limit.
        samples.question(scale, finite(at + bucket), least, true)
    });
    Asked {
        judged: Judged {
            exceeded: false,
            found: shown(estimate.ln),
            lower_bound: shown(estimate.lower_bound()),
            p_value: above(&estimate, at + bucket),
            together: 0,
            within_bucket: estimate.ln > at,
            surely_within: surely_below(&estimate, at - bucket, judging.level),
        },
        question: question.filter(|_| bucket.is_finite()),
    }
}

fn above(estimate: &Shift, at: f64) -> f64 {
    if at.is_finite() {
        estimate.p_above(at)
    } else {
        1.0
    }
}

fn surely_below(estimate: &Shift, at: f64, level: f64) -> bool {
    // How likely an estimate at least as small is at the limit.
    at.is_finite() && 1.0 - estimate.p_above(at) <= level
}
