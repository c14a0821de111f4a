// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How the level of a simulated host moves over time.

use std::f64::consts::TAU;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::StandardNormal;

use super::{Host, ROUND_S, STEP_S, Setup};

/// The level of a host over time.
pub(super) struct Level {
    host: Host,
    rng: Xoshiro256PlusPlus,
    time: f64,
    wander: f64,
    phase: f64,
    slope: f64,
    switch_at: f64,
    /// The disturbed period, and the shock of the current one.
    pub(super) hit: usize,
    shock: f64,
}

impl Level {
    pub(super) fn new(setup: &Setup, seed: u64) -> Level {
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

    /// Begins a period.
    pub(super) fn next_period(&mut self) {
        if self.host == Host::Shocks {
            let uniform = self.rng.random::<f64>() - 0.5;
            self.shock = (0.05 * (std::f64::consts::PI * uniform).tan()).clamp(-3.0, 3.0);
        }
    }

    pub(super) fn step(&mut self) {
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

    /// The level at a hook, as ln.
    pub(super) fn at(&self, hook: usize, period: usize) -> f64 {
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

    /// The share of packets with the upper of two levels.
    pub(super) fn upper_share(&self) -> f64 {
        1.0 / (1.0 + (1.0 - 0.8 * self.wander).exp())
    }
}
