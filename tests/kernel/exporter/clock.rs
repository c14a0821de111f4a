// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The wall clock is set while packets arrive and wait, and no loader of ours
//! is there to follow it: no wrong sample, and what was done is served.

use std::thread::sleep;
use std::time::Duration;

use netstacklat::model::hooks::Hook;

use testlab::clock::{Leap, Settings, offset_ns, tai_offset};
use testlab::exporter::Exporter;
use testlab::hooks::hooks_of;
use testlab::scrape::Scrape;
use testlab::timeline::{Between, Step, Timeline};
use testlab::udp::Flow;
use testlab::witness::GroundTruth;
use testlab::{Family, PATIENCE, wait_until};

const SECOND: i64 = 1_000_000_000;
/// No packet here is that long on its way to a socket; one that is wrong by a
/// step here would be.
const PLAUSIBLE_NS: u64 = 1 << 29;
/// Time for packets between two changes.
const PAUSE: Duration = Duration::from_millis(150);

struct Bench {
    exporter: Exporter,
    clock: Settings,
    timeline: Timeline,
}

#[test]
fn no_wrong_sample_though_nobody_follows_it() {
    let exporter = Exporter::start();
    let _stamping = Flow::open(Family::V4, 6300).with_stamps();
    exporter.measures();
    let mut bench = Bench {
        exporter,
        clock: Settings::keep(),
        timeline: Timeline::new(offset_ns(), 0.0),
    };
    let before = bench.exporter.scrape();
    assert_eq!(states(&before), settled(true));
    assert_eq!(before.value("clock_steps_total"), 0);

    let witness = GroundTruth::start(6301);
    witness.across(|| bench.clock.set_tai_offset(37));
    bench.shows_tai_offset(37);
    bench.shows_steps();
    sleep(PAUSE);
    bench.step(&witness, SECOND);
    bench.step(&witness, -SECOND);
    bench.resumes_within(Duration::from_secs(1));
    let (by, midnight) = bench.clock.to_midnight();
    bench.step(&witness, by);
    Leap::Inserted.announce();
    midnight.wait(Leap::Inserted, 300);
    let leap = Leap::Inserted.step();
    bench.stepped(&witness, leap, |_| midnight.wait_for(Leap::Inserted));
    // A leap second is one more between the two clocks.
    bench.shows_tai_offset(38);
    bench.resumes_within(Duration::from_secs(1));
    let reads = witness.stop();
    let after = bench.exporter.scrape();

    let counts = |hook: &str| after.since(&before, hook);
    let (timeline, udp) = (&bench.timeline, &reads.udp);
    timeline.judge("udp-socket-read", udp, &counts("udp-socket-read"));
    timeline.judge("tcp-socket-read", &reads.tcp, &counts("tcp-socket-read"));
    let before = hooks_of("UDP").into_iter();
    for name in before.filter(|h| !h.is_in_reader()).map(Hook::name) {
        timeline.judge_earlier(name, udp, &counts(name));
    }
    for hook in Hook::default_ones() {
        let counts = counts(hook.name());
        println!("{hook}: {}, {:?}", counts.count, counts.skipped);
        for wrong in ["negative", "over-range", "clock-not-ready"] {
            assert_eq!(counts.skip(wrong), 0, "{hook}");
        }
        // The reads are judged one by one.
        if !hook.is_in_reader() {
            assert_eq!(counts.above(PLAUSIBLE_NS), 0, "{hook}: {counts:?}");
        }
    }
}

fn settled(settled: bool) -> [(String, u64); 2] {
    let (yes, no) = (settled.into(), (!settled).into());
    [("settled".into(), yes), ("settling".into(), no)]
}

fn states(scrape: &Scrape) -> Vec<(String, u64)> {
    assert!(scrape.text.contains("source=\"update_vsyscall\""));
    scrape.by_label("clock_info", "state").into_iter().collect()
}

impl Bench {
    /// At the next update of the clock.
    fn shows_tai_offset(&self, seconds: u64) {
        assert_eq!(tai_offset(), seconds as i64, "the kernel's own");
        let served = || self.exporter.scrape().value("clock_tai_offset_seconds");
        wait_until(PATIENCE, "the TAI offset is served", || served() == seconds);
    }

    fn shows_steps(&self) {
        let scrape = self.exporter.scrape();
        assert_eq!(scrape.value("clock_steps_total"), self.timeline.steps());
        // For half a minute from the last one.
        assert_eq!(states(&scrape), settled(self.timeline.steps() == 0));
    }

    fn step(&mut self, witness: &GroundTruth, by: i64) {
        self.stepped(witness, by, |clock| clock.step(by));
    }

    fn stepped(
        &mut self,
        witness: &GroundTruth,
        by: i64,
        change: impl FnOnce(&Settings) -> Between,
    ) {
        let at = witness.across(|| change(&self.clock));
        // The program runs when the clock is set, before anyone can see it.
        let noticed = at.1;
        self.timeline.stepped(Step { at, by, noticed });
        self.shows_steps();
        println!("stepped by {by} ns");
        sleep(PAUSE);
    }

    /// After a small step back, nothing can be told until the clock has its
    /// old value again; then it must be.
    fn resumes_within(&self, ambiguous: Duration) {
        sleep(ambiguous);
        wait_until(PATIENCE, "it measures again", || {
            let first = self.exporter.scrape();
            sleep(PAUSE);
            let new = self.exporter.scrape().since(&first, "udp-socket-read");
            new.count > 10 && new.skip("clock-step") == 0
        });
        sleep(PAUSE);
    }
}
