// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `compare` counts each packet in the period in which it arrived, and restores
//! the host however it ends.

use std::fs::{File, OpenOptions};
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use netstacklat::runfile::{Content, RunFile};
use netstacklat::stats::rounds::orders;
use nix::sys::signal::Signal;

use testlab::compare::{Workdir, by_kind, journals_exist};
use testlab::lines::totals;
use testlab::{Family, Undo, sh, udp};

/// Sends `n` datagrams and waits until they have been read. Returns the times
/// before and after.
fn exchange(flow: &[udp::Flow], n: u64) -> (Timestamp, Timestamp) {
    let begin = Timestamp::now();
    udp::exchange(flow, n);
    (begin, Timestamp::now())
}

/// Packets that arrive while a command runs, or while the host settles, must be
/// in no line. Packets that arrive in a period must be in its line. The
/// commands wait for the test.
#[test]
fn each_packet_is_in_its_period() {
    const SEED: u64 = 1;
    let drawn = orders(10, SEED).into_iter().flatten();
    let drawn: Vec<&str> = drawn.map(|arm| arm.name()).collect();
    let workdir = Workdir::new("packets");
    let path = |name| workdir.path().join(name);
    sh(&format!(
        "mkfifo {0}/waiting {0}/go",
        workdir.path().display()
    ));
    let fifo = |name| OpenOptions::new().read(true).write(true).open(path(name));
    let mut waiting_commands = BufReader::new(fifo("waiting").expect("a FIFO")).lines();
    let mut go: File = fifo("go").expect("a FIFO");
    let flow = [udp::Flow::open(Family::V4, 7600)];
    let log_and_wait = |word| format!("echo {word} >>log; echo {word} >waiting; read x <go");
    let comparison = workdir.compare(&[
        "-e",
        "udp-start,udp-socket-read",
        "-o",
        "run.nsl",
        "--rounds",
        "10",
        "--settle",
        "40ms",
        "--period",
        "150ms",
        "--seed",
        &SEED.to_string(),
        "--a-start",
        &log_and_wait("a"),
        "--a-stop",
        "true",
        "--b-start",
        &log_and_wait("b"),
        "--b-stop",
        &log_and_wait("b-stop"),
    ]);
    let mut command = |n| {
        waiting_commands.next().expect("a command").expect("UTF-8");
        exchange(&flow, n);
        go.write_all(b"\n").expect("it waits");
    };
    let mut sent = Vec::new();
    for period in 0..40 {
        command(5);
        comparison.wait_for_step("settling");
        let settling = exchange(&flow, 3);
        comparison.wait_for_step("measuring");
        std::thread::sleep(Duration::from_millis(20));
        let n = 40 + period;
        let (begin, end) = exchange(&flow, n);
        sent.push((settling.1, begin, end, n));
        // A's stop command does not wait.
        if drawn[period as usize] == "b" {
            command(7);
        }
    }
    let ended = comparison.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let read = RunFile::read(&workdir.path().join("run.nsl")).expect("a run file");
    let selected = &read.info.selection.options["hooks"];
    assert_eq!(selected.join(","), "udp-start,udp-socket-read");
    // The result of diff has a line for each hook.
    for hook in ["udp-start", "udp-socket-read"] {
        assert!(ended.stdout.contains(hook), "{}", ended.stdout);
    }
    let (start, periods, sums) = by_kind(workdir.lines());
    assert_eq!((start.schema, periods.len(), sums.len()), (2, 40, 2));

    // The order of the sides: in the commands' log, in the lines, and as the
    // seed gives it.
    let commands = |arm: &&str| match *arm {
        "a" => &["a"][..],
        _ => &["b", "b-stop"],
    };
    let expected: Vec<&str> = drawn.iter().flat_map(commands).copied().collect();
    assert_eq!(workdir.log(), expected);
    for (index, period) in periods.iter().enumerate() {
        assert_eq!(period.arm.as_deref(), Some(drawn[index]));
        assert_eq!(period.round, Some(index as u64 / 4 + 1));
        assert!(period.duration_ns >= 150_000_000, "{}", period.duration_ns);
    }

    let mut in_time = 0;
    for (period, (settled, begin, end, n)) in periods.iter().zip(&sent) {
        let time = |text: &str| text.parse::<Timestamp>().expect("RFC 3339");
        let (from, to) = (time(&period.start), time(&period.end));
        let inside = *settled < from && from < *begin && *end < to;
        for (hook, counts) in totals([period]) {
            let runs = counts.runs() + counts.missed;
            if inside {
                assert_eq!(runs, *n, "{hook}: {counts:?}");
            } else {
                // The machine was too busy: some of the packets came outside
                // the period.
                assert!(runs <= n + 3, "{hook}: {counts:?}");
            }
        }
        in_time += u32::from(inside);
    }
    println!("{in_time} of 40 periods saw their packets in time");
    assert!(
        in_time >= 20,
        "{in_time}: the machine is too slow for this test"
    );
    for sum in &sums {
        let of_side = periods.iter().filter(|period| period.arm == sum.arm);
        assert_eq!(totals([sum]), totals(of_side), "{:?}", sum.arm);
        assert_eq!(sum.round, None);
    }
    assert!(!journals_exist());
}

/// Arguments of a comparison of one hook: settle time and period, start and
/// stop command of side B. With this seed B comes first.
pub(super) fn compare_args<'a>(
    [settle, period]: [&'a str; 2],
    [start, stop]: [&'a str; 2],
) -> Vec<&'a str> {
    let args = [
        ["-e", "udp-start", "-o", "run.nsl", "--rounds", "10"],
        ["--seed", "1", "--settle", settle, "--period", period],
        ["--b-name", "new", "--b-start", start, "--b-stop", stop],
    ];
    args.concat()
}

pub(super) const LOG_START: &str = "echo start >>log";
pub(super) const LOG_STOP: &str = "echo stop >>log";
/// Longer than a test.
pub(super) const LONG: &str = "1h";
pub(super) const SHORT: &str = "20ms";

pub(super) fn assert_no_sleep_left() {
    assert_eq!(sh("ps | grep '[s]leep 7777' || true"), "");
}

/// tests/experiment.rs tests signals while the host settles, and each signal.
#[test]
fn a_signal_while_it_measures_leaves_the_host_as_it_was() {
    let workdir = Workdir::new("measuring");
    let mut args = compare_args([SHORT, LONG], [LOG_START, LOG_STOP]);
    args.extend(["--load", "sleep 7777 | cat"]);
    let comparison = workdir.compare(&args);
    comparison.wait_for_step("measuring");
    comparison.signal(Signal::SIGHUP);
    let ended = comparison.wait();
    assert_eq!(ended.code, Some(128 + 1), "{}", ended.stderr);
    ended.assert_says(&["SIGHUP", "the host is as it was", "no round was completed"]);
    assert!(!workdir.has_run_file());
    assert_eq!(workdir.log(), ["start", "stop"]);
    assert!(!journals_exist());
    assert_no_sleep_left();
}

/// A signal ends a start command and the processes that it started, but not a
/// stop command.
#[test]
fn signals_end_the_start_command_and_not_the_stop_command() {
    let workdir = Workdir::new("commands");
    let endless = "echo start >>log; sleep 7777 & wait";
    let stop = "echo stopping >>log; sleep 1; echo stop >>log";
    let comparison = workdir.compare(&compare_args([LONG, SHORT], [endless, stop]));
    workdir.wait_for_log("start");
    comparison.signal(Signal::SIGTERM);
    workdir.wait_for_log("stopping");
    comparison.signal(Signal::SIGINT);
    let ended = comparison.wait();
    assert_eq!(ended.code, Some(128 + 15), "{}", ended.stderr);
    ended.assert_says(&["undoing first", stop, "no round was completed"]);
    assert_eq!(workdir.log(), ["start", "stopping", "stop"]);
    assert!(!journals_exist());
    assert_no_sleep_left();
}

#[test]
fn nothing_is_started_if_the_file_or_a_limit_cannot_work() {
    let workdir = Workdir::new("nothing");
    let _undo = Undo::after(
        "mkdir -p /tmp/read-only && mount -t tmpfs -o ro none /tmp/read-only",
        "umount /tmp/read-only",
    );
    let mut args = compare_args([SHORT, SHORT], [LOG_START, LOG_STOP]);
    args[3] = "/tmp/read-only/run.nsl";
    let ended = workdir.compare(&args).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ended.assert_says(&["/tmp/read-only/run.nsl", "Read-only"]);

    // A limit for a hook that this kernel lacks.
    let mut args = compare_args([SHORT, SHORT], [LOG_START, LOG_STOP]);
    args[1] = "udp-start,udp-queue-rcv";
    args.extend(["--fail-if", "udp-queue-rcv:p99>+10%"]);
    let hidden = "udp_queue_rcv_one_skb,udpv6_queue_rcv_one_skb";
    let ended = workdir.compare_hiding(hidden, &args).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ended.assert_says(&["--fail-if of udp-queue-rcv", "is not in this kernel"]);
    assert!(workdir.log().is_empty() && !workdir.has_run_file());
    assert!(!journals_exist());
}

/// So few packets a second are not enough for a p99 within two minutes. The
/// period is as long as `--max-duration` allows, and both facts are printed.
#[test]
fn an_automatic_period_keeps_to_max_duration() {
    let workdir = Workdir::new("auto");
    let flow = [udp::Flow::open(Family::V4, 7610)];
    let args = [
        ["--aa", "-e", "udp-start", "-o", "run.nsl", "--settle"],
        ["20ms", "--period", "auto", "--max-duration", "4m", "--json"],
    ];
    let args = args.concat();
    let comparison = workdir.compare(&args);
    // Send while the rate is measured and until the first period.
    while !comparison.is_at("measuring") {
        exchange(&flow, 20);
        std::thread::sleep(Duration::from_millis(100));
    }
    comparison.signal(Signal::SIGINT);
    let ended = comparison.wait();
    assert_eq!(ended.code, Some(128 + 2), "{}", ended.stderr);
    ended.assert_says(&[
        "--period auto: measuring the packet rate for 3s",
        "that is more than --max-duration 4m has time for",
        // 4m / 40 - 20ms.
        "10 rounds of 4 periods of 5s 980ms, about 4m and your commands",
    ]);
}

/// Both sides are equal, and a doubling of the p50 is soon excluded. So one of
/// the looks before the last one, after forty rounds, has the answer.
#[test]
fn automatic_rounds_end_when_the_answer_is_known() {
    let workdir = Workdir::new("looks");
    let flow = [udp::Flow::open(Family::V4, 7630)];
    let args = [
        ["--aa", "-e", "udp-start", "-o", "run.nsl", "--settle"],
        ["10ms", "--period", "60ms", "--rounds", "auto", "--json"],
    ];
    let args = [&args.concat()[..], &["--fail-if", "any:p50>+100%"]].concat();
    let comparison = workdir.compare(&args);
    comparison.wait_for_step("round 1");
    while journals_exist() {
        exchange(&flow, 100);
    }
    let ended = comparison.wait();
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    ended.assert_says(&["at most 40 rounds"]);
    let found: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(found["limits"][0]["outcome"], "within", "{found}");
    let rounds = &found["units_used"]["a"];
    assert!(
        [10, 16, 24].contains(&rounds.as_u64().expect("a number")),
        "{rounds} rounds"
    );
}

/// After the first round, a message says for which quantiles the packet rate is
/// enough.
#[test]
fn the_first_round_tells_what_can_be_judged() {
    let workdir = Workdir::new("rate");
    let flow = [udp::Flow::open(Family::V4, 7620)];
    let args = [
        "--aa",
        "-e",
        "udp-start",
        "-o",
        "run.nsl",
        "--settle",
        "20ms",
    ];
    let args = [&args[..], &["--period", "500ms"]].concat();
    let comparison = workdir.compare(&args);
    while !comparison.is_at("round 2") {
        exchange(&flow, 30);
        std::thread::sleep(Duration::from_millis(50));
    }
    comparison.signal(Signal::SIGINT);
    let ended = comparison.wait();
    ended.assert_says(&[
        "at this packet rate p50",
        "packets a period; there are ",
        "(--period ",
    ]);
}

/// The disk has room for one round, but not for all.
#[test]
fn a_full_disk_ends_it_and_keeps_the_rounds() {
    let workdir = Workdir::new("full");
    let _undo = Undo::after(
        "mkdir -p /tmp/small && mount -t tmpfs -o size=64k none /tmp/small
         head -c $((56 * 1024)) /dev/zero >/tmp/small/fill",
        "umount /tmp/small",
    );
    let file = Path::new("/tmp/small/run.nsl");
    // A long first line leaves room for fewer rounds.
    let start = format!("{LOG_START} # {}", "long ".repeat(700));
    let mut args = compare_args([SHORT, SHORT], [&start, LOG_STOP]);
    args[3] = file.to_str().expect("UTF-8");
    let ended = workdir.compare(&args).wait();
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    ended.assert_says(&["No space left on device", "the host is as it was"]);
    let log = workdir.log();
    assert!(
        log.chunks(2).all(|pair| pair == ["start", "stop"]),
        "{log:?}"
    );
    assert!(!journals_exist());
    // The file can be read, as lines and by the tool.
    let text = std::fs::read_to_string(file).expect("UTF-8");
    assert!(text.ends_with('\n'), "it ends within a line");
    let lines = text.lines().map(serde_json::from_str);
    let lines: Result<Vec<_>, _> = lines.collect();
    let (_, periods, _) = by_kind(lines.expect("whole lines"));
    let rounds = periods.len() / 4;
    assert!((1..10).contains(&rounds), "{rounds}");
    ended.assert_says(&[&format!("{rounds} of 10 rounds")]);
    let read = RunFile::read(file).expect("a run file");
    let Content::Comparison { periods, .. } = read.content else {
        panic!("not a comparison");
    };
    assert_eq!(periods.len(), 4 * rounds);
}
