// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tests of the counters' arithmetic.

use proptest::prelude::*;

use super::*;
use crate::model::hooks::HOOK_COUNT;

fn empty() -> Counters {
    Counters {
        clock_updates: Some(0),
        clock_cost: Some(Cost::default()),
        ..Counters::new(Resolution::FINE, HookSet::ALL)
    }
}

fn group(number: usize) -> Group {
    Group::Of([("interface".into(), format!("eth{number}"))].into())
}

/// Latencies by hook and group.
fn steps() -> impl Strategy<Value = Vec<Vec<(usize, usize, u64)>>> {
    let sample = (0..HOOK_COUNT, 0usize..3, 1u64..1 << 34);
    prop::collection::vec(prop::collection::vec(sample, 0..50), 1..8)
}

/// Counters after each step, the first of them empty. Everything in them grows.
fn readings(steps: Vec<Vec<(usize, usize, u64)>>) -> Vec<Counters> {
    let hooks: Vec<Hook> = Hook::all().collect();
    let mut readings = vec![empty()];
    for samples in steps {
        let mut next = readings.last().unwrap().clone();
        next.clock_steps += 1;
        next.small_steps.count += 2;
        next.small_steps.sum_ns += 90_000;
        next.clock_updates = next.clock_updates.map(|updates| updates + 250);
        for (index, number, ns) in samples {
            let hook = hooks[index];
            let more = |counters: &mut HookCounters| {
                counters.histogram.record(ns);
                counters.skips.add(SkipReason::NO_TIMESTAMP, ns % 3);
                counters.missed += ns % 5;
                let (runs, time_ns) = (1, ns % 7);
                counters.cost += Cost { runs, time_ns };
            };
            more(next.hook_mut(hook));
            more(next.group_mut(&group(number), hook));
            let cost = next.clock_cost.as_mut().unwrap();
            cost.runs += 1;
        }
        readings.push(next);
    }
    readings
}

fn first() -> Hook {
    Hook::all().next().unwrap()
}

proptest! {
    /// Sum of the intervals = total, whatever was counted when.
    #[test]
    fn differences_add_up_to_the_whole(steps in steps()) {
        let readings = readings(steps);
        let mut sum = empty();
        for pair in readings.windows(2) {
            sum += &(&pair[1] - &pair[0]);
        }
        prop_assert_eq!(&sum, &(readings.last().unwrap() - &readings[0]));
        prop_assert_eq!(&sum, readings.last().unwrap());
    }

    #[test]
    fn groups_add_up_to_all(steps in steps()) {
        let all = readings(steps).pop().unwrap();
        for hook in Hook::all() {
            let of_groups = all.groups().filter(|(_, other, _)| *other == hook);
            let count: u64 = of_groups.map(|(_, _, it)| it.histogram.count()).sum();
            prop_assert_eq!(count, all.hook(hook).histogram.count());
        }
    }

    #[test]
    fn compact_counters_hold_the_same(steps in steps()) {
        let whole = readings(steps).pop().unwrap();
        let compact = whole.compact();
        prop_assert_eq!(compact.clock_steps, whole.clock_steps);
        prop_assert_eq!(compact.total_cost(), whole.total_cost());
        let of_all = whole.hooks().zip(compact.hooks());
        for ((hook, whole), (same, compact)) in of_all {
            prop_assert_eq!(hook, same);
            prop_assert_eq!(whole.histogram.count(), compact.histogram.count());
            prop_assert_eq!(whole.skips, compact.skips);
        }
        prop_assert_eq!(whole.groups().count(), compact.groups().count());
    }
}

#[test]
fn counts_that_shrink_give_none() {
    let hook = first();
    let (mut earlier, mut later) = (empty(), empty());
    earlier.hook_mut(hook).missed = 5;
    earlier.hook_mut(hook).histogram.record(1000);
    earlier.clock_steps = 1;
    earlier.small_steps.count = 1;
    later.hook_mut(hook).missed = 2;
    let difference = &later - &earlier;
    assert_eq!(difference.hook(hook).missed, 0);
    assert_eq!(difference.hook(hook).histogram.count(), 0);
    assert_eq!(difference.clock_steps, 0);
    assert_eq!(difference.small_steps, SmallSteps::default());
}

#[test]
fn what_one_side_does_not_know_the_sum_does_not_know() {
    let mut known = empty();
    let unknown = Counters::new(Resolution::FINE, HookSet::ALL);
    known.try_add(&unknown).unwrap();
    assert_eq!((known.clock_updates, known.clock_cost), (None, None));
    let difference = &empty() - &unknown;
    assert_eq!(
        (difference.clock_updates, difference.clock_cost),
        (None, None)
    );
}

#[test]
fn sums_beyond_64_bits_are_refused() {
    let hook = first();
    let with = |change: fn(&mut Counters)| {
        let mut counters = empty();
        change(&mut counters);
        counters
    };
    for change in [
        |it: &mut Counters| it.clock_steps = u64::MAX,
        |it: &mut Counters| it.small_steps.count = u64::MAX,
        |it: &mut Counters| it.small_steps.sum_ns = u64::MAX,
        |it: &mut Counters| it.clock_updates = Some(u64::MAX),
        |it: &mut Counters| it.hook_mut(first()).cost.time_ns = u64::MAX,
        |it: &mut Counters| it.hook_mut(first()).missed = u64::MAX,
        // Each by itself fits, all runs together do not.
        |it: &mut Counters| {
            let counters = it.hook_mut(first());
            counters.skips.add(SkipReason::NO_TIMESTAMP, 1 << 63);
        },
    ] {
        let full = with(change);
        assert_eq!(full.clone().try_add(&empty()), Some(()));
        assert_eq!(full.clone().try_add(&full), None);
    }
    assert_eq!(with(|_| ()).hook(hook).missed, 0);
}

/// Nothing is lost where there is no room for a group.
#[test]
fn groups_beyond_the_limit_are_other() {
    let mut counters = empty();
    for number in 0..MAX_GROUPS + 10 {
        let counters = counters.group_mut(&group(number), first());
        counters.missed += 1;
    }
    // One that is there finds its place.
    counters.group_mut(&group(0), first()).missed += 1;
    let groups: Vec<_> = counters.groups().collect();
    assert_eq!(groups.len(), MAX_GROUPS + 1);
    let missed = |group: &Group| {
        let mut found = groups.iter().filter(|(other, ..)| *other == group);
        found.next().map(|(_, _, counters)| counters.missed)
    };
    assert_eq!(missed(&Group::Other), Some(10));
    assert_eq!(missed(&group(0)), Some(2));
    assert_eq!(missed(&group(MAX_GROUPS)), None);
}

#[test]
fn hooks_that_are_off_are_no_measurement() {
    let mut counters = empty();
    counters.enabled = counters.enabled.without(first());
    counters
        .hook_mut(first())
        .skips
        .add(SkipReason::TX_TIMESTAMP, 3);
    assert!(counters.measured(first()).is_none());
    assert!(counters.hooks().all(|(hook, _)| hook != first()));
    assert_eq!(counters.tx_timestamped(), 3);
}
