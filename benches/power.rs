// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How often a change is called slower: the table of `docs/statistics.md`, on
//! simulated hosts. `cargo bench --bench power`

// The tests use more of it.
#[allow(dead_code, unused_imports)]
#[path = "../tests/simulation/mod.rs"]
mod simulation;

use netstacklat::analysis::{Input, Verdict, analyse};
use netstacklat::model::quantity::Quantity;
use netstacklat::model::side::PerSide;

use simulation::{Host, Setup, Shape, Traffic, comparison, count, percent};

fn main() {
    const TRIALS: u64 = 100;
    let kinds = [
        ("steady, bulk", Host::Steady, 101.0),
        ("wanders, bulk", Host::Remembers(3.0), 101.0),
        ("steady, 30 packets a second", Host::Steady, 3.0),
    ];
    // Factor, of which share of the slowest, and where it is to be seen.
    let changes = [
        (1.1_f64, 1.0, Quantity::P50),
        (1.25, 1.0, Quantity::P50),
        (1.25, 0.05, Quantity::P99),
        (5.0, 0.005, Quantity::Tail),
    ];
    println!(
        "| host, traffic | rounds | questions | p50 +10 % | p50 +25 % | p99 +25 % | slowest 0.5 % x5 |"
    );
    for (name, host, packets) in kinds {
        for rounds in [10, 14, 24] {
            for hooks in [1, 5, 10] {
                let shares = changes.map(|(factor, of_slowest, quantity)| {
                    let setup = Setup {
                        host,
                        shape: Shape::LogNormal(0.6),
                        hooks,
                        rounds,
                        packets: PerSide::both(packets),
                        effect: factor.ln(),
                        of_slowest,
                        auto_rounds: false,
                        groups: 0,
                    };
                    let traffic = Traffic::new(&setup);
                    let [found] = count(TRIALS, |seed| {
                        let file = comparison(&setup, &traffic, seed);
                        let analysis = analyse(&Input::Comparison(&file), &[]);
                        let row = analysis.hooks[0].row(quantity);
                        [u64::from(row.verdict == Some(Verdict::Slower))]
                    });
                    format!("{:.0} %", percent(found, TRIALS))
                });
                let questions = 4 * hooks;
                println!(
                    "| {name} | {rounds} | {questions} | {} |",
                    shares.join(" | ")
                );
            }
        }
    }
}
