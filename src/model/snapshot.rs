// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Snapshots of all counters at one time, and the intervals between them.

use std::ops::AddAssign;
use std::time::SystemTime;

use crate::model::counters::Counters;
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hooks::HookSet;
use crate::model::sparse::Sparse;

/// All counters since the start, at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// CLOCK_MONOTONIC, ns.
    pub mono_ns: u64,
    /// Wall-clock time.
    pub wall: SystemTime,
    /// What has been counted.
    pub counters: Counters,
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
            counters: Counters::new(resolution, enabled),
        }
    }

    /// What was counted since `earlier`.
    pub fn since(&self, earlier: &Snapshot) -> Interval {
        Interval {
            start: earlier.wall,
            end: self.wall,
            duration_ns: self.mono_ns.saturating_sub(earlier.mono_ns),
            counters: &self.counters - &earlier.counters,
        }
    }
}

/// What was counted between two snapshots, or in several such intervals.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interval<L = Histogram> {
    /// Wall-clock time of the earlier snapshot.
    pub start: SystemTime,
    /// Wall-clock time of the later snapshot.
    pub end: SystemTime,
    /// CLOCK_MONOTONIC between the two, ns.
    pub duration_ns: u64,
    /// What was counted.
    pub counters: Counters<L>,
}

impl Interval {
    /// Adds what was counted in a later interval, with or without a gap between
    /// the two: the time in it does not count. `None`: a sum exceeds 64 bits, and
    /// this interval is of no use any more.
    #[must_use]
    pub fn try_add(&mut self, later: &Interval) -> Option<()> {
        self.end = later.end;
        self.duration_ns = self.duration_ns.checked_add(later.duration_ns)?;
        self.counters.try_add(&later.counters)
    }

    /// The same with only the non-empty buckets.
    pub fn compact(&self) -> Interval<Sparse> {
        self.with(self.counters.compact())
    }

    /// Samples per second; 0 for an interval without length.
    pub fn rate(&self, count: u64) -> f64 {
        if self.duration_ns == 0 {
            return 0.0;
        }
        count as f64 * 1e9 / self.duration_ns as f64
    }

    /// Whether the kernel has called no program at all. It updates its clock
    /// with every tick, and at the latest when the report is due; but a virtual
    /// machine can be kept from running for tenths of a second, and wakes up
    /// without a tick.
    pub fn stalled(&self) -> bool {
        const LONGEST_PAUSE_NS: u64 = 900_000_000;
        self.counters.clock_updates == Some(0) && self.duration_ns >= LONGEST_PAUSE_NS
    }
}

impl<L> Interval<L> {
    /// The same time with other counters.
    #[must_use]
    pub fn with<M>(&self, counters: Counters<M>) -> Interval<M> {
        Interval {
            start: self.start,
            end: self.end,
            duration_ns: self.duration_ns,
            counters,
        }
    }
}

/// As in [`Counters`], for what this process has counted.
///
/// # Panics
///
/// If a sum exceeds 64 bits.
impl AddAssign<&Interval> for Interval {
    fn add_assign(&mut self, later: &Interval) {
        self.try_add(later).expect("counts stay within 64 bits");
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;
    use crate::model::hooks::Hook;

    fn hook() -> Hook {
        Hook::all().next().unwrap()
    }

    fn interval(start_s: u64, missed: u64) -> Interval {
        let start = UNIX_EPOCH + Duration::from_secs(start_s);
        let mut first = Snapshot::empty(Resolution::FINE, HookSet::ALL, 7, start);
        first.counters.clock_updates = Some(3);
        let mut second = first.clone();
        second.wall += Duration::from_secs(1);
        second.mono_ns += 1_000_000_000;
        second.counters.hook_mut(hook()).missed += missed;
        second.since(&first)
    }

    #[test]
    fn the_time_between_two_intervals_does_not_count() {
        let mut sum = interval(100, 3);
        sum += &interval(200, 4);
        let wall = sum.end.duration_since(sum.start).unwrap();
        assert_eq!(wall, Duration::from_secs(101));
        assert_eq!(sum.duration_ns, 2_000_000_000);
        assert_eq!(sum.counters.hook(hook()).missed, 7);
        sum.duration_ns = u64::MAX;
        assert_eq!(sum.try_add(&interval(300, 0)), None);
    }

    #[test]
    fn stalled_is_no_update_for_longer_than_a_pause() {
        let mut interval = interval(100, 0);
        assert!(interval.stalled());
        interval.duration_ns = 899_999_999;
        assert!(!interval.stalled());
        interval.duration_ns = 900_000_000;
        assert!(interval.stalled());
        interval.counters.clock_updates = Some(1);
        assert!(!interval.stalled());
        // Where no program follows the clock, nobody knows.
        interval.counters.clock_updates = None;
        assert!(!interval.stalled());
    }
}
