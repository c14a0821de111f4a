// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Where a change begins, in words that do not pretend that quantiles subtract.

use crate::analysis::Verdict;
use crate::analysis::fail_if::Unjudged;
use crate::analysis::onset::{After, Onset, Reason};
use crate::model::quantity::Quantity;

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
    // Where it may have begun before, that is said at once.
    let hidden_before = onset.may_hide || !onset.unjudged.is_empty();
    let mut text = format!(
        "{} {}, first seen at {}{}: ",
        list(&names(&onset.quantities)),
        onset.verdict.name(),
        onset.first,
        if hidden_before {
            " (it begins there or before)"
        } else {
            ""
        }
    );
    let first = onset.first.before();
    match onset.not_at {
        Some(hook) if onset.unjudged.is_empty() => {
            text += &format!("between {hook} and it lie {first}.");
        }
        Some(hook) => {
            let mut between: Vec<&str> = onset
                .unjudged
                .iter()
                .map(|(hook, _)| hook.before())
                .collect();
            between.push(first);
            text += &format!("between {hook} and it lie {}.", between.join("; "));
        }
        None if onset.first.after().is_none() => {
            text += &format!("between the packet's stamp and it lie {first}.");
        }
        None => text += &format!("before it lie {first}."),
    }
    if let Some(hook) = onset.not_at {
        text += &if onset.may_hide {
            format!(" It was not found at {hook}, where a shift as large in time may be unseen.")
        } else {
            format!(" It was not found at {hook}.")
        };
    }
    for (hook, why) in &onset.unjudged {
        let before = match onset.not_at {
            Some(_) => "",
            None => " or before",
        };
        text += &match why {
            Reason::BelowBucket => format!(
                " At {hook} there is a change of less than a bucket of the histogram, so it may \
                 have begun there{before}."
            ),
            _ => format!(
                " {hook} could not be judged ({}), so it may have begun there{before}.",
                reason(*why)
            ),
        };
    }
    let after = |wanted: &dyn Fn(&After) -> bool| {
        let after = onset.after.iter().filter(|after| wanted(after));
        after.map(|after| after.hook.name()).collect::<Vec<_>>()
    };
    let opposite = after(&|after| after.verdict.is_change() && after.verdict != onset.verdict);
    let not_found = |after: &After| !after.verdict.is_change();
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
    if !onset.unchanged.is_empty() {
        let unchanged = list(&names(&onset.unchanged));
        text += &format!(" No change of the {unchanged} was found.");
    }
    if !onset.not_judged.is_empty() {
        let not_judged = list(&names(&onset.not_judged));
        text += &format!(" The {not_judged} could not be judged.");
    }
    text
}

fn names(quantities: &[Quantity]) -> Vec<String> {
    quantities.iter().map(|quantity| quantity.name()).collect()
}

fn reason(why: Reason) -> &'static str {
    match why {
        Reason::Unjudged(why) => unjudged(why),
        Reason::InDoubt => "see the warnings",
        Reason::BelowBucket => "less than a bucket",
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
