// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What one hook counted over a span of time.

use std::collections::BTreeMap;
use std::ops::{AddAssign, Sub};

use crate::model::histogram::{Histogram, Resolution};
use crate::model::hooks::Hook;
use crate::model::quantile::{Estimate, Quantile};
use crate::model::skips::{SkipReason, Skips};
use crate::model::sparse::Sparse;
use crate::model::stage::Stageless;

/// How often programs ran and how long that took, as the kernel measures it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cost {
    /// Program runs.
    pub runs: u64,
    /// Time spent in them, ns.
    pub time_ns: u64,
}

impl Cost {
    pub(crate) fn try_add(&mut self, other: Cost) -> Option<()> {
        self.runs = self.runs.checked_add(other.runs)?;
        self.time_ns = self.time_ns.checked_add(other.time_ns)?;
        Some(())
    }
}

/// Saturates: of a file, the costs of one line may be anything.
impl AddAssign for Cost {
    fn add_assign(&mut self, other: Cost) {
        self.runs = self.runs.saturating_add(other.runs);
        self.time_ns = self.time_ns.saturating_add(other.time_ns);
    }
}

/// As in [`Counters`](crate::model::counters::Counters).
impl Sub for Cost {
    type Output = Cost;

    fn sub(self, earlier: Cost) -> Cost {
        Cost {
            runs: self.runs.saturating_sub(earlier.runs),
            time_ns: self.time_ns.saturating_sub(earlier.time_ns),
        }
    }
}

/// Latencies that can be added up.
pub trait Latencies: Clone {
    /// None yet, of the same resolution.
    #[must_use]
    fn emptied(&self) -> Self;

    /// How many; `None`: more than 64 bits hold.
    fn checked_count(&self) -> Option<u64>;

    /// Adds others of the same resolution, which together fit into 64 bits.
    fn merge(&mut self, other: &Self);
}

impl Latencies for Histogram {
    fn emptied(&self) -> Histogram {
        Histogram::new(self.resolution())
    }

    fn checked_count(&self) -> Option<u64> {
        self.checked_count()
    }

    fn merge(&mut self, other: &Histogram) {
        self.merge(other);
    }
}

impl Latencies for Sparse {
    fn emptied(&self) -> Sparse {
        self.emptied()
    }

    fn checked_count(&self) -> Option<u64> {
        self.checked_count()
    }

    fn merge(&mut self, other: &Sparse) {
        self.merge(other);
    }
}

/// What one hook has counted. `L` holds the latencies: a [`Histogram`] can be
/// added to, a [`Sparse`] takes less memory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCounters<L = Histogram> {
    /// The recorded latencies.
    pub histogram: L,
    /// Program runs that recorded none, by reason.
    pub skips: Skips,
    /// Program runs that the kernel left out (`recursion_misses`).
    pub missed: u64,
    /// What the hook's programs cost; zero while that is not measured.
    pub cost: Cost,
    /// Where stages are measured: times since the hook that the packet passed
    /// before, by that hook.
    pub stages: BTreeMap<Hook, L>,
    /// Packets that were recorded and have no stage.
    pub stageless: Stageless,
}

impl<L> HookCounters<L> {
    /// These latencies, and nothing else.
    pub fn of(histogram: L) -> HookCounters<L> {
        HookCounters {
            histogram,
            skips: Skips::default(),
            missed: 0,
            cost: Cost::default(),
            stages: BTreeMap::new(),
            stageless: Stageless::default(),
        }
    }
}

impl HookCounters {
    /// Nothing counted yet.
    pub fn new(resolution: Resolution) -> HookCounters {
        HookCounters::of(Histogram::new(resolution))
    }

    /// A quantile over recorded samples, those over range, and late ones of unknown age.
    pub fn quantile(&self, quantile: Quantile) -> Option<Estimate> {
        quantile.of(&self.histogram, self.skips.beyond())
    }

    /// Whether there is a latency to show, if only an over-range one.
    pub fn has_samples(&self) -> bool {
        self.histogram.count() > 0 || self.skips.get(SkipReason::OVER_RANGE) > 0
    }

    /// The same with only the non-empty buckets.
    pub(crate) fn compact(&self) -> HookCounters<Sparse> {
        let stages = self.stages.iter();
        HookCounters {
            histogram: Sparse::new(&self.histogram, self.skips.beyond().total()),
            skips: self.skips,
            missed: self.missed,
            cost: self.cost,
            stages: stages
                .map(|(from, times)| (*from, Sparse::new(times, 0)))
                .collect(),
            stageless: self.stageless,
        }
    }
}

impl<L: Latencies> HookCounters<L> {
    /// Program runs, those that the kernel left out too; `None`: more than 64
    /// bits hold.
    fn runs(&self) -> Option<u64> {
        let recorded = self.histogram.checked_count()?;
        let skipped = self.skips.checked_total()?;
        recorded.checked_add(skipped)?.checked_add(self.missed)
    }

    /// Packets with and without a stage; `None`: more than 64 bits hold.
    fn staged(&self) -> Option<u64> {
        let stages = self.stages.values();
        let mut counts = stages.map(Latencies::checked_count);
        counts.try_fold(self.stageless.checked_total()?, |sum, count| {
            sum.checked_add(count?)
        })
    }

    /// Adds what `other` counted. `None`: a sum exceeds 64 bits, and these
    /// counters are of no use any more.
    #[must_use]
    pub(crate) fn try_add(&mut self, other: &HookCounters<L>) -> Option<()> {
        self.runs()?.checked_add(other.runs()?)?;
        self.staged()?.checked_add(other.staged()?)?;
        self.cost.try_add(other.cost)?;
        self.histogram.merge(&other.histogram);
        self.skips += &other.skips;
        self.missed += other.missed;
        self.stageless += &other.stageless;
        for (from, times) in &other.stages {
            match self.stages.get_mut(from) {
                Some(mine) => mine.merge(times),
                None => {
                    self.stages.insert(*from, times.clone());
                }
            }
        }
        Some(())
    }
}

/// As in [`Counters`](crate::model::counters::Counters).
impl Sub for &HookCounters {
    type Output = HookCounters;

    fn sub(self, earlier: &HookCounters) -> HookCounters {
        let stages = self.stages.iter().map(|(from, now)| {
            let then = earlier.stages.get(from);
            (
                *from,
                then.map_or_else(|| now.clone(), |then| now.since(then)),
            )
        });
        HookCounters {
            histogram: self.histogram.since(&earlier.histogram),
            skips: self.skips - earlier.skips,
            missed: self.missed.saturating_sub(earlier.missed),
            cost: self.cost - earlier.cost,
            stages: stages.collect(),
            stageless: self.stageless - earlier.stageless,
        }
    }
}
