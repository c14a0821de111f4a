// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Whatever happens to `compare`, the host is restored, or the user is told
//! what is left: it is killed at each step, and undone from another environment
//! and by another user. (Output that nobody reads: `blocked_output`.)

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};

use super::compare::{LOG_START, LOG_STOP, LONG, SHORT, assert_no_sleep_left, compare_args};
use testlab::compare::{Ended, PLACE, Workdir, journals_exist, wait_for_lock_release};
use testlab::tool::wait_for_exit;
use testlab::{PATIENCE, sh, wait_until};

/// Longer than any test.
const FOREVER: &str = "sleep 7777 & wait";
/// More output than a pipe holds, and than is kept.
pub(super) const NOISE: &str = "seq 1 15000";

fn run_undo(args: &[&str]) -> Ended {
    let mut command = Command::new("netstacklat");
    command.arg("undo").args(args);
    run(&mut command)
}

fn run(command: &mut Command) -> Ended {
    let output = command.output().expect("netstacklat is in the guest");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    Ended {
        code: output.status.code(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}

/// Kills the comparison while it is at `step`. Its guardian must restore the
/// host completely, however much the stop command prints. The next command
/// reports that, once.
fn assert_undone_when_killed_at(step: &str, [settle, period]: [&str; 2], [start, stop]: [&str; 2]) {
    let workdir = Workdir::new("killed");
    let mut args = compare_args([settle, period], [start, stop]);
    args.extend(["--load", "sleep 7777 | cat"]);
    let comparison = workdir.compare(&args);
    comparison.wait_for_step(step);
    if step.contains("command") {
        // Wait until the command runs.
        workdir.wait_for_log(if step.contains("start") {
            "start"
        } else {
            "stopping"
        });
    }
    comparison.signal(Signal::SIGKILL);
    assert_eq!(comparison.wait().code, None);
    wait_for_lock_release();
    let expected: &[&str] = if step.contains("stop command") {
        // The running stop command has ended by itself, and is not run again.
        &["start", "stopping", "stop"]
    } else {
        &["start", "stop"]
    };
    assert_eq!(workdir.log(), expected, "{step}");
    assert_no_sleep_left();

    let undone = run_undo(&["--list"]);
    assert_eq!(undone.code, Some(0), "{}", undone.stderr);
    undone.assert_says(&[
        "since the last command",
        "The stop command has succeeded",
        "nothing to undo",
    ]);
    let again = run_undo(&[]);
    assert!(!again.stderr.contains("since the last"), "{}", again.stderr);
    again.assert_says(&["nothing to undo; looked in /run/netstacklat"]);
    assert!(!journals_exist());
}

#[test]
fn killed_while_it_starts_b() {
    let start = format!("{LOG_START}; {FOREVER}");
    let stop = format!("{NOISE}; {LOG_STOP}");
    assert_undone_when_killed_at("start command", [SHORT, SHORT], [&start, &stop]);
}

#[test]
fn killed_while_it_settles() {
    assert_undone_when_killed_at("settling", [LONG, SHORT], [LOG_START, LOG_STOP]);
}

#[test]
fn killed_while_it_measures() {
    assert_undone_when_killed_at("measuring", [SHORT, LONG], [LOG_START, LOG_STOP]);
}

#[test]
fn killed_while_it_stops_b() {
    let stop = format!("echo stopping >>log; sleep 1; {NOISE}; {LOG_STOP}");
    assert_undone_when_killed_at("stop command", [SHORT, SHORT], [LOG_START, &stop]);
}

/// If both processes are killed, `undo` restores the host. It runs the stop
/// command in the comparison's directory and environment, not in its own.
#[test]
fn killed_with_its_guardian_it_is_undone_later() {
    let (workdir, second) = (Workdir::new("both"), Workdir::new("second"));
    let stop = "echo $WORD >>log";
    let args = compare_args([SHORT, LONG], [LOG_START, stop]);
    let comparison = workdir.compare_with(&[("WORD", "restored")], &args);
    comparison.wait_for_step("measuring");
    // A second comparison is refused: the two would disturb each other.
    let refused = second
        .compare(&compare_args([SHORT, SHORT], [LOG_START, LOG_STOP]))
        .wait();
    assert_eq!(refused.code, Some(1));
    refused.assert_says(&[
        "another comparison is running",
        &format!("process {} of user 0", comparison.pid()),
    ]);
    comparison.kill_with_guardian();
    assert_eq!(workdir.log(), ["start"]);

    let refused = second
        .compare(&compare_args([SHORT, SHORT], [LOG_START, LOG_STOP]))
        .wait();
    assert_eq!(refused.code, Some(1));
    refused.assert_says(&[
        "has not restored this host",
        stop,
        "netstacklat undo",
        PLACE,
    ]);
    let listed = run_undo(&["--list"]);
    listed.assert_says(&["measuring", stop, PLACE]);
    assert!(!listed.stderr.contains("restored"), "{}", listed.stderr);
    assert_eq!(workdir.log(), ["start"]);

    let mut command = Command::new("env");
    command.args(["-i", "WORD=wrong", "/usr/local/bin/netstacklat", "undo"]);
    let done = run(command.current_dir("/"));
    assert_eq!(done.code, Some(0), "{}", done.stderr);
    done.assert_says(&[stop]);
    assert_eq!(workdir.log(), ["start", "restored"]);
    assert!(!journals_exist());
}

/// A comparison that is ending holds the lock until its guardian has undone its
/// change. The next comparison waits for that, but not for ever.
#[test]
fn the_next_waits_for_one_that_is_ending() {
    let (workdir, second) = (Workdir::new("ending"), Workdir::new("next"));
    let stop = "until [ -e go ]; do sleep 1; done; echo stop >>log";
    let mut args = compare_args([SHORT, LONG], [LOG_START, stop]);
    args.extend(["--stop-timeout", "1h"]);
    let comparison = workdir.compare(&args);
    comparison.wait_for_step("measuring");
    let pid = comparison.pid();
    comparison.signal(Signal::SIGKILL);

    let args = compare_args([SHORT, SHORT], [LOG_START, LOG_STOP]);
    let begun = Instant::now();
    let gave_up = second.compare(&args).wait();
    let waited = begun.elapsed();
    assert_eq!(gave_up.code, Some(1), "{}", gave_up.stderr);
    let waiting = format!("waiting for the comparison of process {pid} (user 0) to end");
    let hint = "netstacklat undo --list";
    gave_up.assert_says(&[&waiting, "has been ending for 30s", hint]);
    assert!(waited >= Duration::from_secs(30), "{waited:?}");
    assert!(second.log().is_empty() && workdir.log() == ["start"]);

    // `undo` waits too, and does not say that there is nothing to undo.
    let gave_up = run_undo(&[]);
    assert_eq!(gave_up.code, Some(1), "{}", gave_up.stderr);
    let waits = format!("a guardian process is undoing the comparison in {PLACE}/compare-{pid}");
    gave_up.assert_says(&[&waits, "nothing was undone"]);
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
    // Both wait meanwhile.
    std::thread::sleep(Duration::from_secs(1));
    assert!(second.log().is_empty());
    fs::write(workdir.path().join("go"), "").expect("ours");
    let undone = undoing.wait_with_output().expect("it ends");
    let undone = String::from_utf8(undone.stderr).expect("UTF-8");
    assert!(undone.contains(&waits), "{undone}");
    let next = next.wait();
    assert_eq!(next.code, Some(0), "{}", next.stderr);
    next.assert_says(&[&waiting]);
    // One of the two shows the log. If both look at the same time, neither
    // does, and the third command shows it.
    let output = format!("{undone}{}{}", next.stderr, run_undo(&["--list"]).stderr);
    assert!(
        output.contains("The stop command has succeeded"),
        "{output}"
    );
    assert_eq!(workdir.log(), ["start", "stop"]);
    assert_eq!(second.log().len(), 40);
    assert_eq!(comparison.wait().code, None);
    assert!(!journals_exist());
}

/// If `undo` is killed while its stop command runs, the command runs to its
/// end.
#[test]
fn an_undo_that_is_killed_goes_on() {
    let workdir = Workdir::new("undo");
    let stop =
        format!("echo stopping >>log; until [ -e go ]; do sleep 0.1; done; {NOISE}; {LOG_STOP}");
    let comparison = workdir.compare(&compare_args([SHORT, LONG], [LOG_START, &stop]));
    comparison.wait_for_step("measuring");
    comparison.kill_with_guardian();
    let mut undoing = Command::new("netstacklat")
        .arg("undo")
        .stderr(Stdio::null())
        .spawn()
        .expect("netstacklat is in the guest");
    workdir.wait_for_log("stopping");
    undoing.kill().expect("it runs");
    undoing.wait().expect("it has ended");
    fs::write(workdir.path().join("go"), "").expect("ours");
    workdir.wait_for_log("stop");
    let undone = run_undo(&[]);
    assert_eq!(undone.code, Some(0), "{}", undone.stderr);
    undone.assert_says(&["The stop command has succeeded", "nothing to undo"]);
    assert_eq!(workdir.log(), ["start", "stopping", "stop"]);
    assert!(!journals_exist());
}

/// A guardian that is stopped by a signal does not keep the comparison from
/// ending.
#[test]
fn a_stopped_guardian_does_not_block_the_end() {
    let workdir = Workdir::new("asleep");
    let args = ["--aa", "-e", "udp-start", "-o", "run.nsl", "--period", "1h"];
    let comparison = workdir.compare(&args);
    comparison.wait_for_step("measuring");
    let guardian = comparison.guardian();
    kill(guardian, Signal::SIGSTOP).expect("it runs");
    comparison.signal(Signal::SIGTERM);
    assert_eq!(comparison.wait().code, Some(128 + 15));
    wait_for_lock_release();
    assert!(!journals_exist());
}

/// An error is printed at once, not after everything has been undone.
#[test]
fn the_cause_is_printed_before_anything_is_undone() {
    let workdir = Workdir::new("cause");
    let errors = File::create(workdir.path().join("errors")).expect("ours");
    let stop = "until [ -e go ]; do sleep 0.1; done";
    let mut child = Command::new("netstacklat")
        .arg("compare")
        .args(compare_args([SHORT, SHORT], ["echo oh no; exit 7", stop]))
        .current_dir(workdir.path())
        .stdin(Stdio::null())
        .stderr(errors)
        .spawn()
        .expect("netstacklat is in the guest");
    let cause = "a start command failed (exit code 7): echo oh no; exit 7";
    let output = || fs::read_to_string(workdir.path().join("errors")).expect("ours");
    wait_until(PATIENCE, cause, || output().contains(cause));
    assert!(child.try_wait().expect("ours").is_none());
    fs::write(workdir.path().join("go"), "").expect("ours");
    assert_eq!(wait_for_exit(&mut child).code(), Some(1));
    let output = output();
    assert_eq!(output.matches(cause).count(), 1, "{output}");
    assert!(output.contains("the host is as it was"), "{output}");
}

/// If the limits could not be checked, the exit code is not that of success.
#[test]
fn a_run_file_that_is_gone_is_no_success() {
    let workdir = Workdir::new("gone");
    let start = format!("rm -f run.nsl; {LOG_START}");
    let ended = workdir
        .compare(&compare_args([SHORT, SHORT], [&start, LOG_STOP]))
        .wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ended.assert_says(&["the run file cannot be read back", "run.nsl"]);
    assert!(!journals_exist());
}

/// A change that cannot be undone is given up only when the user asks for that.
#[test]
fn a_stop_command_that_fails_can_be_given_up() {
    let workdir = Workdir::new("fails");
    let start = "echo oh no; false";
    let stop = "echo no way; false";
    let ended = workdir
        .compare(&compare_args([SHORT, SHORT], [start, stop]))
        .wait();
    assert_eq!(ended.code, Some(1));
    // The cause is printed first.
    let place = |word: &str| {
        ended
            .stderr
            .find(word)
            .unwrap_or_else(|| panic!("{word}: {}", ended.stderr))
    };
    let cause = place("a start command failed (exit code 1): echo oh no; false");
    assert!(cause < place("not undone: the stop command failed: exit code 1"));
    ended.assert_says(&["| oh no", "| no way", "netstacklat undo --forget"]);

    let failed = run_undo(&[]);
    assert_eq!(failed.code, Some(1), "{}", failed.stderr);
    failed.assert_says(&["not undone", "no way", "--forget"]);
    let given_up = run_undo(&["--forget"]);
    assert_eq!(given_up.code, Some(0), "{}", given_up.stderr);
    given_up.assert_says(&[stop, "given up: this is not undone"]);
    assert!(!journals_exist());
}

/// Root is shown the commands in a journal that another user has made up, and
/// does not run them.
#[test]
fn root_runs_no_commands_of_other_users() {
    let place = "/tmp/netstacklat-65534";
    let _ = fs::remove_dir_all(place);
    let workdir = Workdir::new("planted");
    let stop = "touch /tmp/as-root\nnetstacklat: run curl";
    let args = compare_args([SHORT, LONG], [LOG_START, stop]);
    let comparison = workdir.compare(&args);
    comparison.wait_for_step("measuring");
    let state = format!("{PLACE}/compare-{}/state.json", comparison.pid());
    // The other user could have made a valid state with these commands.
    fs::create_dir_all(format!("{place}/compare-1")).expect("in /tmp");
    fs::copy(state, format!("{place}/compare-1/state.json")).expect("a state");
    sh(&format!(
        "chmod -R go-rwx {place}; chown -R 65534:65534 {place}"
    ));
    comparison.signal(Signal::SIGINT);
    // The second line of the stop command fails: it is not a command.
    assert_eq!(comparison.wait().code, Some(1));
    fs::remove_file("/tmp/as-root").expect("it was undone");
    assert_eq!(run_undo(&["--forget"]).code, Some(0));
    // Root's journals are never in /tmp, so this directory must not matter.
    sh("mkdir /tmp/netstacklat-0; chown 65534 /tmp/netstacklat-0");

    let undone = run_undo(&[]);
    undone.assert_says(&[
        "User 65534",
        "touch /tmp/as-root\n    netstacklat: run curl\n",
        "as user 65534",
        "nothing to undo",
    ]);
    sh("rm -r /tmp/netstacklat-0");
    assert!(!Path::new("/tmp/as-root").exists());
    // The same for journals in root's own directory.
    let linked = format!("{PLACE}/compare-7");
    fs::create_dir_all(PLACE).expect("root's");
    sh(&format!("ln -s {place}/compare-1 {linked}"));
    let undone = run_undo(&[]);
    assert_eq!(undone.code, Some(1), "{}", undone.stderr);
    undone.assert_says(&["cannot be used", &linked]);
    fs::remove_file(&linked).expect("a link");
    sh(&format!(
        "cp -r {place}/compare-1 {linked}; chown -R 65534 {linked}"
    ));
    let undone = run_undo(&[]);
    assert_eq!(undone.code, Some(1), "{}", undone.stderr);
    undone.assert_says(&["belongs to user 65534"]);
    assert!(!Path::new("/tmp/as-root").exists());
    sh(&format!("rm -rf {linked} {place}"));
}

/// If each start command undoes the other, A's runs last.
#[test]
fn start_commands_that_undo_each_other() {
    let workdir = Workdir::new("toggle");
    let args = compare_args([SHORT, SHORT], ["echo b >>log", ""]);
    let args: Vec<&str> = args[..args.len() - 2]
        .iter()
        .copied()
        .chain(["--a-start", "echo a >>log"])
        .collect();
    let ended = workdir.compare(&args).wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.assert_says(&["no stop commands"]);
    let log = workdir.log();
    assert_eq!(
        (log.len(), log.last().map(String::as_str)),
        (41, Some("a")),
        "{log:?}"
    );
    assert!(!journals_exist());
}
