// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The wall clock is set while packets are measured: not one wrong sample.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use crate::lab::clock::Settings;
use crate::lab::lines::{Run, Totals};
use crate::lab::tcp::{Connection, Load};
use crate::lab::tool::{Tool, command};
use crate::lab::{Family, linux_from, udp};

const HOUR: i64 = 3600;
/// No packet here waits that long, but those that are refused; and a leap
/// second overlooked would make it a second more.
const PLAUSIBLE_NS: u64 = 900_000_000;
/// Datagrams that are in a socket's queue while the clock is set.
const QUEUED: u64 = 50;
/// Time for the tool to see a change: on the TAI path it looks once a second.
const PHASE: Duration = Duration::from_millis(1500);

#[test]
fn followed_by_the_clock_program() {
    let tool = Tool::start(&["-r", "100ms"]);
    assert_eq!(tool.started().clock_source, "update_vsyscall");
    clock_is_set_in_every_way(tool);
}

/// The helper that reads CLOCK_TAI came with 6.1; before, the tool must say so.
#[test]
fn followed_by_the_tai_offset() {
    if !linux_from(6, 1) {
        let mut tool = command(&[]);
        tool.env("NETSTACKLAT_TEST_HIDE", "update_vsyscall");
        let done = tool.output().expect("netstacklat is in the guest");
        let said = String::from_utf8(done.stderr).expect("UTF-8");
        assert_eq!(done.status.code(), Some(1), "{said}");
        assert!(said.contains("bpf_ktime_get_tai_ns (Linux 6.1)"), "{said}");
        return;
    }
    let tool = Tool::start_hiding("update_vsyscall", &["-r", "100ms"]);
    assert_eq!(tool.started().clock_source, "tai-offset");
    clock_is_set_in_every_way(tool);
}

fn clock_is_set_in_every_way(tool: Tool) {
    tool.warm_up();
    let clock = Settings::keep();
    let stop = AtomicBool::new(false);
    let run = std::thread::scope(|scope| {
        let traffic = scope.spawn(|| keep_sending(&stop));
        let stopping = StopOnDrop(&stop);
        sleep(PHASE);
        let at_once = || ();
        phase(&tool, "a TAI offset", Kind::NoStep, at_once, || {
            clock.set_tai_offset(37);
        });
        phase(&tool, "an hour ahead", Kind::Step, at_once, || {
            clock.step(HOUR)
        });
        phase(&tool, "two seconds ahead", Kind::Step, at_once, || {
            clock.step(2);
        });
        let mut leap = None;
        phase(&tool, "near midnight", Kind::Step, at_once, || {
            leap = Some(clock.approach_leap());
        });
        let leap = leap.expect("set just now");
        let near = || leap.wait_until_near();
        phase(&tool, "a leap second", Kind::Step, near, || {
            leap.wait_until_over();
        });
        phase(&tool, "an hour back", Kind::Step, at_once, || {
            clock.step(-HOUR)
        });
        drop(stopping);
        traffic.join().expect("background traffic");
        tool.finish()
    });
    drop(clock);
    nothing_implausible(&run);
    println!("{} clock steps", run.total.clock_steps);
    assert_eq!(run.total.clock_steps, 5);
}

/// What a change does to stamps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    NoStep,
    Step,
}

/// When it is time (`wait`), changes the clock while datagrams are in the
/// queue, then reads them.
fn phase(tool: &Tool, name: &str, kind: Kind, wait: impl FnOnce(), change: impl FnOnce()) {
    let before = tool.settled();
    let flow = udp::Flow::open(Family::V4, 6100);
    wait();
    (0..QUEUED).for_each(|number| flow.send(number));
    sleep(Duration::from_millis(50));
    change();
    (0..QUEUED).for_each(|number| assert_eq!(flow.receive(), number));
    let changed = tool.settled();
    sleep(PHASE);
    let later = tool.settled();
    sleep(PHASE);
    let last = tool.settled();

    let grown = |a: &Totals, b: &Totals, hook: &str| {
        let skips = b[hook].skip("clock-step") - a[hook].skip("clock-step");
        (b[hook].count - a[hook].count, skips)
    };
    for hook in ["udp-start", "udp-socket-read", "tcp-socket-read"] {
        println!(
            "{name}: {hook}: (recorded, clock-step) at once {:?}, then {:?}, then {:?}",
            grown(&before, &changed, hook),
            grown(&changed, &later, hook),
            grown(&later, &last, hook)
        );
    }
    let (_, refused) = grown(&before, &later, "udp-socket-read");
    if kind == Kind::Step {
        assert!(refused >= QUEUED, "{name}: {refused} refused");
    }
    // Else that no sample is wrong would say nothing.
    for hook in [
        "udp-start",
        "udp-socket-read",
        "tcp-start",
        "tcp-socket-read",
    ] {
        let (recorded, refused) = grown(&later, &last, hook);
        // On the TAI path a task preempted between two clocks is refused, too.
        assert!(
            recorded > 10 && refused <= recorded / 100,
            "{name}: {hook}: {recorded}, {refused}"
        );
    }
}

fn nothing_implausible(run: &Run) {
    for line in &run.total.hooks {
        let counts = run.hook(&line.hook);
        println!("{}: {}, {:?}", line.hook, counts.count, counts.skipped);
        let implausible = run.intervals.iter().filter_map(|report| {
            let line = report.hooks.iter().find(|l| l.hook == line.hook)?;
            let slow = line.max_le_ns.is_some_and(|le| le > PLAUSIBLE_NS);
            slow.then_some((&report.end, line.buckets.last(), &line.skipped))
        });
        let implausible: Vec<_> = implausible.collect();
        assert!(implausible.is_empty(), "{}: {implausible:?}", line.hook);
        for wrong in ["negative", "over-range", "clock-not-ready"] {
            assert_eq!(counts.skip(wrong), 0, "{line:?}");
        }
        assert!(counts.count > 100, "{line:?}");
    }
}

/// UDP and TCP at a moderate rate, until it is told to stop.
fn keep_sending(stop: &AtomicBool) {
    let flows: Vec<_> = Family::BOTH
        .into_iter()
        .map(|family| udp::Flow::open(family, 6000))
        .collect();
    let mut port = 6001;
    while !stop.load(Ordering::Relaxed) {
        udp::exchange(&flows, 40);
        let family = Family::BOTH[usize::from(port % 2)];
        Connection::open(family, port).transfer(Load {
            writes: 20,
            size: 1000,
            at_once: 4096,
            urgent_every: 0,
        });
        port = if port < 6050 { port + 1 } else { 6001 };
        sleep(Duration::from_millis(5));
    }
}

/// Ends the traffic when a test fails, too.
struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
