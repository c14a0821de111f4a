// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Slow packets are shown in full: those that were held, with where they were held,
//! and no others.

use std::io::{Read as _, Write as _};
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};
use testlab::hold::{self, Holder};
use testlab::lines::Run;
use testlab::links::Link;
use testlab::readers::Reader;
use testlab::receive::sleep_once_readable;
use testlab::tcp::Connection;
use testlab::tool::{Tool, command};
use testlab::udp::{Flow, exchange};
use testlab::{Family, PATIENCE, at_full_length, wait_until};

use super::causes::{hog, read_late, reader_on_the_second_cpu, stop};

const LATE: Duration = Duration::from_millis(400);

fn text<'a>(packet: &'a Value, field: &str) -> &'a str {
    packet[field].as_str().unwrap_or_else(|| panic!("{packet}"))
}

fn age(packet: &Value, hook: &str) -> u64 {
    let passed = packet["passed"].as_array().expect("an array");
    let found = passed.iter().find(|passed| passed["hook"] == hook);
    let found = found.unwrap_or_else(|| panic!("{hook}: {packet}"));
    found["age_ns"].as_u64().expect("a number")
}

/// Of many datagrams one is held by netfilter, one is read late. Both are shown with
/// their addresses, their reader, and the time at each hook.
#[test]
fn held_datagrams_are_shown_with_their_way() {
    let mut holder = Holder::start();
    let options = ["-r", "100ms", "-n", "right", "--slower-than", "200ms"];
    let tool = Tool::start(&options);
    tool.warm_up();
    for family in Family::BOTH {
        exchange(&[Flow::open(family, 6810)], 100);
        let held = Flow::open(family, hold::PORT);
        held.send(0);
        let truth = holder.hold(1, LATE)[0];
        held.receive();
        let late = Flow::open(family, 6811);
        late.send(0);
        let slept = sleep_once_readable(late.rx.as_fd(), LATE);
        late.receive();
        exchange(&[Flow::open(family, 6812)], 100);

        let shown = || tool.slow_packets();
        wait_until(PATIENCE, "both are shown", || {
            shown()
                .iter()
                .filter(|packet| is_of(packet, family))
                .count()
                == 2
        });
        let packets = shown();
        let of = |port: u16| {
            let mut found = packets.iter().filter(|packet| {
                let local: SocketAddr = text(packet, "local").parse().expect("an address");
                is_of(packet, family) && local.port() == port
            });
            let packet = found
                .next()
                .unwrap_or_else(|| panic!("{port}: {packets:?}"));
            assert!(found.next().is_none(), "{packets:?}");
            packet.clone()
        };
        for (port, flow) in [(hold::PORT, &held), (6811, &late)] {
            let packet = of(port);
            println!("{packet}");
            assert_eq!(packet["hook"], "udp-socket-read");
            let remote: SocketAddr = text(&packet, "remote").parse().expect("an address");
            assert_eq!(remote.port(), flow.tx.local_addr().expect("bound").port());
            assert_eq!(packet["owner"]["interface"], "eth0@right");
            let process = format!("kernel({})", std::process::id());
            assert_eq!(packet["owner"]["process"], process.as_str());
            assert_eq!(packet["queue_length"], 0);
        }
        let (packet, late) = (of(hold::PORT), LATE.as_nanos() as u64);
        // As the holder measured it.
        let (lo, hi) = truth.age;
        let at_udp = age(&packet, "udp-start") as i64;
        assert!((lo..=hi).contains(&at_udp), "{at_udp}: {truth:?}");
        assert!(age(&packet, "ip-start") < late / 4, "{packet}");
        let packet = of(6811);
        assert!(age(&packet, "udp-socket-enqueued") < late / 4, "{packet}");
        let age_ns = packet["age_ns"].as_u64().expect("a number");
        assert!(age_ns >= slept.as_nanos() as u64 / 16 * 15, "{packet}");
    }
    tool.finish();
}

/// At a hook where the datagram is noted for the next one, its interface is shown, also
/// if nobody else asks for it.
#[test]
fn a_limit_in_the_stack_shows_the_interface() {
    let hooks = ["-e", "ip-start,udp*", "-n", "right", "-r", "60s"];
    let limit = ["--slower-than", "udp-queue-rcv:1ns", "--slowest", "5"];
    let tool = Tool::start(&[&hooks[..], &limit[..]].concat());
    tool.warm_up();
    exchange(&[Flow::open(Family::V4, 6820)], 20);
    let run = tool.finish();
    let slow = run.total.slow.as_ref().expect("they are looked for");
    let packets = slow["packets"].as_array().expect("an array");
    assert_eq!(packets.len(), 5);
    for packet in packets {
        assert_eq!(packet["hook"], "udp-queue-rcv");
        assert_eq!(packet["owner"]["interface"], "eth0@right", "{packet}");
    }
}

fn is_of(packet: &Value, family: Family) -> bool {
    let local: SocketAddr = text(packet, "local").parse().expect("an address");
    local.is_ipv4() == (family == Family::V4)
}

/// A read of TCP has no packet: addresses and interface are those of the connection.
#[test]
fn a_late_read_of_tcp_is_shown() {
    let options = ["-r", "100ms", "-n", "right"];
    let limit = ["--slower-than", "tcp-socket-read:200ms", "--redact"];
    for hidden in [false, true] {
        let limit = &limit[..if hidden { 3 } else { 2 }];
        let tool = Tool::start(&[&options[..], limit].concat());
        tool.warm_up();
        let mut connection = Connection::over(Link::Wire.way(Family::V6, 6813));
        for sleeps in [false, true, false] {
            connection.tx.write_all(&[7; 100]).expect("write");
            if sleeps {
                sleep_once_readable(connection.rx.as_fd(), LATE);
            }
            connection.rx.read_exact(&mut [0; 100]).expect("read");
        }
        wait_until(PATIENCE, "it is shown", || tool.slow_packets().len() == 1);
        let packet = tool.slow_packets().remove(0);
        println!("{packet}");
        assert!(age(&packet, "tcp-socket-enqueued") < LATE.as_nanos() as u64 / 4);
        if hidden {
            assert!(packet["local"].is_null() && packet["remote"].is_null());
            assert_eq!(packet["owner"], json!({"interface": "eth0"}));
            let selection = tool.started().selection;
            let namespace = &selection["options"]["network-namespace"];
            assert_eq!(*namespace, json!(["[redacted]"]), "{selection}");
        } else {
            assert_eq!(packet["owner"]["interface"], "eth0@right");
            let from = connection.tx.local_addr().expect("bound").to_string();
            let to = connection.rx.local_addr().expect("bound").to_string();
            assert_eq!(
                (text(&packet, "remote"), text(&packet, "local")),
                (&*from, &*to)
            );
        }
        tool.finish();
    }
}

/// All packets are slow: memory is bounded, and each that was not looked at is
/// counted.
#[test]
fn more_slow_packets_than_are_looked_at() {
    // A million in `make test-all`.
    let n: u64 = if at_full_length() { 990_000 } else { 5000 };
    const FIRST: u64 = 5000;
    let flow = [Flow::over(Link::Loopback.way(Family::V4, 6814))];
    let options = ["-r", "10s", "-n", "right", "--local-port", "6814"];
    let tool = Tool::start_for_udp(&[&options[..], &["--slowest", "5"]].concat());
    tool.warm_up();
    exchange(&flow, FIRST);
    sleep(Duration::from_secs(2));
    let resident = tool.resident_kib();
    exchange(&flow, n);
    let grown = tool.resident_kib().saturating_sub(resident);
    let run = tool.finish();
    let slow = run.total.slow.as_ref().expect("they are looked for");
    println!("{} looked at, {} not", slow["seen"], slow["not_looked_at"]);
    println!("{resident} KiB resident, grown by {grown}");
    let number = |field: &str| slow[field].as_u64().expect("a number");
    assert_eq!(number("seen") + number("not_looked_at"), FIRST + n);
    assert!(number("not_looked_at") > 0);
    // The histograms of the last minute, 4 KiB each, and not 168 bytes of each packet.
    assert!(grown <= 1024, "{grown} KiB");
    let packets = slow["packets"].as_array().expect("an array");
    assert_eq!(packets.len(), 5);
    let ages: Vec<u64> = packets
        .iter()
        .map(|packet| packet["age_ns"].as_u64().expect("a number"))
        .collect();
    assert!(ages.is_sorted_by(|a, b| a >= b), "{ages:?}");
}

/// All packets are slow, second after second, and more than can be looked at. Then only
/// the slowest are, so a late one is never missed; and none is lost from the counts.
#[test]
fn among_very_many_the_slowest_are_still_found() {
    const ROUNDS: u64 = 4;
    let late = [Flow::over(Link::Loopback.way(Family::V4, 6816))];
    let options = [
        "-r",
        "1s",
        "-n",
        "right",
        "--udp",
        "--local-port",
        "6816-6817",
    ];
    let tool = Tool::start_for_udp(&[&options[..], &["--slowest", "3"]].concat());
    tool.warm_up();
    let (stop, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let flow = [Flow::over(Link::Loopback.way(Family::V4, 6817))];
            while !stop.load(Ordering::Relaxed) {
                exchange(&flow, 500);
                sent.fetch_add(500, Ordering::Relaxed);
            }
        });
        for _ in 0..ROUNDS {
            // By then the limit is above most of them.
            sleep(Duration::from_millis(2500));
            late[0].send(0);
            sleep_once_readable(late[0].rx.as_fd(), LATE);
            late[0].receive();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let run = tool.finish();
    let is_late = |packet: &&Value| text(packet, "local").ends_with(":6816");
    let shown = run.intervals.iter().map(|report| {
        let slow = report.slow.as_ref().expect("they are looked for");
        let packets = slow["packets"].as_array().expect("an array");
        packets.iter().filter(is_late).count() as u64
    });
    assert_eq!(shown.sum::<u64>(), ROUNDS);
    let slow = run.total.slow.as_ref().expect("they are looked for");
    let number = |field: &str| slow[field].as_u64().expect("a number");
    println!("{} looked at, {} not", slow["seen"], slow["not_looked_at"]);
    let all = sent.into_inner() + ROUNDS;
    assert_eq!(number("seen") + number("not_looked_at"), all);
    assert!(
        number("not_looked_at") > all / 10,
        "too few packets for this test"
    );
    // Second after second: the limit does not go up and down.
    let full = run.intervals.iter().skip(3).map(|report| {
        let slow = report.slow.as_ref().expect("they are looked for");
        (slow["seen"].as_u64(), slow["not_looked_at"].as_u64())
    });
    println!("seen, and not: {:?}", full.collect::<Vec<_>>());
}

/// How long the slowest hundredth was in a part of the way, in percent of its age:
/// the median.
fn median_percent(run: &Run, from: &str, to: &str) -> u64 {
    let slow = run.total.slow.as_ref().expect("they are looked for");
    let shares = slow["shares"].as_array().expect("an array");
    let mut shares = shares.iter();
    let of_hook = shares.find(|shares| shares["hook"] == "udp-socket-read");
    let of_hook = of_hook.unwrap_or_else(|| panic!("{slow}"));
    let parts = of_hook["parts"].as_array().expect("an array");
    println!("{of_hook}");
    let part = parts
        .iter()
        .find(|part| part["from"] == from && part["to"] == to);
    let part = part.unwrap_or_else(|| panic!("{from} -> {to}: {of_hook}"));
    part["median_percent"].as_u64().expect("a number")
}

/// How long a reader has waited for a CPU, as far as the tool has seen.
fn cpu_wait(run: &Run, reader: &Reader) -> Duration {
    let slow = run.total.slow.as_ref().expect("they are looked for");
    println!("{}", slow["cpu_waits_ns"]);
    let name = format!("dd({})", reader.pid());
    Duration::from_nanos(slow["cpu_waits_ns"][&name].as_u64().unwrap_or(0))
}

const SLOWEST: [&str; 6] = ["-r", "60s", "-n", "right", "--slowest", "5"];

/// A reader that is stopped, and one whose CPU another process has: the packets wait
/// in the same place, and the second one has waited for its CPU, too.
#[test]
fn the_slowest_waited_for_their_reader() {
    for (hinder, hogged) in [(stop as fn(&Reader), false), (hog, true)] {
        let reader = reader_on_the_second_cpu();
        let tool = Tool::start_for_udp(&SLOWEST);
        tool.warm_up();
        read_late(&reader, hinder);
        let run = tool.finish();
        println!("beside a hog: {hogged}");
        assert!(median_percent(&run, "udp-socket-enqueued", "udp-socket-read") >= 90);
        let waited = cpu_wait(&run, &reader);
        let enough = Duration::from_millis(100);
        assert_eq!(waited >= enough, hogged, "{waited:?}");
    }
}

#[test]
fn a_wrong_limit_is_a_usage_error() {
    let off = "tcp-start is not measured (not selected)";
    for (limit, words) in [
        ("no-such:1ms", "'no-such'"),
        ("soon", "'soon'"),
        ("tcp-start:1ms", off),
    ] {
        let done = command(&["--slower-than", limit, "-e", "udp*"]).output();
        let done = done.expect("netstacklat is in the guest");
        let text = String::from_utf8_lossy(&done.stderr);
        assert_eq!(done.status.code(), Some(2), "{text}");
        assert!(text.contains(words), "{text}");
    }
}
