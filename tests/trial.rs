// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Taking turns: which command runs when, and that what was started is
//! stopped, however it ends. The commands and signals are real. What stands in
//! for measuring counts nothing: what is measured is for the kernel tests.

#[path = "trial/desk.rs"]
mod desk;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use netstacklat::stats::rounds::orders;
use netstacklat::trial::process::Group;
use netstacklat::trial::shell::{Bond, Shell};
use netstacklat::trial::stage::End;
use netstacklat::trial::state::State;
use netstacklat::trial::turns::Ending;
use netstacklat::trial::undo;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::Pid;

use desk::{Desk, MS};

fn failed(ending: &Ending) -> String {
    match &ending.cut_short {
        Some(End::Failed(error)) => format!("{error:#}"),
        other => panic!("not failed: {other:?}"),
    }
}

#[test]
fn sides_take_turns_as_drawn() {
    let mut desk = Desk::new("turns");
    let ending = desk.run();
    assert!(
        ending.cut_short.is_none() && ending.rounds == 6,
        "{ending:?}"
    );
    let drawn = orders(6, 1).into_iter().flatten();
    let expected =
        drawn.flat_map(|arm| ["start", "stop"].map(|end| format!("{}-{end}", arm.name())));
    assert_eq!(desk.log(), expected.collect::<Vec<_>>());
    let kept: Vec<_> = desk.kept.iter().map(|place| place.arm).collect();
    assert_eq!(kept, orders(6, 1).concat());
    let rounds: Vec<_> = desk.kept.iter().filter_map(|place| place.round).collect();
    assert_eq!(
        rounds,
        (0..24).map(|period| period / 4 + 1).collect::<Vec<_>>()
    );
    desk.is_clean(&ending);
}

#[test]
fn a_failing_start_is_told_with_its_last_words_and_stopped() {
    let mut desk = Desk::new("start");
    desk.comparison.b.start = Some(format!(
        "{}; echo oh no >&2; exit 3",
        desk.logging("b-start")
    ));
    let ending = desk.run();
    let text = failed(&ending);
    assert!(
        text.contains("exit code 3") && text.contains("| oh no"),
        "{text}"
    );
    assert_eq!(desk.log(), ["b-start", "b-stop"]);
    assert!(desk.kept.is_empty() && ending.rounds == 0);
    desk.is_clean(&ending);
}

#[test]
fn what_a_start_command_leaves_running_goes_on() {
    let mut desk = Desk::new("background");
    let pid = desk.path.join("pid").display().to_string();
    desk.comparison.b.start = Some(format!("sleep 7777 & echo $! >{pid}"));
    // Fails unless it runs; a zombie does not.
    let stop = format!("pid=$(cat {pid}); ! grep -q '^State:.*Z' /proc/$pid/status && kill $pid");
    desk.comparison.b.stop = Some(stop);
    let ending = desk.run();
    assert!(
        ending.left_behind.is_none() && ending.rounds == 6,
        "{ending:?}"
    );
}

#[test]
fn what_a_failing_start_command_leaves_running_is_ended() {
    let mut desk = Desk::new("failing");
    let pid = desk.path.join("pid");
    let start = format!("sleep 7777 & echo $! >{}; exit 1", pid.display());
    desk.comparison.b.start = Some(start);
    desk.run();
    ends(number_in(&pid));
}

fn number_in(path: &PathBuf) -> Pid {
    let text = std::fs::read_to_string(path).expect("it ran");
    Pid::from_raw(text.trim().parse().expect("a number"))
}

/// It has ended, or does so soon.
fn ends(pid: Pid) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while runs(pid) {
        assert!(Instant::now() < deadline, "{pid} still runs");
        std::thread::sleep(MS);
    }
}

/// A zombie does not: in some containers nobody waits for orphans.
fn runs(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}

/// The shell dies with us; what it has started does not.
#[test]
fn what_outlives_its_shell_is_found_and_ended() {
    let desk = Desk::new("orphan");
    let path = desk.path.join("pid");
    let command = format!(
        "trap '' TERM; sleep 7777 & echo $! >{0}.new; mv {0}.new {0}; wait",
        path.display()
    );
    let shell = Shell::new().start(&command, None, Bond::OutlivesUs);
    let shell = shell.expect("a shell");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(MS);
    }
    let store = desk.store().expect("the state");
    let mut state = State::here(&desk.path).expect("where we are");
    let group = Group::of("the load", shell.pid()).expect("it runs");
    state.running.push(group);
    store.write(&state).expect("written");
    let number = format!("process group {}", shell.pid());
    kill(Pid::from_raw(shell.pid() as i32), Signal::SIGKILL).expect("it runs");
    shell.leave();
    let orphan = number_in(&path);
    assert!(runs(orphan));

    let refused = undo::nothing_is_left(&store).expect_err("it runs");
    assert!(format!("{refused:#}").contains(&number), "{refused:#}");
    // Deaf to SIGTERM, as its shell was.
    let done = undo::undo(&store, desk.limit).expect("it can be killed");
    assert!(done.contains(&number), "{done}");
    assert!(!runs(orphan));
    undo::nothing_is_left(&store).expect("undone");
}

#[test]
fn a_failing_stop_leaves_word_of_it_and_can_be_run_again() {
    let mut desk = Desk::new("stop");
    let path = desk.path.display().to_string();
    let stop = format!(
        "{}; echo no way; test -e {path}/way",
        desk.logging("b-stop")
    );
    desk.comparison.b.stop = Some(stop.clone());
    let ending = desk.run();
    let left = format!(
        "{:#}",
        ending.left_behind.as_ref().expect("something is left")
    );
    for words in [&stop, "compare --undo", "exit code 1", "| no way"] {
        assert!(left.contains(words), "no {words:?} in {left}");
    }
    assert_eq!(desk.log(), ["b-start", "b-stop"]);
    let store = desk.store().expect("nobody holds it");
    let refused = undo::nothing_is_left(&store).expect_err("something is left");
    assert!(format!("{refused:#}").contains(&stop));
    undo::undo(&store, desk.limit).expect_err("it fails as before");
    assert!(undo::nothing_is_left(&store).is_err(), "forgotten");
    std::fs::write(desk.path.join("way"), "").expect("a way");
    let done = undo::undo(&store, desk.limit).expect("it works now");
    assert!(done.contains(&stop), "{done}");
    undo::nothing_is_left(&store).expect("undone");
    assert_eq!(
        undo::undo(&store, desk.limit).expect("nothing"),
        "nothing to undo"
    );
    assert_eq!(desk.log(), ["b-start", "b-stop", "b-stop", "b-stop"]);
}

#[test]
fn a_stop_that_hangs_is_killed_and_told() {
    let mut desk = Desk::new("hang");
    desk.comparison.b.stop = Some(format!("{}; sleep 7777", desk.logging("b-stop")));
    desk.limit = 300 * MS;
    let begun = Instant::now();
    let ending = desk.run();
    assert!(begun.elapsed() < Duration::from_secs(30));
    let left = format!("{:#}", ending.left_behind.expect("something is left"));
    assert!(left.contains("did not end within 300ms"), "{left}");
    assert!(desk.path.join("state/compare.json").exists());
}

#[test]
fn a_load_that_ends_ends_the_comparison() {
    let mut desk = Desk::new("load");
    desk.comparison.period = Duration::from_secs(600);
    desk.comparison.load = Some("echo no route; sleep 0.5; exit 9".into());
    let ending = desk.run();
    let text = failed(&ending);
    assert!(
        text.contains("exit code 9") && text.contains("| no route"),
        "{text}"
    );
    assert_eq!(desk.log(), ["b-start", "b-stop"]);
    desk.is_clean(&ending);

    // At once: then nothing is started at all.
    let mut desk = {
        drop(desk);
        Desk::new("no-load")
    };
    desk.comparison.load = Some("nowhere-to-be-found".into());
    let ending = desk.run();
    assert!(failed(&ending).contains("not found"));
    assert!(desk.log().is_empty());
    desk.is_clean(&ending);
}

#[test]
fn failures_and_panics_of_measuring_undo() {
    let mut desk = Desk::new("measure");
    desk.measure.fails_at = Some(2);
    let ending = desk.run();
    assert!(failed(&ending).contains("the kernel says no"));
    assert_eq!(desk.log(), ["b-start", "b-stop"]);
    desk.is_clean(&ending);
    drop(desk);

    let mut desk = Desk::new("panic");
    desk.measure.panics_at = Some(2);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| desk.run()));
    assert!(panicked.is_err());
    assert_eq!(desk.log(), ["b-start", "b-stop"]);
    assert!(!desk.path.join("state/compare.json").exists());
}

/// Commands are run from it: whoever else can write to it is not trusted.
#[test]
fn a_state_that_others_could_have_written_is_refused() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let desk = Desk::new("state");
    let open = |path: &PathBuf, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    };
    let directory = desk.path.join("state");
    drop(desk.store().expect("a new directory"));
    open(&directory, 0o770);
    let refused = desk.store().expect_err("a group can write to it");
    assert!(
        format!("{refused:#}").contains("others can write"),
        "{refused:#}"
    );
    open(&directory, 0o700);

    let aside = desk.path.join("aside");
    std::fs::rename(&directory, &aside).expect("ours");
    symlink(&aside, &directory).expect("a link");
    desk.store().expect_err("a link");
    std::fs::remove_file(&directory).expect("the link");
    std::fs::rename(&aside, &directory).expect("ours");

    let store = desk.store().expect("as before");
    let refused = desk.store().expect_err("it is locked");
    assert!(format!("{refused:#}").contains("another comparison runs"));
    let mut state = State::here(&desk.path).expect("where we are");
    state.undo = Some("echo undone".into());
    store.write(&state).expect("written");
    assert_eq!(store.read().expect("ours"), Some(state));
    open(&store.file(), 0o666);
    assert!(undo::nothing_is_left(&store).is_err());
    let refused = undo::undo(&store, desk.limit).expect_err("anybody can write to it");
    assert!(
        format!("{refused:#}").contains("others can write"),
        "{refused:#}"
    );
    open(&store.file(), 0o600);
    let text = std::fs::read_to_string(store.file()).expect("ours");
    for damaged in [
        &text[..text.len() / 2],
        "",
        "{}",
        &text.replace("\"schema\":1", "\"schema\":2"),
    ] {
        std::fs::write(store.file(), damaged).expect("ours");
        undo::undo(&store, desk.limit).expect_err(damaged);
        assert!(store.file().exists());
    }
    // What was so before the host was started anew is no longer.
    let old = text.replace("\"boot_id\":\"", "\"boot_id\":\"x");
    std::fs::write(store.file(), old).expect("ours");
    let done = undo::undo(&store, desk.limit).expect("nothing to do");
    assert!(done.contains("nothing to undo"), "{done}");
    assert!(!store.file().exists());
}

/// As nohup(1) has them for all that it starts, these tests too: then they do
/// not end a comparison.
fn hang_ups_are_not_ignored() {
    let default = SigAction::new(SigHandler::SigDfl, SaFlags::empty(), SigSet::empty());
    // SAFETY: no function of ours is called; where another test has installed
    // a handler, that is put back before a signal is sent.
    let before = unsafe { sigaction(Signal::SIGHUP, &default) }.expect("sigaction");
    if !matches!(before.handler(), SigHandler::SigIgn) {
        // SAFETY: as it was.
        unsafe { sigaction(Signal::SIGHUP, &before) }.expect("sigaction");
    }
}

#[test]
fn signals_end_it_in_good_order() {
    hang_ups_are_not_ignored();
    for signal in [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGQUIT,
    ] {
        let mut desk = Desk::new(signal.as_str());
        // Twice, and the second while it is undone.
        let us = std::process::id();
        let send = format!("kill -{} {us}", &signal.as_str()[3..]);
        desk.comparison.settle = Duration::from_secs(600);
        let start = format!("{}; {send}", desk.logging("b-start"));
        desk.comparison.b.start = Some(start);
        desk.comparison.b.stop = Some(format!("{send}; {}", desk.logging("b-stop")));
        let ending = desk.run();
        match ending.cut_short {
            Some(End::Signal(by)) => assert_eq!(by, signal),
            other => panic!("{signal}: {other:?}"),
        }
        assert_eq!(desk.log(), ["b-start", "b-stop"]);
        assert!(!desk.path.join("state/compare.json").exists());
    }
}
