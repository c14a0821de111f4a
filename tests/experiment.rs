// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Taking turns: which command runs when, and that what was started is
//! stopped, however it ends. The commands and signals are real. What stands in
//! for measuring counts nothing: what is measured is for the kernel tests.

#[path = "experiment/guardian.rs"]
mod guardian;
#[path = "experiment/workdir.rs"]
mod workdir;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use netstacklat::experiment::recover;
use netstacklat::experiment::runner::Ending;
use netstacklat::experiment::supervisor::StopReason;
use netstacklat::process::group::Group;
use netstacklat::process::output::Output;
use netstacklat::process::shell::{self, OnParentDeath};
use netstacklat::stats::rounds::orders;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, kill, sigaction};
use nix::unistd::Pid;

use workdir::{MS, PROGRAM, Workdir};

fn failed(ending: &Ending) -> String {
    match &ending.cut_short {
        Some(StopReason::Failed(error)) => format!("{error:#}"),
        other => panic!("not failed: {other:?}"),
    }
}

#[test]
fn sides_take_turns_as_drawn() {
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
    workdir.is_clean(&ending);
}

#[test]
fn a_failing_start_is_told_with_its_last_words_and_stopped() {
    let mut workdir = Workdir::new("start");
    workdir.comparison.b.start = Some(format!(
        "{}; echo oh no >&2; exit 3",
        workdir.logging("b-start")
    ));
    let ending = workdir.run();
    let text = failed(&ending);
    assert!(
        text.contains("exit code 3") && text.contains("| oh no"),
        "{text}"
    );
    assert_eq!(workdir.log(), ["b-start", "b-stop"]);
    assert!(workdir.kept.is_empty() && ending.rounds == 0);
    workdir.is_clean(&ending);
}

/// What `start` leaves in the background, with its number in the file `{pid}`,
/// runs until the stop command ends it, in each round.
fn runs_until_it_is_stopped(mut workdir: Workdir, start: &str) {
    let pid = workdir.path.join("pid").display().to_string();
    workdir.comparison.b.start = Some(start.replace("{pid}", &pid));
    // Fails unless it runs; a zombie does not.
    let stop = format!("pid=$(cat {pid}); ! grep -q '^State:.*Z' /proc/$pid/status && kill $pid");
    workdir.comparison.b.stop = Some(stop);
    let ending = workdir.run();
    assert!(
        ending.left_behind.is_none() && ending.rounds == 6,
        "{ending:?}"
    );
}

#[test]
fn what_a_start_command_leaves_running_goes_on() {
    let workdir = Workdir::new("background");
    runs_until_it_is_stopped(workdir, "sleep 7777 & echo $! >{pid}");
}

/// It may go on printing, too: nobody closes its pipe.
#[test]
fn what_is_left_running_can_go_on_printing() {
    let mut workdir = Workdir::new("printing");
    workdir.comparison.settle = 100 * MS;
    let start = "(while echo tick; do sleep 0.01; done) & echo $! >{pid}";
    runs_until_it_is_stopped(workdir, start);
}

/// A command that prints without end keeps no signal from being heard.
#[test]
fn a_command_that_prints_without_end_is_ended() {
    let mut workdir = Workdir::new("endless");
    let us = std::process::id();
    let start = format!(
        "{}; (sleep 0.3; kill -TERM {us}) & yes",
        workdir.logging("b-start")
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
    workdir.is_clean(&ending);
}

#[test]
fn what_a_failing_start_command_leaves_running_is_ended() {
    let mut workdir = Workdir::new("failing");
    let pid = workdir.path.join("pid");
    let start = format!("sleep 7777 & echo $! >{}; exit 1", pid.display());
    workdir.comparison.b.start = Some(start);
    workdir.run();
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
    let workdir = Workdir::new("orphan");
    let path = workdir.path.join("pid");
    let command = format!(
        "trap '' TERM; sleep 7777 & echo $! >{0}.new; mv {0}.new {0}; wait",
        path.display()
    );
    let output = Output::open().expect("a pipe");
    let shell = shell::start(&command, &output, OnParentDeath::KeepRunning);
    let shell = shell.expect("a shell");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(MS);
    }
    let journal = workdir.journal().expect("the journal");
    let mut state = workdir.state();
    let group = Group::of("the load", shell.pid()).expect("it runs");
    state.running.push(group);
    // Nothing that would go with its owner.
    state.undo = Some("true".into());
    journal.write(&state).expect("written");
    // As if its process had died.
    drop(journal);
    let number = format!("process group {}", shell.pid());
    kill(Pid::from_raw(shell.pid() as i32), Signal::SIGKILL).expect("it runs");
    shell.reap();
    let orphan = number_in(&path);
    assert!(runs(orphan));

    let refused = nothing_is_left(&workdir).expect_err("it runs");
    assert!(refused.contains(&number), "{refused}");
    // Deaf to SIGTERM, as its shell was.
    let done = undo(&workdir).expect("it can be killed");
    assert!(done[0].contains(&number), "{done:?}");
    assert!(!runs(orphan));
    nothing_is_left(&workdir).expect("undone");
}

#[test]
fn a_failing_stop_leaves_word_of_it_and_can_be_run_again() {
    let mut workdir = Workdir::new("stop");
    let path = workdir.path.display().to_string();
    let stop = format!(
        "{}; echo no way; test -e {path}/way",
        workdir.logging("b-stop")
    );
    workdir.comparison.b.stop = Some(stop.clone());
    let ending = workdir.run();
    let left = format!(
        "{:#}",
        ending.left_behind.as_ref().expect("something is left")
    );
    for words in [&stop, "netstacklat undo", "exit code 1", "| no way"] {
        assert!(left.contains(words), "no {words:?} in {left}");
    }
    assert_eq!(workdir.log(), ["b-start", "b-stop"]);
    let refused = nothing_is_left(&workdir).expect_err("something is left");
    assert!(refused.contains(&stop), "{refused}");
    let failed = undo(&workdir).expect_err("it fails as before");
    assert!(failed.contains("exit code 1"), "{failed}");
    nothing_is_left(&workdir).expect_err("it is not forgotten");
    std::fs::write(workdir.path.join("way"), "").expect("a way");
    let done = undo(&workdir).expect("it works now");
    assert!(done[0].contains(&stop), "{done:?}");
    nothing_is_left(&workdir).expect("undone");
    assert!(undo(&workdir).expect("nothing").is_empty());
    assert_eq!(workdir.log(), ["b-start", "b-stop", "b-stop", "b-stop"]);
}

/// What is left, in words.
fn nothing_is_left(workdir: &Workdir) -> Result<(), String> {
    recover::refuse_leftovers(&workdir.leftovers()).map_err(|error| format!("{error:#}"))
}

/// What was done for each comparison that has left something.
fn undo(workdir: &Workdir) -> Result<Vec<String>, String> {
    let mut left = workdir.leftovers();
    if let Some(text) = left.unusable.first() {
        return Err(text.clone());
    }
    let pending = left.pending.iter_mut();
    pending
        .map(|(journal, state)| {
            let undone = recover::undo(journal, state, Path::new(PROGRAM), &mut |_| {});
            undone.map_err(|error| format!("{error:#}"))
        })
        .collect()
}

#[test]
fn a_stop_that_hangs_is_killed_and_told() {
    let mut workdir = Workdir::new("hang");
    workdir.comparison.b.stop = Some(format!("{}; sleep 7777", workdir.logging("b-stop")));
    workdir.limit = 300 * MS;
    let begun = Instant::now();
    let ending = workdir.run();
    assert!(begun.elapsed() < Duration::from_secs(30));
    let left = format!("{:#}", ending.left_behind.expect("something is left"));
    assert!(left.contains("did not end within 300ms"), "{left}");
    assert!(workdir.has_state());
}

#[test]
fn a_load_that_ends_ends_the_comparison() {
    let mut workdir = Workdir::new("load");
    workdir.comparison.period = Duration::from_secs(600);
    workdir.comparison.load = Some("echo no route; sleep 0.5; exit 9".into());
    let ending = workdir.run();
    let text = failed(&ending);
    assert!(
        text.contains("exit code 9") && text.contains("| no route"),
        "{text}"
    );
    assert_eq!(workdir.log(), ["b-start", "b-stop"]);
    workdir.is_clean(&ending);

    // At once: then nothing is started at all.
    let mut workdir = {
        drop(workdir);
        Workdir::new("no-load")
    };
    workdir.comparison.load = Some("nowhere-to-be-found".into());
    let ending = workdir.run();
    assert!(failed(&ending).contains("not found"));
    assert!(workdir.log().is_empty());
    workdir.is_clean(&ending);
}

#[test]
fn failures_and_panics_of_measuring_undo() {
    let mut workdir = Workdir::new("measure");
    workdir.measure.fails_at = Some(2);
    let ending = workdir.run();
    assert!(failed(&ending).contains("the kernel says no"));
    assert_eq!(workdir.log(), ["b-start", "b-stop"]);
    workdir.is_clean(&ending);
    drop(workdir);

    let mut workdir = Workdir::new("panic");
    workdir.measure.panics_at = Some(2);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| workdir.run()));
    assert!(panicked.is_err());
    // The guardian did it, and the next command says so, once.
    assert_eq!(workdir.log(), ["b-start", "b-stop"]);
    let left = workdir.leftovers();
    assert!(left.pending.is_empty(), "{left:?}");
    assert!(left.logs[0].contains("has succeeded"), "{left:?}");
    assert!(!workdir.has_state());
}

/// Commands are run from it: whoever else can write to it is not trusted.
#[test]
fn a_state_that_others_could_have_written_is_refused() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let workdir = Workdir::new("state");
    let open = |path: &PathBuf, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    };
    let directory = workdir.place();
    drop(workdir.journal().expect("a new directory"));
    open(&directory, 0o770);
    let refused = workdir.journal().expect_err("a group can write to it");
    assert!(
        format!("{refused:#}").contains("others can write"),
        "{refused:#}"
    );
    let found = workdir.leftovers();
    assert!(found.unusable[0].contains("others can write"), "{found:?}");
    open(&directory, 0o700);

    let aside = workdir.path.join("aside");
    std::fs::rename(&directory, &aside).expect("ours");
    symlink(&aside, &directory).expect("a link");
    workdir.journal().expect_err("a link");
    assert_eq!(workdir.leftovers().unusable.len(), 1);
    std::fs::remove_file(&directory).expect("the link");
    std::fs::rename(&aside, &directory).expect("ours");

    let journal = workdir.journal().expect("as before");
    assert_eq!(workdir.leftovers().in_use, [journal.path()]);
    // Of a process with the same number, in another pid namespace say.
    let other = workdir.journal().expect("another place");
    assert_ne!(other.path(), journal.path());
    drop(other);
    assert_eq!(workdir.leftovers().in_use, [journal.path()]);
    let mut state = workdir.state();
    state.undo = Some("echo undone".into());
    journal.write(&state).expect("written");
    assert_eq!(journal.read().expect("ours"), Some(state));
    let file = journal.path().join("state.json");
    drop(journal);
    open(&file, 0o666);
    let refused = undo(&workdir).expect_err("anybody can write to it");
    assert!(refused.contains("others can write"), "{refused}");
    nothing_is_left(&workdir).expect_err("nobody knows");
    open(&file, 0o600);
    let text = std::fs::read_to_string(&file).expect("ours");
    for damaged in [
        &text[..text.len() / 2],
        "",
        "{}",
        &text.replace("\"schema\":2", "\"schema\":3"),
    ] {
        std::fs::write(&file, damaged).expect("ours");
        undo(&workdir).expect_err(damaged);
        assert!(file.exists());
    }
    // What was so before the host was started anew is no longer.
    let old = text.replace("\"boot_id\":\"", "\"boot_id\":\"x");
    std::fs::write(&file, old).expect("ours");
    assert!(undo(&workdir).expect("nothing to do").is_empty());
    assert!(!workdir.has_state());
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
        let mut workdir = Workdir::new(signal.as_str());
        // Twice, and the second while it is undone.
        let us = std::process::id();
        let send = format!("kill -{} {us}", &signal.as_str()[3..]);
        workdir.comparison.settle = Duration::from_secs(600);
        let start = format!("{}; {send}", workdir.logging("b-start"));
        workdir.comparison.b.start = Some(start);
        workdir.comparison.b.stop = Some(format!("{send}; {}", workdir.logging("b-stop")));
        let ending = workdir.run();
        match ending.cut_short {
            Some(StopReason::Signal(by)) => assert_eq!(by, signal),
            other => panic!("{signal}: {other:?}"),
        }
        assert_eq!(workdir.log(), ["b-start", "b-stop"]);
        assert!(!workdir.has_state());
    }
}
