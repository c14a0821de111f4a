// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Snapshots of all counters at one time, and the intervals between them.

use std::time::SystemTime;

use crate::model::histogram::{Histogram, Resolution};
use crate::model::hooks::{HOOK_COUNT, Hook, HookSet};
use crate::model::quantile::{Estimate, Quantile};
use crate::model::skips::{SkipReason, Skips};

/// How often programs ran and how long that took, as the kernel measures it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Program runs.
    pub runs: u64,
    /// Time spent in them, ns.
    pub time_ns: u64,
}

impl Cost {
    fn since(self, earlier: Cost) -> Cost {
        Cost {
            runs: self.runs.saturating_sub(earlier.runs),
            time_ns: self.time_ns.saturating_sub(earlier.time_ns),
        }
    }
}

impl std::ops::AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.runs += other.runs;
        self.time_ns += other.time_ns;
    }
}

/// What one hook has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookStats {
    /// The recorded latencies.
    pub histogram: Histogram,
    /// Program runs that recorded none, by reason.
    pub skips: Skips,
    /// Program runs that the kernel left out (`recursion_misses`).
    pub missed: u64,
    /// What the hook's programs cost; zero while that is not measured.
    pub cost: Cost,
}

impl HookStats {
    /// Nothing counted yet.
    pub fn new(resolution: Resolution) -> HookStats {
        HookStats {
            histogram: Histogram::new(resolution),
            skips: Skips::default(),
            missed: 0,
            cost: Cost::default(),
        }
    }

    /// A quantile over recorded and over-range samples.
    pub fn quantile(&self, quantile: Quantile) -> Option<Estimate> {
        quantile.of(&self.histogram, self.skips.get(SkipReason::OVER_RANGE))
    }

    /// Whether there is a latency to show, if only an over-range one.
    pub fn has_samples(&self) -> bool {
        self.histogram.count() > 0 || self.skips.get(SkipReason::OVER_RANGE) > 0
    }

    fn since(&self, earlier: &HookStats) -> HookStats {
        HookStats {
            histogram: self.histogram.since(&earlier.histogram),
            skips: self.skips - earlier.skips,
            missed: self.missed.saturating_sub(earlier.missed),
            cost: self.cost.since(earlier.cost),
        }
    }
}

/// All counters since the start, at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// CLOCK_MONOTONIC, ns.
    pub mono_ns: u64,
    /// Wall-clock time.
    pub wall: SystemTime,
    /// How often the wall clock has been stepped.
    pub clock_steps: u64,
    /// Runs of the clock's program; `None`: there is none.
    pub clock_updates: Option<u64>,
    /// What the clock's program cost; `None`: costs are not measured.
    pub clock_cost: Option<Cost>,
    /// The hooks that are on.
    pub enabled: HookSet,
    hooks: Vec<HookStats>,
}

/// What happened between two snapshots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval {
    /// Wall-clock time of the earlier snapshot.
    pub start: SystemTime,
    /// Wall-clock time of the later snapshot.
    pub end: SystemTime,
    /// CLOCK_MONOTONIC between the two, ns.
    pub duration_ns: u64,
    /// Steps of the wall clock in between.
    pub clock_steps: u64,
    /// Runs of the clock's program; `None`: there is none.
    pub clock_updates: Option<u64>,
    /// What the clock's program cost; `None`: costs were not measured.
    pub clock_cost: Option<Cost>,
    /// The hooks that are on.
    pub enabled: HookSet,
    hooks: Vec<HookStats>,
}

impl Snapshot {
    /// A snapshot without a count.
    pub fn empty(
        resolution: Resolution,
        enabled: HookSet,
        mono_ns: u64,
        wall: SystemTime,
    ) -> Snapshot {
        Snapshot {
            mono_ns,
            wall,
            clock_steps: 0,
            clock_updates: None,
            clock_cost: None,
            enabled,
            hooks: vec![HookStats::new(resolution); HOOK_COUNT],
        }
    }

    /// One hook's counters.
    pub fn hook(&self, hook: Hook) -> &HookStats {
        &self.hooks[hook.index()]
    }

    /// One hook's counters, to fill in.
    pub fn hook_mut(&mut self, hook: Hook) -> &mut HookStats {
        &mut self.hooks[hook.index()]
    }

    /// What was counted since `earlier`.
    pub fn since(&self, earlier: &Snapshot) -> Interval {
        let pairs = self.hooks.iter().zip(&earlier.hooks);
        Interval {
            start: earlier.wall,
            end: self.wall,
            duration_ns: self.mono_ns.saturating_sub(earlier.mono_ns),
            clock_steps: self.clock_steps.saturating_sub(earlier.clock_steps),
            clock_updates: match (self.clock_updates, earlier.clock_updates) {
                (Some(now), Some(then)) => Some(now.saturating_sub(then)),
                _ => None,
            },
            clock_cost: match (self.clock_cost, earlier.clock_cost) {
                (Some(now), Some(then)) => Some(now.since(then)),
                _ => None,
            },
            enabled: self.enabled,
            hooks: pairs.map(|(now, then)| now.since(then)).collect(),
        }
    }
}

impl Interval {
    /// Adds what was counted in a later interval, with or without a gap between
    /// the two: the time in it does not count.
    pub fn add(&mut self, later: &Interval) {
        self.end = later.end;
        self.duration_ns += later.duration_ns;
        self.clock_steps += later.clock_steps;
        self.clock_updates = match (self.clock_updates, later.clock_updates) {
            (Some(mine), Some(theirs)) => Some(mine + theirs),
            _ => None,
        };
        self.clock_cost = match (self.clock_cost, later.clock_cost) {
            (Some(mut mine), Some(theirs)) => {
                mine += theirs;
                Some(mine)
            }
            _ => None,
        };
        for (mine, theirs) in self.hooks.iter_mut().zip(&later.hooks) {
            mine.histogram.merge(&theirs.histogram);
            mine.skips += &theirs.skips;
            mine.missed += theirs.missed;
            mine.cost += theirs.cost;
        }
    }

    /// One hook's share of the interval.
    pub fn hook(&self, hook: Hook) -> &HookStats {
        &self.hooks[hook.index()]
    }

    /// The enabled hooks with what they counted, in path order.
    pub fn hooks(&self) -> impl Iterator<Item = (Hook, &HookStats)> {
        self.enabled.iter().map(|hook| (hook, self.hook(hook)))
    }

    /// Whether the kernel has called no program at all.
    pub fn stalled(&self) -> bool {
        is_stalled(self.clock_updates, self.duration_ns)
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

    /// Samples per second; 0 for an interval without length.
    pub fn rate(&self, count: u64) -> f64 {
        if self.duration_ns == 0 {
            return 0.0;
        }
        count as f64 * 1e9 / self.duration_ns as f64
    }
}

/// Whether an interval with so many updates of the clock, in so many ns, is one
/// in which the kernel has called no program. It updates its clock with every
/// tick, and at the latest when the report is due; but a virtual machine can be
/// kept from running for tenths of a second, and wakes up without a tick.
pub fn is_stalled(clock_updates: Option<u64>, duration_ns: u64) -> bool {
    const LONGEST_PAUSE_NS: u64 = 900_000_000;
    clock_updates == Some(0) && duration_ns >= LONGEST_PAUSE_NS
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Sum of the intervals = total, whatever was counted when.
        #[test]
        fn intervals_add_up_to_the_total(
            steps in prop::collection::vec(
                prop::collection::vec((0..HOOK_COUNT, 1u64..1 << 34), 0..50), 1..8),
        ) {
            let empty = Snapshot::empty(Resolution::FINE, HookSet::ALL, 0, UNIX_EPOCH);
            let mut snapshots = vec![empty];
            for samples in steps {
                let mut next = snapshots.last().unwrap().clone();
                next.mono_ns += 1000;
                for (index, ns) in samples {
                    let stats = &mut next.hooks[index];
                    stats.histogram.record(ns);
                    stats.skips.add(SkipReason::NO_TIMESTAMP, ns % 3);
                }
                snapshots.push(next);
            }
            let total = snapshots.last().unwrap().since(&snapshots[0]);
            for hook in Hook::all() {
                let mut sum = HookStats::new(Resolution::FINE);
                for pair in snapshots.windows(2) {
                    let interval = pair[1].since(&pair[0]);
                    sum.histogram.merge(&interval.hook(hook).histogram);
                    sum.skips += &interval.hook(hook).skips;
                }
                prop_assert_eq!(&sum, total.hook(hook));
            }
        }
    }
}
