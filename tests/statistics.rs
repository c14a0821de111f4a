// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Do the comparison's claims hold? Simulated hosts on which nothing was
//! changed, of which `docs/statistics.md` tells: how often an interval misses
//! the truth, and how often anything at all is said to have changed.

use netstacklat::model::histogram::{Histogram, Resolution};
use netstacklat::model::quantile::{Quantile, REPORTED};
use netstacklat::stats::holm;
use netstacklat::stats::rounds::{levels, orders};
use netstacklat::stats::shift::Shift;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt as _, SeedableRng as _};
use rand_distr::StandardNormal;

const TRIALS: usize = 1000;
const ROUNDS: usize = 10;
const HOOKS: usize = 2;
/// Of a period, its settle time included, and of the part that is measured.
const PERIOD_S: f64 = 4.0;
const MEASURED_S: f64 = 3.0;
/// The host's level changes in such steps.
const STEP_S: f64 = 0.1;
/// Just enough for 30 above the p99 of a period.
const PACKETS_PER_STEP: usize = 101;
const COMPARED: [Quantile; 2] = [REPORTED[0], REPORTED[2]];

/// How the latencies of a host go up and down by themselves, as ln.
#[derive(Clone, Copy, Debug)]
enum Host {
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
            slope: (rng.random::<f64>() - 0.5) / (ROUNDS as f64 * 4.0 * PERIOD_S),
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

/// What a trial finds of each hook and quantile.
fn trial(host: Host, seed: u64) -> Vec<Option<Shift>> {
    let mut level = Level::new(host, seed);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(!seed);
    let mut differences = vec![Vec::new(); HOOKS * COMPARED.len()];
    for order in orders(ROUNDS, seed) {
        let mut quantiles = vec![[None; 4]; HOOKS * COMPARED.len()];
        for period in 0..4 {
            let mut histograms = vec![Histogram::new(Resolution::FINE); HOOKS];
            for step in 0..(PERIOD_S / STEP_S).round() as usize {
                let level = level.step();
                if (step as f64) * STEP_S < PERIOD_S - MEASURED_S - 1e-9 {
                    continue;
                }
                for (hook, histogram) in histograms.iter_mut().enumerate() {
                    for _ in 0..PACKETS_PER_STEP {
                        let own: f64 = rng.sample(StandardNormal);
                        let ln = 9.0 + hook as f64 + level + 0.6 * own;
                        histogram.record(ln.exp() as u64);
                    }
                }
            }
            let all = histograms
                .iter()
                .flat_map(|h| COMPARED.map(|q| q.to_compare(h, 0)));
            for (place, quantile) in quantiles.iter_mut().zip(all) {
                place[period] = quantile;
            }
        }
        for (found, quantiles) in differences.iter_mut().zip(quantiles) {
            found.extend(levels(order, quantiles).map(|[a, b]| b.ln - a.ln));
        }
    }
    differences.iter().map(|d| Shift::of_rounds(d)).collect()
}

/// Misses of all intervals, in percent, and trials with any verdict.
fn calibrate(host: Host) -> (f64, f64) {
    let (mut intervals, mut misses, mut any) = (0, 0, 0);
    for seed in 0..TRIALS as u64 {
        let found: Vec<Shift> = trial(host, seed).into_iter().flatten().collect();
        assert_eq!(found.len(), HOOKS * COMPARED.len());
        for shift in &found {
            let (low, high) = shift.interval_percent();
            intervals += 1;
            misses += usize::from(low > 0.0 || high < 0.0);
        }
        let p_values: Vec<f64> = found.iter().map(Shift::p_value).collect();
        any += usize::from(holm::rejected(&p_values, 0.05).contains(&true));
    }
    let percent = |of: usize, all: usize| 100.0 * of as f64 / all as f64;
    let found = (percent(misses, intervals), percent(any, TRIALS));
    println!(
        "{host:?}: {:.1} % of intervals miss, {:.1} % of comparisons say anything",
        found.0, found.1
    );
    found
}

fn holds(host: Host) {
    let (misses, any) = calibrate(host);
    assert!((3.0..=7.0).contains(&misses), "{host:?}: {misses} %");
    assert!(any <= 7.0, "{host:?}: {any} %");
}

#[test]
fn on_a_steady_host() {
    holds(Host::Steady);
}

#[test]
fn on_a_host_that_remembers() {
    holds(Host::Remembers);
}

#[test]
fn on_a_host_with_bursts() {
    holds(Host::Bursts);
}

#[test]
fn on_a_host_that_drifts() {
    holds(Host::Drifts);
}
