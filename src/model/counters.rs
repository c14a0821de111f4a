// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What hooks counted over a span of time: since the programs were attached, in
//! an interval, in all of a run file.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};

use crate::model::group::{Group, MAX_GROUPS};
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hook_counters::{Cost, HookCounters, Latencies};
use crate::model::hooks::{Hook, HookSet};
use crate::model::sampling::Sampling;
use crate::model::skips::SkipReason;
use crate::model::slow::SlowPackets;
use crate::model::sparse::Sparse;
use crate::model::stage::{Cause, Stage};
use crate::model::tables;

/// Steps of the wall clock so small that packets on their way are measured all
/// the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SmallSteps {
    /// How many.
    pub count: u64,
    /// Their sizes together, back or forth, ns.
    pub sum_ns: u64,
}

impl SmallSteps {
    /// By how much the latency of a packet that was on its way may be wrong, ns.
    /// Steps that would make it more than the limit are no small ones.
    pub fn error_ns(self) -> u64 {
        self.sum_ns.min(tables::SMALL_STEP_NS)
    }

    fn try_add(&mut self, other: SmallSteps) -> Option<()> {
        self.count = self.count.checked_add(other.count)?;
        self.sum_ns = self.sum_ns.checked_add(other.sum_ns)?;
        Some(())
    }
}

/// As in [`Counters`].
impl Sub for SmallSteps {
    type Output = SmallSteps;

    fn sub(self, earlier: SmallSteps) -> SmallSteps {
        SmallSteps {
            count: self.count.saturating_sub(earlier.count),
            sum_ns: self.sum_ns.saturating_sub(earlier.sum_ns),
        }
    }
}

/// What hooks have counted, by group and hook. All packets together are not a
/// group: they are always there, in an array, and ungrouped counters never look
/// anything up.
///
/// Subtraction gives what was added since an earlier reading, and saturates.
/// Counters only grow, so that matters only if the kernel hands out a smaller
/// one: a count of nearly 2^64 would be believed, and a panic would end a
/// recording. Sums of latencies wrap, as they do in the programs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counters<L = Histogram> {
    /// The hooks that are on.
    pub enabled: HookSet,
    /// Which share of the packets was measured: counts are of these.
    pub sampling: Sampling,
    /// Steps of the wall clock that packets were refused for.
    pub clock_steps: u64,
    /// Steps that are too small for that.
    pub small_steps: SmallSteps,
    /// Runs of the clock's program; `None`: there is none.
    pub clock_updates: Option<u64>,
    /// What the clock's program cost; `None`: costs are not measured.
    pub clock_cost: Option<Cost>,
    /// Of all packets, by [`Hook::index`]: hooks that are off too, whose
    /// programs may serve others.
    /// The slowest packets, where they are looked for.
    pub slow: SlowPackets,
    hooks: Vec<HookCounters<L>>,
    /// Where nothing is grouped: empty.
    groups: BTreeMap<Group, BTreeMap<Hook, HookCounters<L>>>,
}

impl<L> Counters<L> {
    /// What `hook` says of each hook, and nothing of the clock.
    pub fn of(enabled: HookSet, hook: impl FnMut(Hook) -> HookCounters<L>) -> Counters<L> {
        Counters {
            enabled,
            sampling: Sampling::ALL,
            clock_steps: 0,
            small_steps: SmallSteps::default(),
            clock_updates: None,
            clock_cost: None,
            slow: SlowPackets::default(),
            hooks: Hook::all().map(hook).collect(),
            groups: BTreeMap::new(),
        }
    }

    /// The same of hooks that are on, share and clock; of each hook what `hook`
    /// says, and no groups.
    fn with<M>(&self, hook: impl FnMut(Hook) -> HookCounters<M>) -> Counters<M> {
        Counters {
            sampling: self.sampling,
            clock_steps: self.clock_steps,
            small_steps: self.small_steps,
            clock_updates: self.clock_updates,
            clock_cost: self.clock_cost,
            ..Counters::of(self.enabled, hook)
        }
    }

    /// What a hook counted of all packets, be it on or off.
    pub fn hook(&self, hook: Hook) -> &HookCounters<L> {
        &self.hooks[hook.index()]
    }

    /// The same, to fill in.
    pub fn hook_mut(&mut self, hook: Hook) -> &mut HookCounters<L> {
        &mut self.hooks[hook.index()]
    }

    /// What a hook counted of all packets, if it is on.
    pub fn measured(&self, hook: Hook) -> Option<&HookCounters<L>> {
        self.enabled.contains(hook).then(|| self.hook(hook))
    }

    /// The hooks that are on with what they counted of all packets, in path
    /// order.
    pub fn hooks(&self) -> impl Iterator<Item = (Hook, &HookCounters<L>)> {
        self.enabled.iter().map(|hook| (hook, self.hook(hook)))
    }

    /// The times of stages in which there was a packet, in path order.
    pub fn stages(&self) -> impl Iterator<Item = (Stage, &L)> {
        self.hooks().flat_map(|(to, counters)| {
            let stages = counters.stages.iter();
            stages.filter_map(move |(from, times)| Some((Stage::between(*from, to)?, times)))
        })
    }

    /// Of packets that began at a hook, those that must have lost an earlier note. Where
    /// IP is measured, it has skipped each packet that gets its timestamp later.
    pub fn lost_before(&self, hook: Hook) -> u64 {
        let earlier = Hook::of_tx_timestamps();
        match self.measured(earlier) {
            Some(before) if hook.is_behind(earlier) => {
                let begun = self.hook(hook).stageless.get(Cause::BEGUN);
                begun.saturating_sub(before.skips.get(SkipReason::TX_TIMESTAMP))
            }
            _ => 0,
        }
    }

    /// What hooks counted of groups, by group and then in path order.
    pub fn groups(&self) -> impl Iterator<Item = (&Group, Hook, &HookCounters<L>)> {
        self.groups.iter().flat_map(|(group, hooks)| {
            let hooks = hooks.iter();
            hooks.map(move |(hook, counters)| (group, *hook, counters))
        })
    }

    /// Forgets what other hooks than these counted of groups, and that they are
    /// on.
    pub fn keep(&mut self, wanted: HookSet) {
        let enabled = self.enabled.iter();
        self.enabled = enabled.filter(|&hook| wanted.contains(hook)).collect();
        self.groups.retain(|_, hooks| {
            hooks.retain(|&hook, _| wanted.contains(hook));
            !hooks.is_empty()
        });
    }

    /// Hooks whose programs cost something, with that: also one that is off
    /// but serves others.
    pub fn costs(&self) -> impl Iterator<Item = (Hook, Cost)> {
        let costs = Hook::all().map(|hook| (hook, self.hook(hook).cost));
        costs.filter(|(_, cost)| cost.runs > 0)
    }

    /// What all programs cost together, the clock's too; `None`: it was not
    /// measured.
    pub fn total_cost(&self) -> Option<Cost> {
        let mut total = self.clock_cost?;
        self.costs().for_each(|(_, cost)| total += cost);
        Some(total)
    }

    /// skbs that arrived at IP with a transmit timestamp, whether or not that
    /// hook is on.
    pub fn tx_timestamped(&self) -> u64 {
        let seen_at = self.hook(Hook::of_tx_timestamps());
        seen_at.skips.get(SkipReason::TX_TIMESTAMP)
    }
}

impl<L: Latencies> Counters<L> {
    /// The same with other groups: what has counted under one of the old names is
    /// added up under the new one. `None`: a sum exceeds 64 bits.
    #[must_use]
    pub fn regrouped(&self, name: impl Fn(&Group) -> Option<Group>) -> Option<Counters<L>> {
        let mut groups: BTreeMap<Group, BTreeMap<Hook, HookCounters<L>>> = BTreeMap::new();
        for (old, hooks) in &self.groups {
            let Some(new) = name(old) else { continue };
            let sums = groups.entry(new).or_default();
            for (hook, counters) in hooks {
                match sums.get_mut(hook) {
                    Some(sum) => sum.try_add(counters)?,
                    None => {
                        sums.insert(*hook, counters.clone());
                    }
                }
            }
        }
        Some(Counters {
            groups,
            ..self.clone()
        })
    }

    /// What was counted of a group, as if it were all packets.
    #[must_use]
    pub fn of_group(&self, group: &Group) -> Counters<L> {
        let counted = self.groups.get(group);
        self.with(|hook| {
            let found = counted.and_then(|hooks| hooks.get(&hook));
            let none = || HookCounters::of(self.hook(hook).histogram.emptied());
            found.cloned().unwrap_or_else(none)
        })
    }
}

impl Counters {
    /// Nothing counted yet.
    pub fn new(resolution: Resolution, enabled: HookSet) -> Counters {
        Counters::of(enabled, |_| HookCounters::new(resolution))
    }

    fn resolution(&self) -> Resolution {
        self.hooks[0].histogram.resolution()
    }

    /// What a hook counted of a group, to fill in: of [`Group::Other`] where
    /// there is no room for one more group.
    pub fn group_mut(&mut self, group: &Group, hook: Hook) -> &mut HookCounters {
        let resolution = self.resolution();
        // `Other` itself always finds room.
        let has_room = self.groups.len() < MAX_GROUPS || self.groups.contains_key(group);
        let group = if has_room { group } else { &Group::Other };
        let hooks = self.groups.entry(group.clone()).or_default();
        let new = || HookCounters::new(resolution);
        hooks.entry(hook).or_insert_with(new)
    }

    /// The same with only the non-empty buckets: small enough to keep one for
    /// each period of a comparison.
    pub fn compact(&self) -> Counters<Sparse> {
        let of_groups = self.groups.iter().map(|(group, hooks)| {
            let hooks = hooks.iter();
            let hooks = hooks.map(|(hook, counters)| (*hook, counters.compact()));
            (group.clone(), hooks.collect())
        });
        Counters {
            groups: of_groups.collect(),
            ..self.with(|hook| self.hook(hook).compact())
        }
    }

    /// Adds what `other` counted, of the same resolution. `None`: a sum exceeds
    /// 64 bits, and these counters are of no use any more.
    #[must_use]
    pub fn try_add(&mut self, other: &Counters) -> Option<()> {
        self.enabled = self.enabled.iter().chain(other.enabled.iter()).collect();
        self.clock_steps = self.clock_steps.checked_add(other.clock_steps)?;
        self.small_steps.try_add(other.small_steps)?;
        self.clock_updates = match (self.clock_updates, other.clock_updates) {
            (Some(mine), Some(theirs)) => Some(mine.checked_add(theirs)?),
            _ => None,
        };
        self.clock_cost = match (self.clock_cost, other.clock_cost) {
            (Some(mut mine), Some(theirs)) => {
                mine.try_add(theirs)?;
                Some(mine)
            }
            _ => None,
        };
        self.slow.try_add(&other.slow)?;
        for (mine, theirs) in self.hooks.iter_mut().zip(&other.hooks) {
            mine.try_add(theirs)?;
        }
        for (group, hook, theirs) in other.groups() {
            self.group_mut(group, hook).try_add(theirs)?;
        }
        Some(())
    }
}

/// For what this process has counted: no host reaches 2^64.
///
/// # Panics
///
/// If it does. For what is read from files there is [`Counters::try_add`].
impl AddAssign<&Counters> for Counters {
    fn add_assign(&mut self, other: &Counters) {
        self.try_add(other).expect("counts stay within 64 bits");
    }
}

impl Sub for &Counters {
    type Output = Counters;

    fn sub(self, earlier: &Counters) -> Counters {
        let of_groups = self.groups.iter().map(|(group, hooks)| {
            let before = earlier.groups.get(group);
            let hooks = hooks.iter().map(|(hook, now)| {
                let then = before.and_then(|hooks| hooks.get(hook));
                (*hook, then.map_or_else(|| now.clone(), |then| now - then))
            });
            (group.clone(), hooks.collect())
        });
        Counters {
            sampling: self.sampling,
            clock_steps: self.clock_steps.saturating_sub(earlier.clock_steps),
            small_steps: self.small_steps - earlier.small_steps,
            clock_updates: match (self.clock_updates, earlier.clock_updates) {
                (Some(now), Some(then)) => Some(now.saturating_sub(then)),
                _ => None,
            },
            clock_cost: match (self.clock_cost, earlier.clock_cost) {
                (Some(now), Some(then)) => Some(now - then),
                _ => None,
            },
            groups: of_groups.collect(),
            slow: self.slow.since(&earlier.slow),
            ..Counters::of(self.enabled, |hook| self.hook(hook) - earlier.hook(hook))
        }
    }
}

#[cfg(test)]
#[path = "counters_tests.rs"]
mod tests;
