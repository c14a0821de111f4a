// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A reader that sleeps a known time before it reads: that time is what the
//! read hook must show, and no hook before it.

use std::io::{Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::time::{Duration, Instant};

use testlab::Family;
use testlab::lines::{Counts, MAX_NS, Run};
use testlab::receive::sleep_once_readable;
use testlab::tcp::Connection;
use testlab::tool::Tool;
use testlab::udp::Flow;

const UDP_SLEEPS_MS: [u64; 4] = [20, 200, 2000, 20_000];
const TCP_SLEEPS_MS: [u64; 2] = [200, 2000];
/// What comes before the socket is over by then, emulation included.
const BEFORE_THE_SOCKET_NS: u64 = 20_000_000;

/// What a packet can have spent between its stamp and its read: at least the
/// sleep, which began when the packet could be read; at most the time from
/// before it was sent until after it was read.
#[derive(Clone, Copy, Debug)]
struct Truth {
    least: u64,
    most: u64,
}

fn truth(slept: Duration, since_sending: Duration) -> Truth {
    Truth {
        least: slept.as_nanos() as u64,
        most: since_sending.as_nanos() as u64,
    }
}

#[test]
fn the_sleep_is_what_the_read_hook_shows() {
    let tool = Tool::start(&["-r", "1"]);
    let warm = tool.warm_up();
    let (udp, tcp) = std::thread::scope(|scope| {
        let udp = UDP_SLEEPS_MS.map(|ms| scope.spawn(move || udp_reader(ms)));
        let tcp = TCP_SLEEPS_MS.map(|ms| scope.spawn(move || tcp_reader(ms)));
        let udp = udp.map(|reader| reader.join().expect("a UDP reader"));
        (udp, tcp.map(|reader| reader.join().expect("a TCP reader")))
    });
    let run = tool.finish();

    let (in_range, over_range): (Vec<Truth>, Vec<Truth>) =
        udp.into_iter().partition(|truth| truth.most <= MAX_NS);
    assert_eq!(over_range.len(), 1);
    assert!(over_range[0].least > MAX_NS);
    let read = run.hook("udp-socket-read");
    assert_eq!(read.skip("over-range"), 1, "{:?}", read.skipped);
    assert_eq!(read.count, warm.with + 3);
    shows("udp-socket-read", &read, &in_range);
    let read = run.hook("tcp-socket-read");
    assert_eq!(read.count, 2);
    shows("tcp-socket-read", &read, &tcp);
    // The total's sum is checked against its buckets in every test; here the
    // over-range sample alone would be more than all others.
    assert!(read.sum_ns < 3_000_000_000);
    the_others_do_not(&run);
}

/// Above the plain reads (the warm-up's) there are the sleeping reads, each in
/// a bucket that overlaps what is true of it.
fn shows(hook: &str, read: &Counts, truths: &[Truth]) {
    let slow = |(_, hi): &(u64, u64)| *hi > BEFORE_THE_SOCKET_NS;
    let slow = read.buckets.iter().filter(|(bucket, _)| slow(bucket));
    let slow: Vec<_> = slow.map(|(bucket, count)| (*bucket, *count)).collect();
    println!("{hook}: {slow:?}, and in truth {truths:?}");
    assert_eq!(slow.len(), truths.len(), "{slow:?}");
    for (((lo, hi), count), truth) in slow.into_iter().zip(truths) {
        assert_eq!(count, 1);
        assert!(
            hi >= truth.least && lo <= truth.most,
            "({lo}, {hi}] for {truth:?}"
        );
        // Else the truth would be too vague to test anything.
        // Vaguer, and it could be the next one; a starved guest takes a while.
        assert!(truth.most < truth.least + truth.least / 4 + 150_000_000);
    }
}

fn the_others_do_not(run: &Run) {
    for line in &run.total.hooks {
        if !line.hook.ends_with("-read") {
            let counts = run.hook(&line.hook);
            assert_eq!(counts.above(BEFORE_THE_SOCKET_NS), 0, "{line:?}");
            assert_eq!(counts.skip("over-range"), 0, "{line:?}");
        }
    }
}

fn udp_reader(ms: u64) -> Truth {
    let flow = Flow::open(Family::V4, 7000 + ms as u16 / 10);
    let sent = Instant::now();
    flow.send(ms);
    let slept = sleep_once_readable(flow.rx.as_fd(), Duration::from_millis(ms));
    assert_eq!(flow.receive(), ms);
    truth(slept, sent.elapsed())
}

fn tcp_reader(ms: u64) -> Truth {
    let Connection { mut tx, mut rx } = Connection::open(Family::V6, 7000 + ms as u16 / 10);
    let sent = Instant::now();
    tx.write_all(b"data").expect("write");
    let slept = sleep_once_readable(rx.as_fd(), Duration::from_millis(ms));
    assert_eq!(rx.read(&mut [0; 64]).expect("read"), 4);
    truth(slept, sent.elapsed())
}
