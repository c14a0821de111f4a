// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Whether `--fail-if` limits are passed, as sure as 95 %.

use crate::analysis::limit::{Bound, Limit};
use crate::analysis::values::Values;
use crate::analysis::{Finding, LEVEL, Row};
use crate::model::hooks::Hook;
use crate::stats::holm;
use crate::stats::shift::Shift;

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
    /// The value surely clears the limit.
    pub passed: bool,
    /// What was found, in the limit's unit: percent, or ns.
    pub found: f64,
    /// What the true value is above with 95 % confidence, with no correction
    /// for there being other limits.
    pub lower_bound: f64,
    /// How likely a value at least as large is at the limit.
    pub p_value: f64,
    /// Limits that were judged together, to which Holm's correction is due.
    pub together: usize,
    /// It would be passed, but is nearer than a bucket is wide.
    pub within_bucket: bool,
}

/// Why a limit could not be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// A side does not have the hook.
    Off,
    /// A side has no latency there.
    Idle,
    /// Rounds or files that have the quantile, of A and of B, are too few.
    TooFew([usize; 2]),
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

/// Judges all limits together: one by its one-sided bound, several by Holm's
/// correction. `any` stands for each hook that can be judged.
pub(super) fn judge(limits: &[Limit], hooks: &[Finding], values: &[Vec<Values>]) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    for limit in limits {
        let before = outcomes.len();
        for (finding, values) in hooks.iter().zip(values) {
            if limit.hook.is_some_and(|hook| hook != finding.hook) {
                continue;
            }
            let result = one(limit, finding, &values[limit.quantile]);
            if limit.hook.is_none() && result.is_err() {
                continue;
            }
            outcomes.push(Outcome {
                limit: *limit,
                hook: Some(finding.hook),
                result,
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
    let mut judged: Vec<&mut Judged> = outcomes
        .iter_mut()
        .filter_map(|outcome| outcome.result.as_mut().ok())
        .collect();
    let p_values: Vec<f64> = judged.iter().map(|judged| judged.p_value).collect();
    let together = judged.len();
    for (judged, clears) in judged.iter_mut().zip(holm::rejected(&p_values, LEVEL)) {
        judged.together = together;
        judged.passed = clears && !judged.within_bucket;
        judged.within_bucket &= clears;
    }
    outcomes
}

/// Why a hook's quantile cannot be judged, if it cannot.
pub(super) fn unjudged(finding: &Finding, quantile: usize) -> Unjudged {
    if finding.measured.contains(&false) {
        Unjudged::Off
    } else if finding.counts.contains(&0) {
        Unjudged::Idle
    } else {
        Unjudged::TooFew(finding.rows[quantile].units)
    }
}

fn one(limit: &Limit, finding: &Finding, values: &Values) -> Result<Judged, Unjudged> {
    let why = || unjudged(finding, limit.quantile);
    if !values.can_be_judged() {
        return Err(why());
    }
    let row = &finding.rows[limit.quantile];
    let (estimate, at) = match limit.bound {
        Bound::Percent(percent) => (values.shift(), (percent / 100.0).ln_1p()),
        Bound::Slower(ns) => (values.shift_ns(), ns as f64),
        Bound::Level(ns) => (values.level(), (ns.max(1) as f64).ln()),
    };
    let estimate = estimate.ok_or_else(why)?;
    let shown = |value: f64| match limit.bound {
        Bound::Percent(_) => crate::stats::shift::percent(value),
        Bound::Slower(_) => value,
        Bound::Level(_) => value.exp(),
    };
    Ok(Judged {
        passed: false,
        found: shown(estimate.ln),
        lower_bound: shown(estimate.lower_bound()),
        p_value: estimate.p_above(at),
        together: 0,
        within_bucket: within_bucket(limit.bound, &estimate, row),
    })
}

/// Whether the estimate claims what the buckets cannot tell: a shift of less
/// than a bucket, or a level above a limit in the same bucket.
fn within_bucket(bound: Bound, estimate: &Shift, row: &Row) -> bool {
    match bound {
        Bound::Percent(_) => row.bucket_ln.is_none_or(|width| estimate.ln < width),
        Bound::Slower(_) => row.bucket_ns.is_none_or(|width| estimate.ln < width),
        Bound::Level(ns) => row.b_low_ns.is_none_or(|low| low < ns as f64),
    }
}
