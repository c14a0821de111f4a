// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The rounds of a comparison: which command runs when, and that each change is
//! undone, however the comparison ends. The commands and signals are real. The
//! measurements are empty; kernel tests check what is measured.

#[path = "experiment/guardian.rs"]
mod guardian;
#[path = "experiment/left_running.rs"]
mod left_running;
#[path = "experiment/recovery.rs"]
mod recovery;
#[path = "experiment/workdir.rs"]
mod workdir;

use std::time::{Duration, Instant};

use netstacklat::experiment::runner::Ending;
use netstacklat::experiment::supervisor::StopReason;
use netstacklat::stats::rounds::orders;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};

use workdir::{MS, Workdir};

fn failure(ending: &Ending) -> String {
    match &ending.cut_short {
        Some(StopReason::Failed(error)) => format!("{error:#}"),
        other => panic!("not failed: {other:?}"),
    }
}

#[test]
fn sides_alternate_in_the_drawn_order() {
    let mut workdir = Workdir::new("turns");
    let ending = workdir.run();
    assert!(
        ending.cut_short.is_none() && ending.rounds == 6,
        "{ending:?}"
    );
    let drawn = orders(6, 1).into_iter().flatten();
    let expected =
        drawn.flat_map(|arm| ["start", "stop"].map(|end| format!("{}-{end}", arm.name())));
    assert_eq!(workdir.log(), expected.collect::<Vec<_>>());
    let kept: Vec<_> = workdir.kept.iter().map(|place| place.arm).collect();
    assert_eq!(kept, orders(6, 1).concat());
    let rounds: Vec<_> = workdir
        .kept
        .iter()
        .filter_map(|place| place.round)
        .collect();
    assert_eq!(
        rounds,
        (0..24).map(|period| period / 4 + 1).collect::<Vec<_>>()
    );
    workdir.assert_restored(&ending);
}

#[test]
fn a_failed_start_command_is_reported_with_its_output_and_undone() {
    let mut workdir = Workdir::new("start");
    workdir.comparison.b.start = Some(format!(
        "{}; echo oh no >&2; exit 3",
        workdir.log_command("b-start")
    ));
    let ending = workdir.run();
    let text = failure(&ending);
    assert!(
        text.contains("exit code 3") && text.contains("| oh no"),
        "{text}"
    );
    assert_eq!(workdir.log(), ["b-start", "b-stop"]);
    assert!(workdir.kept.is_empty() && ending.rounds == 0);
    workdir.assert_restored(&ending);
}

/// A command that prints without end does not delay the handling of signals.
#[test]
fn a_command_that_prints_without_end_is_ended() {
    let mut workdir = Workdir::new("endless");
    let us = std::process::id();
    let start = format!(
        "{}; (sleep 0.3; kill -TERM {us}) & yes",
        workdir.log_command("b-start")
    );
    workdir.comparison.b.start = Some(start);
    let begun = Instant::now();
    let ending = workdir.run();
    assert!(
        matches!(ending.cut_short, Some(StopReason::Signal(Signal::SIGTERM))),
        "{ending:?}"
    );
    assert!(begun.elapsed() < Duration::from_secs(20));
    assert_eq!(workdir.log(), ["b-start", "b-stop"]);
    workdir.assert_restored(&ending);
}

#[test]
fn a_stop_command_that_hangs_is_killed_and_reported() {
    let mut workdir = Workdir::new("hang");
    workdir.comparison.b.stop = Some(format!("{}; sleep 7777", workdir.log_command("b-stop")));
    workdir.limit = 300 * MS;
    let begun = Instant::now();
    let ending = workdir.run();
    assert!(begun.elapsed() < Duration::from_secs(30));
    let left = format!("{:#}", ending.left_behind.expect("something is left"));
    assert!(left.contains("did not end within 300ms"), "{left}");
    assert!(workdir.has_state());
}

#[test]
fn the_end_of_the_load_ends_the_comparison() {
    let mut workdir = Workdir::new("load");
    workdir.comparison.period = Duration::from_secs(600);
    workdir.comparison.load = Some("echo no route; sleep 0.5; exit 9".into());
    let ending = workdir.run();
    let text = failure(&ending);
    assert!(
        text.contains("exit code 9") && text.contains("| no route"),
        "{text}"
    );
    assert_eq!(workdir.log(), ["b-start", "b-stop"]);
    workdir.assert_restored(&ending);

    // A load that fails at once: no start command runs.
    let mut workdir = {
        drop(workdir);
        Workdir::new("no-load")
    };
    workdir.comparison.load = Some("nowhere-to-be-found".into());
    let ending = workdir.run();
    assert!(failure(&ending).contains("not found"));
    assert!(workdir.log().is_empty());
    workdir.assert_restored(&ending);
}

#[test]
fn failures_and_panics_while_measuring_undo_the_change() {
    let mut workdir = Workdir::new("measure");
    workdir.measure.fails_at = Some(2);
    let ending = workdir.run();
    assert!(failure(&ending).contains("the kernel says no"));
    assert_eq!(workdir.log(), ["b-start", "b-stop"]);
    workdir.assert_restored(&ending);
    drop(workdir);

    let mut workdir = Workdir::new("panic");
    workdir.measure.panics_at = Some(2);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| workdir.run()));
    assert!(panicked.is_err());
    // The guardian undid the change, and the next command reports that once.
    assert_eq!(workdir.log(), ["b-start", "b-stop"]);
    let left = workdir.leftovers();
    assert!(left.pending.is_empty(), "{left:?}");
    assert!(left.logs[0].contains("has succeeded"), "{left:?}");
    assert!(!workdir.has_state());
}

/// If the tests run under nohup(1), SIGHUP is ignored and would not end a
/// comparison. Restore the default.
fn restore_default_sighup() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: the default action calls no function of ours. A handler that
    // another test installed is put back before a signal is sent.
    let before = unsafe { sigaction(Signal::SIGHUP, &default) }.expect("sigaction");
    if !matches!(before.handler(), SigHandler::SigIgn) {
        // SAFETY: this restores the action that was installed before.
        unsafe { sigaction(Signal::SIGHUP, &before) }.expect("sigaction");
    }
}

#[test]
fn signals_end_a_comparison_cleanly() {
    restore_default_sighup();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        let mut workdir = Workdir::new(signal.as_str());
        // Send it twice, the second time while the change is undone.
        let us = std::process::id();
        let send = format!("kill -{} {us}", &signal.as_str()[3..]);
        workdir.comparison.settle = Duration::from_secs(600);
        let start = format!("{}; {send}", workdir.log_command("b-start"));
        workdir.comparison.b.start = Some(start);
        workdir.comparison.b.stop = Some(format!("{send}; {}", workdir.log_command("b-stop")));
        let ending = workdir.run();
        match ending.cut_short {
            Some(StopReason::Signal(by)) => assert_eq!(by, signal),
            other => panic!("{signal}: {other:?}"),
        }
        assert_eq!(workdir.log(), ["b-start", "b-stop"]);
        assert!(!workdir.has_state());
    }
}
