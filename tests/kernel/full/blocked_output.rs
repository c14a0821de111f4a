// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Blocked output delays neither signals nor undoing: a pipe that nobody reads,
//! a stopped terminal, a FIFO.

use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::fd::OwnedFd;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::compare::{LOG_START, LOG_STOP, LONG, SHORT, compare_args};
use super::restore::NOISE;
use testlab::compare::{Workdir, journals_exist};
use testlab::tool::{wait_for_exit, wait_until_blocked};
use testlab::{PATIENCE, prepare, sh, wait_until};

/// Nobody reads its output, and its commands print much. It handles a signal
/// within a second, and the host is restored.
#[test]
fn a_reader_that_stalls_delays_no_undo() {
    let workdir = Workdir::new("stalled");
    let (_reader, writer) = nix::unistd::pipe().expect("a pipe");
    assert_undone_though_nobody_reads(&workdir, writer);
}

/// The same on a terminal that Ctrl-S has stopped.
#[test]
fn a_stopped_terminal_delays_no_undo() {
    let workdir = Workdir::new("terminal");
    let pty = openpty(None, None).expect("a terminal");
    let mut master = File::from(pty.master);
    // Ctrl-S.
    master.write_all(b"\x13").expect("a terminal");
    assert_undone_though_nobody_reads(&workdir, pty.slave);
}

fn assert_undone_though_nobody_reads(workdir: &Workdir, writer: OwnedFd) {
    prepare();
    let start = format!("{NOISE}; {LOG_START}");
    let stop = format!("echo stopping >>log; {NOISE}; {LOG_STOP}");
    let mut child = Command::new("netstacklat")
        .arg("compare")
        .args(compare_args([LONG, SHORT], [&start, &stop]))
        .current_dir(workdir.path())
        .stdin(Stdio::null())
        .stdout(writer.try_clone().expect("a descriptor"))
        .stderr(writer)
        .spawn()
        .expect("netstacklat is in the guest");
    workdir.wait_for_log("start");
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("it runs");
    let sent = Instant::now();
    workdir.wait_for_log("stopping");
    let late = sent.elapsed();
    assert!(late < Duration::from_secs(1), "{late:?}");
    let status = wait_for_exit(&mut child);
    assert_eq!(workdir.log(), ["start", "stopping", "stop"]);
    assert_eq!(status.code(), Some(128 + 15));
    assert!(!journals_exist());
}

/// With a FIFO that is no longer read, the command of `record` still gets its
/// signals.
#[test]
fn record_into_a_fifo_passes_signals_on() {
    prepare();
    let fifo = "/tmp/record.fifo";
    sh(&format!("rm -f {fifo}; mkfifo {fifo}"));
    let reader = OpenOptions::new()
        .read(true)
        .write(true)
        .open(fifo)
        .expect("a FIFO");
    // 4 KiB are less than one line.
    nix::fcntl::fcntl(&reader, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe");
    let command = "trap 'echo ended >/tmp/record.log; exit 7' TERM; echo begun >/tmp/record.log; \
                   while :; do sleep 0.1; done";
    let mut child = Command::new("netstacklat")
        .args([
            "record",
            "-e",
            "udp-start",
            "-o",
            fifo,
            "--",
            "sh",
            "-c",
            command,
        ])
        .stdin(Stdio::null())
        .spawn()
        .expect("netstacklat is in the guest");
    let log = || fs::read_to_string("/tmp/record.log").unwrap_or_default();
    wait_until(PATIENCE, "the command runs", || log().contains("begun"));
    wait_until_blocked(child.id());
    kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).expect("it runs");
    let sent = Instant::now();
    wait_until(PATIENCE, "the signal arrives", || log().contains("ended"));
    let late = sent.elapsed();
    assert!(late < Duration::from_secs(1), "{late:?}");
    // It fails, because not everything could be written.
    let status = wait_for_exit(&mut child);
    assert_eq!(status.code(), Some(125));
    drop(reader);
}

/// A signal ends the live view within moments even if nobody reads its output,
/// and a message says how much was not written. (A second signal ends it at
/// once: see `behaviour`.)
#[test]
fn the_live_view_ends_though_nobody_reads() {
    prepare();
    let (reader, writer) = nix::unistd::pipe().expect("a pipe");
    nix::fcntl::fcntl(&writer, nix::fcntl::FcntlArg::F_SETPIPE_SZ(4096)).expect("a pipe");
    let mut child = Command::new("netstacklat")
        .args(["--json", "-r", "100ms", "-e", "udp-start"])
        .stdin(Stdio::null())
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .expect("netstacklat is in the guest");
    wait_until_blocked(child.id());
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("it runs");
    let status = wait_for_exit(&mut child);
    let mut output = String::new();
    let mut stderr = child.stderr.take().expect("piped");
    stderr.read_to_string(&mut output).expect("UTF-8");
    assert_eq!(status.code(), Some(1), "{output}");
    let output = "were not written: nobody reads standard output";
    assert!(output.contains(output), "{output}");
    drop(reader);
}
