// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How often a change is called slower, and first seen where it is: the table
//! of `docs/statistics.md`, on simulated hosts.
//! `cargo bench --bench power`

// The tests use more of it.
#[allow(dead_code, unused_imports)]
#[path = "../tests/simulation/mod.rs"]
mod simulation;

use netstacklat::analysis::{Input, Verdict, analyse};

use simulation::{Effect, Host, Setup, Traffic, comparison, count, percent};

fn main() {
    const TRIALS: u64 = 300;
    let kinds = [
        ("steady, bulk", Host::Steady, 101),
        ("wanders, bulk", Host::Remembers, 101),
        ("bursts, bulk", Host::Bursts, 101),
        ("drifts, bulk", Host::Drifts, 101),
        ("steady, 30 packets a second", Host::Steady, 3),
        ("wanders, 30 packets a second", Host::Remembers, 3),
    ];
    let effects = [
        (0, Effect::All(1.1_f64.ln())),
        (0, Effect::All(1.25_f64.ln())),
        (2, Effect::Tail(1.25_f64.ln())),
    ];
    println!("| host, traffic | rounds | p50 +10 % | p50 +25 % | p99 +25 % |");
    for (name, host, packets) in kinds {
        for rounds in [6, 10, 30] {
            let shares = effects.map(|(place, effect)| {
                let setup = Setup {
                    host,
                    hooks: 3,
                    rounds,
                    packets,
                    effect,
                };
                let traffic = Traffic::new(&setup);
                let [found] = count(TRIALS, |seed| {
                    let file = comparison(&setup, &traffic, seed);
                    let analysis = analyse(&Input::Comparison(&file), &[]);
                    let seen = analysis.onsets.iter().any(|onset| {
                        onset.quantiles.contains(&place)
                            && onset.verdict == Verdict::Slower
                            && onset.first.name() == "tcp-start"
                    });
                    [u64::from(seen)]
                });
                format!("{:.0} %", percent(found, TRIALS))
            });
            println!("| {name} | {rounds} | {} |", shares.join(" | "));
        }
    }
}
