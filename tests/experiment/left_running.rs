// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Processes that commands leave running in the background.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::workdir::{MS, Workdir};

/// Asserts that the process that `start` leaves in the background, and whose
/// PID it writes to the file `{pid}`, runs in each round until the stop command
/// ends it.
fn assert_runs_until_stopped(mut workdir: Workdir, start: &str) {
    let pid = workdir.path.join("pid").display().to_string();
    workdir.comparison.b.start = Some(start.replace("{pid}", &pid));
    // Fails unless the process runs. A zombie does not count.
    let stop = format!("pid=$(cat {pid}); ! grep -q '^State:.*Z' /proc/$pid/status && kill $pid");
    workdir.comparison.b.stop = Some(stop);
    let ending = workdir.run();
    assert!(
        ending.left_behind.is_none() && ending.rounds == 6,
        "{ending:?}"
    );
}

#[test]
fn processes_left_by_a_start_command_go_on() {
    let workdir = Workdir::new("background");
    assert_runs_until_stopped(workdir, "sleep 7777 & echo $! >{pid}");
}

/// A background process can go on printing, because nobody closes its pipe.
#[test]
fn processes_left_running_can_go_on_printing() {
    let mut workdir = Workdir::new("printing");
    workdir.comparison.settle = 100 * MS;
    let start = "(while echo tick; do sleep 0.01; done) & echo $! >{pid}";
    assert_runs_until_stopped(workdir, start);
}

#[test]
fn processes_left_by_a_failed_start_command_are_ended() {
    let mut workdir = Workdir::new("failing");
    let pid = workdir.path.join("pid");
    let start = format!("sleep 7777 & echo $! >{}; exit 1", pid.display());
    workdir.comparison.b.start = Some(start);
    workdir.run();
    assert_ends(pid_in(&pid));
}

pub(crate) fn pid_in(path: &PathBuf) -> Pid {
    let text = std::fs::read_to_string(path).expect("it ran");
    Pid::from_raw(text.trim().parse().expect("a number"))
}

/// Asserts that the process ends soon, or has ended.
pub(crate) fn assert_ends(pid: Pid) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while is_running(pid) {
        assert!(Instant::now() < deadline, "{pid} still runs");
        std::thread::sleep(MS);
    }
}

/// A zombie does not count as running: in some containers nobody reaps orphans.
pub(crate) fn is_running(pid: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
    stat.is_ok_and(|stat| !stat.contains(") Z "))
}
