// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tests whether the statistics hold, on simulated hosts whose true latencies are
//! known (`docs/statistics.md`): how often an interval misses the truth, how often
//! there is a verdict although nothing was changed, how often a limit that is just
//! reached counts as exceeded, and how often a change is found.
//!
//! `make test` simulates a few comparisons of some hosts; `make test-all`, or
//! `NETSTACKLAT_TEST_ALL=1 cargo test --release --test statistics -- --nocapture`,
//! simulates 1,000 of each host, with 20 questions and with 40, and prints the table.

// benches/power.rs uses more of this module.
#[allow(dead_code)]
mod simulation;

use netstacklat::analysis::{Analysis, By, HookResult, Input, Verdict, analyse, analyse_by};
use netstacklat::model::fail_if::Limit;
use netstacklat::model::quantity::Quantity;
use netstacklat::model::side::PerSide;
use netstacklat::runfile::{Content, RunFile};
use netstacklat::stats::looks::{LOOKS, MOST_ROUNDS};
use testlab::at_full_length;

use simulation::{Host, Setup, Shape, Traffic, comparison, count, percent, recordings, trials};

const PLAIN: Setup = Setup {
    host: Host::Steady,
    shape: Shape::LogNormal(0.6),
    hooks: 5,
    rounds: 10,
    // Just enough for 30 packets above the p99 of a period.
    packets: PerSide { a: 101.0, b: 101.0 },
    effect: 0.0,
    of_slowest: 1.0,
    auto_rounds: false,
    groups: 0,
};

/// All hosts by name. The first ones are those of `make test`.
fn hosts() -> Vec<(&'static str, Setup)> {
    let of = |host| Setup { host, ..PLAIN };
    let shaped = |shape| Setup { shape, ..PLAIN };
    let rates = |shape, host| Setup {
        shape,
        host,
        packets: PerSide { a: 2.2, b: 22.0 },
        ..PLAIN
    };
    let few = PerSide::both(2.2);
    vec![
        ("steady, log-normal", PLAIN),
        ("remembers for 3 s", of(Host::Remembers(3.0))),
        ("interference, 1 round", of(Host::Interference(1.0))),
        (
            "bimodal, share wanders, 66 : 660",
            rates(Shape::Bimodal, Host::Steady),
        ),
        // The following hosts are in the long run only.
        ("remembers for 30 s", of(Host::Remembers(30.0))),
        ("bursts", of(Host::Bursts)),
        ("sawtooth", of(Host::Sawtooth)),
        ("drifts", of(Host::Drifts)),
        ("one regime switch", of(Host::Switches)),
        ("interference, 1/2 round", of(Host::Interference(0.5))),
        ("interference, 2 rounds", of(Host::Interference(2.0))),
        ("interference, 1.02 rounds", of(Host::Interference(1.02))),
        ("interference, each hook its own", of(Host::OwnInterference)),
        ("Cauchy shocks", of(Host::Shocks)),
        ("one period x20", of(Host::OnePeriod)),
        ("one dead period", of(Host::DeadPeriod)),
        ("mixture", shaped(Shape::Mixture)),
        ("Pareto, alpha 1.1", shaped(Shape::Pareto)),
        ("bimodal, share wanders", shaped(Shape::Bimodal)),
        ("heaped", shaped(Shape::Heaped)),
        ("relative width 0.2 %", shaped(Shape::LogNormal(0.002))),
        ("relative width 2 %", shaped(Shape::LogNormal(0.02))),
        ("relative width 20 %", shaped(Shape::LogNormal(0.2))),
        (
            "66 packets a period",
            Setup {
                packets: few,
                ..PLAIN
            },
        ),
        (
            "log-normal, 66 : 660",
            rates(Shape::LogNormal(0.6), Host::Steady),
        ),
    ]
}

const TRIED_ALWAYS: usize = 4;

fn limits(texts: &[&str]) -> Vec<Limit> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn exceeded(analysis: &Analysis) -> bool {
    let mut judged = analysis.limits.iter().flat_map(|outcome| &outcome.result);
    judged.any(|judged| judged.exceeded)
}

/// Whether any verdict is a change.
fn says_anything(analysis: &Analysis) -> bool {
    let mut rows = analysis.hooks.iter().flat_map(HookResult::rows);
    rows.any(|row| row.verdict.is_some_and(Verdict::is_change))
}

/// The number of quantile intervals that miss the truth, and of all intervals.
fn misses(analysis: &Analysis, truth: f64) -> (u64, u64) {
    let mut found = (0, 0);
    for row in analysis.hooks.iter().flat_map(HookResult::rows) {
        let judged = row.verdict.is_some() && row.quantity.quantile().is_some();
        if let Some(shift) = row.shift.filter(|_| judged) {
            let (low, high) = shift.interval();
            found.0 += u64::from(low > truth || high < truth);
            found.1 += 1;
        }
    }
    found
}

/// Shares in percent of missed intervals, of comparisons with any verdict, and with
/// any limit exceeded. Some are from an unchanged host, some from one on which B is
/// 10 % slower, which is the limit.
#[derive(Debug)]
struct Shares {
    /// The mean number of questions, not in percent.
    questions: f64,
    missed: f64,
    any_verdict: f64,
    any_limit: f64,
    missed_changed: f64,
    any_limit_reached: f64,
}

fn shares(setup: &Setup, trials: u64) -> Shares {
    let unchanged = Traffic::new(setup);
    let ten_percent = Setup {
        effect: 1.1_f64.ln(),
        ..*setup
    };
    let changed = Traffic::new(&ten_percent);
    let at_zero = limits(&["any:p50>+0%", "any:p99>+0%", "any:p50>+1ns"]);
    let at_ten = limits(&["any:p50>+10%", "any:p99>+10%", "any:p90>+10%"]);
    let found = count(trials, |seed| {
        let file = comparison(setup, &unchanged, seed);
        let nothing = analyse(&Input::Comparison(&file), &at_zero);
        let file = comparison(&ten_percent, &changed, seed + 1_000_000);
        let ten = analyse(&Input::Comparison(&file), &at_ten);
        let (missed, all) = misses(&nothing, 0.0);
        let (missed_ten, all_ten) = misses(&ten, 1.1_f64.ln());
        [
            missed,
            all,
            u64::from(says_anything(&nothing)),
            u64::from(exceeded(&nothing)),
            missed_ten,
            all_ten,
            u64::from(exceeded(&ten)),
            nothing.family.questions as u64,
        ]
    });
    let [
        missed,
        all,
        verdicts,
        limits,
        missed_ten,
        all_ten,
        reached,
        questions,
    ] = found;
    Shares {
        questions: questions as f64 / trials as f64,
        missed: percent(missed, all.max(1)),
        any_verdict: percent(verdicts, trials),
        any_limit: percent(limits, trials),
        missed_changed: percent(missed_ten, all_ten.max(1)),
        any_limit_reached: percent(reached, trials),
    }
}

/// The highest accepted share: above the nominal one by about three standard errors
/// of so many trials, and by 1.4 points for 1,000.
fn most(percent: f64, trials: u64) -> f64 {
    percent + 1.4 * (1000.0 / trials as f64).sqrt()
}

fn hold(hosts: &[(&str, Setup)], trials: u64) {
    for (name, setup) in hosts {
        let shares = shares(setup, trials);
        println!(
            "| {name} | {:.0} | {:.1} | {:.1} | {:.1} | {:.1} | {:.1} |",
            shares.questions,
            shares.missed,
            shares.missed_changed,
            shares.any_verdict,
            shares.any_limit,
            shares.any_limit_reached
        );
        // The intervals of a trial depend on each other, so their number does not give
        // a standard error.
        let most_missed = most(7.0, trials);
        assert!(shares.missed <= most_missed, "{name}: {shares:?}");
        assert!(shares.missed_changed <= most_missed, "{name}: {shares:?}");
        for share in [
            shares.any_verdict,
            shares.any_limit,
            shares.any_limit_reached,
        ] {
            assert!(share <= most(5.0, trials), "{name}: {shares:?}");
        }
    }
}

#[test]
fn error_rates_hold() {
    println!(
        "| host | questions | misses 0 | misses +10 % | any verdict | any limit | limit reached |"
    );
    if at_full_length() {
        hold(&hosts(), trials());
        // Ten hooks give the most questions.
        let many: Vec<(&str, Setup)> = hosts()
            .into_iter()
            .map(|(name, setup)| (name, Setup { hooks: 10, ..setup }))
            .collect();
        hold(&many, trials());
    } else {
        hold(&hosts()[..TRIED_ALWAYS], trials());
    }
}

/// Changes must also be found. Otherwise an analysis without verdicts would pass.
#[test]
fn changes_are_found() {
    let trials = trials().min(200).div_ceil(2);
    let slower = |setup: Setup, quantity: Quantity| {
        let traffic = Traffic::new(&setup);
        let [found] = count(trials, |seed| {
            let file = comparison(&setup, &traffic, seed);
            let analysis = analyse(&Input::Comparison(&file), &[]);
            let row = analysis.hooks[1].row(quantity);
            [u64::from(row.verdict == Some(Verdict::Slower))]
        });
        percent(found, trials)
    };
    let quarter = Setup {
        effect: 1.25_f64.ln(),
        ..PLAIN
    };
    let found = slower(quarter, Quantity::P50);
    println!("+25 % on a steady host: {found} %");
    assert!(found > 99.0, "{found}");
    for rounds in [1.0, 0.5, 2.0, 1.02] {
        let host = Host::Interference(rounds);
        let found = slower(Setup { host, ..quarter }, Quantity::P50);
        println!("+25 % beside interference of {rounds} rounds: {found} %");
        assert!(found > 80.0, "{found}");
    }
    let host = Host::OnePeriod;
    let found = slower(Setup { host, ..quarter }, Quantity::P50);
    println!("+25 % with one period x20: {found} %");
    assert!(found >= 85.0, "{found}");
    let tail = Setup {
        effect: 5.0_f64.ln(),
        of_slowest: 0.005,
        ..PLAIN
    };
    let found = slower(tail, Quantity::Tail);
    println!("the slowest 0.5 % x5: {found} %");
    assert!(found > 95.0, "{found}");
}

/// `--rounds auto` stops at the first look at which each limit is decided. The user
/// sees the result of the last look.
#[test]
fn looks_hold_and_save_rounds() {
    let trials = if at_full_length() { trials() } else { 40 };
    let watched = limits(&["any:p50>+25%"]);
    for (name, host, effect) in [
        ("steady", Host::Steady, 0.0),
        ("remembers for 3 s", Host::Remembers(3.0), 0.0),
        (
            "remembers for 3 s, +60 %",
            Host::Remembers(3.0),
            1.6_f64.ln(),
        ),
        ("bursts", Host::Bursts, 0.0),
    ] {
        let setup = Setup {
            host,
            effect,
            hooks: if at_full_length() { 5 } else { 2 },
            rounds: MOST_ROUNDS,
            packets: PerSide::both(22.0),
            auto_rounds: true,
            ..PLAIN
        };
        let traffic = Traffic::new(&setup);
        let [verdicts, exceeds, rounds] = count(trials, |seed| {
            let file = comparison(&setup, &traffic, seed);
            let mut seen = None;
            for (rounds, _) in LOOKS {
                let analysis = analyse(&Input::Comparison(&up_to(&file, rounds)), &watched);
                let decided = analysis.limits.iter().all(|outcome| {
                    let judged = outcome.result.expect("it can be judged");
                    judged.exceeded || judged.surely_within
                });
                seen = Some((analysis, rounds));
                if decided {
                    break;
                }
            }
            let (analysis, rounds) = seen.expect("there is a look");
            [
                u64::from(says_anything(&analysis)),
                u64::from(exceeded(&analysis)),
                rounds as u64,
            ]
        });
        let [verdicts, exceeds] = [verdicts, exceeds].map(|n| percent(n, trials));
        let mean = rounds as f64 / trials as f64;
        println!("{name}: verdicts {verdicts} %, limits {exceeds} %, {mean:.1} of 40 rounds");
        if effect == 0.0 {
            assert!(
                verdicts <= most(5.0, trials) && exceeds <= most(5.0, trials),
                "{name}"
            );
        } else {
            assert!(exceeds > 90.0, "{name}: {exceeds}");
        }
        assert!(mean < 40.0, "{name}: {mean}");
    }
}

/// The first rounds of a comparison.
fn up_to(file: &RunFile, rounds: usize) -> RunFile {
    let mut file = file.clone();
    if let Content::Comparison { periods, .. } = &mut file.content {
        periods.truncate(4 * rounds);
    }
    file
}

/// Five recordings a side, also of hosts that have one of two modes after each boot.
#[test]
fn recordings_hold() {
    let trials = trials();
    let setup = PLAIN;
    let traffic = Traffic::new(&setup);
    for two_modes in [false, true] {
        let limits = limits(&["any:p50>+0%", "any:p99>+0%"]);
        let [verdicts, exceeds] = count(trials, |seed| {
            let sides = recordings(&setup, &traffic, 5, two_modes, seed);
            let input = Input::Recordings {
                names: PerSide { a: "a", b: "b" },
                sides: sides.as_ref().map(Vec::as_slice),
            };
            let analysis = analyse(&input, &limits);
            [
                u64::from(says_anything(&analysis)),
                u64::from(exceeded(&analysis)),
            ]
        });
        let shares = [verdicts, exceeds].map(|n| percent(n, trials));
        println!("five recordings a side, two modes {two_modes}: {shares:?}");
        assert!(
            shares.iter().all(|&share| share <= most(5.0, trials)),
            "{shares:?}"
        );
    }
}

/// With groups there are more questions, and the error rate holds for all of them
/// together: of all packets, and of each group. A change of one group is found.
#[test]
fn groups_hold() {
    let trials = if at_full_length() { trials() } else { 40 };
    let keys = ["cgroup".to_owned()];
    let top = 10;
    for (name, host) in [
        ("steady", Host::Steady),
        ("remembers for 3 s", Host::Remembers(3.0)),
    ] {
        let setup = Setup {
            host,
            hooks: 2,
            groups: 8,
            packets: PerSide::both(22.0),
            ..PLAIN
        };
        let slower = Setup {
            effect: 1.6_f64.ln(),
            ..setup
        };
        let (unchanged, changed) = (Traffic::new(&setup), Traffic::new(&slower));
        let limits = limits(&["any:p50>+0%"]);
        let at_effect = self::limits(&["any:p50>+60%"]);
        let [verdicts, exceeds, questions, found, wrong, reached] = count(trials, |seed| {
            let by = By { keys: &keys, top };
            let file = comparison(&setup, &unchanged, seed);
            let nothing = analyse_by(&Input::Comparison(&file), &limits, Some(by));
            let file = comparison(&slower, &changed, seed + 1_000_000);
            let one = analyse_by(&Input::Comparison(&file), &at_effect, Some(by));
            let groups = one.groups.as_ref().expect("it is grouped");
            let [first, others] = [true, false].map(|first| {
                let groups = groups
                    .compared
                    .iter()
                    .filter(|group| (group.group.value("cgroup") == Some("group 0")) == first);
                let mut rows = groups
                    .flat_map(|group| &group.hooks)
                    .flat_map(HookResult::rows);
                rows.any(|row| row.verdict.is_some_and(Verdict::is_change))
            });
            [
                u64::from(says_anything_of_groups(&nothing)),
                u64::from(exceeded(&nothing)),
                nothing.family.questions as u64,
                u64::from(first),
                u64::from(others),
                u64::from(exceeded(&one)),
            ]
        });
        let questions = questions / trials;
        let shares = [verdicts, exceeds, found, wrong, reached].map(|n| percent(n, trials));
        println!("eight groups, {name}: {questions} questions, {shares:?}");
        // p50 and p90 of eight groups and, with p99 and tail, of all, at two hooks.
        assert!(questions >= 2 * (8 * 2 + 4), "{questions}");
        let [verdicts, exceeds, found, wrong, reached] = shares;
        for share in [verdicts, exceeds, wrong, reached] {
            assert!(share <= most(5.0, trials), "{name}: {shares:?}");
        }
        if host == Host::Steady {
            assert!(found > 95.0, "{name}: {shares:?}");
        }
    }
}

fn says_anything_of_groups(analysis: &Analysis) -> bool {
    assert!(analysis.groups.is_some(), "it is grouped");
    let mut rows = analysis.rows();
    rows.any(|row| row.verdict.is_some_and(Verdict::is_change))
}
