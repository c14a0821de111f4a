// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The sentence that says where a change begins. It does not subtract quantiles.

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
    with_reasons(onset, reason)
}

/// Where a change of a group begins. Its packets are not known as such at each hook.
pub(super) fn sentence_of_group(onset: &Onset) -> String {
    with_reasons(onset, |why| match why {
        Reason::Unjudged(Unjudged::Idle) => "no packets are known to be of this group there",
        why => reason(why),
    })
}

fn with_reasons(onset: &Onset, reason: impl Fn(Reason) -> &'static str) -> String {
    // A possible earlier beginning comes first.
    let hidden_before = onset.may_hide || !onset.unjudged.is_empty();
    let mut text = format!(
        "{} {}, first seen at {}{}. ",
        list(&names(&onset.quantities)),
        onset.verdict.name(),
        onset.first,
        if hidden_before {
            " (it begins there or earlier)"
        } else {
            ""
        }
    );
    let first = onset.first.before();
    match onset.not_at {
        Some(hook) if onset.unjudged.is_empty() => {
            text += &format!("Between {hook} and {}: {first}.", onset.first);
        }
        Some(hook) => {
            let mut between: Vec<&str> = onset
                .unjudged
                .iter()
                .map(|(hook, _)| hook.before())
                .collect();
            between.push(first);
            let between = between.join("; ");
            text += &format!("Between {hook} and {}: {between}.", onset.first);
        }
        None if onset.first.after().is_none() => {
            text += &format!("Between the timestamp and {}: {first}.", onset.first);
        }
        None => text += &format!("Before {}: {first}.", onset.first),
    }
    if let Some(hook) = onset.not_at {
        text += &if onset.may_hide {
            format!(" No change seen at {hook}, where as much added time could be unseen.")
        } else {
            format!(" No change seen at {hook}.")
        };
    }
    for (hook, why) in &onset.unjudged {
        let before = match onset.not_at {
            Some(_) => "",
            None => " or earlier",
        };
        text += &match why {
            Reason::BelowBucket => format!(
                " At {hook} the change is smaller than a histogram bucket, so it may have begun \
                 there{before}."
            ),
            _ => format!(
                " {hook} was not judged ({}), so the change may have begun there{before}.",
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
            " Later on the path, at {}: {}.",
            list(&opposite),
            other_way.name()
        );
    }
    if !gone.is_empty() {
        text += &format!(" Later on the path, at {}: no change seen.", list(&gone));
    }
    if !hidden.is_empty() {
        text += &format!(
            " Later on the path, at {}: no change seen, but as much added time could be unseen.",
            list(&hidden)
        );
    }
    if !onset.unchanged.is_empty() {
        let unchanged = list(&names(&onset.unchanged));
        text += &format!(" No change seen of {unchanged}.");
    }
    if !onset.not_judged.is_empty() {
        let not_judged = list(&names(&onset.not_judged));
        text += &format!(" Not judged: {not_judged}.");
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

/// Why a hook or a limit could not be judged.
pub(super) fn unjudged(why: Unjudged) -> &'static str {
    match why {
        Unjudged::Off => "it is off",
        Unjudged::Idle => "it is idle",
        Unjudged::TooFew(_) => "too few samples",
        Unjudged::None => "no hook could be judged",
    }
}
