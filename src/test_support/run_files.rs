// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Run files for the tests of the analysis and of what is shown of it.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use crate::model::comparison::{Arm, Comparison, Side};
use crate::model::counters::Counters;
use crate::model::group::Group;
use crate::model::histogram::Histogram;
use crate::model::histogram::Resolution;
use crate::model::hook_counters::HookCounters;
use crate::model::hooks::{Hook, HookSet};
use crate::model::run::{ClockInfo, HookStatus, RunInfo};
use crate::model::selection::Selection;
use crate::model::skips::SkipReason;
use crate::model::snapshot::Interval;
use crate::model::sparse::Sparse;
use crate::runfile::{Content, Period, RunFile, Totals};
use crate::test_support::hook;

/// The description of a run on a host with all hooks.
pub(crate) fn info() -> RunInfo {
    RunInfo {
        version: "0.1.0".into(),
        host: "box".into(),
        kernel: "6.12.0".into(),
        arch: "x86_64".into(),
        possible_cpus: 8,
        interval: Some(Duration::from_secs(1)),
        resolution: Resolution::FINE,
        clock: ClockInfo {
            source: "update_vsyscall".into(),
            tai_offset_s: 37,
        },
        name: None,
        selection: Selection::default(),
        facts: BTreeMap::new(),
        comparison: None,
        hooks: Hook::all()
            .map(|hook| HookStatus {
                hook,
                functions: hook
                    .programs()
                    .map(|program| program.function.into())
                    .collect(),
                reason: None,
            })
            .collect(),
    }
}

/// Totals over so many seconds, with all hooks on and idle.
pub(crate) fn totals(seconds: u64) -> Totals {
    let length = Duration::from_secs(seconds);
    Totals {
        intervals: seconds,
        missed_intervals: 0,
        interval: Interval {
            start: UNIX_EPOCH,
            end: UNIX_EPOCH + length,
            duration_ns: length.as_nanos() as u64,
            counters: Counters::new(Resolution::FINE, HookSet::ALL),
        },
    }
}

pub(crate) fn stats<'a>(totals: &'a mut Totals, name: &str) -> &'a mut HookCounters {
    totals.interval.counters.hook_mut(hook(name))
}

/// Removes a hook, as if no line of the file had it.
pub(crate) fn turn_off(totals: &mut Totals, name: &str) {
    let counters = &mut totals.interval.counters;
    counters.enabled = counters.enabled.without(hook(name));
}

/// A recording of 30 s. `samples` are `(hook, ns, count)`.
pub(crate) fn recording(path: &str, samples: &[(&str, u64, u64)]) -> RunFile {
    let mut totals = totals(30);
    for &(name, ns, count) in samples {
        for _ in 0..count {
            assert!(stats(&mut totals, name).histogram.record(ns));
        }
    }
    RunFile {
        path: path.into(),
        info: info(),
        began: None,
        runs: 1,
        complete: true,
        excluded: Vec::new(),
        problems: Vec::new(),
        content: Content::Recording(totals),
    }
}

/// The latencies of a period at a hook: their median and their number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At {
    pub(crate) ns: f64,
    pub(crate) count: u32,
    /// The slowest 0.5 % are slower by this factor.
    pub(crate) tail: f64,
    /// Reads besides that are `collapsed`.
    pub(crate) collapsed: u64,
}

/// Latencies with this median, enough for a p99.
pub(crate) fn at(ns: f64) -> At {
    At {
        ns,
        count: 4000,
        tail: 1.0,
        collapsed: 0,
    }
}

/// Log-normal latencies, spread evenly over their ranks. They are so wide that the
/// position of buckets changes quantiles by less than 1 %.
fn latencies(at: At) -> Histogram {
    use statrs::distribution::{ContinuousCDF as _, Normal};
    let normal = Normal::standard();
    let mut histogram = Histogram::new(Resolution::FINE);
    for rank in 0..at.count {
        let share = (f64::from(rank) + 0.5) / f64::from(at.count);
        let tail = if share > 0.995 { at.tail } else { 1.0 };
        let ns = at.ns * (0.5 * normal.inverse_cdf(share)).exp() * tail;
        histogram.record(ns.clamp(1.0, 1e10) as u64);
    }
    histogram
}

/// A comparison of so many rounds with periods of 3 s. `levels` gives the latencies
/// by hook, side and number of the round.
pub(crate) fn comparison(rounds: u64, levels: impl Fn(&str, Arm, u64) -> Option<At>) -> RunFile {
    comparison_of(rounds, &[None], |_, name, arm, round| {
        levels(name, arm, round)
    })
}

/// The same with groups. `levels` also gets the place of the group.
pub(crate) fn comparison_of(
    rounds: u64,
    groups: &[Option<Group>],
    levels: impl Fn(usize, &str, Arm, u64) -> Option<At>,
) -> RunFile {
    let mut info = info();
    let side = |name: &str| Side {
        name: name.into(),
        ..Side::default()
    };
    info.comparison = Some(Comparison {
        a: side("none"),
        b: side("25k-rules"),
        load: None,
        rounds,
        auto_rounds: false,
        period: Duration::from_secs(3),
        settle: Duration::from_secs(1),
        seed: 1,
    });
    info.selection.by = keys_of(groups.iter().flatten());
    let mut periods = Vec::new();
    let mut sides = [totals(rounds * 6), totals(rounds * 6)];
    for round in 1..=rounds {
        use Arm::{A, B};
        for arm in [[A, B, B, A], [B, A, A, B]][round as usize % 2] {
            let mut period = totals(3).interval;
            let mut on = Vec::new();
            for (place, group) in groups.iter().enumerate() {
                for hook in Hook::all() {
                    if let Some(at) = levels(place, hook.name(), arm, round) {
                        let histogram = latencies(at);
                        let side = &mut sides[arm as usize].interval;
                        count(&mut side.counters, group.as_ref(), hook, &histogram);
                        count(&mut period.counters, group.as_ref(), hook, &histogram);
                        for counters in [&mut side.counters, &mut period.counters] {
                            let skips = &mut counters.hook_mut(hook).skips;
                            skips.add(SkipReason::COLLAPSED, at.collapsed);
                        }
                        on.push(hook);
                    }
                }
            }
            period.counters.enabled = on.into_iter().collect();
            periods.push(Period {
                arm,
                round,
                interval: period.compact(),
            });
        }
    }
    let [a, b] = sides;
    RunFile {
        path: "compare.nsl".into(),
        info,
        began: None,
        runs: 1,
        complete: true,
        excluded: Vec::new(),
        problems: Vec::new(),
        content: Content::Comparison { periods, a, b },
    }
}

/// The same with stages, which `levels` gives by the hooks where they begin and end,
/// side and round.
pub(crate) fn staged(
    mut file: RunFile,
    stages: &[(&str, &str)],
    levels: impl Fn(&str, &str, Arm, u64) -> Option<At>,
) -> RunFile {
    let Content::Comparison { periods, a, b } = &mut file.content else {
        panic!("a comparison");
    };
    for period in periods {
        let side = match period.arm {
            Arm::A => &mut *a,
            Arm::B => &mut *b,
        };
        for (from, to) in stages {
            let Some(at) = levels(from, to, period.arm, period.round) else {
                continue;
            };
            let (from, times) = (hook(from), latencies(at));
            let of_side = &mut stats(side, to).stages;
            let new = || Histogram::new(Resolution::FINE);
            of_side.entry(from).or_insert_with(new).merge(&times);
            let counters = period.interval.counters.hook_mut(hook(to));
            counters.stages.insert(from, Sparse::new(&times, 0));
        }
    }
    file
}

fn count(counters: &mut Counters, group: Option<&Group>, hook: Hook, more: &Histogram) {
    counters.hook_mut(hook).histogram.merge(more);
    if let Some(group) = group {
        counters.group_mut(group, hook).histogram.merge(more);
    }
}

fn keys_of<'a>(mut groups: impl Iterator<Item = &'a Group>) -> Vec<String> {
    let keys = groups.find_map(|group| match group {
        Group::Of(values) => Some(values.iter().map(|(key, _)| key.clone()).collect()),
        Group::Other => None,
    });
    keys.unwrap_or_default()
}

/// A recording of 30 s with groups. `samples` are `(group, hook, ns, count)`.
pub(crate) fn grouped_recording(path: &str, samples: &[(&Group, &str, u64, u64)]) -> RunFile {
    let mut file = recording(path, &[]);
    file.info.selection.by = keys_of(samples.iter().map(|(group, ..)| *group));
    if let Content::Recording(totals) = &mut file.content {
        for &(group, name, ns, packets) in samples {
            let mut histogram = Histogram::new(Resolution::FINE);
            (0..packets).for_each(|_| assert!(histogram.record(ns)));
            let counters = &mut totals.interval.counters;
            count(counters, Some(group), hook(name), &histogram);
        }
    }
    file
}

/// A pseudo-random number between -1 and 1 for a hook, side and round.
pub(crate) fn noise(name: &str, arm: Arm, round: u64) -> f64 {
    let mut mixed = round * 8 + arm as u64;
    for byte in name.bytes() {
        mixed = (mixed ^ u64::from(byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed ^= mixed >> 29;
    }
    (mixed >> 11) as f64 / (1u64 << 52) as f64 - 1.0
}

/// A comparison in which B changes hooks by these factors. Each hook's latencies are
/// about 3 us more than those of the hook before.
pub(crate) fn changes(factors: &[(&'static str, f64)]) -> RunFile {
    let factors = factors.to_vec();
    comparison(10, move |name, arm, round| {
        let (place, (_, by)) = factors.iter().enumerate().find(|(_, (n, _))| *n == name)?;
        let by = if arm == Arm::B { *by } else { 1.0 };
        let base = 3000.0 * (1 + place) as f64;
        Some(at(base * by * (1.0 + 0.002 * noise(name, arm, round))))
    })
}
