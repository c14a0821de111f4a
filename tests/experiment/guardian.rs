// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What becomes of a comparison whose guardian dies, and what a guardian holds.

use std::time::Duration;

use netstacklat::model::comparison::Side;
use nix::fcntl::{FcntlArg, FdFlag};
use nix::sys::signal::Signal;

use super::workdir::{MS, Workdir};
use super::{ends, failed, number_in};

/// The comparison sees that it has no guardian any more, and restores the host
/// by itself.
#[test]
fn without_its_guardian_it_ends_and_undoes() {
    for signal in [Signal::SIGKILL, Signal::SIGSTOP] {
        let mut workdir = Workdir::new("guardian");
        let pid = workdir.path.join("pid");
        let guardian = format!("guardian=$(cat {})", pid.display());
        // While its start command runs; what that has started is ended, too.
        let orphan = workdir.path.join("orphan");
        workdir.comparison.b.start = Some(format!(
            "{}; {guardian}; sleep 7777 & echo $! >{}; kill -{} $guardian; sleep 7777",
            workdir.logging("b-start"),
            orphan.display(),
            &signal.as_str()[3..]
        ));
        if signal == Signal::SIGSTOP {
            // A guardian that does not answer is dead when it has to undo.
            workdir.comparison.b.start = Some(format!(
                "{}; {guardian}; (sleep 0.2; kill -STOP $guardian) & exit 0",
                workdir.logging("b-start")
            ));
            workdir.comparison.settle = 600 * MS;
            workdir.limit = 300 * MS;
        }
        let ending = workdir.run_watched(|guardian| {
            std::fs::write(&pid, guardian.to_string()).expect("ours");
        });
        if signal == Signal::SIGKILL {
            let text = failed(&ending);
            assert!(text.contains("guardian process"), "{text}");
            ends(number_in(&orphan));
        }
        assert_eq!(workdir.log()[..2], ["b-start", "b-stop"]);
        workdir.is_clean(&ending);
    }
}

/// Also where nothing is to be undone: the load does not outlive it.
#[test]
fn without_its_guardian_it_ends_its_load() {
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
    let text = failed(&ending);
    assert!(text.contains("guardian process"), "{text}");
    ends(number_in(&orphan));
    workdir.is_clean(&ending);
}

/// Half of a stop command is worse than none: it comes to its end, then another
/// guardian runs it again, as nobody knows how it has ended.
#[test]
fn a_stop_command_whose_guardian_is_killed_comes_to_its_end() {
    let mut workdir = Workdir::new("half");
    let pid = workdir.path.join("pid");
    workdir.comparison.b.stop = Some(format!(
        "{}; kill -KILL $(cat {}); sleep 1; echo on; {}",
        workdir.logging("begun"),
        pid.display(),
        workdir.logging("b-stop")
    ));
    let ending = workdir.run_watched(|guardian| {
        std::fs::write(&pid, guardian.to_string()).expect("ours");
    });
    failed(&ending);
    let once = ["begun", "b-stop"];
    assert_eq!(workdir.log(), [&["b-start"][..], &once, &once].concat());
    assert!(
        ending.left_behind.is_none() && !workdir.has_state(),
        "{ending:?}"
    );
}

/// What the user's shell has open (`exec 9>lock; flock 9`) is not held by a
/// process that may outlive us; and `pkill -f netstacklat` does not match it.
#[test]
fn the_guardian_holds_nothing_of_others() {
    let mut workdir = Workdir::new("holds");
    let of_others = std::fs::File::create(workdir.path.join("of-others")).expect("ours");
    // Inherited by all that is started from here.
    nix::fcntl::fcntl(&of_others, FcntlArg::F_SETFD(FdFlag::empty())).expect("a descriptor");
    let seen = workdir.path.join("seen");
    workdir.comparison.b.start = Some(format!(
        "{}; ls -l /proc/$PPID/fd >{1}; tr '\\0' ' ' </proc/$PPID/cmdline >>{1}; echo >>{1}; \
         cat /proc/$PPID/comm >>{1}",
        workdir.logging("b-start"),
        seen.display()
    ));
    let ending = workdir.run();
    workdir.is_clean(&ending);
    let seen = std::fs::read_to_string(seen).expect("written");
    assert!(seen.contains("socket:"), "{seen}");
    assert!(!seen.contains("of-others"), "{seen}");
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
