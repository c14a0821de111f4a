// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Between which hooks a change appears.
//!
//! Quantiles do not subtract: the p99 at a hook minus the p99 at the hook
//! before it is the p99 of nothing. What can be told is at which hook a change
//! is first seen, and whether it could have been seen before.

use crate::analysis::fail_if::{Unjudged, unjudged};
use crate::analysis::hook_result::{HookResult, Row, Verdict};
use crate::analysis::warnings::Warning;
use crate::model::hooks::{Hook, Protocol};
use crate::model::quantity::Quantity;

/// Where a change of some quantiles begins on a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Onset {
    /// Whose path.
    pub path: Protocol,
    /// The quantities that it is true of.
    pub quantities: Vec<Quantity>,
    /// Quantities of which no change was found on the whole path, though the
    /// first hook was judged.
    pub unchanged: Vec<Quantity>,
    /// Quantities that could not be judged at the first hook.
    pub not_judged: Vec<Quantity>,
    /// The first hook with a verdict.
    pub first: Hook,
    /// Which way it changes there.
    pub verdict: Verdict,
    /// The nearest hook before it that was judged, without a change.
    pub not_at: Option<Hook>,
    /// The interval there reaches as far, in ns and in its direction, as the
    /// near end of the change's own: it may have begun there unseen.
    pub may_hide: bool,
    /// Hooks between the two, or before the first, that do not tell.
    pub unjudged: Vec<(Hook, Reason)>,
    /// What was found at the hooks after the first, where they were judged.
    pub after: Vec<After>,
}

impl Onset {
    /// Hooks after the first at which something else was found.
    fn differs_after(&self) -> impl Iterator<Item = &After> {
        let same = self.verdict;
        self.after.iter().filter(move |after| after.verdict != same)
    }
}

/// What was found at a hook after the first that shows a change.
#[derive(Clone, Debug, PartialEq)]
pub struct After {
    /// The hook.
    pub hook: Hook,
    /// What was found.
    pub verdict: Verdict,
    /// It shows nothing, and would not if the same time were added there, too.
    pub may_hide: bool,
}

/// Why a hook says nothing of where a change begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// It could not be judged.
    Unjudged(Unjudged),
    /// It was, with a warning of its own.
    InDoubt,
    /// There is a difference, of less than a bucket.
    BelowBucket,
}

/// What a hook says of a quantile.
enum State<'a> {
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
            let Some(onset) = of_path(path, quantity, hooks, warnings) else {
                continue;
            };
            // Said once of several, where the same is true of all.
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
        let told: Vec<Quantity> = onsets[before..]
            .iter()
            .flat_map(|onset| onset.quantities.clone())
            .collect();
        for onset in &mut onsets[before..] {
            // What was judged before that hook only says nothing of the change.
            let judged = |&quantity: &Quantity| {
                let row = hooks[onset.first.index()].row(quantity);
                row.verdict.is_some()
            };
            let others = Quantity::JUDGED.into_iter().filter(|q| !told.contains(q));
            (onset.unchanged, onset.not_judged) = others.partition(judged);
        }
    }
    onsets
}

fn state<'a>(finding: &'a HookResult, quantity: Quantity, warnings: &[Warning]) -> State<'a> {
    let row = finding.row(quantity);
    let own = |warning: &Warning| {
        warning.hook == Some(finding.hook) && warning.puts_in_doubt(finding.hook, quantity)
    };
    match row.verdict {
        None => State::Not(Reason::Unjudged(unjudged(finding, quantity))),
        Some(Verdict::NotFound) if warnings.iter().any(own) => State::Not(Reason::InDoubt),
        // Neither without the change, nor surely with it.
        Some(Verdict::BelowBucket) => State::Not(Reason::BelowBucket),
        Some(verdict) => State::Judged(verdict, row),
    }
}

fn of_path(
    path: Protocol,
    quantity: Quantity,
    hooks: &[HookResult],
    warnings: &[Warning],
) -> Option<Onset> {
    let states: Vec<(Hook, State)> = path
        .path()
        .map(|hook| (hook, state(&hooks[hook.index()], quantity, warnings)))
        .collect();
    let changed = |(_, state): &(Hook, State)| {
        matches!(state, State::Judged(Verdict::Slower | Verdict::Faster, _))
    };
    let begins = states.iter().position(changed)?;
    let (first, State::Judged(verdict, row)) = &states[begins] else {
        return None;
    };
    let mut onset = Onset {
        path,
        quantities: vec![quantity],
        unchanged: Vec::new(),
        not_judged: Vec::new(),
        first: *first,
        verdict: *verdict,
        not_at: None,
        may_hide: false,
        unjudged: Vec::new(),
        after: Vec::new(),
    };
    for (hook, state) in states[..begins].iter().rev() {
        match state {
            State::Judged(_, before) => {
                onset.not_at = Some(*hook);
                onset.may_hide = may_hide(before, row);
                break;
            }
            State::Not(why) => onset.unjudged.insert(0, (*hook, *why)),
        }
    }
    for (hook, state) in &states[begins + 1..] {
        if let State::Judged(verdict, later) = state {
            onset.after.push(After {
                hook: *hook,
                verdict: *verdict,
                may_hide: *verdict == Verdict::NotFound && may_hide(later, row),
            });
        }
    }
    Some(onset)
}

/// Whether a shift as large could be unseen at another hook: as large as the
/// seen one may be at least, in ns; of the tail, as a ratio.
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
