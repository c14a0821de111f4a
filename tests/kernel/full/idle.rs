// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Between reports the tool uses no CPU time.

use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use testlab::tool::Tool;
use testlab::{Family, udp};

const TRACE: &str = "/tmp/idle";
/// All system calls of a report with all hooks on. None reads a map.
const OF_A_REPORT: [&str; 7] = [
    "epoll_wait(",
    "read(",
    "clock_gettime(",
    "bpf(BPF_OBJ_GET_INFO_BY_FD",
    // The event loop wakes the writer thread, which writes the report.
    "futex(",
    "write(",
    "brk(",
];

/// Packets arrive all the time and must not wake the tool.
#[test]
fn nothing_wakes_it_between_reports() {
    let tool = Tool::start(&["-r", "1"]);
    tool.warm_up();
    let mut strace = Command::new("strace");
    strace.args(["-f", "-o", TRACE, "-p", &tool.pid().to_string()]);
    let mut strace = strace.stderr(Stdio::null()).spawn().expect("strace");
    // Let strace see at least one whole interval.
    tool.totals_up_to_now();
    let first = tool.line_count();
    let flow = udp::Flow::several(Family::V4, 7660..7661);
    for _ in 0..5 {
        udp::exchange(&flow, 100);
        sleep(Duration::from_millis(700));
    }
    let reports = tool.line_count() - first;
    kill(Pid::from_raw(strace.id() as i32), Signal::SIGINT).expect("it runs");
    strace.wait().expect("strace");
    tool.finish();

    let trace = std::fs::read_to_string(TRACE).expect("a trace");
    // Each line begins with the PID. strace itself interrupts one wait.
    let calls = trace.lines().filter_map(|line| line.split_once(' '));
    let calls: Vec<&str> = calls.map(|(_, call)| call.trim_start()).collect();
    let count = |name: &str| calls.iter().filter(|call| call.starts_with(name)).count();
    let (waits, writes, infos) = (count("epoll_wait("), count("write("), count("bpf("));
    println!("{reports} reports: {waits} waits, {writes} writes, {infos} bpf calls");
    assert!(reports >= 3);
    assert!((reports..=reports + 3).contains(&writes));
    assert!(waits <= writes + 2, "woken for nothing:\n{trace}");
    let other = calls.iter().find(|call| {
        let known = OF_A_REPORT.iter().any(|known| call.starts_with(known));
        let of_strace = call.starts_with("strace:") || call.starts_with("<...");
        !known && !of_strace && !call.contains("resuming") && !call.is_empty()
    });
    assert_eq!(other, None, "{trace}");
}
