// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Which groups are listed, and in which order.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::fmt;

use crate::model::counters::Counters;
use crate::model::group::Group;
use crate::model::hook_counters::HookCounters;
use crate::model::hooks::Hook;
use crate::model::quantile::{Estimate, Quantile};
use crate::model::sparse::Sparse;

/// What groups are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupSort {
    /// The largest share of slow packets first.
    #[default]
    Slow,
    /// The longest p99 first.
    P99,
    /// The longest p50 first.
    P50,
    /// The most packets first.
    Count,
    /// By name; numbers in names by their value.
    Name,
}

impl GroupSort {
    /// All orders, the default first.
    pub const ALL: [GroupSort; 5] = [
        GroupSort::Slow,
        GroupSort::P99,
        GroupSort::P50,
        GroupSort::Count,
        GroupSort::Name,
    ];

    /// Finds an order by its name.
    pub fn find(name: &str) -> Option<GroupSort> {
        GroupSort::ALL
            .into_iter()
            .find(|order| order.name() == name)
    }

    /// What users type.
    pub fn name(self) -> &'static str {
        match self {
            GroupSort::Slow => "slow",
            GroupSort::P99 => "p99",
            GroupSort::P50 => "p50",
            GroupSort::Count => "count",
            GroupSort::Name => "name",
        }
    }
}

impl fmt::Display for GroupSort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many groups are listed, and in which order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listing {
    /// The most groups that are listed. [`Group::Other`] does not count.
    pub top: usize,
    /// The order.
    pub sort: GroupSort,
}

impl Listing {
    /// Groups that are listed unless the user says how many.
    pub const TOP: usize = 10;
}

/// How many groups have packets: those of which each value is known.
pub fn known_groups(counters: &Counters) -> usize {
    let filled = counters.groups();
    let filled = filled.filter(|(group, _, found)| found.has_samples() && group.is_known());
    let groups: BTreeSet<_> = filled.map(|(group, ..)| group).collect();
    groups.len()
}

impl Default for Listing {
    fn default() -> Listing {
        Listing {
            top: Listing::TOP,
            sort: GroupSort::default(),
        }
    }
}

/// The slowest hundredth of what a hook counted of all packets. Of the bucket
/// that holds the p99, it is a part: so many of its packets are above the p99 as
/// make the hundredth whole, and nobody knows which.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slowest {
    /// Lower bound of the bucket that holds the p99, ns.
    lo_ns: u64,
    /// The part of that bucket that is above the p99.
    part: f64,
}

impl Slowest {
    /// `None`: the hook has too few packets for a p99.
    pub fn of(all: &HookCounters) -> Option<Slowest> {
        let all = sparse(all);
        if all.count() < Quantile::P99.samples_to_show() {
            return None;
        }
        let mut left = all.count() as f64 / 100.0;
        for (lo_ns, count) in all.from_the_top() {
            let count = count as f64;
            if count >= left {
                let part = left / count;
                return Some(Slowest { lo_ns, part });
            }
            left -= count;
        }
        None
    }

    /// The share of a group's packets that are in the slowest hundredth: 0.01 is
    /// the average. `None`: the group has too few packets. It takes as many as a
    /// p99 does: one of 100 packets can just show the average, and one of fewer
    /// would already look slow.
    pub fn share(self, group: &HookCounters) -> Option<f64> {
        let count = packets(group);
        if count < Quantile::P99.samples_to_show() {
            return None;
        }
        let group = sparse(group);
        let slow = group.from_the_top().map(|(lo_ns, count)| {
            let part = match lo_ns.cmp(&self.lo_ns) {
                Ordering::Greater => 1.0,
                Ordering::Equal => self.part,
                Ordering::Less => 0.0,
            };
            part * count as f64
        });
        Some(slow.sum::<f64>() / count as f64)
    }
}

/// Its packets, also those beyond the histogram.
fn packets(counters: &HookCounters) -> u64 {
    let beyond = counters.skips.beyond().total();
    counters.histogram.count().saturating_add(beyond)
}

fn sparse(counters: &HookCounters) -> Sparse {
    Sparse::new(&counters.histogram, counters.skips.beyond().total())
}

/// What a hook counted of a group.
#[derive(Clone, Copy, Debug)]
pub struct GroupHook<'a> {
    /// The hook.
    pub hook: Hook,
    /// What it counted.
    pub counters: &'a HookCounters,
    /// See [`Slowest::share`].
    pub slow: Option<f64>,
}

/// A group that is listed.
#[derive(Clone, Debug)]
pub struct ListedGroup<'a> {
    /// Whose packets.
    pub group: &'a Group,
    /// The hooks with packets of the group, in path order.
    pub hooks: Vec<GroupHook<'a>>,
}

impl ListedGroup<'_> {
    /// Whether it has what found no room in groups of its own.
    pub fn is_other(&self) -> bool {
        *self.group == Group::Other
    }
}

/// The groups that are listed, in their order.
#[derive(Clone, Debug, Default)]
pub struct GroupList<'a> {
    /// Those that are listed, [`Group::Other`] last.
    pub groups: Vec<ListedGroup<'a>>,
    /// How many more there are.
    pub left_out: usize,
}

impl Listing {
    /// The groups of these counters that are listed: those with packets.
    ///
    /// A group with several hooks is sorted by the hook where it has most of what
    /// is sorted by; a group that has nothing of it, by its packets behind the
    /// rest. Groups that are not known in full come behind those that are, and
    /// [`Group::Other`] comes last, whatever the order.
    pub fn of<'a>(&self, counters: &'a Counters) -> GroupList<'a> {
        let slowest: Vec<Option<Slowest>> = Hook::all()
            .map(|hook| Slowest::of(counters.hook(hook)))
            .collect();
        let mut groups: Vec<ListedGroup> = Vec::new();
        let filled = counters
            .groups()
            .filter(|(_, _, found)| found.has_samples());
        for (group, hook, counters) in filled {
            let slow = slowest[hook.index()].and_then(|slowest| slowest.share(counters));
            let of_hook = GroupHook {
                hook,
                counters,
                slow,
            };
            match groups.last_mut().filter(|last| last.group == group) {
                Some(last) => last.hooks.push(of_hook),
                None => groups.push(ListedGroup {
                    group,
                    hooks: vec![of_hook],
                }),
            }
        }
        groups.sort_by_cached_key(|group| self.place(group));
        let named = groups.iter().filter(|found| !found.is_other());
        let left_out = named.count().saturating_sub(self.top);
        let mut place = 0;
        groups.retain(|found| {
            place += 1;
            found.is_other() || place <= self.top
        });
        GroupList { groups, left_out }
    }

    fn place(&self, found: &ListedGroup) -> Place {
        let most = |of: &dyn Fn(&GroupHook) -> Option<f64>| {
            let values = found.hooks.iter().filter_map(of);
            values.max_by(f64::total_cmp)
        };
        let quantile = |quantile: Quantile| {
            most(&|hook| match hook.counters.quantile(quantile)? {
                Estimate::Ns(ns) => Some(ns as f64),
                Estimate::Unknown | Estimate::OverRange => Some(f64::INFINITY),
            })
        };
        Place {
            kind: match found.group {
                Group::Other => 2,
                group if group.is_known() => 0,
                _ => 1,
            },
            value: match self.sort {
                GroupSort::Slow => most(&|hook| hook.slow),
                GroupSort::P99 => quantile(Quantile::P99),
                GroupSort::P50 => quantile(Quantile::P50),
                GroupSort::Count | GroupSort::Name => None,
            },
            count: match self.sort {
                GroupSort::Name => 0.0,
                _ => most(&|hook| Some(packets(hook.counters) as f64)).unwrap_or(0.0),
            },
            name: natural(&found.group.to_string()),
        }
    }
}

/// Where a group belongs in the list.
struct Place {
    kind: u8,
    value: Option<f64>,
    count: f64,
    name: Vec<Part>,
}

impl Ord for Place {
    fn cmp(&self, other: &Place) -> Ordering {
        // A share, a time and a count are never negative.
        let value = |place: &Place| place.value.unwrap_or(-1.0);
        let kinds = self.kind.cmp(&other.kind);
        kinds
            .then_with(|| value(other).total_cmp(&value(self)))
            .then_with(|| other.count.total_cmp(&self.count))
            .then_with(|| self.name.cmp(&other.name))
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Place) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Place) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Place {}

/// A part of a name: a number, or the text before and behind it.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Number(u128),
    Text(String),
}

/// The parts of a name, in which numbers count by their value: `eth2` comes
/// before `eth10`.
fn natural(name: &str) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut rest = name;
    while let Some(first) = rest.chars().next() {
        let is_number = first.is_ascii_digit();
        let end = rest
            .find(|c: char| c.is_ascii_digit() != is_number)
            .unwrap_or(rest.len());
        let (part, after) = rest.split_at(end);
        parts.push(match part.parse() {
            Ok(number) if is_number => Part::Number(number),
            _ => Part::Text(part.into()),
        });
        rest = after;
    }
    parts
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
