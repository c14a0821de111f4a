// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `compare`: each packet in the period in which it arrived and in no other,
//! and the host as it was, however it ends.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use netstacklat::stats::rounds::orders;
use nix::sys::signal::Signal;

use crate::lab::compare::{Desk, STATE, sorted};
use crate::lab::lines::totals;
use crate::lab::{Family, Undo, sh, udp};

/// Sends so many datagrams and waits until they have been read: from when to
/// when.
fn exchange(flow: &[udp::Flow], n: u64) -> (Timestamp, Timestamp) {
    let begin = Timestamp::now();
    udp::exchange(flow, n);
    (begin, Timestamp::now())
}

/// The commands wait for us: what is sent while they run, or while the host
/// settles, must be in no line. What is sent in a period must be in its line.
#[test]
fn each_packet_is_in_its_period() {
    const SEED: u64 = 1;
    let desk = Desk::new("packets");
    let path = |name| desk.path().join(name);
    sh(&format!("mkfifo {0}/say {0}/go", desk.path().display()));
    let fifo = |name| OpenOptions::new().read(true).write(true).open(path(name));
    let mut said = BufReader::new(fifo("say").expect("a FIFO")).lines();
    let mut go: File = fifo("go").expect("a FIFO");
    let flow = [udp::Flow::open(Family::V4, 7600)];
    let wait = |word| format!("echo {word} >>log; echo {word} >say; read x <go");
    let comparison = desk.compare(&[
        "-e",
        "udp-start,udp-socket-read",
        "-o",
        "run.nsl",
        "--rounds",
        "6",
        "--settle",
        "60ms",
        "--period",
        "200ms",
        "--seed",
        &SEED.to_string(),
        "--a-start",
        &wait("a"),
        "--a-stop",
        &wait("a-stop"),
        "--b-start",
        &wait("b"),
        "--b-stop",
        &wait("b-stop"),
    ]);
    let mut command = |n| {
        said.next().expect("a command").expect("UTF-8");
        exchange(&flow, n);
        go.write_all(b"\n").expect("it waits");
    };
    let mut sent = Vec::new();
    for period in 0..24 {
        command(5);
        comparison.does("settling");
        let settling = exchange(&flow, 3);
        comparison.does("measuring");
        std::thread::sleep(Duration::from_millis(20));
        let n = 40 + period;
        let (begin, end) = exchange(&flow, n);
        sent.push((settling.1, begin, end, n));
        command(7);
    }
    let ended = comparison.ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    // What diff says of the file: there is a line for each hook.
    for hook in ["udp-start", "udp-socket-read"] {
        assert!(ended.stdout.contains(hook), "{}", ended.stdout);
    }
    let (start, periods, sums) = sorted(desk.lines());
    assert_eq!((start.schema, periods.len(), sums.len()), (1, 24, 2));

    // Who ran when: as the commands say, as the lines say, as the seed says.
    let drawn: Vec<&str> = orders(6, SEED)
        .into_iter()
        .flatten()
        .map(|arm| arm.name())
        .collect();
    let logged = desk.log();
    let expected = drawn
        .iter()
        .flat_map(|arm| [arm.to_string(), format!("{arm}-stop")]);
    assert_eq!(logged, expected.collect::<Vec<_>>());
    for (index, period) in periods.iter().enumerate() {
        assert_eq!(period.arm.as_deref(), Some(drawn[index]));
        assert_eq!(period.round, Some(index as u64 / 4 + 1));
        assert!(period.duration_ns >= 200_000_000, "{}", period.duration_ns);
    }

    let mut in_time = 0;
    for (period, (settled, begin, end, n)) in periods.iter().zip(&sent) {
        let time = |text: &str| text.parse::<Timestamp>().expect("RFC 3339");
        let (from, to) = (time(&period.start), time(&period.end));
        let clean = *settled < from && from < *begin && *end < to;
        for (hook, counts) in totals([period]) {
            let runs = counts.runs() + counts.missed;
            if clean {
                assert_eq!(runs, *n, "{hook}: {counts:?}");
            } else {
                // A busy machine was late: some of them are in no line.
                assert!(runs <= n + 3, "{hook}: {counts:?}");
            }
        }
        in_time += u32::from(clean);
    }
    println!("{in_time} of 24 periods saw their packets in time");
    assert!(
        in_time >= 16,
        "{in_time}: the machine is too slow for this test"
    );
    for sum in &sums {
        let of_side = periods.iter().filter(|period| period.arm == sum.arm);
        assert_eq!(totals([sum]), totals(of_side), "{:?}", sum.arm);
        assert_eq!(sum.round, None);
    }
    assert!(!Path::new(STATE).exists());
}

/// What a comparison of one hook is told: how long to settle and to measure,
/// what starts and stops side B. With this seed B comes first.
fn told<'a>([settle, period]: [&'a str; 2], [start, stop]: [&'a str; 2]) -> Vec<&'a str> {
    let args = [
        ["-e", "udp-start", "-o", "run.nsl", "--rounds", "6"],
        ["--seed", "1", "--settle", settle, "--period", period],
        ["--b-name", "new", "--b-start", start, "--b-stop", stop],
    ];
    args.concat()
}

const START: &str = "echo start >>log";
const STOP: &str = "echo stop >>log";
/// Longer than a test.
const LONG: &str = "1h";
const SHORT: &str = "20ms";

/// Ends a comparison by a signal when it does something.
fn interrupted(args: &[&str], step: &str, signal: Signal) -> Vec<String> {
    let desk = Desk::new("interrupted");
    let comparison = desk.compare(args);
    comparison.does(step);
    if !args.contains(&"--load") {
        desk.logs("start");
    }
    comparison.signal(signal);
    let ended = comparison.ended();
    assert_eq!(ended.code, Some(128 + signal as i32), "{}", ended.stderr);
    ended.says(&[signal.as_str(), "the host is as it was", "0 of 6 rounds"]);
    assert!(!Path::new(STATE).exists());
    desk.log()
}

#[test]
fn a_signal_leaves_the_host_as_it_was() {
    let both = ["start", "stop"];
    let log = interrupted(
        &told([LONG, SHORT], [START, STOP]),
        "settling",
        Signal::SIGINT,
    );
    assert_eq!(log, both);
    let log = interrupted(
        &told([SHORT, LONG], [START, STOP]),
        "measuring",
        Signal::SIGHUP,
    );
    assert_eq!(log, both);
    // What runs for long is ended, and what it has started, too.
    let endless = "echo start >>log; sleep 7777 & wait";
    let args = told([LONG, SHORT], [endless, STOP]);
    let log = interrupted(&args, "start command", Signal::SIGTERM);
    assert_eq!(log, both);
    let mut args = told([LONG, SHORT], [START, STOP]);
    args.extend(["--load", "sleep 7777"]);
    interrupted(&args, "settling", Signal::SIGQUIT);
    assert_eq!(sh("ps | grep '[s]leep 7777' || true"), "");
}

#[test]
fn signals_do_not_skip_the_stop_command() {
    let desk = Desk::new("stop");
    let stop = "echo stopping >>log; sleep 1; echo stop >>log";
    let comparison = desk.compare(&told([SHORT, SHORT], [START, stop]));
    desk.logs("stopping");
    comparison.signal(Signal::SIGTERM);
    comparison.signal(Signal::SIGINT);
    let ended = comparison.ended();
    let code = ended.code.expect("no signal has killed it");
    assert!([128 + 2, 128 + 15].contains(&code), "{}", ended.stderr);
    ended.says(&["undoing first", stop]);
    assert_eq!(desk.log(), ["start", "stopping", "stop"]);
    assert!(!Path::new(STATE).exists());
}

#[test]
fn a_killed_comparison_is_told_and_undone() {
    let (desk, second) = (Desk::new("killed"), Desk::new("second"));
    let mut args = told([SHORT, LONG], [START, STOP]);
    args.extend(["--load", "sleep 7777"]);
    let comparison = desk.compare(&args);
    comparison.does("measuring");
    // Two would measure each other.
    let ended = second.compare(&told([SHORT, SHORT], [START, STOP])).ended();
    assert_eq!(ended.code, Some(1));
    ended.says(&["another comparison runs", &comparison.pid().to_string()]);
    comparison.signal(Signal::SIGKILL);
    assert_eq!(comparison.ended().code, None);

    let ended = second.compare(&told([SHORT, SHORT], [START, STOP])).ended();
    assert_eq!(ended.code, Some(1));
    ended.says(&[STOP, "compare --undo", STATE, "measuring"]);
    assert!(second.log().is_empty() && !second.has_run_file());

    // In the directory of the comparison, wherever this is called.
    let ended = second.compare(&["--undo"]).ended();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.says(&[STOP]);
    assert_eq!(desk.log(), ["start", "stop"]);
    assert!(!Path::new(STATE).exists());
    assert_eq!(sh("ps | grep '[s]leep 7777' || true"), "");
    let ended = second.compare(&["--undo"]).ended();
    assert_eq!(ended.code, Some(0));
    ended.says(&["nothing to undo"]);
    assert_eq!(desk.log(), ["start", "stop"]);
}

#[test]
fn nothing_is_started_where_nothing_can_be_written() {
    let desk = Desk::new("read-only");
    let _undo = Undo::after(
        "mkdir -p /tmp/read-only && mount -t tmpfs -o ro none /tmp/read-only",
        "umount /tmp/read-only",
    );
    let mut args = told([SHORT, SHORT], [START, STOP]);
    args[3] = "/tmp/read-only/run.nsl";
    let ended = desk.compare(&args).ended();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ended.says(&["/tmp/read-only/run.nsl", "Read-only"]);
    assert!(desk.log().is_empty());
    assert!(!Path::new(STATE).exists());
}
