// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Where a change begins, in words that do not pretend that quantiles subtract.

use crate::analysis::judge::Unjudged;
use crate::analysis::onset::{After, Onset, Reason};
use crate::analysis::{JUDGED, Verdict, path};
use crate::model::hooks::Hook;
use crate::model::quantile::REPORTED;

/// Whether something was found.
pub(super) fn is_change(verdict: Option<Verdict>) -> bool {
    matches!(verdict, Some(Verdict::Slower | Verdict::Faster))
}

/// `a, b and c`.
pub(super) fn list<S: AsRef<str>>(items: &[S]) -> String {
    match items {
        [] => String::new(),
        [one] => one.as_ref().into(),
        [most @ .., last] => {
            let most: Vec<&str> = most.iter().map(AsRef::as_ref).collect();
            format!("{} and {}", most.join(", "), last.as_ref())
        }
    }
}

/// Where a change begins.
pub(super) fn sentence(onset: &Onset) -> String {
    let quantiles: Vec<String> = onset
        .quantiles
        .iter()
        .map(|&place| REPORTED[place].name())
        .collect();
    let mut text = format!(
        "{} {}, first seen at {}: ",
        list(&quantiles),
        onset.verdict.name(),
        onset.first
    );
    let first = path::before(onset.first);
    match onset.not_at {
        Some(hook) if onset.unjudged.is_empty() => {
            text += &format!("between {hook} and it lie {first}.");
        }
        Some(hook) => {
            let mut between: Vec<&str> = onset
                .unjudged
                .iter()
                .map(|(hook, _)| path::before(*hook))
                .collect();
            between.push(first);
            text += &format!("between {hook} and it lie {}.", between.join("; "));
        }
        None if onset.first == Hook::IP_START => {
            text += &format!("between the packet's stamp and it lie {first}.");
        }
        None => text += &format!("before it lie {first}."),
    }
    if let Some(hook) = onset.not_at {
        text += &match onset.may_hide {
            true => format!(
                " It was not found at {hook}, where a shift as large in time would not have been \
                 seen: it may have begun there."
            ),
            false => format!(" It was not found at {hook}."),
        };
    }
    for (hook, why) in &onset.unjudged {
        text += &format!(
            " {hook} could not be judged ({}), so it may have begun there{}.",
            reason(*why),
            match onset.not_at {
                Some(_) => "",
                None => " or before",
            }
        );
    }
    let after = |wanted: &dyn Fn(&After) -> bool| {
        let after = onset.after.iter().filter(|after| wanted(after));
        after.map(|after| after.hook.name()).collect::<Vec<_>>()
    };
    let opposite = after(&|after| is_change(Some(after.verdict)) && after.verdict != onset.verdict);
    let not_found = |after: &After| after.verdict == Verdict::NotFound;
    let gone = after(&|after| not_found(after) && !after.may_hide);
    let hidden = after(&|after| not_found(after) && after.may_hide);
    if !opposite.is_empty() {
        let other_way = match onset.verdict {
            Verdict::Slower => Verdict::Faster,
            _ => Verdict::Slower,
        };
        text += &format!(
            " Further on, at {}, it is {}.",
            list(&opposite),
            other_way.name()
        );
    }
    if !gone.is_empty() {
        text += &format!(" Further on, at {}, it is gone.", list(&gone));
    }
    if !hidden.is_empty() {
        text += &format!(
            " Further on, at {}, as much time would not have been seen.",
            list(&hidden)
        );
    }
    if onset.only {
        let other: Vec<String> = JUDGED
            .iter()
            .filter(|place| !onset.quantiles.contains(place))
            .map(|&place| REPORTED[place].name())
            .collect();
        if !other.is_empty() {
            text += &match onset.other_judged {
                true => format!(" Of the {} no change was found.", list(&other)),
                false => format!(" The {} could not be judged.", list(&other)),
            };
        }
    }
    text
}

fn reason(why: Reason) -> &'static str {
    match why {
        Reason::Unjudged(why) => unjudged(why),
        Reason::Tempered => "see the cautions",
    }
}

/// Why nothing can be said.
pub(super) fn unjudged(why: Unjudged) -> &'static str {
    match why {
        Unjudged::Off => "it is off",
        Unjudged::Idle => "it is idle",
        Unjudged::TooFew(_) => "too few samples",
        Unjudged::None => "no hook could be",
    }
}
