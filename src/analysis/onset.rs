// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Finds the hooks between which a change begins.
//!
//! Quantiles cannot be subtracted: the p99 at a hook minus the p99 at the hook
//! before it is not the p99 of anything. But the first hook at which a change is
//! seen is known, and whether the hooks before it could have shown the change.

use crate::analysis::fail_if::{Unjudged, unjudged};
use crate::analysis::hook_result::{HookResult, Row, Verdict};
use crate::analysis::warnings::Warning;
use crate::model::hooks::{Hook, Protocol};
use crate::model::quantity::Quantity;

/// The hook at which a change of some quantities is first seen on a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Onset {
    pub path: Protocol,
    /// The quantities that have this onset.
    pub quantities: Vec<Quantity>,
    /// Quantities without a change on the whole path, which were judged at the
    /// first hook.
    pub unchanged: Vec<Quantity>,
    /// Quantities that could not be judged at the first hook.
    pub not_judged: Vec<Quantity>,
    /// The first hook with a verdict.
    pub first: Hook,
    /// Slower or faster.
    pub verdict: Verdict,
    /// The nearest hook before it that was judged, and shows no change.
    pub not_at: Option<Hook>,
    /// The change may have begun at `not_at` unseen: the interval there reaches as
    /// far, in ns, as the near end of the interval of the change.
    pub may_hide: bool,
    /// Hooks between `not_at` and `first`, or before `first`, without an answer.
    pub unjudged: Vec<(Hook, Reason)>,
    /// The judged hooks after the first.
    pub after: Vec<After>,
}

impl Onset {
    /// Hooks after the first with another verdict.
    fn differs_after(&self) -> impl Iterator<Item = &After> {
        let same = self.verdict;
        self.after.iter().filter(move |after| after.verdict != same)
    }
}

/// A hook after the first that shows a change.
#[derive(Clone, Debug, PartialEq)]
pub struct After {
    pub hook: Hook,
    pub verdict: Verdict,
    /// The hook shows no change, and the same added time would not be seen there.
    pub may_hide: bool,
}

/// Why a hook has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    Unjudged(Unjudged),
    /// It shows no change, but a warning is about this hook.
    InDoubt,
    /// The change is less than the width of a bucket.
    BelowBucket,
}

/// The answer of a hook for a quantity.
enum Answer<'a> {
    Judged(Verdict, &'a Row),
    Not(Reason),
}

pub(super) fn find(hooks: &[HookResult], warnings: &[Warning]) -> Vec<Onset> {
    let mut onsets: Vec<Onset> = Vec::new();
    let is_live = |path: Protocol| {
        let mut own = path.path().filter(|hook| hook.protocol() == Some(path));
        own.any(|hook| hooks[hook.index()].has_samples())
    };
    let live: Vec<Protocol> = Protocol::all()
        .into_iter()
        .filter(|path| is_live(*path))
        .collect();
    for path in live {
        let before = onsets.len();
        for quantity in Quantity::JUDGED {
            for onset in of_path(path, quantity, hooks, warnings) {
                // Quantities with the same onset share it.
                let same = |other: &Onset| {
                    let of_other = Onset {
                        quantities: other.quantities.clone(),
                        after: other.after.clone(),
                        ..onset.clone()
                    };
                    *other == of_other && other.differs_after().eq(onset.differs_after())
                };
                match onsets[before..].iter().position(same) {
                    Some(place) => onsets[before + place].quantities.push(quantity),
                    None => onsets.push(onset),
                }
            }
        }
        let onset_quantities: Vec<Quantity> = onsets[before..]
            .iter()
            .flat_map(|onset| onset.quantities.clone())
            .collect();
        for onset in &mut onsets[before..] {
            // Only a verdict at the first hook counts.
            let judged = |&quantity: &Quantity| {
                let row = hooks[onset.first.index()].row(quantity);
                row.verdict.is_some()
            };
            let others = Quantity::JUDGED
                .into_iter()
                .filter(|q| !onset_quantities.contains(q));
            (onset.unchanged, onset.not_judged) = others.partition(judged);
        }
    }
    onsets
}

fn answer<'a>(result: &'a HookResult, quantity: Quantity, warnings: &[Warning]) -> Answer<'a> {
    let row = result.row(quantity);
    let own = |warning: &Warning| {
        warning.hook == Some(result.hook) && warning.puts_in_doubt(result.hook, quantity)
    };
    match row.verdict {
        None => Answer::Not(Reason::Unjudged(unjudged(result, quantity))),
        Some(Verdict::NotFound) if warnings.iter().any(own) => Answer::Not(Reason::InDoubt),
        // The change may begin here or not.
        Some(Verdict::BelowBucket) => Answer::Not(Reason::BelowBucket),
        Some(verdict) => Answer::Judged(verdict, row),
    }
}

/// The onsets of a quantity: the hooks with a change on whose way there is none before
/// them. A path can part into several, and then each part can have one.
fn of_path(
    path: Protocol,
    quantity: Quantity,
    hooks: &[HookResult],
    warnings: &[Warning],
) -> Vec<Onset> {
    let answers: Vec<(Hook, Answer)> = path
        .path()
        .map(|hook| (hook, answer(&hooks[hook.index()], quantity, warnings)))
        .collect();
    let changed: Vec<(Hook, Verdict, &Row)> = answers
        .iter()
        .filter_map(|(hook, answer)| match answer {
            Answer::Judged(verdict @ (Verdict::Slower | Verdict::Faster), row) => {
                Some((*hook, *verdict, *row))
            }
            _ => None,
        })
        .collect();
    let is_first = |hook: Hook| !changed.iter().any(|(other, ..)| hook.is_behind(*other));
    let firsts = changed.iter().filter(|(hook, ..)| is_first(*hook));
    let onsets = firsts.map(|&(first, verdict, row)| {
        let mut onset = Onset {
            path,
            quantities: vec![quantity],
            unchanged: Vec::new(),
            not_judged: Vec::new(),
            first,
            verdict,
            not_at: None,
            may_hide: false,
            unjudged: Vec::new(),
            after: Vec::new(),
        };
        let before = answers.iter().rev();
        for (hook, answer) in before.filter(|(hook, _)| first.is_behind(*hook)) {
            match answer {
                Answer::Judged(_, before) => {
                    onset.not_at = Some(*hook);
                    onset.may_hide = may_hide(before, row);
                    break;
                }
                Answer::Not(why) => onset.unjudged.insert(0, (*hook, *why)),
            }
        }
        let after = answers.iter();
        for (hook, answer) in after.filter(|(hook, _)| hook.is_behind(first)) {
            if let Answer::Judged(verdict, later) = answer {
                onset.after.push(After {
                    hook: *hook,
                    verdict: *verdict,
                    may_hide: *verdict == Verdict::NotFound && may_hide(later, row),
                });
            }
        }
        onset
    });
    onsets.collect()
}

/// Whether the same change could be present at another hook without being seen.
/// The smallest change in the interval is compared with the far end of the
/// interval at the other hook, in ns; for the tail, as a ratio.
fn may_hide(other: &Row, seen: &Row) -> bool {
    let (Some(seen_shift), Some(other_shift)) = (seen.shift, other.shift) else {
        return true;
    };
    let slower = seen_shift.ln > 0.0;
    let ((seen_low, seen_high), (other_low, other_high)) =
        (seen_shift.interval(), other_shift.interval());
    let (least, reach) = if slower {
        (seen_low, other_high)
    } else {
        (seen_high, other_low)
    };
    let (Some(of_seen), Some(of_other)) = (seen.levels.a, other.levels.a) else {
        return true;
    };
    let (least, reach) = match seen.quantity {
        Quantity::Tail => (least, reach),
        _ => (of_seen * least.exp_m1(), of_other * reach.exp_m1()),
    };
    if slower {
        reach >= least
    } else {
        reach <= least
    }
}
