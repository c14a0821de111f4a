// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Run files as they would come from hosts whose latencies go up and down by
//! themselves, and whose truth is known because it is made here.

mod trials;

use std::collections::BTreeMap;
use std::f64::consts::TAU;
use std::time::{Duration, UNIX_EPOCH};

use netstacklat::model::comparison::{Comparison, Side};
use netstacklat::model::counters::{Counters, HookCounters};
use netstacklat::model::histogram::{Histogram, Resolution};
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
use statrs::distribution::{ContinuousCDF as _, Normal};

pub(crate) use trials::{count, percent, trials};

/// Of a period, its settle time included, and of the part that is measured.
const PERIOD_S: f64 = 4.0;
const MEASURED_S: f64 = 3.0;
const ROUND_S: f64 = 4.0 * PERIOD_S;
/// The host's level changes in such steps.
const STEP_S: f64 = 0.1;
const STEPS: usize = 40;
const FIRST_MEASURED: usize = 10;

/// What the latencies of a period look like.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Shape {
    /// Log-normal, with this standard deviation of the logarithm.
    LogNormal(f64),
    /// Nine tenths are quick, one tenth eight times slower and wider.
    Mixture,
    /// A Pareto distribution, alpha 1.1: it has no variance.
    Pareto,
    /// Two levels, the upper six times the lower; the share of the upper one
    /// wanders.
    Bimodal,
    /// In steps of an eighth of the median, as from a coarse timer.
    Heaped,
}

/// How the latencies of a host go up and down by themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Host {
    Steady,
    /// Wanders by 30 %, and forgets with this time constant, s.
    Remembers(f64),
    /// Five times slower in bursts of 2 s on average, every 10 s or so.
    Bursts,
    /// Up by 60 % within 23 s, again and again.
    Sawtooth,
    /// Up or down by half over ten rounds, and waves of 2 minutes.
    Drifts,
    /// 50 % slower from some moment on.
    Switches,
    /// 50 % slower in a quarter of each cycle, which lasts so many rounds.
    Interference(f64),
    /// The same with another cycle at each hook.
    OwnInterference,
    /// A shock in each period, Cauchy distributed: mostly small, sometimes vast.
    Shocks,
    /// One period is 20 times slower.
    OnePeriod,
    /// One period has no packets.
    DeadPeriod,
}

/// What is simulated. Each hook has 20 % more latency than the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) host: Host,
    pub(crate) shape: Shape,
    pub(crate) hooks: usize,
    pub(crate) rounds: usize,
    /// In a tenth of a second, at each hook.
    pub(crate) packets: PerSide<f64>,
    /// How much slower B is, as ln.
    pub(crate) effect: f64,
    /// Only the slowest share is slower.
    pub(crate) of_slowest: f64,
    /// Orders are drawn between looks, of 40 rounds.
    pub(crate) auto_rounds: bool,
}

/// The level of a host over time.
struct Level {
    host: Host,
    rng: Xoshiro256PlusPlus,
    time: f64,
    wander: f64,
    phase: f64,
    slope: f64,
    switch_at: f64,
    /// The period that is hit, and the shock of the present one.
    hit: usize,
    shock: f64,
}

impl Level {
    fn new(setup: &Setup, seed: u64) -> Level {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        let all = setup.rounds as f64 * ROUND_S;
        Level {
            host: setup.host,
            time: 0.0,
            wander: rng.sample(StandardNormal),
            phase: rng.random::<f64>(),
            slope: (rng.random::<f64>() - 0.5) / all,
            switch_at: rng.random::<f64>() * all,
            hit: (rng.random::<f64>() * 4.0 * setup.rounds as f64) as usize,
            shock: 0.0,
            rng,
        }
    }

    /// A period begins.
    fn next_period(&mut self) {
        if self.host == Host::Shocks {
            let uniform = self.rng.random::<f64>() - 0.5;
            self.shock = (0.05 * (std::f64::consts::PI * uniform).tan()).clamp(-3.0, 3.0);
        }
    }

    fn step(&mut self) {
        self.time += STEP_S;
        match self.host {
            Host::Bursts => {
                let change: f64 = self.rng.random();
                let ends = if self.wander > 0.0 { 2.0 } else { 10.0 };
                if change < STEP_S / ends {
                    self.wander = if self.wander > 0.0 { -1.0 } else { 1.0 };
                }
            }
            _ => {
                let memory = if let Host::Remembers(s) = self.host {
                    s
                } else {
                    3.0
                };
                let kept = (-STEP_S / memory).exp();
                let new: f64 = self.rng.sample(StandardNormal);
                self.wander = kept * self.wander + (1.0 - kept * kept).sqrt() * new;
            }
        }
    }

    /// As ln.
    fn at(&self, hook: usize, period: usize) -> f64 {
        let quarter = |cycle: f64| {
            let place = (self.time / cycle + self.phase).fract();
            if place < 0.25 { 0.4 } else { 0.0 }
        };
        match self.host {
            Host::Steady | Host::DeadPeriod => 0.0,
            Host::Remembers(_) => 0.3 * self.wander,
            Host::Bursts if self.wander > 0.0 => 5.0_f64.ln(),
            Host::Bursts => 0.0,
            Host::Sawtooth => 0.5 * (self.time / 23.0 + self.phase).fract(),
            Host::Drifts => {
                self.slope * self.time + 0.25 * ((self.phase + self.time / 120.0) * TAU).sin()
            }
            Host::Switches if self.time > self.switch_at => 0.4,
            Host::Switches => 0.0,
            Host::Interference(rounds) => quarter(rounds * ROUND_S),
            Host::OwnInterference => quarter((0.5 + 0.17 * hook as f64) * ROUND_S),
            Host::Shocks => self.shock,
            Host::OnePeriod if period == self.hit => 20.0_f64.ln(),
            Host::OnePeriod => 0.0,
        }
    }

    /// The share of the upper of two levels.
    fn upper_share(&self) -> f64 {
        1.0 / (1.0 + (1.0 - 0.8 * self.wander).exp())
    }
}

/// Latencies to draw from, as parts of the host's level, by rank.
struct Packets {
    shape: Shape,
    by_rank: Vec<f64>,
}

const RANK_BITS: u32 = 16;

impl Packets {
    fn new(setup: &Setup, effect: f64) -> Packets {
        let normal = Normal::standard();
        let all = 1 << RANK_BITS;
        let by_rank = (0..all).map(|place| {
            let rank = (f64::from(place) + 0.5) / f64::from(all);
            let slower = if rank > 1.0 - setup.of_slowest {
                effect
            } else {
                0.0
            };
            let own = normal.inverse_cdf(rank);
            let value = match setup.shape {
                Shape::LogNormal(width) => (width * own).exp(),
                Shape::Mixture if rank < 0.9 => (0.3 * normal.inverse_cdf(rank / 0.9)).exp(),
                Shape::Mixture => 8.0 * (0.8 * normal.inverse_cdf((rank - 0.9) / 0.1)).exp(),
                Shape::Pareto => (1.0 - rank).powf(-1.0 / 1.1),
                Shape::Bimodal => (0.15 * own).exp(),
                Shape::Heaped => ((0.4 * own).exp() * 8.0).ceil() / 8.0,
            };
            value * slower.exp()
        });
        Packets {
            shape: setup.shape,
            by_rank: by_rank.collect(),
        }
    }

    /// Adds `count` on average, on a host whose level is `level`, as ln of ns.
    fn draw(
        &self,
        into: &mut Histogram,
        rng: &mut Xoshiro256PlusPlus,
        count: f64,
        level: f64,
        upper: f64,
    ) {
        let level = level.exp();
        let whole = count as usize + usize::from(rng.random::<f64>() < count.fract());
        for _ in 0..whole {
            let drawn = rng.random::<u32>() >> (u32::BITS - RANK_BITS);
            let mut ns = level * self.by_rank[drawn as usize];
            if self.shape == Shape::Bimodal && rng.random::<f64>() < upper {
                ns *= 6.0;
            }
            into.record((ns as u64).min(1 << 33));
        }
    }
}

/// The median of a hook's latencies, as ln of ns.
fn median(hook: usize) -> f64 {
    9.0 + 0.18 * hook as f64
}

/// What comes to a hook on a side.
pub(crate) struct Traffic {
    of: PerSide<Packets>,
}

impl Traffic {
    pub(crate) fn new(setup: &Setup) -> Traffic {
        Traffic {
            of: PerSide {
                a: Packets::new(setup, 0.0),
                b: Packets::new(setup, setup.effect),
            },
        }
    }
}

pub(crate) fn comparison(setup: &Setup, traffic: &Traffic, seed: u64) -> RunFile {
    // The host, its packets and the orders have nothing to do with each other.
    let mut seeds = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut level = Level::new(setup, seeds.random());
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seeds.random());
    let mut sides = PerSide::of(|_| interval(Vec::new()));
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
            let mut histograms = vec![Histogram::new(Resolution::FINE); setup.hooks];
            for step in 0..STEPS {
                level.step();
                if step < FIRST_MEASURED || dead {
                    continue;
                }
                for (hook, histogram) in histograms.iter_mut().enumerate() {
                    traffic.of[arm].draw(
                        histogram,
                        &mut rng,
                        setup.packets[arm],
                        median(hook) + level.at(hook, number),
                        level.upper_share(),
                    );
                }
            }
            let interval = interval(histograms);
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

/// Recordings of A and B, as many of each. The host's level differs from one to
/// the next: by some 10 %, or, where it has two modes, by one or the other at
/// each boot and hook.
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
            let mut histograms = vec![Histogram::new(Resolution::FINE); setup.hooks];
            let modes: Vec<f64> = (0..setup.hooks)
                .map(|_| f64::from(u8::from(two_modes && rng.random())) * 0.25)
                .collect();
            for _ in 0..(MEASURED_S / STEP_S).round() as usize {
                level.step();
                for (hook, histogram) in histograms.iter_mut().enumerate() {
                    traffic.of[arm].draw(
                        histogram,
                        &mut rng,
                        setup.packets[arm],
                        median(hook) + 0.1 * of_this + modes[hook] + level.at(hook, 0),
                        level.upper_share(),
                    );
                }
            }
            file(info(), Content::Recording(totals(interval(histograms))))
        };
        (0..files).map(recording).collect()
    })
}

/// Latencies at the first hooks of the path; the others are off.
fn interval(histograms: Vec<Histogram>) -> Interval {
    let on = Hook::all().take(histograms.len()).collect();
    let mut histograms = histograms.into_iter();
    Interval {
        start: UNIX_EPOCH,
        end: UNIX_EPOCH,
        duration_ns: 0,
        counters: Counters::of(on, |_| {
            let next = histograms.next();
            HookCounters::of(next.unwrap_or_else(|| Histogram::new(Resolution::FINE)))
        }),
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
