// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Run files for the tests of the analysis and of what is shown of it.

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use crate::model::comparison::{Arm, Comparison, Side};
use crate::model::counters::{Counters, HookCounters};
use crate::model::histogram::Histogram;
use crate::model::histogram::Resolution;
use crate::model::hooks::{Hook, HookSet};
use crate::model::run::{ClockInfo, HookStatus, RunInfo};
use crate::model::selection::Selection;
use crate::model::snapshot::Interval;
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
}

/// Latencies with this median, enough for a p99.
pub(crate) fn at(ns: f64) -> At {
    At {
        ns,
        count: 4000,
        tail: 1.0,
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
    let mut periods = Vec::new();
    let mut sides = [totals(rounds * 6), totals(rounds * 6)];
    for round in 1..=rounds {
        use Arm::{A, B};
        for arm in [[A, B, B, A], [B, A, A, B]][round as usize % 2] {
            let mut period = totals(3).interval;
            let mut on = Vec::new();
            for hook in Hook::all() {
                if let Some(at) = levels(hook.name(), arm, round) {
                    let histogram = latencies(at);
                    let stats = stats(&mut sides[arm as usize], hook.name());
                    stats.histogram.merge(&histogram);
                    period.counters.hook_mut(hook).histogram = histogram;
                    on.push(hook);
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
