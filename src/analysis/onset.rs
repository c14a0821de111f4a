// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Between which hooks a change appears.
//!
//! Quantiles do not subtract: the p99 at a hook minus the p99 at the hook
//! before it is the p99 of nothing. What can be told is at which hook a change
//! is first seen, and whether it could have been seen before.

use crate::analysis::caution::Caution;
use crate::analysis::judge::{Unjudged, unjudged};
use crate::analysis::path::Path;
use crate::analysis::{Finding, JUDGED, Row, Verdict};
use crate::model::hooks::Hook;

/// Where a change of some quantiles begins on a path.
#[derive(Clone, Debug, PartialEq)]
pub struct Onset {
    /// On which way.
    pub path: Path,
    /// The quantiles that it is true of, by place in the reported ones.
    pub quantiles: Vec<usize>,
    /// No change of the other quantile was found on the whole path.
    pub only: bool,
    /// The other quantile could be judged somewhere on the path.
    pub other_judged: bool,
    /// The first hook with a verdict.
    pub first: Hook,
    /// Which way it changes there.
    pub verdict: Verdict,
    /// The nearest hook before it that was judged, without a change.
    pub not_at: Option<Hook>,
    /// The interval there reaches as far as the change itself, in ns and in
    /// its direction: it may have begun there unseen.
    pub may_hide: bool,
    /// Hooks between the two, or before the first, that were not judged.
    pub unjudged: Vec<(Hook, Reason)>,
    /// What was found at the hooks after the first, where they were judged.
    pub after: Vec<After>,
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
    /// It was, with a caution of its own.
    Tempered,
}

/// What a hook says of a quantile.
enum State<'a> {
    Judged(Verdict, &'a Row),
    Not(Reason),
}

pub(super) fn find(hooks: &[Finding], cautions: &[Caution]) -> Vec<Onset> {
    let mut onsets: Vec<Onset> = Vec::new();
    let is_live = |path: Path| {
        let mut own = path.hooks().filter(|hook| *hook != Hook::IP_START);
        own.any(|hook| hooks[hook.index()].has_samples())
    };
    let live: Vec<Path> = Path::ALL
        .into_iter()
        .filter(|path| is_live(*path))
        .collect();
    for path in live {
        let before = onsets.len();
        for quantile in JUDGED {
            let Some(onset) = of_path(path, quantile, hooks, cautions) else {
                continue;
            };
            // Said once of both, where the same is true of both.
            let same = |other: &Onset| {
                let quantiles = other.quantiles.clone();
                *other
                    == Onset {
                        quantiles,
                        ..onset.clone()
                    }
            };
            match onsets[before..].iter().position(same) {
                Some(place) => onsets[before + place].quantiles.push(quantile),
                None => onsets.push(onset),
            }
        }
        let told: usize = onsets[before..]
            .iter()
            .map(|onset| onset.quantiles.len())
            .sum();
        for onset in &mut onsets[before..] {
            onset.only = told < JUDGED.len();
            let mut others = JUDGED
                .iter()
                .filter(|place| !onset.quantiles.contains(place));
            onset.other_judged = others.any(|&place| {
                let mut on_path = path.hooks();
                on_path.any(|hook| hooks[hook.index()].rows[place].verdict.is_some())
            });
        }
    }
    onsets
}

fn state<'a>(finding: &'a Finding, quantile: usize, cautions: &[Caution]) -> State<'a> {
    let row = &finding.rows[quantile];
    let own = |caution: &Caution| {
        caution.hook == Some(finding.hook) && caution.tempers(finding.hook, quantile)
    };
    match row.verdict {
        None => State::Not(Reason::Unjudged(unjudged(finding, quantile))),
        Some(Verdict::NotFound) if cautions.iter().any(own) => State::Not(Reason::Tempered),
        Some(verdict) => State::Judged(verdict, row),
    }
}

fn of_path(path: Path, quantile: usize, hooks: &[Finding], cautions: &[Caution]) -> Option<Onset> {
    let states: Vec<(Hook, State)> = path
        .hooks()
        .map(|hook| (hook, state(&hooks[hook.index()], quantile, cautions)))
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
        quantiles: vec![quantile],
        only: false,
        other_judged: false,
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

/// Whether a shift as large, in ns, could be unseen at another hook.
fn may_hide(other: &Row, seen: &Row) -> bool {
    let reach = |slower: bool| {
        let (low, high) = other.shift?.interval();
        Some(other.a_ns? * if slower { high } else { low }.exp_m1())
    };
    let (Some(a), Some(b)) = (seen.a_ns, seen.b_ns) else {
        return true;
    };
    match reach(b > a) {
        Some(reach) if b > a => reach >= b - a,
        Some(reach) => reach <= b - a,
        None => true,
    }
}
