// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Intervals and reports for the tests of the renderers.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use proptest::prelude::*;

use crate::model::group::Group;
use crate::model::histogram::{Histogram, MAX_NS, Resolution};
use crate::model::hook_counters::Cost;
use crate::model::hooks::{HOOK_COUNT, Hook, HookSet};
use crate::model::sampling::Sampling;
use crate::model::skips::SkipReason;
use crate::model::snapshot::{Interval, Snapshot};
use crate::model::stage::Cause;
use crate::render::{Kind, Renderer, Report};
use crate::test_support::hook;

/// 2026-11-21 10:17:03 UTC: when the made-up run's only interval ends.
pub(crate) const END_S: u64 = 1_795_256_223;
/// How long it lasts, ns.
pub(crate) const LENGTH_NS: u64 = 10_000_000_000;

/// A run of one interval, and the properties of its report.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) start: Snapshot,
    pub(crate) end: Snapshot,
    kind: Kind,
    cumulative: bool,
    partial: bool,
    missed_intervals: u64,
}

/// Prints buckets instead of thousands of counts if a property fails.
impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let interval = self.interval();
        let mut hooks = f.debug_map();
        for hook in Hook::all() {
            let stats = interval.counters.hook(hook);
            let on = interval.counters.enabled.contains(hook);
            let buckets: Vec<_> = stats.histogram.buckets().collect();
            let skips: Vec<_> = stats.skips.iter().collect();
            hooks.entry(&(hook.name(), on), &(buckets, skips, stats.missed));
        }
        hooks.finish()?;
        let report = self.report(&interval);
        write!(f, "{:?} {} ", report.kind, report.missed_intervals)?;
        write!(f, "{:?} {:?}", interval.start, interval.end)
    }
}

/// The group with these values.
pub(crate) fn group<const N: usize>(values: [(&str, &str); N]) -> Group {
    let values = values.map(|(key, value)| (key.to_owned(), value.to_owned()));
    Group::Of(values.into())
}

/// The reason of a name.
pub(crate) fn reason(name: &str) -> SkipReason {
    SkipReason::find(name).unwrap()
}

impl Run {
    pub(crate) fn new(hooks: &[&str]) -> Run {
        let enabled = hooks.iter().map(|name| hook(name)).collect();
        Run::with(enabled, END_S, LENGTH_NS)
    }

    fn with(enabled: HookSet, end_s: u64, length_ns: u64) -> Run {
        let wall = UNIX_EPOCH + Duration::from_secs(end_s);
        let empty =
            |mono_ns, wall: SystemTime| Snapshot::empty(Resolution::FINE, enabled, mono_ns, wall);
        Run {
            start: empty(1000, wall - Duration::from_nanos(length_ns)),
            end: empty(1000 + length_ns, wall),
            kind: Kind::Interval,
            cumulative: false,
            partial: false,
            missed_intervals: 0,
        }
    }

    /// One packet in so many is measured.
    pub(crate) fn sampled(&mut self, one_in: u32) {
        let sampling = Sampling::new(one_in).unwrap();
        self.start.counters.sampling = sampling;
        self.end.counters.sampling = sampling;
    }

    pub(crate) fn samples(&mut self, name: &str, ns: u64, count: u64) {
        let stats = self.end.counters.hook_mut(hook(name));
        (0..count).for_each(|_| assert!(stats.histogram.record(ns)));
    }

    /// Samples of a group, which are also among those of all packets.
    pub(crate) fn group_samples(&mut self, group: &Group, name: &str, ns: u64, count: u64) {
        let hook = hook(name);
        let of_group = &mut self.end.counters.group_mut(group, hook).histogram;
        (0..count).for_each(|_| assert!(of_group.record(ns)));
        self.samples(name, ns, count);
    }

    /// Packets that took so long from one hook to another.
    pub(crate) fn stage(&mut self, from: &str, to: &str, ns: u64, count: u64) {
        let stages = &mut self.end.counters.hook_mut(hook(to)).stages;
        let new = || Histogram::new(Resolution::FINE);
        let times = stages.entry(hook(from)).or_insert_with(new);
        (0..count).for_each(|_| assert!(times.record(ns)));
    }

    pub(crate) fn stageless(&mut self, name: &str, cause: Cause, count: u64) {
        let stats = self.end.counters.hook_mut(hook(name));
        stats.stageless.add(cause, count);
    }

    pub(crate) fn samples_over_range(&mut self, name: &str, count: u64) {
        self.skips(name, SkipReason::OVER_RANGE, count);
    }

    pub(crate) fn skips(&mut self, name: &str, reason: SkipReason, count: u64) {
        self.end
            .counters
            .hook_mut(hook(name))
            .skips
            .add(reason, count);
    }

    pub(crate) fn missed(&mut self, name: &str, count: u64) {
        self.end.counters.hook_mut(hook(name)).missed += count;
    }

    pub(crate) fn cost(&mut self, name: &str, runs: u64, time_ns: u64) {
        self.end.counters.hook_mut(hook(name)).cost += Cost { runs, time_ns };
    }

    /// Adds that many samples at once to one bucket, as a BPF map holds them.
    fn fill(&mut self, hook: Hook, bucket: usize, count: u64) {
        let buckets = Resolution::FINE.buckets();
        let bucket = bucket % buckets;
        let (_, hi_ns) = Resolution::FINE.bounds(bucket);
        let stats = self.end.counters.hook_mut(hook);
        let room = u64::MAX - stats.histogram.sum_ns();
        let count = count.min(room / hi_ns);
        let mut slice = vec![0; buckets + 1];
        slice[bucket] = count;
        slice[buckets] = count * hi_ns;
        stats.histogram.add_slice(slice);
    }

    pub(crate) fn interval(&self) -> Interval {
        self.end.since(&self.start)
    }

    pub(crate) fn report<'a>(&self, interval: &'a Interval) -> Report<'a> {
        Report {
            kind: self.kind,
            partial: self.partial,
            cumulative: self.cumulative,
            place: None,
            missed_intervals: self.missed_intervals,
            ..report(interval)
        }
    }
}

/// The first report of a run without problems.
pub(crate) fn report(interval: &Interval) -> Report<'_> {
    Report {
        kind: Kind::Interval,
        seq: 1,
        partial: false,
        missed_intervals: 0,
        cumulative: false,
        place: None,
        interval,
    }
}

pub(crate) fn rendered(mut renderer: impl Renderer, report: &Report) -> String {
    let mut out = Vec::new();
    renderer.report(&mut out, report).unwrap();
    String::from_utf8(out).unwrap()
}

pub(crate) fn assert_fits(page: &str, width: usize) {
    assert!(page.ends_with('\n') && !page.ends_with("\n\n"), "{page}");
    for line in page.lines() {
        assert!(line.len() <= width, "{} columns: {line}", line.len());
        assert_eq!(line, line.trim_end(), "ends with spaces");
    }
}

/// Counts of every magnitude.
fn counts() -> impl Strategy<Value = u64> {
    (any::<u64>(), 8u32..64).prop_map(|(bits, shift)| bits >> shift)
}

prop_compose! {
    /// Runs with any counts that a kernel could have.
    pub(crate) fn runs()(
        enabled in prop::collection::vec(0..HOOK_COUNT, 0..=HOOK_COUNT),
        samples in prop::collection::vec((0..HOOK_COUNT, 0usize..1000, counts()), 0..60),
        skips in prop::collection::vec(
            (0..HOOK_COUNT, prop::sample::select(SkipReason::all().collect::<Vec<_>>()), counts()),
            0..40,
        ),
        missed in prop::collection::vec((0..HOOK_COUNT, counts()), 0..6),
        // Up to 30 years, of which some begin in one zone and end in another.
        times in (1_000_000_000u64..4_000_000_000, prop_oneof![0..=MAX_NS, 0..=1u64 << 59]),
        steps in prop_oneof![Just(0u64), 1u64..3, counts()],
        missed_intervals in prop_oneof![Just(0u64), 1u64..3, 0u64..1 << 33],
        flags in any::<[bool; 3]>(),
    ) -> Run {
        let hooks: Vec<Hook> = Hook::all().collect();
        let enabled = enabled.into_iter().map(|index| hooks[index]).collect();
        let mut run = Run::with(enabled, times.0, times.1);
        for (index, bucket, count) in samples {
            run.fill(hooks[index], bucket, count);
        }
        for (index, reason, count) in skips {
            run.end.counters.hook_mut(hooks[index]).skips.add(reason, count);
        }
        for (index, count) in missed {
            run.end.counters.hook_mut(hooks[index]).missed += count;
        }
        run.end.counters.clock_steps = steps;
        run.kind = if flags[0] { Kind::Total } else { Kind::Interval };
        run.partial = flags[1];
        run.cumulative = flags[2];
        run.missed_intervals = missed_intervals;
        run
    }
}
