// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Why packets were slow: six causes are provoked, several times each, and the text of
//! the live view must name the right one. On a quiet host it must name none.

use std::fmt::Write as _;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::sys::socket::sockopt::{ReceiveTimestampns, UdpGsoSegment};
use nix::sys::socket::{MsgFlags, setsockopt};
use nix::unistd::{Pid, gettid};
use testlab::clock::real_ns;
use testlab::hold::{self, Holder};
use testlab::links::Link;
use testlab::readers::Reader;
use testlab::receive::{receive, sleep_once_readable};
use testlab::slow_page::SlowPage;
use testlab::tcp::Connection;
use testlab::text::TextTool;
use testlab::udp::{Flow, exchange, until_stamped};
use testlab::{Family, PATIENCE, Undo, at_full_length, sh, wait_until};

/// Packets that are not slow: so many that the others are not all there is, and so few
/// that the slowest hundredth is of the others.
const QUICK: u64 = 200;
const SLOW: u64 = 8;
/// Longer than a busy machine keeps the guest from running.
const LONG: Duration = Duration::from_millis(400);

/// What a run must say.
#[derive(Clone, Copy, Debug)]
enum Expected {
    /// At this hook, most of the time was spent there.
    At(&'static str, &'static str),
    /// At the read of datagrams, it was spent waiting for the reader; and whether that one
    /// has waited for a CPU.
    AtReader {
        without_a_cpu: bool,
    },
    /// Reads waited for a segment that the network had lost: they are counted, and no
    /// stage of this host is named.
    HolBlocked,
    Nothing,
}

/// What is done to some packets, and what must be said then.
type Cause = (&'static str, fn() -> String, Expected);

const CAUSES: [Cause; 6] = [
    (
        "netfilter",
        netfilter,
        Expected::At("udp-socket-read", "netfilter, routing"),
    ),
    (
        "socket lock",
        socket_lock,
        Expected::At("tcp-socket-read", "socket lookup, backlog"),
    ),
    (
        "sleeping reader",
        sleeping_reader,
        Expected::AtReader {
            without_a_cpu: false,
        },
    ),
    (
        "CPU hog",
        cpu_hog,
        Expected::AtReader {
            without_a_cpu: true,
        },
    ),
    (
        "softirq delay",
        softirq_delay,
        Expected::At("udp-socket-read", "the way before ip-start"),
    ),
    ("loss", loss, Expected::HolBlocked),
];
const QUIET: Cause = ("quiet", quiet, Expected::Nothing);

#[test]
fn the_right_cause_is_named() {
    let times = if at_full_length() { 3 } else { 1 };
    let mut right = Vec::new();
    for (name, provoke, expected) in CAUSES.into_iter().chain([QUIET]) {
        for time in 1..=times {
            let report = provoke();
            let is_right = says(&report, expected);
            println!("{name} {time}: right: {is_right}\n{report}\n");
            right.push((name, is_right));
        }
    }
    let wrong: Vec<_> = right.iter().filter(|(_, is_right)| !is_right).collect();
    println!("{} of {} right", right.len() - wrong.len(), right.len());
    // One may be wrong of 18, and none of those where nothing is to be named.
    assert!(wrong.iter().all(|(name, _)| *name != QUIET.0), "{wrong:?}");
    assert!(wrong.len() <= right.len() / 18, "{wrong:?}");
}

/// Whether a report says what it must. Single packets are not asked for.
fn says(report: &str, expected: Expected) -> bool {
    assert!(!report.contains("slow packets:"), "{report}");
    let named = named(report);
    let is_named = |hook: &str, part: &str| {
        let right = (hook.to_owned(), part.to_owned());
        !named.is_empty() && named.iter().all(|it| *it == right)
    };
    match expected {
        Expected::At(hook, part) => is_named(hook, part),
        Expected::AtReader { without_a_cpu } => {
            let waited = longest_cpu_wait(report) >= LONG / 4;
            is_named("udp-socket-read", "waiting for the reader") && waited == without_a_cpu
        }
        Expected::HolBlocked => {
            let blocked = format!("not measured: hol-blocked {SLOW}");
            named.is_empty() && report.contains(&blocked)
        }
        Expected::Nothing => named.is_empty() && !report.contains("hol-blocked"),
    }
}

/// The hooks of which a report says where their slowest packets were, and where. The
/// last report and that of the whole run say it.
fn named(report: &str) -> Vec<(String, String)> {
    let mut pieces = report.split(": the slowest packets spent ");
    let mut hook = last_word(pieces.next().expect("a first one"));
    let mut named = Vec::new();
    for piece in pieces {
        let sentence = piece.split_once(" % of their time in: ");
        let (percent, part) = sentence.expect("a sentence");
        assert!(percent.parse::<u32>().expect("a number") >= 50, "{percent}");
        let (part, _) = part.split_once(" (median of ").expect("a number");
        named.push((hook.to_owned(), part.to_owned()));
        hook = last_word(piece);
    }
    named
}

fn last_word(text: &str) -> &str {
    text.split_whitespace().next_back().expect("a word")
}

/// How long the reader waited for a CPU that waited longest, as the report says.
fn longest_cpu_wait(report: &str) -> Duration {
    let Some((_, readers)) = report.split_once("readers that waited for a CPU: ") else {
        return Duration::ZERO;
    };
    let time = readers.split([' ', ',']).nth(1).expect("a time");
    let units = [("ns", 1e-9), ("us", 1e-6), ("ms", 1e-3), ("s", 1.0)];
    let seconds = units.iter().find_map(|(unit, scale)| {
        let number = time.strip_suffix(unit)?.parse::<f64>().ok()?;
        Some(number * scale)
    });
    Duration::from_secs_f64(seconds.unwrap_or_else(|| panic!("{time}")))
}

/// The last report of a run with stages at the hooks of one protocol, in one line.
/// First quick packets, then those of `provoke`.
fn report(hooks: &str, provoke: impl FnOnce()) -> String {
    let options = ["-n", "right", "-r", "60s", "--stages"];
    let tool = TextTool::start(&[&["-e", hooks], &options[..]].concat());
    until_stamped(true);
    provoke();
    let (stdout, _) = tool.finish();
    let words: Vec<_> = stdout.split_whitespace().collect();
    words.join(" ")
}

const UDP: &str = "ip-start,udp*";
const TCP: &str = "ip-start,tcp*";

/// Datagrams that nothing holds up.
fn quick_datagrams(port: u16) {
    exchange(&[Flow::open(Family::V4, port)], QUICK);
}

/// A connection over which segments went that nothing held up.
fn quick_connection(port: u16) -> Connection {
    let mut connection = Connection::open(Family::V4, port);
    connection.talk(QUICK);
    connection
}

fn netfilter() -> String {
    let mut holder = Holder::start();
    report(UDP, || {
        quick_datagrams(6830);
        let held = Flow::open(Family::V4, hold::PORT);
        for number in 0..SLOW {
            held.send(number);
            holder.hold(1, 2 * LONG);
            held.receive();
        }
    })
}

/// A task owns the socket while several segments come. (The one that it reads meanwhile
/// is as late, and waits for it: so the others have to be more.)
fn socket_lock() -> String {
    const AT_ONCE: u64 = 4;
    report(TCP, || {
        let Connection { mut tx, mut rx } = quick_connection(6831);
        for _ in 0..SLOW / AT_ONCE {
            let page = SlowPage::missing();
            std::thread::scope(|scope| {
                tx.write_all(&[7]).expect("write");
                let reader = scope.spawn(|| page.receive(&rx));
                page.wait_until_touched();
                for _ in 0..AT_ONCE {
                    tx.write_all(&[8]).expect("write");
                }
                sleep(LONG);
                page.fill();
                reader.join().expect("the reader");
            });
            for _ in 0..AT_ONCE {
                rx.read_exact(&mut [0]).expect("read");
            }
        }
    })
}

/// A process on the second CPU that reads datagrams.
pub fn reader_on_the_second_cpu() -> Reader {
    let reader = Reader::start(None);
    sh(&format!("taskset -p 2 {} >/dev/null", reader.pid()));
    reader
}

/// Its datagrams: some that it reads at once, and then others that it reads when
/// `hinder` lets it.
pub fn read_late(reader: &Reader, hinder: fn(&Reader)) {
    for _ in 0..QUICK / 10 {
        reader.send(10);
        sleep(Duration::from_millis(5));
    }
    hinder(reader);
    let io = format!("/proc/{}/io", reader.pid());
    wait_until(PATIENCE, "all is read", || {
        let text = fs::read_to_string(&io).expect("it runs");
        let calls = text.lines().find_map(|line| line.strip_prefix("syscr: "));
        calls.expect("a line").parse::<u64>().expect("a number") >= QUICK + SLOW
    });
}

/// The reader sleeps while datagrams come.
pub fn stop(reader: &Reader) {
    sh(&format!("kill -STOP {}", reader.pid()));
    reader.send(SLOW);
    sleep(LONG);
    sh(&format!("kill -CONT {}", reader.pid()));
}

/// Another process has the reader's CPU while datagrams come.
pub fn hog(reader: &Reader) {
    while_hogged(|| reader.send(SLOW));
}

/// Does it while another process has the second CPU, and waits for the end of that.
pub fn while_hogged(what: impl FnOnce()) {
    let seconds = LONG.as_secs_f64().to_string();
    let mut hog = Command::new("timeout")
        .args([&seconds, "chrt", "-f", "50", "taskset", "2", "sh", "-c"])
        .arg("while :; do :; done")
        .spawn()
        .expect("they are in the guest");
    sleep(Duration::from_millis(50));
    what();
    hog.wait().expect("it ends");
}

fn sleeping_reader() -> String {
    let reader = reader_on_the_second_cpu();
    report(UDP, || read_late(&reader, stop))
}

fn cpu_hog() -> String {
    let reader = reader_on_the_second_cpu();
    report(UDP, || read_late(&reader, hog))
}

/// The second CPU receives, and compares each datagram of a burst with many rules. So
/// all but the first wait until its softirq comes to them.
fn softirq_delay() -> String {
    const PORT: u16 = 6832;
    let _slow = long_softirqs(PORT, "2");
    report(UDP, || on_the_first_cpu(|| bursts(PORT)))
}

/// For so long, the CPUs of this mask receive what comes to the right namespace, and
/// compare each datagram to this port with many rules.
pub fn long_softirqs(port: u16, cpus: &str) -> [Undo; 2] {
    const RULES: u32 = 5000;
    let mut rules = String::from("table inet slow { chain rules {\n");
    for mark in 1..=RULES {
        let _ = writeln!(rules, "meta mark {mark} drop");
    }
    let _ = writeln!(
        rules,
        "}}\nchain input {{\ntype filter hook input priority 0\nudp dport {port} jump rules\n}}\n}}"
    );
    fs::write("/tmp/slow-rules", rules).expect("/tmp");
    let rules = Undo::after(
        "ip netns exec right nft -f /tmp/slow-rules",
        "ip netns exec right nft delete table inet slow",
    );
    let rps = "/sys/class/net/eth0/queues/rx-0/rps_cpus";
    let steering = Undo::after(
        &format!("ip netns exec right bash -c 'echo {cpus} >{rps}'"),
        "ip netns exec right bash -c 'echo 0 >/sys/class/net/eth0/queues/rx-0/rps_cpus'",
    );
    [rules, steering]
}

/// Datagrams that come faster than they are compared with the rules: each burst is cut
/// into pieces on its way to the card.
pub fn bursts(port: u16) {
    const BURSTS: usize = 3;
    const PIECES: usize = 60;
    const PIECE: i32 = 8;
    let flow = Flow::open(Family::V4, port);
    setsockopt(&flow.tx, UdpGsoSegment, &PIECE).expect("UDP_SEGMENT");
    let data = [7; PIECES * PIECE as usize];
    for _ in 0..BURSTS {
        assert_eq!(flow.tx.send(&data).expect("send"), data.len());
    }
    for _ in 0..BURSTS * PIECES {
        flow.receive();
    }
}

/// Runs it, and what it starts, there: the second CPU is for something else, or idle.
/// (Where CPUs of the guest take turns, one that works makes the other one wait.)
pub fn on_the_first_cpu<T: Send>(what: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let mut first = CpuSet::new();
            first.set(0).expect("it is there");
            sched_setaffinity(Pid::from_raw(0), &first).expect("sched_setaffinity");
            what()
        });
        thread.join().expect("no panic")
    })
}

/// A segment is lost on its way, and sent again. Those behind it have come, and wait.
fn loss() -> String {
    let egress = |what: &str| sh(&format!("tc -n left qdisc replace dev eth0 root {what}"));
    let _clean = Undo::after(
        "modprobe sch_netem",
        "tc -n left qdisc replace dev eth0 root pfifo limit 100000",
    );
    egress("netem delay 0");
    report(TCP, || {
        let Connection { mut tx, mut rx } = quick_connection(6833);
        for _ in 0..SLOW {
            egress("netem loss 100%");
            tx.write_all(&[7; 100]).expect("write");
            egress("netem delay 0");
            tx.write_all(&[8; 100]).expect("write");
            // All that is there comes with one read.
            sleep_once_readable(rx.as_fd(), Duration::from_millis(20));
            assert_eq!(rx.read(&mut [0; 4096]).expect("read"), 200);
        }
    })
}

/// One packet at a time, so that none waits for another. Whether this was a quiet run,
/// the kernel's own timestamps tell the receiver.
fn quiet() -> String {
    const TRIES: usize = 12;
    for _ in 0..TRIES {
        let mut late = 0.0;
        let report = on_the_first_cpu(|| report("default", || late = one_at_a_time()));
        if late < 0.5 {
            return report;
        }
        println!("not quiet: {late:.2} % were read 1 ms or more after they had come");
    }
    panic!("this machine did not let the guest be quiet, {TRIES} times");
}

/// Datagrams and segments, each read before the next is sent. Returns how many percent of
/// them were read 1 ms or more after their timestamp, by the protocol that was worse.
fn one_at_a_time() -> f64 {
    const MANY: u64 = 5 * QUICK;
    // Before the tool, which shares the CPU. There is no limit to what it may take.
    let _unlimited = Undo::after(
        &format!(
            "sysctl -qw kernel.sched_rt_runtime_us=-1
             chrt -f -p 50 {}",
            gettid()
        ),
        "sysctl -qw kernel.sched_rt_runtime_us=950000",
    );
    let late = |socket: BorrowedFd| {
        let received = receive(socket, &mut [0; 8], MsgFlags::empty());
        let stamp = received.expect("a packet").stamp;
        u64::from(real_ns() - stamp.expect("a timestamp") >= 1_000_000)
    };
    let mut datagrams = 0;
    for link in [Link::Wire, Link::Loopback] {
        let flow = Flow::over(link.way(Family::V4, 6834)).with_stamps();
        for number in 0..MANY {
            flow.send(number);
            datagrams += late(flow.rx.as_fd());
        }
    }
    let mut connection = Connection::open(Family::V4, 6835);
    setsockopt(&connection.rx, ReceiveTimestampns, &true).expect("SO_TIMESTAMPNS");
    let mut segments = 0;
    for _ in 0..MANY {
        connection.tx.write_all(&[7]).expect("write");
        segments += late(connection.rx.as_fd());
    }
    let percent = |late: u64, all: u64| late as f64 * 100.0 / all as f64;
    percent(datagrams, 2 * MANY).max(percent(segments, MANY))
}
