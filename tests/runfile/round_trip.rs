// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the renderer writes is what is read.

use std::time::{Duration, UNIX_EPOCH};

use netstacklat::model::comparison::{Comparison, Side};
use netstacklat::model::histogram::{MAX_NS, Resolution};
use netstacklat::model::hooks::{HOOK_COUNT, Hook, HookSet};
use netstacklat::model::run::{ClockInfo, HookStatus, RunInfo};
use netstacklat::model::selection::Selection;
use netstacklat::model::skips::SkipReason;
use netstacklat::model::snapshot::Snapshot;
use netstacklat::render::{Json, Kind, Renderer as _, Report};
use proptest::prelude::*;
use testlab::schema::assert_valid;

use super::{read, recording};

/// Without what is cleaned away.
fn texts() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 ./:_äß\"\\\\-]{0,40}"
}

prop_compose! {
    fn sides()(name in texts(), start in prop::option::of(texts()), stop in prop::option::of(texts())) -> Side {
        Side { name, start, stop }
    }
}

prop_compose! {
    fn comparisons()(
        a in sides(),
        b in sides(),
        load in prop::option::of(texts()),
        numbers in any::<[u64; 4]>(),
    ) -> Comparison {
        let [rounds, period, settle, seed] = numbers;
        let (period, settle) = (Duration::from_nanos(period), Duration::from_nanos(settle));
        Comparison { a, b, load, rounds, auto_rounds: seed % 2 == 0, period, settle, seed }
    }
}

prop_compose! {
    fn infos(comparison: bool)(
        words in prop::array::uniform5(texts()),
        name in prop::option::of(texts()),
        options in prop::collection::btree_map("[a-z-]{1,12}", prop::collection::vec(texts(), 0..3), 0..5),
        by in prop::collection::vec(texts(), 0..3),
        facts in prop::collection::btree_map("[a-z_]{1,12}", texts(), 0..5),
        possible_cpus in any::<usize>(),
        interval in prop::option::of(any::<u64>()),
        tai_offset_s in any::<i64>(),
        found in comparisons(),
        hooks in prop::collection::vec((prop::collection::vec(texts(), 0..3), prop::option::of(texts())), HOOK_COUNT),
    ) -> RunInfo {
        let [version, host, kernel, arch, source] = words;
        let verdicts = Hook::all().zip(hooks);
        RunInfo {
            version, host, kernel, arch, possible_cpus,
            interval: interval.map(Duration::from_nanos),
            resolution: Resolution::FINE,
            clock: ClockInfo { source, tai_offset_s },
            name, selection: Selection { options, by }, facts,
            comparison: comparison.then_some(found),
            hooks: verdicts.map(|(hook, (functions, reason))| HookStatus { hook, functions, reason }).collect(),
        }
    }
}

/// Latencies by hook, and skips by hook and reason, of each interval.
type Samples = (Vec<(usize, u64)>, Vec<(usize, usize, u64)>);

fn samples() -> impl Strategy<Value = Vec<Samples>> {
    let latencies = (any::<u64>(), 0u32..34).prop_map(|(bits, shift)| (bits % MAX_NS) >> shift);
    let skips = (0..HOOK_COUNT, any::<usize>(), 1u64..1 << 50);
    let interval = (
        prop::collection::vec((0..HOOK_COUNT, latencies), 0..60),
        prop::collection::vec(skips, 0..10),
    );
    prop::collection::vec(interval, 1..5)
}

/// Snapshots after each interval, the first of them empty.
fn snapshots(samples: Vec<Samples>) -> Vec<Snapshot> {
    let hooks: Vec<Hook> = Hook::all().collect();
    let reasons: Vec<SkipReason> = SkipReason::all().collect();
    let first = Snapshot::empty(Resolution::FINE, HookSet::ALL, 5, UNIX_EPOCH);
    let mut all = vec![first];
    for (latencies, skips) in samples {
        let mut next = all.last().unwrap().clone();
        next.mono_ns += 1_000_000_007;
        next.counters.clock_steps += u64::from(latencies.len() % 7 == 1);
        next.counters.small_steps.count += u64::from(latencies.len() % 5 == 1);
        next.counters.small_steps.sum_ns += latencies.len() as u64 % 5;
        for (index, ns) in latencies {
            assert!(next.counters.hook_mut(hooks[index]).histogram.record(ns));
            next.counters.hook_mut(hooks[index]).missed += ns % 2;
        }
        for (index, reason, count) in skips {
            let reason = reasons[reason % reasons.len()];
            next.counters
                .hook_mut(hooks[index])
                .skips
                .add(reason, count);
        }
        all.push(next);
    }
    all
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn recordings(info in infos(false), samples in samples(), missed in 0u64..5) {
        let snapshots = snapshots(samples);
        let mut out = Vec::new();
        Json.start(&mut out, &info).unwrap();
        let mut report = |kind, seq, from: &Snapshot, to: &Snapshot| {
            let interval = to.since(from);
            let report = Report {
                kind, seq, partial: false, missed_intervals: missed, cumulative: false,
                place: None, interval: &interval,
            };
            Json.report(&mut out, &report).unwrap();
        };
        for (seq, pair) in (1..).zip(snapshots.windows(2)) {
            report(Kind::Interval, seq, &pair[0], &pair[1]);
        }
        let intervals = snapshots.len() as u64 - 1;
        let (first, last) = (&snapshots[0], snapshots.last().unwrap());
        report(Kind::Total, intervals, first, last);
        let whole = last.since(first);
        std::str::from_utf8(&out).unwrap().lines().for_each(assert_valid);
        let file = read(&out).unwrap();
        prop_assert_eq!(&file.info, &info);
        prop_assert_eq!(&file.problems, &Vec::<String>::new());
        prop_assert!(file.complete && file.runs == 1);
        let totals = recording(&file);
        prop_assert_eq!(totals.intervals, intervals);
        prop_assert_eq!(totals.interval.duration_ns, whole.duration_ns);
        prop_assert_eq!(totals.interval.counters.clock_steps, whole.counters.clock_steps);
        prop_assert_eq!(totals.interval.counters.small_steps, whole.counters.small_steps);
        prop_assert_eq!(totals.missed_intervals, missed * intervals);
        for hook in Hook::all() {
            prop_assert_eq!(totals.hook(hook), Some(whole.counters.hook(hook)));
        }
    }

    #[test]
    fn start_lines_of_comparisons(info in infos(true)) {
        let mut out = Vec::new();
        Json.start(&mut out, &info).unwrap();
        std::str::from_utf8(&out).unwrap().lines().for_each(assert_valid);
        let file = read(&out).unwrap();
        prop_assert_eq!(&file.info, &info);
        prop_assert!(!file.complete);
    }
}
