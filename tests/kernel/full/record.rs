// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `record`: the file holds what was sent, whatever ends the recording; and the
//! command that it runs cannot tell that it is recorded.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Instant;

use netstacklat::model::hooks::Hook;
use netstacklat::runfile::{Content, RunFile};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use testlab::lines::{Line, Run};
use testlab::tool::wait_for_exit;
use testlab::{Family, PATIENCE, Undo, prepare, udp, wait_until};

const HOOK: &str = "udp-socket-enqueued";

/// A file in the guest's /tmp that is not there yet.
fn fresh(name: &str) -> PathBuf {
    let path = Path::new("/tmp").join(name);
    let _ = fs::remove_file(&path);
    path
}

fn record(file: &Path, args: &[&str]) -> Command {
    prepare();
    let mut command = Command::new("netstacklat");
    command
        .args(["record", "-e", HOOK, "-o"])
        .arg(file)
        .args(args);
    command.stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn recorded(file: &Path, args: &[&str]) -> (Option<i32>, String) {
    let done = record(file, args)
        .output()
        .expect("netstacklat is in the guest");
    let Output { status, stderr, .. } = done;
    (status.code(), String::from_utf8(stderr).expect("UTF-8"))
}

/// A recording that has begun.
fn begun(file: &Path, args: &[&str]) -> Child {
    let child = record(file, args)
        .spawn()
        .expect("netstacklat is in the guest");
    wait_until(PATIENCE, "a start line", || {
        fs::read(file).is_ok_and(|bytes| bytes.contains(&b'\n'))
    });
    child
}

fn signal(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id() as i32), signal).expect("it runs");
}

fn ended(mut child: Child) -> (Option<i32>, String) {
    let status = wait_for_exit(&mut child);
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().expect("piped");
    std::io::Read::read_to_string(&mut pipe, &mut stderr).expect("UTF-8");
    (status.code(), stderr)
}

/// Latencies of the hook that a file holds, and its intervals.
fn held(file: &Path) -> (RunFile, u64, u64) {
    let run = RunFile::read(file).expect("a run file");
    let Content::Recording(tally) = &run.content else {
        panic!("not a recording");
    };
    let stats = tally.hook(Hook::find(HOOK).expect("a hook"));
    let (count, intervals) = (
        stats.map_or(0, |stats| stats.histogram.count()),
        tally.intervals,
    );
    (run, count, intervals)
}

fn whole_lines(file: &Path) {
    let bytes = fs::read(file).expect("it is there");
    assert_eq!(bytes.last(), Some(&b'\n'), "it ends within a line");
}

fn one_flow() -> Vec<udp::Flow> {
    udp::Flow::several(Family::V4, 8000..8001)
}

#[test]
fn a_recording_holds_what_was_sent() {
    let file = fresh("sent.nsl");
    let child = begun(&file, &["--name", "some name"]);
    let warm = udp::until_stamped(true);
    udp::exchange(&one_flow(), 2000);
    wait_until(PATIENCE, "two intervals", || held(&file).2 >= 2);
    udp::exchange(&one_flow(), 1000);
    signal(&child, Signal::SIGINT);
    let (code, stderr) = ended(child);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("sent.nsl") && stderr.contains("written"),
        "{stderr}"
    );

    // As the documentation has it, read by the tests themselves.
    let text = fs::read_to_string(&file).expect("UTF-8");
    let lines = text
        .lines()
        .map(|line| serde_json::from_str::<Line>(line).expect("JSON"));
    let run = Run::checked(lines.collect(), stderr);
    assert_eq!(run.hook(HOOK).count, 3000 + warm.with);
    assert!(run.intervals.iter().all(|interval| {
        let seconds = 1 + interval.missed_intervals;
        interval.partial || interval.duration_ns.abs_diff(seconds * 1_000_000_000) < 900_000_000
    }));
    // And by the tool.
    let (read, count, intervals) = held(&file);
    assert_eq!(count, 3000 + warm.with);
    assert_eq!(intervals, run.intervals.len() as u64);
    assert_eq!(read.info.name.as_deref(), Some("some name"));
    assert!(
        read.complete && read.problems.is_empty(),
        "{:?}",
        read.problems
    );
    let online = fs::read_to_string("/sys/devices/system/cpu/online").expect("sysfs");
    assert_eq!(read.info.facts["cpus_online"], online.trim());
}

#[test]
fn sigkill_leaves_whole_lines_which_can_be_added_to() {
    let file = fresh("killed.nsl");
    let mut child = begun(&file, &[]);
    let warm = udp::until_stamped(true);
    udp::exchange(&one_flow(), 1000);
    let before = 1000 + warm.with;
    wait_until(PATIENCE, "all is in the file", || held(&file).1 == before);
    udp::exchange(&one_flow(), 1000);
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
    whole_lines(&file);
    let (run, count, _) = held(&file);
    assert!(
        !run.complete && run.problems.is_empty(),
        "{:?}",
        run.problems
    );
    assert!(
        (before..=before + 1000).contains(&count),
        "{count} of {before}"
    );

    let (code, stderr) = recorded(&file, &["--duration", "1"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--append"), "{stderr}");
    let (code, stderr) = recorded(&file, &["--duration", "100ms", "--append"]);
    assert_eq!(code, Some(0), "{stderr}");
    let (both, and_later, _) = held(&file);
    assert!(both.complete && both.runs == 2);
    assert_eq!(and_later, count);
}

/// The command's datagrams are all seen: it was started once all was measured.
/// It gets our signals, and its exit code is ours. (More: tests/command.rs.)
#[test]
fn a_command_is_recorded_and_none_the_wiser() {
    let (file, ready) = (fresh("command.nsl"), fresh("ready"));
    let script = "for i in {1..50}; do echo >/dev/udp/127.0.0.1/4001; done; ulimit -n
                  trap 'exit 7' TERM; touch /tmp/ready; while :; do sleep 0.05; done";
    let limit = Command::new("bash").args(["-c", "ulimit -n"]).output();
    let limit = limit.expect("the guest has bash").stdout;
    let socket = std::net::UdpSocket::bind("127.0.0.1:4001").expect("bind");
    let mut child = begun(&file, &["--", "bash", "-c", script]);
    wait_until(PATIENCE, "the command is ready", || ready.exists());
    let mut stdout = child.stdout.take().expect("piped");
    signal(&child, Signal::SIGTERM);
    let (code, stderr) = ended(child);
    assert_eq!(code, Some(7), "{stderr}");
    // As many open files as it would have had.
    let mut said = Vec::new();
    std::io::Read::read_to_end(&mut stdout, &mut said).expect("a pipe");
    assert_eq!(said, limit);
    drop(socket);
    let (run, count, _) = held(&file);
    assert!(
        run.complete && run.problems.is_empty(),
        "{:?}",
        run.problems
    );
    let Content::Recording(tally) = &run.content else {
        panic!("not a recording");
    };
    let stats = tally
        .hook(Hook::find(HOOK).expect("a hook"))
        .expect("it was on");
    // The kernel turns stamping on with some delay.
    assert_eq!(count + stats.skips.total(), 50, "{:?}", stats.skips);
}

#[test]
fn a_command_that_is_not_there_leaves_no_file() {
    let file = fresh("missing.nsl");
    let (code, stderr) = recorded(&file, &["--", "no-such-command"]);
    assert_eq!(code, Some(127), "{stderr}");
    assert!(
        stderr.contains("no-such-command") && !file.exists(),
        "{stderr}"
    );
}

/// Room for the start line and little more.
fn nearly_full() -> Undo {
    Undo::after(
        "mkdir -p /tmp/full && mount -t tmpfs -o size=64k nsl-full /tmp/full
         head -c $((60 * 1024)) /dev/zero >/tmp/full/fill",
        "umount /tmp/full",
    )
}

#[test]
fn a_full_disk_is_told_at_once_and_costs_no_line() {
    let _disk = nearly_full();
    let file = Path::new("/tmp/full/run.nsl");
    // A long first line leaves room for two intervals or so.
    let name = "x".repeat(1500);
    let begun = Instant::now();
    let (code, stderr) = recorded(file, &["--name", &name, "--duration", "1h"]);
    println!("ended after {:?}", begun.elapsed());
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
    whole_lines(file);
    let (run, _, intervals) = held(file);
    assert!(
        run.problems.is_empty() && !run.complete,
        "{:?}",
        run.problems
    );
    assert!(intervals >= 1, "{stderr}");

    // A command goes on to its end.
    fs::remove_file(file).expect("it is there");
    let done = fresh("done");
    let command = "until [ -e /tmp/go ]; do sleep 0.1; done; touch /tmp/done; exit 7";
    let go = fresh("go");
    let child = record(file, &["--name", &name, "--", "bash", "-c", command]).spawn();
    let mut child = child.expect("netstacklat is in the guest");
    let mut stderr = std::io::BufReader::new(child.stderr.take().expect("piped"));
    let mut said = String::new();
    while !said.contains("No space left on device") {
        let read = std::io::BufRead::read_line(&mut stderr, &mut said).expect("UTF-8");
        assert!(read > 0, "{said}");
    }
    assert!(child.try_wait().expect("a child").is_none() && !done.exists());
    fs::write(&go, "").expect("/tmp");
    assert_eq!(wait_for_exit(&mut child).code(), Some(125), "{said}");
    assert!(done.exists());
    whole_lines(file);
}

#[test]
fn what_cannot_be_written_is_not_measured() {
    let _disk = Undo::after(
        "mkdir -p /tmp/ro && mount -t tmpfs -o ro nsl-ro /tmp/ro",
        "umount /tmp/ro",
    );
    for (args, failure) in [
        (&["--duration", "1"][..], 1),
        (&["--", "touch", "/tmp/ran"], 125),
    ] {
        let ran = fresh("ran");
        let (code, stderr) = recorded(Path::new("/tmp/ro/run.nsl"), args);
        assert_eq!(code, Some(failure), "{stderr}");
        assert!(stderr.contains("Read-only file system"), "{stderr}");
        assert!(!stderr.contains("recording") && !ran.exists(), "{stderr}");
    }
}
