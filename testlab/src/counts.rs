// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a hook has counted, added up over the tool's JSON lines.

use std::collections::BTreeMap;

use netstacklat::model::hooks::Hook;
use netstacklat::model::skips::SkipReason;
use netstacklat::model::stage::Cause;

use crate::lines::HookLine;

/// What one hook has counted, over one or more lines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub count: u64,
    pub sum_ns: u64,
    /// (lo, hi] -> samples
    pub buckets: BTreeMap<(u64, u64), u64>,
    pub skipped: BTreeMap<String, u64>,
    pub missed: u64,
    /// Times since another hook, by that hook (`--stages`).
    pub stages: BTreeMap<String, Counts>,
    /// Recorded without one, by cause.
    pub stageless: BTreeMap<String, u64>,
}

fn buckets_of(line: &[[u64; 3]]) -> BTreeMap<(u64, u64), u64> {
    let buckets = line.iter();
    buckets
        .map(|[lo, hi, count]| ((*lo, *hi), *count))
        .collect()
}

impl Counts {
    pub fn add(&mut self, line: &HookLine) {
        let stages = line.stages.iter().map(|stage| {
            let times = Counts {
                count: stage.count,
                sum_ns: stage.sum_ns,
                buckets: buckets_of(&stage.buckets),
                ..Counts::default()
            };
            (stage.from.clone(), times)
        });
        self.merge(&Counts {
            count: line.count,
            sum_ns: line.sum_ns,
            buckets: buckets_of(&line.buckets),
            skipped: line.skipped.clone(),
            missed: line.missed,
            stages: stages.collect(),
            stageless: line.stageless.clone(),
        });
    }

    /// The packets that came from another hook.
    pub fn stage(&self, from: &str) -> Counts {
        assert!(Hook::named(from).is_some(), "no hook is called '{from}'");
        self.stages.get(from).cloned().unwrap_or_default()
    }

    /// Packets without a stage, of this cause.
    pub fn stageless(&self, cause: &str) -> u64 {
        assert!(Cause::find(cause).is_some(), "no cause is called '{cause}'");
        self.stageless.get(cause).copied().unwrap_or(0)
    }

    /// Packets with a stage, and without.
    pub fn staged(&self) -> u64 {
        let stages = self.stages.values().map(|times| times.count);
        stages.sum::<u64>() + self.stageless.values().sum::<u64>()
    }

    /// What was counted since `earlier`.
    pub fn since(&self, earlier: &Counts) -> Counts {
        let mut grown = self.clone();
        grown.count -= earlier.count;
        grown.sum_ns = grown.sum_ns.wrapping_sub(earlier.sum_ns);
        grown.missed -= earlier.missed;
        for (bucket, count) in &earlier.buckets {
            *grown.buckets.get_mut(bucket).expect("counts only grow") -= count;
        }
        for (from, times) in &earlier.stages {
            let now = grown.stages.get_mut(from).expect("counts only grow");
            *now = now.since(times);
        }
        for (cause, count) in &earlier.stageless {
            *grown.stageless.get_mut(cause).expect("counts only grow") -= count;
        }
        for (reason, count) in &earlier.skipped {
            *grown.skipped.get_mut(reason).expect("counts only grow") -= count;
        }
        grown
    }

    pub fn merge(&mut self, other: &Counts) {
        self.count += other.count;
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
        self.missed += other.missed;
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
        for (from, times) in &other.stages {
            self.stages.entry(from.clone()).or_default().merge(times);
        }
        for (cause, count) in &other.stageless {
            *self.stageless.entry(cause.clone()).or_default() += count;
        }
        for (reason, count) in &other.skipped {
            *self.skipped.entry(reason.clone()).or_default() += count;
        }
    }

    /// The bucket with the median in it.
    pub fn median(&self) -> (u64, u64) {
        let mut seen = 0;
        let holder = self.buckets.iter().find(|(_, count)| {
            seen += *count;
            seen >= self.count.div_ceil(2)
        });
        *holder.expect("samples").0
    }

    /// How often for this reason. It must be one that the tool knows: a typo
    /// would find nothing, and a test that expects nothing would pass.
    pub fn skip(&self, reason: &str) -> u64 {
        skipped(&self.skipped, reason)
    }

    /// How often the hook's programs say that they ran.
    pub fn runs(&self) -> u64 {
        self.count + self.skipped.values().sum::<u64>()
    }

    /// Samples certainly at or below `ns`, and samples possibly so: those of
    /// the bucket that `ns` divides may be either.
    pub fn at_or_below(&self, ns: u64) -> (u64, u64) {
        let sum = |keep: &dyn Fn(u64, u64) -> bool| {
            let kept = self.buckets.iter().filter(|((lo, hi), _)| keep(*lo, *hi));
            kept.map(|(_, count)| count).sum()
        };
        (sum(&|_, hi| hi <= ns), sum(&|lo, _| lo < ns))
    }

    /// Samples certainly above `ns`.
    pub fn above(&self, ns: u64) -> u64 {
        self.count - self.at_or_below(ns).1
    }
}

/// The count of a reason, of those that occurred. See [`Counts::skip`].
pub fn skipped(counts: &BTreeMap<String, u64>, reason: &str) -> u64 {
    assert!(
        SkipReason::find(reason).is_some(),
        "no skip reason is called '{reason}'"
    );
    counts.get(reason).copied().unwrap_or(0)
}
