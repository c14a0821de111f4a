// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The wall clock is set, and slewed, while packets arrive and while they wait
//! in queues: not one wrong sample, and nothing refused without need. What is
//! right, the receiver knows: it has the stamp of each packet, the time of each
//! read on CLOCK_MONOTONIC, and what was done to the clock in between.

use std::thread::sleep;
use std::time::Duration;

use netstacklat::model::hooks::Hook;

use testlab::clock::{Leap, Settings, fast_path_is_open, mono_ns, offset_ns, slewed_ns};
use testlab::hooks::hooks_of;
use testlab::lines::{Report, Run};
use testlab::text::TextTool;
use testlab::timeline::{Between, Step, Timeline};
use testlab::tool::{Tool, command};
use testlab::witness::GroundTruth;
use testlab::{PATIENCE, linux_from, udp, wait_until};

const MS: i64 = 1_000_000;
const SECOND: i64 = 1000 * MS;
const HOUR: i64 = 3600 * SECOND;
/// No packet here is that long on its way to a socket; and a second of the
/// clock overlooked would make it a second more.
const PLAUSIBLE_NS: u64 = 900_000_000;
/// Time for packets between two changes.
const PAUSE: Duration = Duration::from_millis(150);

#[test]
fn followed_by_the_clock_program() {
    let tool = Tool::start(&["-r", "100ms"]);
    assert_eq!(tool.started().clock_source, "update_vsyscall");
    Bench::new(tool, Source::ClockProgram).clock_is_set_in_every_way();
}

/// The helper that reads CLOCK_TAI came with 6.1; before, the tool must say so.
#[test]
fn followed_by_the_tai_offset() {
    if !linux_from(6, 1) {
        let mut tool = command(&["--duration", "10ms"]);
        tool.env("NETSTACKLAT_TEST_HIDE", "update_vsyscall");
        let done = tool.output().expect("netstacklat is in the guest");
        let said = String::from_utf8(done.stderr).expect("UTF-8");
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains("bpf_ktime_get_tai_ns (Linux 6.1)"), "{said}");
        return;
    }
    let tool = Tool::start_hiding("update_vsyscall", &["-r", "100ms"]);
    assert_eq!(tool.started().clock_source, "tai-offset");
    Bench::new(tool, Source::TaiOffset).clock_is_set_in_every_way();
}

/// Who follows the clock: a program in the kernel, which sees each change as
/// it is made; or the tool, a little later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    ClockProgram,
    TaiOffset,
}

/// A tool that measures a witness's traffic.
struct Bench {
    tool: Tool,
    source: Source,
    clock: Settings,
    timeline: Timeline,
}

impl Bench {
    fn new(tool: Tool, source: Source) -> Bench {
        // By the TAI path a task preempted between two clocks is refused, too.
        let tolerance = match source {
            Source::ClockProgram => 0.0,
            Source::TaiOffset => 0.01,
        };
        Bench {
            tool,
            source,
            clock: Settings::keep(),
            timeline: Timeline::new(offset_ns(), tolerance),
        }
    }

    fn clock_is_set_in_every_way(mut self) {
        self.tool.warm_up();
        let before = self.tool.totals_up_to_now();
        let witness = GroundTruth::start(6000);
        self.slewed();
        self.tai_offset(&witness);
        for _ in 0..4 {
            self.step(&witness, 20 * MS);
            self.step(&witness, -20 * MS);
        }
        // The kernel takes a second after one leap before it sees another.
        self.leap(&witness, Leap::Deleted);
        self.step(&witness, SECOND);
        self.step(&witness, -SECOND);
        self.resumes_within(Duration::from_secs(1));
        self.step(&witness, HOUR);
        self.step(&witness, -HOUR);
        self.leap(&witness, Leap::Inserted);
        self.resumes_within(Duration::from_secs(1));
        let reads = witness.stop();
        let run = self.tool.finish();
        drop(self.clock);

        assert_eq!(run.total.clock_steps, self.timeline.steps());
        let hook = |name: &str| run.hook(name).since(&before[name]);
        let (timeline, udp) = (&self.timeline, &reads.udp);
        timeline.judge("udp-socket-read", udp, &hook("udp-socket-read"));
        timeline.judge("tcp-socket-read", &reads.tcp, &hook("tcp-socket-read"));
        let before = hooks_of("UDP").into_iter();
        for name in before.filter(|h| !h.is_in_reader()).map(Hook::name) {
            timeline.judge_earlier(name, udp, &hook(name));
        }
        nothing_implausible(&run);
    }

    /// No step, though the clock runs faster or slower.
    fn slewed(&self) {
        type Slew = fn(&Settings) -> testlab::clock::Slewing;
        let ways: [(Slew, i64, i64); 2] = [
            (Settings::slew_by_frequency, 300_000, SECOND),
            (Settings::slew_by_offset, -SECOND, -2 * MS),
        ];
        for (slew, least, most) in ways {
            let before = slewed_ns();
            let slewing = slew(&self.clock);
            // Some of it begins with the next second.
            sleep(Duration::from_millis(1300));
            drop(slewing);
            let by = slewed_ns() - before;
            println!("slewed by {by} ns");
            assert!((least..=most).contains(&by), "slewed by {by} ns");
        }
    }

    /// No step either. The tool is told of it by nobody where it follows the
    /// TAI offset, and refuses samples until it looks.
    fn tai_offset(&mut self, witness: &GroundTruth) {
        let changed = mono_ns();
        witness.across(|| self.clock.set_tai_offset(37));
        if self.source == Source::TaiOffset {
            self.measures_again();
            self.timeline.closed(changed, mono_ns());
        }
        sleep(PAUSE);
    }

    fn step(&mut self, witness: &GroundTruth, by: i64) {
        self.tells(witness, by, |clock| clock.step(by));
        sleep(PAUSE);
    }

    fn leap(&mut self, witness: &GroundTruth, leap: Leap) {
        let (by, midnight) = self.clock.to_midnight();
        self.step(witness, by);
        leap.announce();
        // From three seconds before midnight the TAI path is closed.
        midnight.wait(Leap::Inserted, 3200);
        let closing = mono_ns();
        midnight.wait(leap, 300);
        self.tells(witness, leap.step(), |_| midnight.wait_for(leap));
        if self.source == Source::TaiOffset {
            self.measures_again();
            self.timeline.closed(closing, mono_ns());
        }
        sleep(PAUSE);
    }

    /// Changes the clock, and waits until the tool says so: of the interval in
    /// which it happened, which is one of the next two.
    fn tells(&mut self, witness: &GroundTruth, by: i64, change: impl FnOnce(&Settings) -> Between) {
        let told = |tool: &Tool| steps_in(&tool.intervals());
        let already = told(&self.tool);
        assert_eq!(already, self.timeline.steps(), "steps that did not happen");
        let at = witness.across(|| change(&self.clock));
        let intervals = self.tool.intervals().len();
        wait_until(PATIENCE, "a step is told", || told(&self.tool) > already);
        let now = self.tool.intervals();
        if self.source == Source::ClockProgram {
            let next = now.len().min(intervals + 2);
            assert_eq!(steps_in(&now[..next]), already + 1, "told late");
        }
        let noticed = match self.source {
            Source::ClockProgram => at.1,
            // The bound that the tool sets has a margin of 1 ms.
            Source::TaiOffset => mono_ns() + MS,
        };
        println!("stepped by {by} ns");
        self.timeline.stepped(Step { at, by, noticed });
    }

    /// After a small step back, nothing can be told until the clock has its
    /// old value again; then it must be.
    fn resumes_within(&self, ambiguous: Duration) {
        sleep(ambiguous);
        self.measures_again();
        sleep(PAUSE);
    }

    /// Waits for an interval without refused reads.
    fn measures_again(&self) {
        let seen = self.tool.intervals().len();
        wait_until(Duration::from_secs(5), "it measures again", || {
            let intervals = self.tool.intervals();
            let good = |report: &Report| {
                let mut hooks = report.hooks.iter();
                let read = hooks.find(|line| line.hook == "udp-socket-read");
                read.is_some_and(|r| r.count > 10 && !r.skipped.contains_key("clock-step"))
            };
            // The first may have ended before.
            intervals[seen..].iter().skip(1).any(good)
        });
    }
}

fn steps_in(reports: &[Report]) -> u64 {
    reports.iter().map(|report| report.clock_steps).sum()
}

fn nothing_implausible(run: &Run) {
    for line in &run.total.hooks {
        let counts = run.hook(&line.hook);
        println!("{}: {}, {:?}", line.hook, counts.count, counts.skipped);
        // The reads are judged one by one.
        let hook = Hook::find(&line.hook).expect("a hook of the table");
        if !hook.is_in_reader() {
            assert_eq!(counts.above(PLAUSIBLE_NS), 0, "{line:?}");
        }
        for wrong in ["negative", "over-range", "clock-not-ready"] {
            assert_eq!(counts.skip(wrong), 0, "{line:?}");
        }
        // Off the path of header prediction few segments carry data: 93 were seen
        // on 5.10.
        assert!(counts.count > 30, "{line:?}");
    }
}

/// Steps so small that nothing is refused for them, and a latency is wrong by
/// them at most. Together within 34 s they may be no more than 100 us.
#[test]
fn small_steps_keep_everything_measured() {
    const SMALL: i64 = 40_000;
    let tool = Tool::start(&["-r", "100ms"]);
    tool.warm_up();
    let clock = Settings::keep();
    let step = |witness: &GroundTruth, by| {
        witness.across(|| clock.step(by));
        sleep(PAUSE);
    };
    let timeline = Timeline::new(offset_ns(), 0.0).wrong_by(2 * SMALL);
    let before = tool.totals_up_to_now();
    let witness = GroundTruth::start(6020);
    step(&witness, SMALL);
    step(&witness, -SMALL);
    let reads = witness.stop();
    let after = tool.totals_up_to_now();
    for (name, reads) in [
        ("udp-socket-read", &reads.udp),
        ("tcp-socket-read", &reads.tcp),
    ] {
        let counts = after[name].since(&before[name]);
        for refused in ["clock-step", "negative"] {
            assert_eq!(counts.skip(refused), 0, "{name}: {counts:?}");
        }
        timeline.judge(name, reads, &counts);
    }
    assert!(fast_path_is_open(), "packets take the slow path");

    // A third is one too many: it is as if it were a large one.
    let before = tool.totals_up_to_now();
    let witness = GroundTruth::start(6030);
    step(&witness, SMALL);
    witness.stop();
    let refused = tool.totals_up_to_now()["udp-socket-read"]
        .since(&before["udp-socket-read"])
        .skip("clock-step");
    assert!(refused > 0, "nothing was refused");
    assert!(!fast_path_is_open());
    let told = |tool: &Tool, of: fn(&Report) -> u64| tool.intervals().iter().map(of).sum::<u64>();
    assert_eq!(told(&tool, |report| report.clock_steps), 1);

    // Until all that was on its way has arrived. Guests' time costs nothing.
    sleep(Duration::from_secs(36));
    let witness = GroundTruth::start(6040);
    step(&witness, SMALL);
    witness.stop();
    assert!(fast_path_is_open());
    let run = tool.finish();
    drop(clock);
    assert_eq!(run.total.clock_steps, 1);
    assert_eq!(run.total.clock_small_steps, 3);
    assert_eq!(run.total.clock_small_steps_ns, 3 * SMALL as u64);
}

/// On a screen: the report of that interval says so, no other does, and the
/// total does.
#[test]
fn told_in_the_report_of_its_interval() {
    let hidden = if linux_from(6, 1) {
        ["", "update_vsyscall"].as_slice()
    } else {
        &[""]
    };
    for hidden in hidden {
        let tool = TextTool::start_hiding(hidden, &["-r", "300ms", "-e", "udp-start"]);
        let pages = |text: &str| text.lines().filter(|line| line.contains(" UTC  ")).count();
        let at_least = |number| {
            wait_until(PATIENCE, "a report", || pages(&tool.stdout()) >= number);
        };
        udp::until_stamped(true);
        at_least(2);
        let clock = Settings::keep();
        assert!(!tool.stdout().contains("clock:"), "{}", tool.stdout());
        clock.step(SECOND);
        at_least(pages(&tool.stdout()) + 3);
        let (stdout, _) = tool.finish();
        drop(clock);
        println!("{stdout}");
        let (reports, total) = stdout.split_once("\ntotal ").expect("a total");
        let in_this = "clock: the wall clock was stepped once in this interval";
        assert_eq!(reports.matches(in_this).count(), 1);
        assert_eq!(reports.matches("clock:").count(), 1);
        let since_start = "clock: the wall clock was stepped once since the start";
        assert_eq!(total.matches(since_start).count(), 1);
    }
}
