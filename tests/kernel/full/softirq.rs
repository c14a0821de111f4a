// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The NET_RX softirq: how long it waits and runs, and what is received without it. The
//! kernel's own record of its tracepoints is the truth.

use std::collections::BTreeMap;
use std::fs;
use std::os::fd::AsRawFd as _;

use testlab::counts::Counts;
use testlab::tool::Tool;
use testlab::udp::{Flow, exchange};
use testlab::{Family, Undo};

use super::causes::{bursts, long_softirqs, on_the_first_cpu, while_hogged};

const PORT: u16 = 6950;
/// Datagrams that nothing holds up.
const QUICK: u64 = 200;
/// Runs while the tool measures and the kernel does not record yet, or no longer.
const AT_THE_EDGES: u64 = 30;
/// From the tracepoint to the entry of the function, and the other way round.
const APART_NS: u64 = 30_000;

/// What the kernel has recorded, ns.
#[derive(Debug, Default)]
struct Recorded {
    waits: Vec<u64>,
    not_raised: u64,
    runs: Vec<u64>,
    polls_elsewhere: u64,
}

/// What a CPU was about.
#[derive(Default)]
struct Cpu {
    raised: Option<u64>,
    began: Option<u64>,
}

const TRACE: &str = "/sys/kernel/tracing/instances/softirqs";

/// Records what the kernel says while something is done.
fn recorded(what: impl FnOnce()) -> Recorded {
    let _instance = Undo::after(
        &format!(
            "mkdir {TRACE}; cd {TRACE}
             echo mono >trace_clock; echo 20000 >buffer_size_kb
             for event in raise entry exit; do
                 echo vec==3 >events/irq/softirq_$event/filter
                 echo 1 >events/irq/softirq_$event/enable
             done
             echo 'work>0' >events/napi/napi_poll/filter
             echo 1 >events/napi/napi_poll/enable",
        ),
        "rmdir /sys/kernel/tracing/instances/softirqs",
    );
    what();
    fs::write(format!("{TRACE}/tracing_on"), "0").expect("tracefs");
    let text = fs::read_to_string(format!("{TRACE}/trace")).expect("tracefs");
    assert!(!text.contains("LOST"), "the record is not whole");
    let mut cpus: BTreeMap<&str, Cpu> = BTreeMap::new();
    let mut recorded = Recorded::default();
    // `comm-7  [001] ..s.  12.345678: softirq_entry: vec=3 [action=NET_RX]`
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (_, rest) = line.split_once(" [").expect("a CPU");
        let (cpu, rest) = rest.split_once(']').expect("a CPU");
        let mut words = rest.split_whitespace().skip(1);
        let time = words.next().expect("a time").trim_end_matches(':');
        let (seconds, micros) = time.split_once('.').expect("a time");
        let number = |digits: &str| digits.parse::<u64>().expect("a number");
        let now = (number(seconds) * 1_000_000 + number(micros)) * 1000;
        let cpu = cpus.entry(cpu).or_default();
        match words.next().expect("an event") {
            "softirq_raise:" => {
                cpu.raised.get_or_insert(now);
            }
            "softirq_entry:" => {
                match cpu.raised.take() {
                    Some(raised) => recorded.waits.push(now - raised),
                    None => recorded.not_raised += 1,
                }
                cpu.began = Some(now);
            }
            "softirq_exit:" => {
                let began = cpu.began.take();
                recorded.runs.extend(began.map(|began| now - began));
            }
            "napi_poll:" => recorded.polls_elsewhere += u64::from(cpu.began.is_none()),
            other => panic!("{other}"),
        }
    }
    recorded.waits.sort_unstable();
    recorded.runs.sort_unstable();
    recorded
}

/// Whether the histogram is that of these times. Some may differ: an interrupt, or the
/// turn of the guest's other CPU, can come between a program and the tracepoint.
fn agrees(name: &str, counts: &Counts, times: &[u64]) {
    let n = times.len() as u64;
    println!(
        "{name}: {n} recorded by the kernel, {} counted",
        counts.count
    );
    assert!(
        (n..=n + AT_THE_EDGES).contains(&(counts.count + 1)),
        "{name}"
    );
    assert_eq!(counts.missed, 0, "{name}");
    let differing = n / 20 + 2 + n.abs_diff(counts.count);
    for &(_, bound) in counts.buckets.keys() {
        let counted = counts.above(bound);
        let slack = APART_NS + bound / 20;
        let longer = |than: u64| times.iter().filter(|time| **time > than).count() as u64;
        let least = longer(bound + slack).saturating_sub(differing);
        let most = longer(bound.saturating_sub(slack)) + differing;
        assert!(
            (least..=most).contains(&counted),
            "{name}: {counted} above {bound} ns, not {least} to {most}: {times:?}"
        );
    }
}

fn the_record_is_met(provoke: impl FnOnce()) -> Recorded {
    let tool = Tool::start(&["-r", "1s", "-e", "softirq"]);
    let kernel = recorded(provoke);
    let run = tool.finish();
    let (wait, action) = (run.hook("rx-softirq-wait"), run.hook("net-rx-action"));
    agrees("rx-softirq-wait", &wait, &kernel.waits);
    agrees("net-rx-action", &action, &kernel.runs);
    let not_raised = kernel.not_raised..=kernel.not_raised + AT_THE_EDGES;
    assert!(not_raised.contains(&wait.skip("not-raised")), "{kernel:?}");
    let elsewhere = action.skip("polled-elsewhere");
    let polls = kernel.polls_elsewhere..=kernel.polls_elsewhere + AT_THE_EDGES;
    assert!(polls.contains(&elsewhere), "{elsewhere}: {kernel:?}");
    kernel
}

const MS: u64 = 1_000_000;

/// Each datagram is compared with many rules in the softirq.
#[test]
fn long_runs_are_measured() {
    let _slow = long_softirqs(PORT, "1");
    let kernel = the_record_is_met(|| {
        exchange(&[Flow::open(Family::V4, PORT + 1)], QUICK);
        exchange(&[Flow::open(Family::V4, PORT)], QUICK / 4);
    });
    let longest = (kernel.waits.last(), kernel.runs.last());
    println!("longest: {longest:?}");
    assert!(kernel.runs.last() > Some(&MS), "{longest:?}");
}

/// A process that the scheduler prefers has the CPU to which packets go.
#[test]
fn a_busy_cpu_makes_softirqs_wait() {
    let _slow = long_softirqs(PORT, "2");
    let kernel = the_record_is_met(|| {
        exchange(&[Flow::open(Family::V4, PORT + 1)], QUICK);
        while_hogged(|| on_the_first_cpu(|| bursts(PORT)));
    });
    let waits = kernel.waits.iter().filter(|wait| **wait > MS);
    assert!(waits.count() > 0, "{:?}", kernel.waits.last());
}

/// A reader takes its packets from the card, in place of the softirq: interrupts are
/// deferred while it does (SO_PREFER_BUSY_POLL, 7fd3253a7de6).
#[test]
fn what_a_busy_polling_reader_takes_is_counted() {
    const SO_BUSY_POLL: i32 = 46;
    const SO_PREFER_BUSY_POLL: i32 = 69;
    let _deferred = Undo::after(
        "ip netns exec right bash -c 'cd /sys/class/net/eth0 && echo 100 >napi_defer_hard_irqs
             echo 20000000 >gro_flush_timeout'",
        "ip netns exec right bash -c 'cd /sys/class/net/eth0 && echo 0 >napi_defer_hard_irqs
             echo 0 >gro_flush_timeout'",
    );
    let kernel = the_record_is_met(|| {
        let flow = Flow::open(Family::V4, PORT);
        for (option, value) in [(SO_BUSY_POLL, 50_000_i32), (SO_PREFER_BUSY_POLL, 1)] {
            // SAFETY: the value is an int, and its size is given.
            let set = unsafe {
                nix::libc::setsockopt(
                    flow.rx.as_raw_fd(),
                    nix::libc::SOL_SOCKET,
                    option,
                    (&raw const value).cast(),
                    size_of_val(&value) as u32,
                )
            };
            assert_eq!(set, 0, "socket option {option}");
        }
        exchange(&[flow], QUICK);
    });
    assert!(kernel.polls_elsewhere > 0);
}

/// A kernel thread does (threaded NAPI, 29863d41bb6e).
#[test]
fn what_a_thread_takes_is_counted() {
    let _threaded = Undo::after(
        "ip netns exec right bash -c 'echo 1 >/sys/class/net/eth0/threaded'",
        "ip netns exec right bash -c 'echo 0 >/sys/class/net/eth0/threaded'",
    );
    let kernel = the_record_is_met(|| exchange(&[Flow::open(Family::V4, PORT)], QUICK));
    assert!(kernel.polls_elsewhere > 0);
}
