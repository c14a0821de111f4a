// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Run files as they would come from hosts whose latencies go up and down by
//! themselves, and whose truth is known because it is made here.

mod trials;

use std::collections::BTreeMap;
use std::time::Duration;

use netstacklat::model::comparison::{Arm, Comparison, Side};
use netstacklat::model::histogram::Resolution;
use netstacklat::model::hooks::{HOOK_COUNT, Hook};
use netstacklat::model::quantile::REPORTED;
use netstacklat::model::run::{ClockInfo, HookVerdict, RunInfo};
use netstacklat::model::snapshot::HookStats;
use netstacklat::runfile::{Content, Period, RunFile, Tally};
use netstacklat::stats::rounds::orders;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::StandardNormal;
use statrs::distribution::{ContinuousCDF as _, Normal};

pub(crate) use trials::{count, percent, trials};

/// Of a period, its settle time included, and of the part that is measured.
const PERIOD_S: f64 = 4.0;
const MEASURED_S: f64 = 3.0;
/// The host's level changes in such steps.
const STEP_S: f64 = 0.1;
/// Spread of a packet's own part, as ln.
const SPREAD: f64 = 0.6;

/// How the latencies of a host go up and down by themselves, as ln.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Host {
    Steady,
    /// Wanders, and forgets with a time constant of 3 s.
    Remembers,
    /// Five times slower in bursts of 2 s on average, every 10 s or so.
    Bursts,
    /// Up or down by half over the ten rounds and slow waves.
    Drifts,
}

struct Level {
    host: Host,
    rng: Xoshiro256PlusPlus,
    now: f64,
    time: f64,
    phase: f64,
    slope: f64,
}

impl Level {
    fn new(host: Host, seed: u64) -> Level {
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
        Level {
            host,
            now: 0.0,
            time: 0.0,
            phase: rng.random::<f64>() * std::f64::consts::TAU,
            slope: (rng.random::<f64>() - 0.5) / (10.0 * 4.0 * PERIOD_S),
            rng,
        }
    }

    fn step(&mut self) -> f64 {
        self.time += STEP_S;
        self.now = match self.host {
            Host::Steady => 0.0,
            Host::Remembers => {
                let kept = (-STEP_S / 3.0_f64).exp();
                let new: f64 = self.rng.sample(StandardNormal);
                kept * self.now + 0.3 * (1.0 - kept * kept).sqrt() * new
            }
            Host::Bursts => {
                let (on, off) = (STEP_S / 10.0, STEP_S / 2.0);
                let change: f64 = self.rng.random();
                match self.now > 0.0 {
                    true if change < off => 0.0,
                    false if change < on => 5.0_f64.ln(),
                    _ => self.now,
                }
            }
            Host::Drifts => {
                let wave = (self.phase + self.time * std::f64::consts::TAU / 120.0).sin();
                self.slope * self.time + 0.25 * wave
            }
        };
        self.now
    }
}

/// What B does to a packet.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Effect {
    None,
    /// Slower by so much, as ln, all of them.
    All(f64),
    /// The slowest twentieth alone.
    Tail(f64),
}

impl Effect {
    /// On packets `own` standard deviations above the middle.
    fn of(self, own: f64) -> f64 {
        match self {
            Effect::All(ln) => ln,
            Effect::Tail(ln) if own > 1.645 => ln,
            Effect::None | Effect::Tail(_) => 0.0,
        }
    }
}

/// Latencies to draw from, as parts of the host's level: log-normal, as fine as
/// that a period's p99 has hundreds above it.
struct Packets(Vec<f64>);

const DRAWN_FROM_BITS: u32 = 15;

impl Packets {
    fn new(effect: Effect) -> Packets {
        let normal = Normal::standard();
        let all = 1 << DRAWN_FROM_BITS;
        let packets = (0..all).map(|place| {
            let own = normal.inverse_cdf((f64::from(place) + 0.5) / f64::from(all));
            (SPREAD * own + effect.of(own)).exp()
        });
        Packets(packets.collect())
    }

    /// Adds so many, on a host whose level is `level`, as ln of ns.
    fn draw(&self, stats: &mut HookStats, rng: &mut Xoshiro256PlusPlus, count: usize, level: f64) {
        let level = level.exp();
        for _ in 0..count {
            let drawn = rng.random::<u32>() >> (u32::BITS - DRAWN_FROM_BITS);
            stats
                .histogram
                .record((level * self.0[drawn as usize]) as u64);
        }
    }
}

/// What is simulated. The hooks are the first of the TCP path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Setup {
    pub(crate) host: Host,
    pub(crate) hooks: usize,
    pub(crate) rounds: usize,
    /// In a tenth of a second, at each hook.
    pub(crate) packets: usize,
    /// Of B, from the second hook on.
    pub(crate) effect: Effect,
}

/// The median of a hook's latencies, as ln of ns.
fn median(hook: usize) -> f64 {
    9.0 + hook as f64
}

/// What comes to a hook on a side.
pub(crate) struct Traffic {
    unchanged: Packets,
    changed: Packets,
}

impl Traffic {
    pub(crate) fn new(setup: &Setup) -> Traffic {
        Traffic {
            unchanged: Packets::new(Effect::None),
            changed: Packets::new(setup.effect),
        }
    }

    fn at(&self, arm: Arm, hook: usize) -> &Packets {
        match (arm, hook) {
            (Arm::B, 1..) => &self.changed,
            _ => &self.unchanged,
        }
    }
}

pub(crate) fn comparison(setup: &Setup, traffic: &Traffic, seed: u64) -> RunFile {
    // The host, its packets and the orders have nothing to do with each other.
    let mut seeds = Xoshiro256PlusPlus::seed_from_u64(seed);
    let mut level = Level::new(setup.host, seeds.random());
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seeds.random());
    let mut sides = [empty(), empty()];
    let mut periods = Vec::new();
    for (round, order) in orders(setup.rounds, seeds.random()).into_iter().enumerate() {
        for arm in order {
            let mut hooks = vec![HookStats::new(Resolution::FINE); setup.hooks];
            for step in 0..(PERIOD_S / STEP_S).round() as usize {
                let level = level.step();
                if (step as f64) * STEP_S < PERIOD_S - MEASURED_S - 1e-9 {
                    continue;
                }
                for (hook, stats) in hooks.iter_mut().enumerate() {
                    let packets = traffic.at(arm, hook);
                    packets.draw(stats, &mut rng, setup.packets, median(hook) + level);
                }
            }
            let mut quantiles = [[None; REPORTED.len()]; HOOK_COUNT];
            for (hook, stats) in hooks.iter().enumerate() {
                quantiles[hook] = REPORTED.map(|q| q.to_compare(&stats.histogram, 0));
                let sum = sides[arm as usize].hooks[hook].get_or_insert_with(|| stats.clone());
                sum.histogram.merge(&stats.histogram);
            }
            periods.push(Period {
                arm,
                round: round as u64 + 1,
                clock_steps: 0,
                quantiles,
            });
        }
    }
    let [a, b] = sides;
    let mut info = info();
    info.comparison = Some(Comparison {
        a: Side::default(),
        b: Side::default(),
        load: None,
        rounds: setup.rounds as u64,
        period: Duration::from_secs(3),
        settle: Duration::from_secs(1),
        seed,
    });
    file(info, Content::Comparison { periods, a, b })
}

/// Recordings of A and B, as many of each. The host's level differs from one to
/// the next by some 10 %, and within them as the host's does.
pub(crate) fn recordings(
    setup: &Setup,
    traffic: &Traffic,
    files: usize,
    seed: u64,
) -> [Vec<RunFile>; 2] {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(!seed);
    Arm::BOTH.map(|arm| {
        let recording = |_| {
            let of_this: f64 = rng.sample(StandardNormal);
            let mut level = Level::new(setup.host, rng.random());
            let mut tally = empty();
            for _ in 0..(MEASURED_S / STEP_S).round() as usize {
                let level = 0.1 * of_this + level.step();
                for hook in 0..setup.hooks {
                    let stats =
                        tally.hooks[hook].get_or_insert_with(|| HookStats::new(Resolution::FINE));
                    let packets = traffic.at(arm, hook);
                    packets.draw(stats, &mut rng, setup.packets, median(hook) + level);
                }
            }
            file(info(), Content::Recording(tally))
        };
        (0..files).map(recording).collect()
    })
}

fn empty() -> Tally {
    Tally {
        intervals: 0,
        duration_ns: 0,
        missed_intervals: 0,
        clock_steps: 0,
        tx_stamped: 0,
        hooks: vec![None; HOOK_COUNT],
    }
}

fn file(info: RunInfo, content: Content) -> RunFile {
    RunFile {
        path: "simulated".into(),
        info,
        runs: 1,
        complete: true,
        left_out: Vec::new(),
        flaws: Vec::new(),
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
        filters: BTreeMap::new(),
        facts: BTreeMap::new(),
        comparison: None,
        hooks: Hook::all()
            .map(|hook| HookVerdict {
                hook,
                functions: vec!["simulated".into()],
                reason: None,
            })
            .collect(),
    }
}
