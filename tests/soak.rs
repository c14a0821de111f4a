// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Run in a guest by tools/soak. A long run at full load: it needs no more memory at its end than at its
//! beginning, and loses nothing.

use std::time::{Duration, Instant};

use testlab::counters::Snmp;
use testlab::hooks::udp_hooks_counted;
use testlab::load::{Background, Rate};
use testlab::tool::Tool;

/// The time for buffers to reach their size: this share of the run.
const WARM_UP: f64 = 0.1;
/// What its resident memory may grow by after that: a few pages.
const GROWTH_KIB: u64 = 64;
const SAMPLES: u32 = 60;

/// How long, in seconds: the variable SOAK_SECONDS.
fn duration() -> Duration {
    let seconds = std::env::var("SOAK_SECONDS").expect("tools/soak sets SOAK_SECONDS");
    Duration::from_secs(seconds.parse().expect("a whole number"))
}

#[test]
fn memory_stays_and_nothing_is_lost() {
    let whole = duration();
    let before = Snmp::read();
    let tool = Tool::start(&["-r", "100ms"]);
    let started = Instant::now();
    let warm = tool.warm_up();
    let load = Background::start(Rate::Full, 6500);
    let (begun, mut resident) = (Instant::now(), Vec::new());
    while begun.elapsed() < whole {
        std::thread::sleep(whole / SAMPLES);
        let (at, kib) = (begun.elapsed(), tool.resident_kib());
        println!("{:4.0} s: {kib} KiB resident", at.as_secs_f64());
        if at > whole.mul_f64(WARM_UP) {
            resident.push(kib);
        }
    }
    let received = load.stop();
    let took = started.elapsed();
    let run = tool.finish();
    Snmp::read().nothing_lost_since(&before);

    println!(
        "{} datagrams and {} MB over TCP in {} s, {} intervals, {} missed",
        received.datagrams,
        received.bytes / 1_000_000,
        took.as_secs(),
        run.intervals.len(),
        run.total.missed_intervals,
    );
    // That they add up to the total, and have no gaps, is checked in each run.
    udp_hooks_counted(&run, received.datagrams, warm);
    let intervals = run.intervals.len() as u64 + run.total.missed_intervals;
    let expected = took.as_millis() as u64 / 100;
    assert!(
        intervals.abs_diff(expected) <= 2 + expected / 100,
        "{intervals} intervals of 100 ms in {took:?}"
    );
    let (least, most) = (resident.iter().min(), resident.iter().max());
    let (Some(least), Some(most)) = (least, most) else {
        panic!("too short for a sample");
    };
    println!("resident after the warm-up: {least} to {most} KiB");
    assert!(most - least <= GROWTH_KIB, "{resident:?} KiB");
}
