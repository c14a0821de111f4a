// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A receiver that measures for itself (SO_TIMESTAMPNS, and the clock before
//! and after each call) against our `udp-socket-read`.

use std::time::Duration;

use testlab::Family;
use testlab::clock::real_ns;
use testlab::lines::Counts;
use testlab::tool::Tool;
use testlab::udp::{Flow, until_stamped};

const BATCHES: u64 = 60;
const BATCH: u64 = 100;
/// The clocks of two CPUs may differ by this (NETSTACKLAT_CLOCK_LAG_NS).
const LAG_NS: i64 = 10_000;

/// The age of each datagram just before the call that read it, and just after.
#[derive(Default)]
struct Ages {
    before: Vec<i64>,
    after: Vec<i64>,
}

impl Ages {
    fn receive(&mut self, flow: &Flow) {
        let before = real_ns();
        let stamp = flow.receive_stamp();
        let after = real_ns();
        let stamp = stamp.expect("stamping is on");
        self.before.push(before - stamp);
        self.after.push(after - stamp);
    }
}

fn below(ages: &[i64], le: i64) -> u64 {
    ages.iter().filter(|age| **age <= le).count() as u64
}

/// Sample of rank ceil(q n).
fn quantile(ages: &[i64], thousandths: usize) -> i64 {
    let mut sorted = ages.to_vec();
    sorted.sort_unstable();
    sorted[(sorted.len() * thousandths).div_ceil(1000) - 1]
}

/// Our read lies within the receiver's call, datagram by datagram, so our
/// distribution lies between its two: at every bucket bound at least as many
/// samples are below as of the ages after the call, and at most as many as of
/// those before it. No tolerance but the clocks'.
#[test]
fn batches_that_wait_in_the_queue() {
    let flow = Flow::open(Family::V4, 7500).with_stamps();
    until_stamped(true);
    let tool = Tool::start(&["-r", "1", "-e", "udp-socket-read"]);
    let mut ages = Ages::default();
    for batch in 0..BATCHES {
        for number in 0..BATCH {
            flow.send(batch * BATCH + number);
        }
        // Each batch waits another time, and its last datagram is there.
        std::thread::sleep(Duration::from_millis(3 + batch % 20));
        (0..BATCH).for_each(|_| ages.receive(&flow));
    }
    let run = tool.finish();
    let ours = run.hook("udp-socket-read");
    assert_eq!(ours.runs(), BATCHES * BATCH);
    assert_eq!(ours.count, BATCHES * BATCH, "{:?}", ours.skipped);
    lies_between(&ours, &ages);
    let line = &run.total.hooks[0];
    for (name, thousandths) in [("p50", 500), ("p90", 900), ("p99", 990)] {
        let estimate = line.quantiles_ns[name].expect("enough samples") as f64;
        let least = quantile(&ages.before, thousandths);
        let most = quantile(&ages.after, thousandths);
        println!("{name}: {estimate} ns for {least} to {most}");
        let lag = LAG_NS as f64;
        assert!(estimate >= (least as f64 - lag) * (1.0 - 0.032));
        assert!(estimate <= (most as f64 + lag) * (1.0 + 0.032));
        // And the receiver's window is narrow enough to say something.
        assert!(most < least + least / 4, "{name}: {least} to {most}");
    }
}

fn lies_between(ours: &Counts, ages: &Ages) {
    for &(lo, hi) in ours.buckets.keys() {
        let (at_or_below, _) = ours.at_or_below(hi);
        let (least, most) = (
            below(&ages.after, hi as i64 - LAG_NS),
            below(&ages.before, hi as i64 + LAG_NS),
        );
        assert!(
            (least..=most).contains(&at_or_below),
            "({lo}, {hi}]: {at_or_below} samples at or below, truly {least} to {most}"
        );
    }
}

/// Reads that wait for each datagram: the receiver's own figure is later than
/// ours by the way back from the system call, datagram by datagram.
#[test]
fn single_datagrams_read_at_once() {
    const N: u64 = 5000;
    /// The return from recvmsg and the read of the clock, emulated. Only the
    /// median is held to it: a preempted reader is later by any time.
    const RETURN_NS: i64 = 300_000;
    let flow = Flow::open(Family::V6, 7501).with_stamps();
    until_stamped(true);
    let tool = Tool::start(&["-r", "1", "-e", "udp-socket-read"]);
    let mut ages = Ages::default();
    let ages_of = &mut ages;
    let reading = &flow;
    std::thread::scope(|scope| {
        let reader = scope.spawn(move || (0..N).for_each(|_| ages_of.receive(reading)));
        for number in 0..N {
            flow.send(number);
            if number % 4 == 0 {
                std::thread::sleep(Duration::from_micros(200));
            }
        }
        reader.join().expect("the reader");
    });
    let run = tool.finish();
    let ours = run.hook("udp-socket-read");
    assert_eq!(ours.count, N);
    lies_between(&ours, &ages);
    let theirs = quantile(&ages.after, 500);
    let estimate = run.total.hooks[0].quantiles_ns["p50"].expect("p50") as i64;
    println!("p50: {estimate} ns, and {theirs} by the receiver");
    assert!(estimate as f64 >= (theirs - RETURN_NS) as f64 * (1.0 - 0.032));
}
