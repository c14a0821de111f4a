// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `--bpf-stats`: the kernel's own measure of the programs, on while it runs.

use std::process::Command;

use testlab::counters::program_runs;
use testlab::tool::Tool;
use testlab::{Family, Undo, prepare, udp};

const N: u64 = 500;

/// The tests before may have turned the sysctl on; here the tool must.
fn statistics_off() -> Undo {
    prepare();
    Undo::after(
        "echo 0 >/proc/sys/kernel/bpf_stats_enabled",
        "echo 1 >/proc/sys/kernel/bpf_stats_enabled",
    )
}

fn one_flow() -> Vec<udp::Flow> {
    udp::Flow::several(Family::V4, 7650..7651)
}

#[test]
fn runs_are_measured_while_it_runs() {
    let _off = statistics_off();
    let tool = Tool::start(&["-r", "1", "-e", "udp-start", "--bpf-stats"]);
    let warm = tool.warm_up();
    udp::exchange(&one_flow(), N);
    tool.totals_up_to_now();
    let kernel = program_runs()["nsl_udp_rcv"];
    let run = tool.finish();
    let line = &run.total.hooks[0];
    let cost = line.cost.expect("measured");
    let sent = N + warm.with + warm.without;
    println!("{cost:?} of {:?}, {sent} sent", run.total.cost);
    assert_eq!((cost.runs, kernel.run), (sent, sent));
    // No program is done in a nanosecond, nor takes a millisecond on average.
    let mean = cost.time_ns / cost.runs;
    assert!((1..1_000_000).contains(&mean), "{mean} ns a run");
    let all = run.total.cost.expect("measured");
    assert!(all.runs > cost.runs, "the clock's program has run, too");

    // Nothing is left on.
    let tool = Tool::start(&["-r", "1", "-e", "udp-start"]);
    tool.warm_up();
    udp::exchange(&one_flow(), N);
    assert_eq!(program_runs()["nsl_udp_rcv"].run, 0);
    let run = tool.finish();
    assert!(run.total.cost.is_none() && run.total.hooks[0].cost.is_none());
}

/// What it costs the host is said first.
#[test]
fn the_user_is_told() {
    let mut command = Command::new("netstacklat");
    let done = command
        .args(["--bpf-stats", "--duration", "200ms"])
        .output();
    let done = done.expect("netstacklat is in the guest");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (stdout, stderr) = (text(done.stdout), text(done.stderr));
    println!("{stderr}{stdout}");
    assert!(stderr.contains("every BPF program on this host takes some 20 ns"));
    // The clock is updated all the time.
    assert!(stdout.contains("BPF time per run: ") && stdout.contains("% of one CPU"));
}

/// All that a loader needs but CAP_SYS_ADMIN.
#[test]
fn without_the_privilege() {
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set=-sys_admin", "--inh-caps=-sys_admin"]);
    // Not refused, it would measure for a moment, and not for ever.
    let done = command
        .args(["netstacklat", "--bpf-stats", "--duration", "10ms"])
        .output();
    let done = done.expect("setpriv is in the guest");
    let stderr = String::from_utf8(done.stderr).expect("UTF-8");
    println!("{stderr}");
    assert_eq!(done.status.code(), Some(1));
    assert!(stderr.contains("no BPF run-time statistics: "));
    assert!(done.stdout.is_empty());
}
