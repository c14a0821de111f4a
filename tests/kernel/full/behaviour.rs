// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Signals, tracers, slow readers and closed pipes: no packet is lost or
//! counted twice, and the tool ends when it should.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use nix::pty::openpty;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use testlab::lines::{Line, Run};
use testlab::tool::{Tool, command, wait_for_exit, wait_until_blocked};
use testlab::{Family, udp};

const ONE_HOOK: &str = "udp-socket-read";

fn one_flow() -> Vec<udp::Flow> {
    udp::Flow::several(Family::V4, 7600..7601)
}

/// A tracer interrupts system calls. EINTR is not an error.
#[test]
fn strace_does_not_disturb_counting() {
    let tool = Tool::start(&["-r", "50ms", "-e", ONE_HOOK]);
    let warm = tool.warm_up();
    let pid = tool.pid().to_string();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", "/tmp/strace", "-p", &pid]);
    let mut strace = strace.stderr(Stdio::null()).spawn().expect("strace");
    udp::exchange(&one_flow(), 1000);
    // Let strace see the tool make reports.
    tool.totals_up_to_now();
    tool.totals_up_to_now();
    kill(Pid::from_raw(strace.id() as i32), Signal::SIGINT).expect("it runs");
    strace.wait().expect("strace");
    let trace = std::fs::read_to_string("/tmp/strace").expect("a trace");
    assert!(trace.contains("epoll_wait("), "{trace}");
    tool.totals_up_to_now();
    assert_eq!(tool.finish().hook(ONE_HOOK).count, 1000 + warm.with);
}

#[test]
fn a_report_that_is_late_says_so() {
    let tool = Tool::start(&["-r", "100ms", "-e", ONE_HOOK]);
    let warm = tool.warm_up();
    tool.totals_up_to_now();
    tool.signal(Signal::SIGSTOP);
    udp::exchange(&one_flow(), 1000);
    sleep(Duration::from_secs(1));
    tool.signal(Signal::SIGCONT);
    tool.totals_up_to_now();
    let run = tool.finish();
    assert_eq!(run.hook(ONE_HOOK).count, 1000 + warm.with);
    let late = run.intervals.iter().max_by_key(|report| report.duration_ns);
    let late = late.expect("intervals");
    println!(
        "{} intervals missed in {} ns",
        late.missed_intervals, late.duration_ns
    );
    // The late report counts the missed intervals: one for each tenth of a
    // second, except the one that it stands for.
    assert!(late.duration_ns >= 1_000_000_000);
    let expected = late.duration_ns / 100_000_000;
    assert!(late.missed_intervals.abs_diff(expected - 1) <= 1);
    assert_eq!(late.hooks[0].count, 1000);
}

/// Starts the tool with a pipe that holds one page, and reads up to the start
/// line.
fn with_small_pipe(interval: &str) -> (Child, BufReader<ChildStdout>) {
    testlab::prepare();
    let mut child = command(&["-r", interval]).spawn().expect("netstacklat");
    let stdout = child.stdout.take().expect("piped");
    fcntl(&stdout, FcntlArg::F_SETPIPE_SZ(4096)).expect("F_SETPIPE_SZ");
    let mut stdout = BufReader::new(stdout);
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the start line");
    assert!(line.contains("\"start\""), "{line}");
    (child, stdout)
}

#[test]
fn a_slow_reader_loses_nothing() {
    let (mut child, mut stdout) = with_small_pipe("20ms");
    let warm = udp::until_stamped(true);
    wait_until_blocked(child.id());
    udp::exchange(&one_flow(), 1000);
    sleep(Duration::from_millis(500));
    let mut lines = Vec::new();
    let mut read = |stdout: &mut BufReader<ChildStdout>| {
        let mut line = String::new();
        stdout.read_line(&mut line).expect("UTF-8");
        (!line.is_empty()).then(|| lines.push(serde_json::from_str::<Line>(&line).expect("JSON")))
    };
    for _ in 0..20 {
        read(&mut stdout);
        sleep(Duration::from_millis(50));
    }
    kill(Pid::from_raw(child.id() as i32), Signal::SIGINT).expect("it runs");
    while read(&mut stdout).is_some() {}
    assert_eq!(wait_for_exit(&mut child).code(), Some(0));
    lines.insert(0, start_line());
    let run = Run::checked(lines, String::new());
    println!("{} intervals missed", run.total.missed_intervals);
    assert!(run.total.missed_intervals > 0);
    assert_eq!(run.hook(ONE_HOOK).count, 1000 + warm.with);
}

/// [`with_small_pipe`] has read the real start line. Other tests check that
/// line.
fn start_line() -> Line {
    let start = r#"{"kind":"start","schema":2,"sub_buckets":16,"clock_source":"","hooks":[]}"#;
    serde_json::from_str(start).expect("a start line")
}

#[test]
fn a_closed_pipe_ends_it_within_an_interval() {
    let (mut child, stdout) = with_small_pipe("30");
    let mut stderr = child.stderr.take().expect("piped");
    drop(stdout);
    let closed = Instant::now();
    // It ends at once, not at its next write. Detaching takes the kernel
    // seconds.
    testlab::wait_until(Duration::from_secs(20), "it ends", || {
        matches!(child.try_wait(), Ok(Some(_)))
    });
    println!("ended {:?} after its reader", closed.elapsed());
    assert_eq!(wait_for_exit(&mut child).code(), Some(0));
    let mut text = String::new();
    stderr.read_to_string(&mut text).expect("UTF-8");
    // The greeting, and no complaint.
    assert!(text.starts_with("netstacklat: measuring at "), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

/// Attaching and detaching take seconds on some kernels: a person who waits for
/// the prompt is told, on the terminal.
#[test]
fn a_terminal_is_told_what_takes_its_time() {
    testlab::prepare();
    let pty = openpty(None, None).expect("a terminal");
    let mut child = Command::new("netstacklat")
        .args(["--duration", "10ms", "-e", ONE_HOOK])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(pty.slave)
        .spawn()
        .expect("netstacklat is in the guest");
    assert_eq!(wait_for_exit(&mut child).code(), Some(0));
    let mut said = [0; 4096];
    let mut master = std::fs::File::from(pty.master);
    let length = master.read(&mut said).expect("a terminal");
    let said = String::from_utf8_lossy(&said[..length]);
    let lines: Vec<&str> = said.lines().map(str::trim_end).collect();
    let expected = [
        "netstacklat: attaching...",
        "netstacklat: measuring at 1 hook, one report in 10ms.",
        "netstacklat: detaching...",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn a_second_sigint_ends_it_when_nobody_reads() {
    let (mut child, stdout) = with_small_pipe("20ms");
    wait_until_blocked(child.id());
    let pid = Pid::from_raw(child.id() as i32);
    kill(pid, Signal::SIGINT).expect("it runs");
    sleep(Duration::from_millis(500));
    let ended = child.try_wait().expect("a child");
    assert!(ended.is_none(), "the first waits a moment for the reader");
    kill(pid, Signal::SIGINT).expect("it runs");
    assert_eq!(wait_for_exit(&mut child).code(), Some(130));
    drop(stdout);
}
