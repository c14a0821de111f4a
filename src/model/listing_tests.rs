// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
use crate::model::skips::SkipReason;
use proptest::prelude::*;

use super::*;
use crate::model::histogram::Resolution;
use crate::model::hooks::HookSet;
use crate::test_support::group;

fn hooks() -> [Hook; 2] {
    let mut all = Hook::all();
    [all.next().unwrap(), all.next().unwrap()]
}

/// Samples of groups: name, hook, ns, count. All packets are those of the groups.
fn counters(samples: &[(&Group, Hook, u64, u64)]) -> Counters {
    let mut counters = Counters::new(Resolution::FINE, HookSet::ALL);
    for &(group, hook, ns, count) in samples {
        for _ in 0..count {
            assert!(counters.group_mut(group, hook).histogram.record(ns));
            assert!(counters.hook_mut(hook).histogram.record(ns));
        }
    }
    counters
}

fn process(name: &str) -> Group {
    group([("process", name)])
}

fn listed(counters: &Counters, sort: GroupSort, top: usize) -> (Vec<String>, usize) {
    let list = Listing { top, sort }.of(counters);
    let names = list.groups.iter().map(|found| found.group.to_string());
    (names.collect(), list.left_out)
}

/// 900 packets of 1 us, 100 of 100 us: the slowest hundredth is 10 of the 100.
#[test]
fn a_share_of_slow_packets() {
    let [hook, _] = hooks();
    let (fast, slow, few) = (process("fast"), process("slow"), process("few"));
    let counters = counters(&[
        (&fast, hook, 1000, 801),
        (&slow, hook, 100_000, 100),
        (&few, hook, 1000, 99),
    ]);
    let list = Listing::default().of(&counters);
    let shares: Vec<_> = list
        .groups
        .iter()
        .map(|found| (found.group.clone(), found.hooks[0].slow))
        .collect();
    // One packet short of what a p99 takes: not known, and last.
    assert_eq!(shares, [(slow, Some(0.1)), (fast, Some(0.0)), (few, None)]);
}

/// If the p99 is above the range, the packets above the range are the slow ones.
#[test]
fn packets_over_range_are_slow() {
    let [hook, _] = hooks();
    let name = process("late");
    let mut counters = counters(&[(&name, hook, 1000, 960)]);
    let over_range = SkipReason::OVER_RANGE;
    counters.hook_mut(hook).skips.add(over_range, 40);
    counters.group_mut(&name, hook).skips.add(over_range, 40);
    let slowest = Slowest::of(counters.hook(hook)).unwrap();
    let expected = Slowest {
        lo_ns: crate::model::histogram::MAX_NS,
        part: 0.25,
    };
    assert_eq!(slowest, expected);
    let share = slowest.share(counters.group_mut(&name, hook)).unwrap();
    assert!((share - 0.01).abs() < 1e-12, "{share}");
}

#[test]
fn groups_are_listed_in_each_order() {
    let [first, second] = hooks();
    // Its slow packets are at the second hook only.
    let (late, long) = (process("late(10)"), process("long(9)"));
    let (many, few) = (process("many(2)"), process("many(10)"));
    let unknown = process("unknown");
    let counters = counters(&[
        (&late, first, 1000, 100),
        (&late, second, 500_000, 100),
        (&long, first, 900_000, 4),
        (&many, first, 2000, 800),
        (&many, second, 2000, 9900),
        (&few, first, 3000, 12),
        (&unknown, first, 5_000_000, 5000),
        (&Group::Other, first, 9_000_000, 6000),
    ]);
    let of = |names: [&str; 6]| names.map(|name| name.to_owned()).to_vec();
    let behind = ["process unknown", "other"];
    let order = |names: [&str; 4]| {
        let names = names.map(|name| format!("process {name}"));
        let [a, b, c, d] = names.each_ref().map(String::as_str);
        (of([a, b, c, d, behind[0], behind[1]]), 0)
    };
    for (sort, expected) in [
        (
            GroupSort::Slow,
            ["late(10)", "many(2)", "many(10)", "long(9)"],
        ),
        // long has too few packets for a p99, many(10) too.
        (
            GroupSort::P99,
            ["late(10)", "many(2)", "many(10)", "long(9)"],
        ),
        (
            GroupSort::P50,
            ["long(9)", "late(10)", "many(10)", "many(2)"],
        ),
        (
            GroupSort::Count,
            ["many(2)", "late(10)", "many(10)", "long(9)"],
        ),
        (
            GroupSort::Name,
            ["late(10)", "long(9)", "many(2)", "many(10)"],
        ),
    ] {
        assert_eq!(listed(&counters, sort, 10), order(expected), "{sort}");
    }
    // The rest is always there, and is none of the groups that are counted.
    let (names, left_out) = listed(&counters, GroupSort::Name, 2);
    assert_eq!(names, ["process late(10)", "process long(9)", "other"]);
    assert_eq!(left_out, 3);
}

#[test]
fn groups_without_packets_are_not_listed() {
    let [hook, _] = hooks();
    let mut counters = counters(&[(&process("a"), hook, 1000, 1)]);
    let _ = counters.group_mut(&process("idle"), hook);
    assert_eq!(listed(&counters, GroupSort::Name, 1).1, 0);
}

fn values() -> impl Strategy<Value = Vec<(usize, usize, usize, u64, u64)>> {
    // Interface, process, hook, ns, count.
    prop::collection::vec(
        (0..3usize, 0..4usize, 0..2usize, 1..1u64 << 33, 0..400u64),
        1..40,
    )
}

fn of_two_keys(samples: &[(usize, usize, usize, u64, u64)]) -> Counters {
    let groups: Vec<(Group, Hook, u64, u64)> = samples
        .iter()
        .map(|&(interface, process, hook, ns, count)| {
            let (interface, process) = (format!("eth{interface}"), format!("p({process})"));
            let group = group([("interface", &interface), ("process", &process)]);
            let group = if ns % 7 == 0 { Group::Other } else { group };
            (group, hooks()[hook], ns, count)
        })
        .collect();
    let samples: Vec<_> = groups
        .iter()
        .map(|(g, h, ns, n)| (g, *h, *ns, *n))
        .collect();
    counters(&samples)
}

proptest! {
    /// The shares of all groups, by their packets, are the slowest hundredth.
    #[test]
    fn slow_packets_of_all_groups_are_one_percent(samples in values()) {
        let counters = of_two_keys(&samples);
        for hook in hooks() {
            let all = counters.hook(hook);
            let Some(slowest) = Slowest::of(all) else { continue };
            let groups: Vec<_> = counters.groups().filter(|(_, at, _)| *at == hook).collect();
            let shares = groups.iter().map(|(_, _, found)| {
                Some(slowest.share(found)? * found.histogram.count() as f64)
            });
            // Groups with few packets have no share.
            if let Some(shares) = shares.collect::<Option<Vec<f64>>>() {
                let sum: f64 = shares.iter().sum();
                let hundredth = all.histogram.count() as f64 / 100.0;
                prop_assert!((sum - hundredth).abs() < 1e-6, "{sum} {hundredth}");
            }
        }
    }

    /// Whatever keys groups are told apart by, together they are the whole, bucket
    /// by bucket.
    #[test]
    fn groups_by_fewer_keys_are_the_whole(
        samples in values(),
        keys in prop::sample::subsequence(vec!["interface", "process", "cgroup"], 0..=3),
    ) {
        let counters = of_two_keys(&samples);
        let keys: Vec<String> = keys.into_iter().map(String::from).collect();
        let by = counters.regrouped(|group| Some(group.by(&keys))).unwrap();
        for hook in Hook::all() {
            let mut sum = HookCounters::new(Resolution::FINE);
            for (group, _, found) in by.groups().filter(|(_, at, _)| *at == hook) {
                sum.try_add(found).unwrap();
                let has_all = keys.iter().all(|key| group.value(key).is_some());
                prop_assert!(has_all || *group == Group::Other);
            }
            prop_assert_eq!(&sum, counters.hook(hook));
            prop_assert_eq!(by.hook(hook), counters.hook(hook));
        }
        // Each value of a key once: as many groups as there are combinations.
        let names: std::collections::BTreeSet<_> = by.groups().map(|(group, ..)| group).collect();
        let expected: std::collections::BTreeSet<_> =
            counters.groups().map(|(group, ..)| group.by(&keys)).collect();
        prop_assert_eq!(names.len(), expected.len());
    }

    #[test]
    fn numbers_in_names_count_by_their_value(prefix in "[a-z]{1,5}", a: u32, b: u32) {
        let place = |n: u32| natural(&format!("{prefix}{n}x"));
        prop_assert_eq!(place(a).cmp(&place(b)), a.cmp(&b));
    }
}
