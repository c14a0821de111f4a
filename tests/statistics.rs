// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Does what a comparison says hold? Simulated hosts whose truth is known, of
//! which `docs/statistics.md` tells: how often an interval misses it, how often
//! anything at all is said where nothing was changed, how often a limit is said
//! to be passed that is just reached, and how often a change is found.

// benches/power.rs uses more of it.
#[allow(dead_code)]
mod simulation;

use netstacklat::analysis::limit::Limit;
use netstacklat::analysis::{Analysis, Input, JUDGED, Verdict, analyse};
use netstacklat::model::comparison::Arm;
use netstacklat::runfile::{Content, RunFile};

use simulation::{Effect, Host, Setup, Traffic, comparison, count, percent, recordings, trials};

const HOOKS: usize = 2;
const NOTHING_CHANGED: Setup = Setup {
    host: Host::Steady,
    hooks: HOOKS,
    rounds: 10,
    // Just enough for 30 above the p99 of a period.
    packets: 101,
    effect: Effect::None,
};
/// What is to be so in 5 % of trials may be so in 2 % of 1,000 more or fewer,
/// some three standard errors, and in accordingly more of fewer trials.
fn tolerance(trials: u64) -> f64 {
    2.0 * (1000.0 / trials as f64).sqrt()
}

/// How many of a hundred.
fn near_five(share: f64, trials: u64) -> bool {
    (share - 5.0).abs() <= tolerance(trials)
}

fn at_most_five(share: f64, trials: u64) -> bool {
    share <= 5.0 + tolerance(trials)
}

/// A test that nothing ever passes would not notice wrong bounds.
fn some(share: f64, trials: u64) -> bool {
    share >= 5.0 - 1.25 * tolerance(trials)
}

fn limits(texts: &[&str]) -> Vec<Limit> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

fn passed(analysis: &Analysis) -> bool {
    assert!(analysis.limits.iter().all(|outcome| outcome.result.is_ok()));
    let mut judged = analysis.limits.iter().flat_map(|outcome| &outcome.result);
    judged.any(|judged| judged.passed)
}

/// Any slower or faster.
fn says_anything(analysis: &Analysis) -> bool {
    let mut rows = analysis.hooks.iter().flat_map(|finding| &finding.rows);
    rows.any(|row| matches!(row.verdict, Some(Verdict::Slower | Verdict::Faster)))
}

/// Intervals of p50 and p99 that do not hold the truth, and all of them.
fn misses(analysis: &Analysis, truth: impl Fn(usize) -> f64) -> (u64, u64) {
    let mut found = (0, 0);
    for (hook, finding) in analysis.hooks.iter().take(HOOKS).enumerate() {
        for place in JUDGED {
            let shift = finding.rows[place].shift.expect("all periods are full");
            let (low, high) = shift.interval();
            found.0 += u64::from(low > truth(hook) || high < truth(hook));
            found.1 += 1;
        }
    }
    found
}

/// The same comparison with B's quantiles changed, as a change of B would have.
fn changed(file: &RunFile, change: impl Fn(f64) -> f64) -> RunFile {
    let mut file = file.clone();
    let Content::Comparison { periods, .. } = &mut file.content else {
        unreachable!("a comparison")
    };
    for period in periods.iter_mut().filter(|period| period.arm == Arm::B) {
        for ns in period.quantiles.iter_mut().flatten().flatten() {
            *ns = change(*ns);
        }
    }
    file
}

/// Ten rounds on a host where nothing was changed, or just so much that a limit
/// is reached.
fn holds(host: Host) {
    let setup = Setup {
        host,
        ..NOTHING_CHANGED
    };
    let one = limits(&["tcp-start:p99>+10%"]);
    let several = limits(&["any:p50>+10%", "any:p99>+10%"]);
    let in_ns = limits(&["tcp-start:p50>+5us"]);
    let traffic = Traffic::new(&setup);
    let trials = trials();
    let found = count(trials, |seed| {
        let file = comparison(&setup, &traffic, seed);
        let nothing = analyse(&Input::Comparison(&file), &[]);
        let (missed, intervals) = misses(&nothing, |_| 0.0);
        let tenth = changed(&file, |ns| ns * 1.1);
        let tenth = Input::Comparison(&tenth);
        let more = changed(&file, |ns| ns + 5000.0);
        [
            missed,
            intervals,
            says_anything(&nothing).into(),
            passed(&analyse(&tenth, &one)).into(),
            passed(&analyse(&tenth, &several)).into(),
            passed(&analyse(&Input::Comparison(&more), &in_ns)).into(),
        ]
    });
    let [missed, intervals, any, one, several, in_ns] = found;
    let missed = percent(missed, intervals);
    let [any, one, several, in_ns] = [any, one, several, in_ns].map(|n| percent(n, trials));
    println!(
        "| {host:?} | {missed:.1} % | {any:.1} % | {one:.1} % | {several:.1} % | {in_ns:.1} % |"
    );
    assert!(near_five(missed, trials), "{host:?}: {missed} %");
    for share in [any, one, several, in_ns] {
        assert!(at_most_five(share, trials), "{host:?}: {found:?}");
    }
    for share in [one, in_ns] {
        assert!(some(share, trials), "{host:?}: {found:?}");
    }
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

/// Recordings of each side, between which the host's level differs.
fn holds_of_files(files: usize) {
    let names = ["a", "b"];
    let reached = Setup {
        effect: Effect::All(1.1_f64.ln()),
        ..NOTHING_CHANGED
    };
    let one = limits(&["tcp-start:p99>+10%"]);
    let several = limits(&["tcp-start:p50>+10%", "tcp-start:p99>+10%"]);
    let [unchanged, changed] = [NOTHING_CHANGED, reached].map(|setup| Traffic::new(&setup));
    let trials = trials();
    let found = count(trials, |seed| {
        let [unchanged, changed] = [&unchanged, &changed]
            .map(|traffic| recordings(&NOTHING_CHANGED, traffic, files, seed));
        let nothing = Input::Recordings {
            names,
            sides: unchanged.each_ref().map(Vec::as_slice),
        };
        let nothing = analyse(&nothing, &[]);
        let reached = Input::Recordings {
            names,
            sides: changed.each_ref().map(Vec::as_slice),
        };
        let (missed, intervals) = misses(&nothing, |_| 0.0);
        [
            missed,
            intervals,
            says_anything(&nothing).into(),
            passed(&analyse(&reached, &one)).into(),
            passed(&analyse(&reached, &several)).into(),
        ]
    });
    let [missed, intervals, any, one, several] = found;
    let missed = percent(missed, intervals);
    let [any, one, several] = [any, one, several].map(|n| percent(n, trials));
    println!(
        "| {files} recordings a side | {missed:.1} % | {any:.1} % | {one:.1} % | {several:.1} % |"
    );
    assert!(near_five(missed, trials), "{files}: {missed} %");
    for share in [any, one, several] {
        assert!(at_most_five(share, trials), "{files}: {found:?}");
    }
    assert!(some(one, trials), "{files}: {found:?}");
}

#[test]
fn of_three_recordings_a_side() {
    holds_of_files(3);
}

#[test]
fn of_five_recordings_a_side() {
    holds_of_files(5);
}
