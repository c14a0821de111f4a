// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A comparison whose guardian dies, and what a guardian holds.

use std::time::Duration;

use netstacklat::model::comparison::Side;
use nix::fcntl::{FcntlArg, FdFlag};
use nix::sys::signal::Signal;

use super::failure;
use super::left_running::{assert_ends, pid_in};
use super::workdir::{MS, Workdir};

/// The comparison notices that its guardian is dead, and restores the host
/// itself.
#[test]
fn a_comparison_whose_guardian_dies_ends_and_undoes() {
    for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
        let mut workdir = Workdir::new("guardian");
        let pid = workdir.path.join("pid");
        let guardian = format!("guardian=$(cat {})", pid.display());
        // Kill it while its start command runs. The processes of that command
        // are ended too.
        let orphan = workdir.path.join("orphan");
        workdir.comparison.b.start = Some(format!(
            "{}; {guardian}; sleep 7777 & echo $! >{}; kill -{} $guardian; sleep 7777",
            workdir.log_command("b-start"),
            orphan.display(),
            &signal.as_str()[3..]
        ));
        if signal == Signal::SIGSTOP {
            // A stopped guardian counts as dead when it does not answer the
            // request to undo.
            workdir.comparison.b.start = Some(format!(
                "{}; {guardian}; (sleep 0.2; kill -STOP $guardian) & exit 0",
                workdir.log_command("b-start")
            ));
            workdir.comparison.settle = 600 * MS;
            workdir.limit = 300 * MS;
        }
        let ending = workdir.run_watched(|guardian| {
            std::fs::write(&pid, guardian.to_string()).expect("ours");
        });
        if signal == Signal::SIGKILL {
            let text = failure(&ending);
            assert!(text.contains("guardian process"), "{text}");
            assert_ends(pid_in(&orphan));
        }
        assert_eq!(workdir.log()[..2], ["b-start", "b-stop"]);
        workdir.assert_restored(&ending);
    }
}

/// The load is ended even if there is nothing to undo.
#[test]
fn a_comparison_whose_guardian_dies_ends_its_load() {
    let mut workdir = Workdir::new("load-left");
    let (pid, orphan) = (workdir.path.join("pid"), workdir.path.join("orphan"));
    workdir.comparison.a = Side {
        name: "a".into(),
        ..Side::default()
    };
    workdir.comparison.b = Side {
        name: "b".into(),
        ..Side::default()
    };
    workdir.comparison.period = Duration::from_secs(600);
    workdir.comparison.load = Some(format!(
        "sleep 7777 & echo $! >{}; sleep 0.5; kill -KILL $(cat {}); wait",
        orphan.display(),
        pid.display()
    ));
    let ending = workdir.run_watched(|guardian| {
        std::fs::write(&pid, guardian.to_string()).expect("ours");
    });
    let text = failure(&ending);
    assert!(text.contains("guardian process"), "{text}");
    assert_ends(pid_in(&orphan));
    workdir.assert_restored(&ending);
}

/// A stop command runs to its end even if its guardian is killed: half of a
/// stop command is worse than none. Then another guardian runs it again,
/// because its result is unknown.
#[test]
fn a_stop_command_whose_guardian_is_killed_comes_to_its_end() {
    let mut workdir = Workdir::new("half");
    let pid = workdir.path.join("pid");
    workdir.comparison.b.stop = Some(format!(
        "{}; kill -KILL $(cat {}); sleep 1; echo on; {}",
        workdir.log_command("begun"),
        pid.display(),
        workdir.log_command("b-stop")
    ));
    let ending = workdir.run_watched(|guardian| {
        std::fs::write(&pid, guardian.to_string()).expect("ours");
    });
    failure(&ending);
    let once = ["begun", "b-stop"];
    assert_eq!(workdir.log(), [&["b-start"][..], &once, &once].concat());
    assert!(
        ending.left_behind.is_none() && !workdir.has_state(),
        "{ending:?}"
    );
}

/// Descriptors of the user's shell (`exec 9>lock; flock 9`) must not be held by
/// a process that may outlive us. `pkill -f netstacklat` must not match the
/// guardian.
#[test]
fn the_guardian_closes_inherited_descriptors() {
    let mut workdir = Workdir::new("holds");
    let inherited = std::fs::File::create(workdir.path.join("inherited")).expect("ours");
    // All child processes inherit it.
    nix::fcntl::fcntl(&inherited, FcntlArg::F_SETFD(FdFlag::empty())).expect("a descriptor");
    let seen = workdir.path.join("seen");
    workdir.comparison.b.start = Some(format!(
        "{}; ls -l /proc/$PPID/fd >{1}; tr '\\0' ' ' </proc/$PPID/cmdline >>{1}; echo >>{1}; \
         cat /proc/$PPID/comm >>{1}",
        workdir.log_command("b-start"),
        seen.display()
    ));
    let ending = workdir.run();
    workdir.assert_restored(&ending);
    let seen = std::fs::read_to_string(seen).expect("written");
    assert!(seen.contains("socket:"), "{seen}");
    assert!(!seen.contains("inherited"), "{seen}");
    let named = seen.lines().rev().take(2);
    assert!(
        named.clone().all(|line| line.contains("undo-guardian")),
        "{seen}"
    );
    assert!(
        named.clone().all(|line| !line.contains("netstacklat")),
        "{seen}"
    );
}
