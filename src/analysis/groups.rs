// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The groups of a comparison: which of them are compared, and with what result.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crate::analysis::hook_result::HookResult;
use crate::analysis::input::Input;
use crate::analysis::onset::Onset;
use crate::model::comparison::Arm;
use crate::model::group::{Group, UNKNOWN};
use crate::model::grouping::GroupKey;
use crate::model::hooks::HOOK_COUNT;
use crate::model::side::PerSide;
use crate::runfile::{RunFile, Totals};

/// How a comparison is grouped.
#[derive(Clone, Copy, Debug)]
pub struct By<'a> {
    /// The keys, which all files have.
    pub keys: &'a [String],
    /// The most groups that are compared.
    pub top: usize,
}

/// The groups of a comparison.
#[derive(Clone, Debug)]
pub struct Groups {
    /// The keys.
    pub by: Vec<String>,
    /// The groups that were compared, those with most packets of both sides first.
    pub compared: Vec<GroupResult>,
    /// The groups that only one side has, with their packets, most packets first.
    pub only: PerSide<Vec<(Group, u64)>>,
    /// The number of groups of both sides that were not compared, because these
    /// have fewer packets than those that were.
    pub left_out: usize,
}

/// The result for a group.
#[derive(Clone, Debug)]
pub struct GroupResult {
    /// Whose packets.
    pub group: Group,
    /// The packets of each side at the hook where they are most.
    pub packets: PerSide<u64>,
    /// All hooks of the tool, in path order.
    pub hooks: Vec<HookResult>,
    /// The first hook of each path at which a change is seen.
    pub onsets: Vec<Onset>,
}

/// The groups of the files, before they are compared.
pub(super) struct Found<'a> {
    /// To be compared.
    pub(super) groups: Vec<(Group, PerSide<u64>)>,
    pub(super) only: PerSide<Vec<(Group, u64)>>,
    pub(super) left_out: usize,
    /// Packets of groups for which there was no room, which may be of any group.
    pub(super) other: PerSide<u64>,
    /// The files with these groups only.
    files: Files<'a>,
}

/// As [`Input`], of files that are not borrowed.
pub(super) enum Files<'a> {
    Comparison(Box<RunFile>),
    Recordings {
        names: PerSide<&'a str>,
        sides: PerSide<Vec<RunFile>>,
    },
}

impl<'a> Files<'a> {
    fn of(input: &Input<'a>, change: impl Fn(&RunFile) -> RunFile) -> Files<'a> {
        match *input {
            Input::Comparison(file) => Files::Comparison(Box::new(change(file))),
            Input::Recordings { names, sides } => Files::Recordings {
                names,
                sides: sides.map(|side| side.iter().map(&change).collect()),
            },
        }
    }

    pub(super) fn input(&self) -> Input<'_> {
        match self {
            Files::Comparison(file) => Input::Comparison(file),
            Files::Recordings { names, sides } => Input::Recordings {
                names: *names,
                sides: sides.as_ref().map(Vec::as_slice),
            },
        }
    }
}

impl<'a> Found<'a> {
    /// The groups to compare are those with most packets of both sides together.
    /// What the sides show of them must not matter: who chooses the groups that
    /// differ most, finds differences where there are none.
    pub(super) fn of(input: &Input<'a>, by: &By) -> Found<'a> {
        let steady = steady_processes(input, by.keys);
        let name = |group: &Group| name(group, by.keys, &steady);
        let mut packets: BTreeMap<Group, PerSide<[u64; HOOK_COUNT]>> = BTreeMap::new();
        for (arm, totals) in sources(input) {
            for (group, hook, counters) in totals.interval.counters.groups() {
                let beyond = counters.skips.beyond().total();
                let samples = counters.histogram.count().saturating_add(beyond);
                // Files of different shares must count alike.
                let count = totals.interval.counters.sampling.scale(samples);
                let new = || PerSide::both([0; HOOK_COUNT]);
                let sums = packets.entry(name(group)).or_insert_with(new);
                let sum = &mut sums[arm][hook.index()];
                *sum = sum.saturating_add(count);
            }
        }
        let most = |sums: [u64; HOOK_COUNT]| sums.into_iter().max().unwrap_or(0);
        let mut packets: BTreeMap<Group, PerSide<u64>> = packets
            .into_iter()
            .map(|(group, sums)| (group, sums.map(most)))
            .collect();
        let other = packets.remove(&Group::Other).unwrap_or_default();
        packets.retain(|group, _| names_somebody(group));
        let mut groups = Vec::new();
        let mut only = PerSide::<Vec<(Group, u64)>>::default();
        for (group, packets) in packets {
            match (packets.a, packets.b) {
                (0, 0) => {}
                (a, 0) => only.a.push((group, a)),
                (0, b) => only.b.push((group, b)),
                _ => groups.push((group, packets)),
            }
        }
        for arm in Arm::BOTH {
            only[arm].sort_by_key(|&(_, packets)| Reverse(packets));
        }
        groups.sort_by_key(|(_, packets)| Reverse(packets.a.saturating_add(packets.b)));
        let left_out = groups.len().saturating_sub(by.top);
        groups.truncate(by.top);
        let wanted: BTreeSet<&Group> = groups.iter().map(|(group, _)| group).collect();
        let files = Files::of(input, |file| {
            file.regrouped(|group| Some(name(group)).filter(|name| wanted.contains(name)))
        });
        Found {
            groups,
            only,
            left_out,
            other,
            files,
        }
    }

    /// The files as if all packets were those of this group.
    pub(super) fn files_of(&self, group: &Group) -> Files<'_> {
        Files::of(&self.files.input(), |file| file.of_group(group))
    }
}

/// All files of a side, or the sides of a file.
fn sources<'a>(input: &Input<'a>) -> Vec<(Arm, &'a Totals)> {
    let of = |arm: Arm| -> Vec<(Arm, &'a Totals)> {
        let files = match *input {
            Input::Comparison(file) => std::slice::from_ref(file),
            Input::Recordings { sides, .. } => sides[arm],
        };
        files.iter().map(|file| (arm, file.totals(arm))).collect()
    };
    Arm::BOTH.into_iter().flat_map(of).collect()
}

/// The processes, by name and number, that have packets in each file.
fn steady_processes(input: &Input, keys: &[String]) -> BTreeSet<String> {
    let key = GroupKey::Process.name();
    if !keys.iter().any(|known| known == key) {
        return BTreeSet::new();
    }
    let sources = sources(input);
    let mut files: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, totals) in &sources {
        let groups = totals.interval.counters.groups();
        let filled = groups.filter(|(_, _, counters)| counters.has_samples());
        let values = filled.filter_map(|(group, ..)| group.value(key));
        for value in values.collect::<BTreeSet<_>>() {
            *files.entry(value).or_default() += 1;
        }
    }
    let everywhere = files.into_iter().filter(|&(_, n)| n == sources.len());
    everywhere.map(|(value, _)| value.to_owned()).collect()
}

/// The group by these keys. A process that is not in each file is named without
/// its number: after a restart, the same program has another one.
fn name(group: &Group, keys: &[String], steady: &BTreeSet<String>) -> Group {
    let Group::Of(values) = group.by(keys) else {
        return Group::Other;
    };
    let values = values.iter().map(|(key, value)| {
        let value = if *key == GroupKey::Process.name() && !steady.contains(value) {
            without_number(value)
        } else {
            value
        };
        (key.clone(), value.to_owned())
    });
    Group::Of(values.collect())
}

/// `nginx` of `nginx(123)`.
fn without_number(process: &str) -> &str {
    let name = process
        .strip_suffix(')')
        .and_then(|rest| rest.rsplit_once('('))
        .filter(|(name, number)| {
            !name.is_empty() && !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit())
        });
    name.map_or(process, |(name, _)| name)
}

/// Whether any value is known.
fn names_somebody(group: &Group) -> bool {
    match group {
        Group::Other => false,
        Group::Of(values) => values.iter().any(|(_, value)| value != UNKNOWN),
    }
}

#[cfg(test)]
#[path = "groups_tests.rs"]
mod tests;
