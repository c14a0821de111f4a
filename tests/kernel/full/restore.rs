// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Whatever happens to `compare`, the host is restored, or the user is told what
//! is left: killed at each step, undone from another environment, by another
//! user. (With output that nobody takes: `blocked_output`.)

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use super::compare::{LONG, SHORT, START, STOP, nothing_sleeps, told};
use testlab::compare::{Ended, PLACE, Workdir, has_state, nobody_compares};
use testlab::tool::wait_for_exit;
use testlab::{PATIENCE, sh, wait_until};

/// Longer than any test.
const FOREVER: &str = "sleep 7777 & wait";
/// More than a pipe takes, and than is kept of it.
pub(super) const NOISE: &str = "seq 1 15000";

fn undo(args: &[&str]) -> Ended {
    let mut command = Command::new("netstacklat");
    command.arg("undo").args(args);
    ended(&mut command)
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().expect("netstacklat is in the guest");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Killed while it does `step`, its guardian restores the host, to the end,
/// however much the stop command prints; the next command tells, once.
fn killed_while(step: &str, [settle, period]: [&str; 2], [start, stop]: [&str; 2]) {
    let desk = Workdir::new("killed");
    let mut args = told([settle, period], [start, stop]);
    args.extend(["--load", "sleep 7777 | cat"]);
    let comparison = desk.compare(&args);
    comparison.does(step);
    if step.contains("command") {
        // It has begun.
        desk.logs(if step.contains("start") {
            "start"
        } else {
            "stopping"
        });
    }
    comparison.signal(Signal::SIGKILL);
    assert_eq!(comparison.ended().code, None);
    nobody_compares();
    let expected: &[&str] = if step.contains("stop command") {
        // The one that was running has ended by itself.
        &["start", "stopping", "stop"]
    } else {
        &["start", "stop"]
    };
    assert_eq!(desk.log(), expected, "{step}");
    nothing_sleeps();

    let told = undo(&["--list"]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    told.says(&[
        "since the last command",
        "The stop command has succeeded",
        "nothing to undo",
    ]);
    let again = undo(&[]);
    assert!(!again.stderr.contains("since the last"), "{}", again.stderr);
    again.says(&["nothing to undo; looked in /run/netstacklat"]);
    assert!(!has_state());
}

#[test]
fn killed_while_it_starts_b() {
    let start = format!("{START}; {FOREVER}");
    let stop = format!("{NOISE}; {STOP}");
    killed_while("start command", [SHORT, SHORT], [&start, &stop]);
}

#[test]
fn killed_while_it_settles() {
    killed_while("settling", [LONG, SHORT], [START, STOP]);
}

#[test]
fn killed_while_it_measures() {
    killed_while("measuring", [SHORT, LONG], [START, STOP]);
}

#[test]
fn killed_while_it_stops_b() {
    let stop = format!("echo stopping >>log; sleep 1; {NOISE}; {STOP}");
    killed_while("stop command", [SHORT, SHORT], [START, &stop]);
}

/// Nobody undoes then: `undo` does, in the comparison's directory and with its
/// environment, whatever its own are.
#[test]
fn killed_with_its_guardian_it_is_undone_later() {
    let (desk, second) = (Workdir::new("both"), Workdir::new("second"));
    let stop = "echo $WORD >>log";
    let args = told([SHORT, LONG], [START, stop]);
    let comparison = desk.compare_with(&[("WORD", "restored")], &args);
    comparison.does("measuring");
    // Two would measure each other.
    let refused = second.compare(&told([SHORT, SHORT], [START, STOP])).ended();
    assert_eq!(refused.code, Some(1));
    refused.says(&[
        "another comparison is running",
        &format!("process {} of user 0", comparison.pid()),
    ]);
    comparison.killed_with_its_guardian();
    assert_eq!(desk.log(), ["start"]);

    let refused = second.compare(&told([SHORT, SHORT], [START, STOP])).ended();
    assert_eq!(refused.code, Some(1));
    refused.says(&[
        "has not restored this host",
        stop,
        "netstacklat undo",
        PLACE,
    ]);
    let listed = undo(&["--list"]);
    listed.says(&["measuring", stop, PLACE]);
    assert!(!listed.stderr.contains("restored"), "{}", listed.stderr);
    assert_eq!(desk.log(), ["start"]);

    let mut command = Command::new("env");
    command.args(["-i", "WORD=wrong", "/usr/local/bin/netstacklat", "undo"]);
    let done = ended(command.current_dir("/"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    done.says(&[stop]);
    assert_eq!(desk.log(), ["start", "restored"]);
    assert!(!has_state());
}

/// A comparison that is ending holds the lock until its guardian has undone it.
/// The next waits for that, and does not for ever.
#[test]
fn the_next_waits_for_one_that_is_ending() {
    let (desk, second) = (Workdir::new("ending"), Workdir::new("next"));
    let stop = "until [ -e go ]; do sleep 1; done; echo stop >>log";
    let mut args = told([SHORT, LONG], [START, stop]);
    args.extend(["--stop-timeout", "1h"]);
    let comparison = desk.compare(&args);
    comparison.does("measuring");
    let pid = comparison.pid();
    comparison.signal(Signal::SIGKILL);

    let args = told([SHORT, SHORT], [START, STOP]);
    let begun = Instant::now();
    let gave_up = second.compare(&args).ended();
    let waited = begun.elapsed();
    assert_eq!(gave_up.code, Some(1), "{}", gave_up.stderr);
    let waiting = format!("waiting for the comparison of process {pid} (user 0) to end");
    let hint = "netstacklat undo --list";
    gave_up.says(&[&waiting, "has been ending for 30s", hint]);
    assert!(waited >= Duration::from_secs(30), "{waited:?}");
    assert!(second.log().is_empty() && desk.log() == ["start"]);

    // `undo` waits as well, and does not say that nothing is to be undone.
    let gave_up = undo(&[]);
    assert_eq!(gave_up.code, Some(1), "{}", gave_up.stderr);
    let waits = format!("a guardian process is undoing the comparison in {PLACE}/compare-{pid}");
    gave_up.says(&[&waits, "nothing was undone"]);
    assert!(
        !gave_up.stderr.contains("nothing to undo"),
        "{}",
        gave_up.stderr
    );

    let next = second.compare(&args);
    let undoing = Command::new("netstacklat")
        .arg("undo")
        .stderr(Stdio::piped())
        .spawn()
        .expect("netstacklat is in the guest");
    // They look, and do not go on.
    std::thread::sleep(Duration::from_secs(1));
    assert!(second.log().is_empty());
    fs::write(desk.path().join("go"), "").expect("ours");
    let undone = undoing.wait_with_output().expect("it ends");
    let undone = String::from_utf8(undone.stderr).expect("UTF-8");
    assert!(undone.contains(&waits), "{undone}");
    let next = next.ended();
    assert_eq!(next.code, Some(0), "{}", next.stderr);
    next.says(&[&waiting]);
    // One of them shows it; two that look at the same time leave it to a third.
    let told = format!("{undone}{}{}", next.stderr, undo(&["--list"]).stderr);
    assert!(told.contains("The stop command has succeeded"), "{told}");
    assert_eq!(desk.log(), ["start", "stop"]);
    assert_eq!(second.log().len(), 40);
    assert_eq!(comparison.ended().code, None);
    assert!(!has_state());
}

/// `undo` is killed while its stop command runs: that comes to its end.
#[test]
fn an_undo_that_is_killed_goes_on() {
    let desk = Workdir::new("undo");
    let stop = format!("echo stopping >>log; until [ -e go ]; do sleep 0.1; done; {NOISE}; {STOP}");
    let comparison = desk.compare(&told([SHORT, LONG], [START, &stop]));
    comparison.does("measuring");
    comparison.killed_with_its_guardian();
    let mut undoing = Command::new("netstacklat")
        .arg("undo")
        .stderr(Stdio::null())
        .spawn()
        .expect("netstacklat is in the guest");
    desk.logs("stopping");
    undoing.kill().expect("it runs");
    undoing.wait().expect("it has ended");
    fs::write(desk.path().join("go"), "").expect("ours");
    desk.logs("stop");
    let told = undo(&[]);
    assert_eq!(told.code, Some(0), "{}", told.stderr);
    told.says(&["The stop command has succeeded", "nothing to undo"]);
    assert_eq!(desk.log(), ["start", "stopping", "stop"]);
    assert!(!has_state());
}

/// A guardian that is stopped keeps nobody from ending.
#[test]
fn a_stopped_guardian_keeps_nobody() {
    let desk = Workdir::new("asleep");
    let args = ["--aa", "-e", "udp-start", "-o", "run.nsl", "--period", "1h"];
    let comparison = desk.compare(&args);
    comparison.does("measuring");
    let guardian = comparison.guardian();
    kill(guardian, Signal::SIGSTOP).expect("it runs");
    comparison.signal(Signal::SIGTERM);
    assert_eq!(comparison.ended().code, Some(128 + 15));
    nobody_compares();
    assert!(!has_state());
}

/// What went wrong is said at once, and not when all that it has led to is done.
#[test]
fn the_cause_is_said_before_anything_is_undone() {
    let desk = Workdir::new("cause");
    let errors = File::create(desk.path().join("errors")).expect("ours");
    let stop = "until [ -e go ]; do sleep 0.1; done";
    let mut child = Command::new("netstacklat")
        .arg("compare")
        .args(told([SHORT, SHORT], ["echo oh no; exit 7", stop]))
        .current_dir(desk.path())
        .stdin(Stdio::null())
        .stderr(errors)
        .spawn()
        .expect("netstacklat is in the guest");
    let cause = "a start command failed (exit code 7): echo oh no; exit 7";
    let said = || fs::read_to_string(desk.path().join("errors")).expect("ours");
    wait_until(PATIENCE, cause, || said().contains(cause));
    assert!(child.try_wait().expect("ours").is_none());
    fs::write(desk.path().join("go"), "").expect("ours");
    assert_eq!(wait_for_exit(&mut child).code(), Some(1));
    let said = said();
    assert_eq!(said.matches(cause).count(), 1, "{said}");
    assert!(said.contains("the host is as it was"), "{said}");
}

/// A limit that was not looked at is not one that was kept.
#[test]
fn a_run_file_that_is_gone_is_no_success() {
    let desk = Workdir::new("gone");
    let start = format!("rm -f run.nsl; {START}");
    let ended = desk.compare(&told([SHORT, SHORT], [&start, STOP])).ended();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ended.says(&["the run file cannot be read back", "run.nsl"]);
    assert!(!has_state());
}

/// What cannot be undone is given up when the user says so, and not before.
#[test]
fn a_stop_command_that_fails_can_be_given_up() {
    let desk = Workdir::new("fails");
    let start = "echo oh no; false";
    let stop = "echo no way; false";
    let ended = desk.compare(&told([SHORT, SHORT], [start, stop])).ended();
    assert_eq!(ended.code, Some(1));
    // The cause comes first.
    let place = |word: &str| {
        ended
            .stderr
            .find(word)
            .unwrap_or_else(|| panic!("{word}: {}", ended.stderr))
    };
    let cause = place("a start command failed (exit code 1): echo oh no; false");
    assert!(cause < place("not undone: the stop command failed: exit code 1"));
    ended.says(&["| oh no", "| no way", "netstacklat undo --forget"]);

    let failed = undo(&[]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    failed.says(&["not undone", "no way", "--forget"]);
    let given_up = undo(&["--forget"]);
    assert_eq!(given_up.code, Some(0), "{}", given_up.stderr);
    given_up.says(&[stop, "given up: this is not undone"]);
    assert!(!has_state());
}

/// A file that another user has planted: its command is shown to root, and not
/// run.
#[test]
fn root_runs_nothing_of_other_users() {
    let place = "/tmp/netstacklat-65534";
    let _ = fs::remove_dir_all(place);
    let desk = Workdir::new("planted");
    let stop = "touch /tmp/as-root\nnetstacklat: run curl";
    let args = told([SHORT, LONG], [START, stop]);
    let comparison = desk.compare(&args);
    comparison.does("measuring");
    let state = format!("{PLACE}/compare-{}/state.json", comparison.pid());
    // What this user can make of it: a true state, of the same commands.
    fs::create_dir_all(format!("{place}/compare-1")).expect("in /tmp");
    fs::copy(state, format!("{place}/compare-1/state.json")).expect("a state");
    sh(&format!(
        "chmod -R go-rwx {place}; chown -R 65534:65534 {place}"
    ));
    comparison.signal(Signal::SIGINT);
    // Its second line is no command.
    assert_eq!(comparison.ended().code, Some(1));
    fs::remove_file("/tmp/as-root").expect("it was undone");
    assert_eq!(undo(&["--forget"]).code, Some(0));
    // Root's own are never in /tmp: this stands in nobody's way.
    sh("mkdir /tmp/netstacklat-0; chown 65534 /tmp/netstacklat-0");

    let told = undo(&[]);
    told.says(&[
        "User 65534",
        "touch /tmp/as-root\n    netstacklat: run curl\n",
        "as user 65534",
        "nothing to undo",
    ]);
    sh("rm -r /tmp/netstacklat-0");
    assert!(!Path::new("/tmp/as-root").exists());
    // Nor where root's own are looked for.
    let linked = format!("{PLACE}/compare-7");
    fs::create_dir_all(PLACE).expect("root's");
    sh(&format!("ln -s {place}/compare-1 {linked}"));
    let told = undo(&[]);
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    told.says(&["cannot be used", &linked]);
    fs::remove_file(&linked).expect("a link");
    sh(&format!(
        "cp -r {place}/compare-1 {linked}; chown -R 65534 {linked}"
    ));
    let told = undo(&[]);
    assert_eq!(told.code, Some(1), "{}", told.stderr);
    told.says(&["belongs to user 65534"]);
    assert!(!Path::new("/tmp/as-root").exists());
    sh(&format!("rm -rf {linked} {place}"));
}

/// Where each start command undoes the other, A's is the last.
#[test]
fn sides_that_undo_each_other() {
    let desk = Workdir::new("toggle");
    let args = told([SHORT, SHORT], ["echo b >>log", ""]);
    let args: Vec<&str> = args[..args.len() - 2]
        .iter()
        .copied()
        .chain(["--a-start", "echo a >>log"])
        .collect();
    let ended = desk.compare(&args).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.says(&["no stop commands"]);
    let log = desk.log();
    assert_eq!(
        (log.len(), log.last().map(String::as_str)),
        (41, Some("a")),
        "{log:?}"
    );
    assert!(!has_state());
}
