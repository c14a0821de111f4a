// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is shown of the groups of a comparison: a table for each group that has
//! changed, and a line for the others.

use std::cmp::Reverse;

use crate::analysis::{Analysis, GroupResult, HookResult, Verdict};
use crate::model::group::{Group, MAX_GROUPS};
use crate::render::diff::group_names::{name, names};
use crate::render::diff::onset::sentence_of_group;
use crate::render::diff::rows::rows;
use crate::render::diff::view::{GroupView, GroupsView};
use crate::render::units::count;

/// `None` if the comparison is not grouped.
pub(super) fn all(analysis: &Analysis) -> Option<GroupsView> {
    let groups = analysis.groups.as_ref()?;
    let compared: Vec<&GroupResult> = groups.compared.iter().collect();
    // Without a verdict anywhere, all groups are shown: who reads decides.
    let can_tell = analysis.family.questions > 0;
    let has = |group: &GroupResult, wanted: &dyn Fn(Verdict) -> bool| verdicts(group).any(wanted);
    let (mut shown, rest): (Vec<&GroupResult>, Vec<&GroupResult>) = compared
        .iter()
        .partition(|group| !can_tell || has(group, &Verdict::is_change));
    let (unchanged, unjudged): (Vec<&GroupResult>, Vec<&GroupResult>) =
        rest.into_iter().partition(|group| has(group, &|_| true));
    shown.sort_by_key(|group| Reverse(thousandths(largest_change(group))));
    let number = count(compared.len() as u64, "group");
    let title = match (compared.len(), can_tell) {
        (0, _) => "no group has packets on both sides".into(),
        (_, true) => format!("{} of {number} changed", shown.len()),
        (_, false) => format!("{number}, not judged"),
    };
    let mut notes = Vec::new();
    let mut note = |label: &str, text: String| {
        if !text.is_empty() {
            notes.push((label.to_owned(), text));
        }
    };
    let of_result = |group: &&GroupResult| name(&group.group);
    note("no change seen:", names(&unchanged, of_result));
    note("not judged, too few packets:", names(&unjudged, of_result));
    for (label, only) in ["only in A:", "only in B:"]
        .into_iter()
        .zip(groups.only.iter())
    {
        let with_packets = |(group, packets): &(Group, u64)| {
            format!("{} ({})", name(group), count(*packets, "packet"))
        };
        note(label, names(only, with_packets));
    }
    if groups.left_out > 0 {
        let left_out = count(groups.left_out as u64, "group");
        let top = compared.len() + groups.left_out;
        let how = if top <= MAX_GROUPS {
            format!(" (--top {top} compares all)")
        } else {
            String::new()
        };
        note(
            "not compared:",
            format!("{left_out} with fewer packets{how}"),
        );
    }
    Some(GroupsView {
        by: format!("by {}:", groups.by.join(",")),
        title,
        groups: shown
            .into_iter()
            .map(|group| view(group, analysis))
            .collect(),
        notes,
    })
}

fn view(group: &GroupResult, analysis: &Analysis) -> GroupView {
    let with_samples = group.hooks.iter().filter(|hook| hook.has_samples());
    let sentences = group.onsets.iter().map(|onset| {
        let label = format!("{}:", onset.path.name());
        (label, sentence_of_group(onset))
    });
    GroupView {
        name: name(&group.group),
        rows: with_samples
            .flat_map(|hook| rows(hook, analysis.design))
            .collect(),
        sentences: sentences.collect(),
    }
}

fn verdicts(group: &GroupResult) -> impl Iterator<Item = Verdict> {
    let rows = group.hooks.iter().flat_map(HookResult::rows);
    rows.filter_map(|row| row.verdict)
}

/// The largest change of a quantile, up or down, as ln: if there are verdicts, of
/// those that have changed.
fn largest_change(group: &GroupResult) -> f64 {
    let rows = || group.hooks.iter().flat_map(HookResult::rows);
    let has_changed = rows().any(|row| row.verdict.is_some_and(Verdict::is_change));
    let counted = rows().filter(|row| {
        let changed = row.verdict.is_some_and(Verdict::is_change);
        row.quantity.quantile().is_some() && (changed || !has_changed)
    });
    counted
        .filter_map(|row| row.ln())
        .map(f64::abs)
        .fold(0.0, f64::max)
}

fn thousandths(ln: f64) -> u64 {
    // The conversion saturates, and makes NaN 0.
    (ln * 1000.0) as u64
}
