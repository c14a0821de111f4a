// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Generates run files of simulated hosts, whose latencies vary by themselves. The
//! true latencies are known.

mod level;
mod packets;
mod trials;

use std::collections::BTreeMap;
use std::time::{Duration, UNIX_EPOCH};

use netstacklat::model::comparison::{Arm, Comparison, Side};
use netstacklat::model::counters::Counters;
use netstacklat::model::group::Group;
use netstacklat::model::histogram::{Histogram, Resolution};
use netstacklat::model::hook_counters::HookCounters;
use netstacklat::model::hooks::Hook;
use netstacklat::model::run::{ClockInfo, HookStatus, RunInfo};
use netstacklat::model::selection::Selection;
use netstacklat::model::side::PerSide;
use netstacklat::model::snapshot::Interval;
use netstacklat::runfile::{Content, Period, RunFile, Totals};
use netstacklat::stats::rounds::{orders, orders_of_looks};
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::StandardNormal;

pub(crate) use packets::Traffic;
pub(crate) use trials::{count, percent, trials};

use level::Level;

/// The length of a period with its settle time, and of the measured part.
const PERIOD_S: f64 = 4.0;
const MEASURED_S: f64 = 3.0;
const ROUND_S: f64 = 4.0 * PERIOD_S;
/// The time step in which the level of a host changes.
const STEP_S: f64 = 0.1;
const STEPS: usize = 40;
const FIRST_MEASURED: usize = 10;

/// The distribution of the latencies in a period.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Log-normal, with this standard deviation of the logarithm.
    LogNormal(f64),
    /// Nine tenths are quick, one tenth eight times slower and wider.
    Mixture,
    /// A Pareto distribution with alpha 1.1, whose variance is infinite.
    Pareto,
    /// Two levels, the upper six times the lower. The share of the upper one varies.
    Bimodal,
    /// Multiples of an eighth of the median, as from a coarse timer.
    Heaped,
}

/// How the latencies of a host vary by themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Host {
    Steady,
    /// An autoregressive variation of 30 % with this time constant, s.
    Remembers(f64),
    /// Five times slower in bursts of 2 s on average, every 10 s or so.
    Bursts,
    /// A rise of 60 % every 23 s.
    Sawtooth,
    /// A drift of 50 % over ten rounds, up or down, and waves of 2 minutes.
    Drifts,
    /// 50 % slower from some moment on.
    Switches,
    /// 50 % slower in a quarter of each cycle. A cycle lasts so many rounds.
    Interference(f64),
    /// The same with a different cycle at each hook.
    OwnInterference,
    /// A Cauchy distributed shock in each period: usually small, sometimes huge.
    Shocks,
    /// One period is 20 times slower.
    OnePeriod,
    /// One period has no packets.
    DeadPeriod,
}

/// A simulated host. Each hook has 20 % more latency than the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) host: Host,
    pub(crate) shape: Shape,
    pub(crate) hooks: usize,
    pub(crate) rounds: usize,
    /// The packets of a tenth of a second at each hook.
    pub(crate) packets: PerSide<f64>,
    /// How much slower B is, as ln.
    pub(crate) effect: f64,
    /// The share of the slowest packets to which the change is limited.
    pub(crate) of_slowest: f64,
    /// Whether the orders of 40 rounds are drawn between looks.
    pub(crate) auto_rounds: bool,
    /// The number of groups, each with so many packets; 0: nothing is grouped. Only
    /// the first one gets slower.
    pub(crate) groups: usize,
}

impl Setup {
    /// The histograms of an interval: of each hook, and group by group.
    fn histograms(&self) -> Vec<Histogram> {
        vec![Histogram::new(Resolution::FINE); self.hooks * self.groups.max(1)]
    }

    /// The side whose packets a histogram has.
    fn effective(&self, arm: Arm, place: usize) -> Arm {
        if place < self.hooks { arm } else { Arm::A }
    }
}

/// The median of a hook's latencies, as ln of ns.
fn median(hook: usize) -> f64 {
    9.0 + 0.18 * hook as f64
}

pub(crate) fn comparison(setup: &Setup, traffic: &Traffic, seed: u64) -> RunFile {
    // The host, its packets and the orders are independent.
    let mut seeds = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut level = Level::new(setup, seeds.random());
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seeds.random());
    let mut sides = PerSide::of(|_| interval(setup, setup.histograms()));
    let mut periods = Vec::new();
    let seed_of_orders = seeds.random();
    let orders = if setup.auto_rounds {
        orders_of_looks(seed_of_orders)
    } else {
        orders(setup.rounds, seed_of_orders)
    };
    for (round, order) in orders.into_iter().take(setup.rounds).enumerate() {
        for arm in order {
            let number = periods.len();
            level.next_period();
            let dead = setup.host == Host::DeadPeriod && number == level.hit;
            let mut histograms = setup.histograms();
            for step in 0..STEPS {
                level.step();
                if step < FIRST_MEASURED || dead {
                    continue;
                }
                for (place, histogram) in histograms.iter_mut().enumerate() {
                    let hook = place % setup.hooks;
                    traffic.of[setup.effective(arm, place)].draw(
                        histogram,
                        &mut rng,
                        setup.packets[arm],
                        median(hook) + level.at(hook, number),
                        level.upper_share(),
                    );
                }
            }
            let interval = interval(setup, histograms);
            sides[arm] += &interval;
            periods.push(Period {
                arm,
                round: round as u64 + 1,
                interval: interval.compact(),
            });
        }
    }
    let mut info = info();
    info.comparison = Some(Comparison {
        a: Side::default(),
        b: Side::default(),
        load: None,
        rounds: setup.rounds as u64,
        auto_rounds: setup.auto_rounds,
        period: Duration::from_secs(3),
        settle: Duration::from_secs(1),
        seed,
    });
    let PerSide { a, b } = sides.map(totals);
    file(info, Content::Comparison { periods, a, b })
}

/// Recordings of A and B, as many of each. The level of the host varies between
/// recordings by about 10 %. A host with two modes has one of them after each boot,
/// at each hook.
pub(crate) fn recordings(
    setup: &Setup,
    traffic: &Traffic,
    files: usize,
    two_modes: bool,
    seed: u64,
) -> PerSide<Vec<RunFile>> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(!seed);
    PerSide::of(|arm| {
        let recording = |_| {
            let of_this: f64 = rng.sample(StandardNormal);
            let mut level = Level::new(setup, rng.random());
            let mut histograms = setup.histograms();
            let modes: Vec<f64> = (0..setup.hooks)
                .map(|_| f64::from(u8::from(two_modes && rng.random())) * 0.25)
                .collect();
            for _ in 0..(MEASURED_S / STEP_S).round() as usize {
                level.step();
                for (place, histogram) in histograms.iter_mut().enumerate() {
                    let hook = place % setup.hooks;
                    traffic.of[setup.effective(arm, place)].draw(
                        histogram,
                        &mut rng,
                        setup.packets[arm],
                        median(hook) + 0.1 * of_this + modes[hook] + level.at(hook, 0),
                        level.upper_share(),
                    );
                }
            }
            file(
                info(),
                Content::Recording(totals(interval(setup, histograms))),
            )
        };
        (0..files).map(recording).collect()
    })
}

/// An interval with latencies at the first hooks. The others are off.
fn interval(setup: &Setup, histograms: Vec<Histogram>) -> Interval {
    let on = Hook::all().take(setup.hooks).collect();
    let mut counters = Counters::of(on, |_| HookCounters::of(Histogram::new(Resolution::FINE)));
    for (place, histogram) in histograms.iter().enumerate() {
        let hook = Hook::all().nth(place % setup.hooks).expect("a hook");
        counters.hook_mut(hook).histogram.merge(histogram);
        if setup.groups > 0 {
            let name = format!("group {}", place / setup.hooks);
            let group = Group::Of([("cgroup".to_owned(), name)].into());
            counters.group_mut(&group, hook).histogram.merge(histogram);
        }
    }
    Interval {
        start: UNIX_EPOCH,
        end: UNIX_EPOCH,
        duration_ns: 0,
        counters,
    }
}

fn totals(interval: Interval) -> Totals {
    Totals {
        intervals: 0,
        missed_intervals: 0,
        interval,
    }
}

fn file(info: RunInfo, content: Content) -> RunFile {
    RunFile {
        path: "simulated".into(),
        info,
        began: None,
        runs: 1,
        complete: true,
        excluded: Vec::new(),
        problems: Vec::new(),
        content,
    }
}

fn info() -> RunInfo {
    RunInfo {
        version: "0".into(),
        host: "simulated".into(),
        kernel: "0".into(),
        arch: "none".into(),
        possible_cpus: 1,
        interval: None,
        resolution: Resolution::FINE,
        clock: ClockInfo {
            source: "none".into(),
            tai_offset_s: 0,
        },
        name: None,
        selection: Selection::default(),
        facts: BTreeMap::new(),
        comparison: None,
        hooks: Hook::all()
            .map(|hook| HookStatus {
                hook,
                functions: vec!["simulated".into()],
                reason: None,
            })
            .collect(),
    }
}
