// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `record`: the file contains all packets that were sent, however the
//! recording ends. The command that it runs is not changed by being recorded.

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

/// The path of a file in the guest's /tmp that does not exist yet.
fn new_path(name: &str) -> PathBuf {
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

fn run_recording(file: &Path, args: &[&str]) -> (Option<i32>, String) {
    let done = record(file, args)
        .output()
        .expect("netstacklat is in the guest");
    let Output { status, stderr, .. } = done;
    (status.code(), String::from_utf8(stderr).expect("UTF-8"))
}

/// Starts a recording and waits for its start line.
fn start_recording(file: &Path, args: &[&str]) -> Child {
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

fn wait(mut child: Child) -> (Option<i32>, String) {
    let status = wait_for_exit(&mut child);
    let mut stderr = String::new();
    let mut pipe = child.stderr.take().expect("piped");
    std::io::Read::read_to_string(&mut pipe, &mut stderr).expect("UTF-8");
    (status.code(), stderr)
}

/// Reads a file: its number of latencies at the hook, and its number of
/// intervals.
fn read_back(file: &Path) -> (RunFile, u64, u64) {
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

fn assert_whole_lines(file: &Path) {
    let bytes = fs::read(file).expect("it is there");
    assert_eq!(bytes.last(), Some(&b'\n'), "it ends within a line");
}

fn one_flow() -> Vec<udp::Flow> {
    udp::Flow::several(Family::V4, 8000..8001)
}

#[test]
fn a_recording_holds_what_was_sent() {
    let file = new_path("sent.nsl");
    let child = start_recording(&file, &["--name", "some name"]);
    let warm = udp::until_stamped(true);
    udp::exchange(&one_flow(), 2000);
    wait_until(PATIENCE, "two intervals", || read_back(&file).2 >= 2);
    udp::exchange(&one_flow(), 1000);
    signal(&child, Signal::SIGINT);
    let (code, stderr) = wait(child);
    assert_eq!(code, Some(0), "{stderr}");
    assert!(
        stderr.contains("sent.nsl") && stderr.contains("written"),
        "{stderr}"
    );

    // The file is as documented: read by the tests' own reader.
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
    // The tool reads the same from it.
    let (read, count, intervals) = read_back(&file);
    assert_eq!(count, 3000 + warm.with);
    assert_eq!(intervals, run.intervals.len() as u64);
    assert_eq!(read.info.name.as_deref(), Some("some name"));
    assert_eq!(read.info.selection.options["hooks"], [HOOK]);
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
    let file = new_path("killed.nsl");
    let mut child = start_recording(&file, &[]);
    let warm = udp::until_stamped(true);
    udp::exchange(&one_flow(), 1000);
    let before = 1000 + warm.with;
    wait_until(PATIENCE, "all is in the file", || {
        read_back(&file).1 == before
    });
    udp::exchange(&one_flow(), 1000);
    child.kill().expect("it runs");
    child.wait().expect("it has ended");
    assert_whole_lines(&file);
    let (run, count, _) = read_back(&file);
    assert!(
        !run.complete && run.problems.is_empty(),
        "{:?}",
        run.problems
    );
    assert!(
        (before..=before + 1000).contains(&count),
        "{count} of {before}"
    );

    let (code, stderr) = run_recording(&file, &["--duration", "1"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("--append"), "{stderr}");
    let (code, stderr) = run_recording(&file, &["--duration", "100ms", "--append"]);
    assert_eq!(code, Some(0), "{stderr}");
    let (both, and_later, _) = read_back(&file);
    assert!(both.complete && both.runs == 2);
    assert_eq!(and_later, count);
}

/// All datagrams of the command are counted, because it is started after the
/// programs are attached. It gets our signals, and its exit code is ours.
/// (More: tests/command.rs.)
#[test]
fn a_command_is_not_changed_by_being_recorded() {
    let (file, ready) = (new_path("command.nsl"), new_path("ready"));
    let script = "for i in {1..50}; do echo >/dev/udp/127.0.0.1/4001; done; ulimit -n
                  trap 'exit 7' TERM; touch /tmp/ready; while :; do sleep 0.05; done";
    let limit = Command::new("bash").args(["-c", "ulimit -n"]).output();
    let limit = limit.expect("the guest has bash").stdout;
    let socket = std::net::UdpSocket::bind("127.0.0.1:4001").expect("bind");
    let mut child = start_recording(&file, &["--", "bash", "-c", script]);
    wait_until(PATIENCE, "the command is ready", || ready.exists());
    let mut stdout = child.stdout.take().expect("piped");
    signal(&child, Signal::SIGTERM);
    let (code, stderr) = wait(child);
    assert_eq!(code, Some(7), "{stderr}");
    // Its limit of open files is the original one.
    let mut output = Vec::new();
    std::io::Read::read_to_end(&mut stdout, &mut output).expect("a pipe");
    assert_eq!(output, limit);
    drop(socket);
    let (run, count, _) = read_back(&file);
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
    // The kernel switches RX timestamping on with some delay.
    assert_eq!(count + stats.skips.total(), 50, "{:?}", stats.skips);
}

#[test]
fn a_command_that_is_not_there_leaves_no_file() {
    let file = new_path("missing.nsl");
    let (code, stderr) = run_recording(&file, &["--", "no-such-command"]);
    assert_eq!(code, Some(127), "{stderr}");
    assert!(
        stderr.contains("no-such-command") && !file.exists(),
        "{stderr}"
    );
}

/// A disk with room for the start line and little more.
fn nearly_full() -> Undo {
    Undo::after(
        "mkdir -p /tmp/full && mount -t tmpfs -o size=64k nsl-full /tmp/full
         head -c $((60 * 1024)) /dev/zero >/tmp/full/fill",
        "umount /tmp/full",
    )
}

#[test]
fn a_full_disk_is_reported_at_once_and_leaves_whole_lines() {
    let _disk = nearly_full();
    let file = Path::new("/tmp/full/run.nsl");
    // A long first line leaves room for about two intervals.
    let name = "x".repeat(800);
    let begun = Instant::now();
    let (code, stderr) = run_recording(file, &["--name", &name, "--duration", "1h"]);
    println!("ended after {:?}", begun.elapsed());
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("No space left on device"), "{stderr}");
    assert_whole_lines(file);
    let (run, _, intervals) = read_back(file);
    assert!(
        run.problems.is_empty() && !run.complete,
        "{:?}",
        run.problems
    );
    assert!(intervals >= 1, "{stderr}");

    // The command still runs to its end.
    fs::remove_file(file).expect("it is there");
    let done = new_path("done");
    let command = "until [ -e /tmp/go ]; do sleep 0.1; done; touch /tmp/done; exit 7";
    let go = new_path("go");
    let child = record(file, &["--name", &name, "--", "bash", "-c", command]).spawn();
    let mut child = child.expect("netstacklat is in the guest");
    let mut stderr = std::io::BufReader::new(child.stderr.take().expect("piped"));
    let mut output = String::new();
    while !output.contains("No space left on device") {
        let read = std::io::BufRead::read_line(&mut stderr, &mut output).expect("UTF-8");
        assert!(read > 0, "{output}");
    }
    assert!(child.try_wait().expect("a child").is_none() && !done.exists());
    fs::write(&go, "").expect("/tmp");
    assert_eq!(wait_for_exit(&mut child).code(), Some(125), "{output}");
    assert!(done.exists());
    assert_whole_lines(file);
}

#[test]
fn nothing_is_measured_if_the_file_cannot_be_written() {
    let _disk = Undo::after(
        "mkdir -p /tmp/ro && mount -t tmpfs -o ro nsl-ro /tmp/ro",
        "umount /tmp/ro",
    );
    for (args, failure) in [
        (&["--duration", "1"][..], 1),
        (&["--", "touch", "/tmp/ran"], 125),
    ] {
        let ran = new_path("ran");
        let (code, stderr) = run_recording(Path::new("/tmp/ro/run.nsl"), args);
        assert_eq!(code, Some(failure), "{stderr}");
        assert!(stderr.contains("Read-only file system"), "{stderr}");
        assert!(!stderr.contains("recording") && !ran.exists(), "{stderr}");
    }
}
