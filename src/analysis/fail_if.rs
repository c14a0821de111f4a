// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Decides whether `--fail-if` limits are exceeded, with 95 % confidence.

use crate::analysis::hook_result::{HookResult, Row};
use crate::analysis::samples::{Samples, Scale};
use crate::analysis::verdicts::{Judging, finite, least_deviation};
use crate::model::fail_if::{Bound, Limit};
use crate::model::group::Group;
use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::stats::max_t::{self, Question};
use crate::stats::shift::{Shift, percent};

/// The worst outcome of all limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Worst {
    /// A limit is exceeded. This outweighs a limit that could not be judged.
    Exceeded,
    /// A limit could not be judged.
    NotJudged,
    /// All limits were judged, and none is exceeded.
    Within,
}

/// The worst of these outcomes.
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

/// The outcome of a limit at a hook.
#[derive(Clone, Debug, PartialEq)]
pub struct Outcome {
    /// The limit as the user wrote it, perhaps for any hook.
    pub limit: Limit,
    /// The hook. `None` if the limit is for `any` and could be judged at none.
    pub hook: Option<Hook>,
    /// The group. `None`: all packets.
    pub group: Option<Group>,
    pub result: Result<Judged, Unjudged>,
}

/// A limit that could be judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Judged {
    /// The value is above the limit with 95 % confidence.
    pub exceeded: bool,
    /// The value, in the limit's unit: percent or ns.
    pub found: f64,
    /// The true value is above this with 95 % confidence. The width of a bucket
    /// is included. Other limits are not corrected for.
    pub lower_bound: f64,
    /// The probability of a value at least as large if the truth is at the
    /// limit, adjusted for all limits that were judged together.
    pub p_value: f64,
    /// The number of limits judged together.
    pub together: usize,
    /// The value is above the limit, but by less than the width of a bucket.
    pub within_bucket: bool,
    /// The value is below the limit with the same confidence.
    pub surely_within: bool,
}

/// Why a limit could not be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// A side does not have the hook.
    Off,
    /// A side has no latency there.
    Idle,
    /// Too few rounds or files have the quantile. So many of each side do.
    TooFew(PerSide<usize>),
    /// The limit is for `any` hook, and could be judged at none.
    None,
}

impl Unjudged {
    /// The name in the JSON.
    pub fn code(self) -> &'static str {
        match self {
            Unjudged::Off => "off",
            Unjudged::Idle => "idle",
            Unjudged::TooFew(_) => "too-few-samples",
            Unjudged::None => "no-hook",
        }
    }
}

/// A limit for `any` hook that could be judged at some hooks only, or one that could
/// be judged for some groups only.
#[derive(Clone, Debug, PartialEq)]
pub struct NotJudged {
    pub limit: Limit,
    /// The hooks with too few samples.
    pub hooks: Vec<Hook>,
    /// The groups with too few samples at each hook of the limit.
    pub groups: Vec<Group>,
}

/// For each limit for `any` hook that was judged at some hook: the hooks at
/// which it was not. For each limit: the groups for which it was not judged at
/// all. Hooks and groups without samples do not count.
pub(super) fn not_judged(outcomes: &[Outcome], results: &[HookResult]) -> Vec<NotJudged> {
    let mut found: Vec<NotJudged> = Vec::new();
    for Outcome { limit, .. } in outcomes {
        if found.iter().any(|other| other.limit == *limit) {
            continue;
        }
        let of_limit = || outcomes.iter().filter(|outcome| outcome.limit == *limit);
        let lacking = |result: &&HookResult| {
            let here = |outcome: &Outcome| {
                outcome.hook == Some(result.hook) && outcome.group == result.group
            };
            let concerned = limit.hook.is_none_or(|hook| hook == result.hook);
            concerned && result.has_samples() && !of_limit().any(here)
        };
        let judged_somewhere = of_limit().any(|outcome| outcome.hook.is_some());
        let hooks = results.iter().filter(|result| result.group.is_none());
        let groups = results
            .iter()
            .filter(lacking)
            .filter_map(|result| result.group.as_ref());
        let mut groups: Vec<Group> = groups.cloned().collect();
        groups.dedup();
        groups.retain(|group| !of_limit().any(|outcome| outcome.group.as_ref() == Some(group)));
        found.push(NotJudged {
            limit: *limit,
            hooks: match limit.hook {
                None if judged_somewhere => hooks.filter(lacking).map(|found| found.hook).collect(),
                _ => Vec::new(),
            },
            groups,
        });
    }
    found.retain(|not_judged| !not_judged.hooks.is_empty() || !not_judged.groups.is_empty());
    found
}

/// Judges all limits together. `any` stands for each hook that can be judged. Each
/// limit also holds for each group that can be judged.
///
/// Limits on a change are judged like verdicts, by drawing the labels again. The
/// limit and the width of a bucket are first subtracted from the values. A limit
/// on B itself has no labels to draw: Student's t judges it, for the time that
/// was measured. If there are limits of both kinds, each kind gets half of the
/// significance level (Bonferroni); several limits on B itself share theirs.
pub(super) fn judge(
    limits: &[Limit],
    results: &[HookResult],
    samples: &[Vec<Samples>],
    judging: &Judging,
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut changes: Vec<(usize, Question)> = Vec::new();
    let mut levels: Vec<(usize, f64)> = Vec::new();
    let mut labels = None;
    for limit in limits {
        let before = outcomes.len();
        for (hook_result, samples) in results.iter().zip(samples) {
            if limit.hook.is_some_and(|hook| hook != hook_result.hook) {
                continue;
            }
            let samples = &samples[limit.quantity as usize];
            let row = hook_result.row(limit.quantity);
            let result = if samples.can_be_judged() {
                Ok(ask(limit, samples, row, judging))
            } else {
                Err(unjudged(hook_result, limit.quantity))
            };
            let is_one_of_many = limit.hook.is_none() || hook_result.group.is_some();
            if is_one_of_many && result.is_err() {
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
                hook: Some(hook_result.hook),
                group: hook_result.group.clone(),
                result: result.map(|asked| asked.judged),
            });
        }
        if outcomes.len() == before {
            outcomes.push(Outcome {
                limit: *limit,
                hook: None,
                group: None,
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

/// The reason why a hook's quantity was not judged.
pub(super) fn unjudged(result: &HookResult, quantity: Quantity) -> Unjudged {
    if result.measured.iter().any(|measured| !measured) {
        Unjudged::Off
    } else if result.counts.iter().any(|&count| count == 0) {
        Unjudged::Idle
    } else {
        Unjudged::TooFew(result.row(quantity).units)
    }
}

/// A limit at a hook. The p-value is not yet adjusted for the other limits.
struct Asked {
    judged: Judged,
    /// `None` for a limit on B itself.
    question: Option<Question>,
}

fn ask(limit: &Limit, samples: &Samples, row: &Row, judging: &Judging) -> Asked {
    // The true value may be nearer to the limit by the width of a bucket.
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
        // The question of an infinite limit is dropped below.
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
    // The probability of an estimate at least as small if the truth is at the limit.
    at.is_finite() && 1.0 - estimate.p_above(at) <= level
}
