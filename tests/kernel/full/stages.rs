// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Stages: each packet's time from one hook to the next. Packets are held for known
//! times at known places, and each of these times must be in its stage and in no
//! other.

use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::socket::sockopt::{ReuseAddr, UdpGsoSegment};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket};
use testlab::counters::Snmp;
use testlab::hold::{self, Holder};
use testlab::hooks::hooks_of;
use testlab::lines::{Counts, Run};
use testlab::links::Link;
use testlab::receive::sleep_once_readable;
use testlab::slow_page::SlowPage;
use testlab::tcp::{Connection, Load};
use testlab::tool::Tool;
use testlab::udp::{Flow, exchange};
use testlab::{Family, Ns, linux_from};

use super::exact::{receive_on_both_cpus, settled_with_every_run};

/// Longer than anything else that happens to a packet here.
const HELD: Duration = Duration::from_millis(300);

/// A packet that was recorded at a hook came there by a stage, or is counted as one
/// without; at the first hook of its path it begins.
fn all_are_accounted_for(run: &Run) {
    for line in run.total.of_all() {
        let mut counts = Counts::default();
        counts.add(line);
        println!(
            "{}: {} recorded; stages {:?}; without {:?}",
            line.hook,
            counts.count,
            counts
                .stages
                .iter()
                .map(|(from, times)| (from.as_str(), times.count))
                .collect::<Vec<_>>(),
            counts.stageless
        );
        if line.hook != "ip-start" {
            assert_eq!(counts.staged(), counts.count, "{}", line.hook);
        }
    }
}

/// The times of a stage.
fn stage(run: &Run, from: &str, to: &str) -> Counts {
    run.hook(to).stage(from)
}

/// The stages of a run, with those packets that were in them for `held` or longer.
fn slow_stages(run: &Run, held: Duration) -> Vec<(String, String, u64)> {
    let ns = held.as_nanos() as u64;
    let lines = run.total.of_all();
    let stages = lines.flat_map(|line| {
        let mut counts = Counts::default();
        counts.add(line);
        let to = line.hook.clone();
        counts
            .stages
            .into_iter()
            .map(move |(from, times)| (from, to.clone(), times.above(ns)))
    });
    stages.filter(|(_, _, slow)| *slow > 0).collect()
}

/// Each datagram and segment over the wire has each stage of its path, once.
#[test]
fn each_packet_has_each_stage() {
    const N: u64 = 200;
    let tool = Tool::start(&["-r", "100ms", "-n", "right", "--stages"]);
    let warm = tool.warm_up();
    for (family, port) in Family::BOTH.into_iter().zip([6800, 6801]) {
        exchange(&[Flow::open(family, port)], N);
        let load = Load {
            writes: 50,
            size: 1000,
            at_once: 100_000,
            urgent_every: 0,
        };
        Connection::open(family, port).transfer(load);
    }
    // Or the last acknowledgement comes while the counters are read.
    Snmp::at_rest();
    let run = tool.finish();
    all_are_accounted_for(&run);
    let path_of = |protocol: &str| -> Vec<&str> {
        let hooks = hooks_of(protocol).into_iter().map(|hook| hook.name());
        ["ip-start"].into_iter().chain(hooks).collect()
    };
    let path = path_of("UDP");
    // Of the warm-up, those with a timestamp.
    let all = 2 * N + warm.with;
    for pair in path.windows(2) {
        let counts = run.hook(pair[1]);
        // Of 256 that wait at once, one in 64 meets another one in its place.
        let lost = counts.stageless("note-lost");
        // A reader can be faster than the end of the function that enqueues.
        let early = match pair[1] {
            "udp-socket-read" => counts.stage("udp-queue-rcv").count,
            _ => 0,
        };
        assert_eq!(counts.stage(pair[0]).count + early + lost, all, "{pair:?}");
        assert!(early <= all / 10, "{pair:?}: {early}");
        assert!(lost <= all / 10, "{pair:?}: {lost}");
    }
    let path = path_of("TCP");
    for pair in path.windows(2) {
        let hook = pair[1];
        let counts = run.hook(hook);
        // Header prediction skips tcp-data-queue.
        let from_the_one_before = counts.stage(pair[0]).count > 0;
        assert!(
            from_the_one_before || hook == "tcp-socket-enqueued",
            "{pair:?}"
        );
        let lost = counts.stageless("note-lost");
        assert!(lost <= counts.count / 10, "{hook}: {lost}");
        assert_eq!(counts.stageless("same-timestamp"), 0, "{hook}");
        assert_eq!(counts.stageless("begun"), 0, "{hook}");
        // None comes from behind, nor from another path.
        let before = &path[..path.iter().position(|it| *it == hook).expect("it is there")];
        for from in counts.stages.keys() {
            assert!(before.contains(&from.as_str()), "{from} -> {hook}");
        }
    }
}

/// Netfilter holds packets between IP and their socket; a reader comes late. Each
/// time is in its own stage, and the age at the read is the sum of both.
#[test]
fn a_delay_is_in_its_stage_and_in_no_other() {
    const LATE: Duration = Duration::from_millis(700);
    let mut holder = Holder::start();
    let tool = Tool::start_for_udp(&["-r", "100ms", "-n", "right", "--stages"]);
    tool.warm_up();
    let flow = Flow::open(Family::V4, hold::PORT);
    const PACKETS: u64 = 5;
    let mut held = Vec::new();
    for number in 0..PACKETS {
        flow.send(number);
        held.extend(holder.hold(1, HELD));
        let slept = sleep_once_readable(flow.rx.as_fd(), LATE);
        assert!(slept >= LATE);
        flow.receive();
    }
    let run = tool.finish();
    all_are_accounted_for(&run);
    let slow = slow_stages(&run, Duration::from_millis(150));
    let expected = [
        ("ip-start", "udp-start", PACKETS),
        ("udp-socket-enqueued", "udp-socket-read", PACKETS),
    ];
    let expected = expected.map(|(from, to, n)| (from.to_owned(), to.to_owned(), n));
    assert_eq!(slow, expected);
    // As the holder measured it: from the timestamp to the release. ip-start comes
    // some time behind the timestamp.
    let longest = held.iter().map(|held| held.age.1).max().expect("five") as u64;
    let netfilter = stage(&run, "ip-start", "udp-start");
    assert_eq!(netfilter.at_or_below(longest).1, netfilter.count);
    let waiting = stage(&run, "udp-socket-enqueued", "udp-socket-read");
    assert_eq!(waiting.above(LATE.as_nanos() as u64 * 15 / 16), PACKETS);
    let ages = run.hook("udp-socket-read");
    assert!(ages.above((HELD + LATE).as_nanos() as u64 * 15 / 16) >= PACKETS);
}

/// A task owns the socket while a segment comes, which waits in the backlog. The task
/// reads into memory that is not there yet.
#[test]
fn a_wait_in_the_backlog_is_in_its_stage() {
    const ROUNDS: u64 = 3;
    let tool = Tool::start_for_tcp(&["-r", "100ms", "-n", "right", "--stages"]);
    tool.warm_up();
    let Connection { mut tx, mut rx } = Connection::open(Family::V4, 6807);
    for _ in 0..ROUNDS {
        let page = SlowPage::missing();
        std::thread::scope(|scope| {
            tx.write_all(&[7]).expect("write");
            let reader = scope.spawn(|| page.receive(&rx));
            page.wait_until_touched();
            tx.write_all(&[8]).expect("write");
            sleep(HELD);
            page.fill();
            reader.join().expect("the reader");
        });
        rx.read_exact(&mut [0]).expect("read");
    }
    let run = tool.finish();
    all_are_accounted_for(&run);
    let slow = slow_stages(&run, Duration::from_millis(150));
    let expected = [
        ("tcp-start", "tcp-do-rcv", ROUNDS),
        // The segment of which the reader copies the data meanwhile.
        ("tcp-socket-enqueued", "tcp-socket-read", ROUNDS),
    ];
    let expected = expected.map(|(from, to, n)| (from.to_owned(), to.to_owned(), n));
    assert_eq!(slow, expected);
}

/// Segments are in the queue of a socket that nobody reads from.
#[test]
fn a_wait_of_tcp_is_in_its_stage() {
    const LATE: Duration = Duration::from_millis(200);
    let tool = Tool::start_for_tcp(&["-r", "100ms", "-n", "right", "--stages"]);
    tool.warm_up();
    let mut connection = Connection::open(Family::V4, 6802);
    const READS: u64 = 4;
    for _ in 0..READS {
        connection.tx.write_all(&[7; 500]).expect("write");
        let slept = sleep_once_readable(connection.rx.as_fd(), LATE);
        assert!(slept >= LATE);
        connection.rx.read_exact(&mut [0; 500]).expect("read");
    }
    let run = tool.finish();
    all_are_accounted_for(&run);
    let slow = slow_stages(&run, Duration::from_millis(150));
    let read = "tcp-socket-read".to_owned();
    assert_eq!(slow, [("tcp-socket-enqueued".to_owned(), read, READS)]);
}

/// More packets wait than there are notes. Those that have lost theirs are counted,
/// and no stage holds a time that is another packet's: all have waited as long.
#[test]
fn lost_notes_are_counted_and_never_guessed() {
    const PACKETS: u64 = 3000;
    const NOTES: &str = "1024";
    let options = ["-r", "100ms", "-n", "right", "--notes", NOTES];
    let tool = Tool::start_for_udp(&[&options[..], &["--local-port", "6803"]].concat());
    tool.warm_up();
    let flow = Flow::over(Link::Loopback.way(Family::V4, 6803));
    let begun = Instant::now();
    for number in 0..PACKETS {
        flow.send(number);
    }
    let sending = begun.elapsed();
    sleep(HELD);
    let last_sent = Instant::now();
    for _ in 0..PACKETS {
        flow.receive();
    }
    let reading = last_sent.elapsed();
    let run = tool.finish();
    all_are_accounted_for(&run);
    let read = run.hook("udp-socket-read");
    let (found, lost) = (
        read.stage("udp-socket-enqueued").count,
        read.stageless("note-lost"),
    );
    println!("sent in {sending:?}, read in {reading:?}: {found} notes found, {lost} lost");
    assert_eq!(found + lost, PACKETS);
    assert!((1..=1024).contains(&found), "{found}");
    // Not one was shorter than the wait, nor longer than all of it.
    let waiting = read.stage("udp-socket-enqueued");
    let all = (sending + HELD + reading).as_nanos() as u64;
    assert_eq!(waiting.above(HELD.as_nanos() as u64 * 15 / 16), found);
    assert_eq!(waiting.at_or_below(all).1, found);
    // Before the queue nothing waits, so nothing is lost.
    for hook in ["udp-start", "udp-queue-rcv", "udp-socket-enqueued"] {
        assert_eq!(run.hook(hook).stageless("note-lost"), 0, "{hook}");
    }
}

/// Both CPUs write notes to a table in which they meet all the time. Each packet is
/// accounted for, and no stage is longer than the oldest packet at its end: a note that
/// was taken for another packet's, or torn, would be.
#[test]
fn notes_of_two_cpus_are_never_mixed_up() {
    const N: u64 = 20_000;
    let _rps = receive_on_both_cpus();
    let options = ["-r", "100ms", "-n", "right", "--notes", "1024"];
    let tool = Tool::start(&options);
    tool.warm_up();
    std::thread::scope(|scope| {
        for (family, port) in Family::BOTH.into_iter().zip([6820, 6860]) {
            let flows = Flow::several(family, port..port + 32);
            scope.spawn(move || exchange(&flows, N));
        }
    });
    settled_with_every_run(&tool);
    let run = tool.finish();
    all_are_accounted_for(&run);
    let mut met = 0;
    for line in run.total.of_all() {
        let mut counts = Counts::default();
        counts.add(line);
        let oldest = line.max_le_ns.unwrap_or(0);
        for (from, times) in &counts.stages {
            assert_eq!(times.above(oldest), 0, "{from} -> {}", line.hook);
        }
        met += counts.stageless("note-lost");
    }
    // With 512 packets on their way, every second note meets another one.
    println!("{met} notes were overwritten");
    assert!(met > 0);
}

/// A datagram to a multicast group is copied for each socket: the copies have one
/// timestamp, and no stages from where they are several.
#[test]
fn copies_with_the_same_timestamp_are_left_out() {
    const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
    const PORT: u16 = 6806;
    let receiver = || {
        Ns::Right.run(|| {
            let (family, kind) = (AddressFamily::Inet, SockType::Datagram);
            let made = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).expect("socket");
            setsockopt(&made, ReuseAddr, &true).expect("SO_REUSEADDR");
            let at = SockaddrIn::from(SocketAddrV4::new(GROUP, PORT));
            bind(made.as_raw_fd(), &at).expect("bind");
            let made = UdpSocket::from(made);
            made.join_multicast_v4(&GROUP, &Ipv4Addr::LOCALHOST)
                .expect("IP_ADD_MEMBERSHIP");
            made
        })
    };
    let receivers = [receiver(), receiver()];
    let tx = Ns::Right.run(|| UdpSocket::bind("127.0.0.1:0").expect("bind"));
    let options = ["-r", "10s", "-n", "right", "--slowest", "20"];
    let tool = Tool::start_for_udp(&[&options[..], &["--local-port", "6806"]].concat());
    tool.warm_up();
    const SENT: u64 = 5;
    for _ in 0..SENT {
        tx.send_to(&[7; 8], (GROUP, PORT)).expect("send");
        for rx in &receivers {
            assert_eq!(rx.recv(&mut [0; 8]).expect("recv"), 8);
        }
    }
    let run = tool.finish();
    all_are_accounted_for(&run);
    assert_eq!(stage(&run, "ip-start", "udp-start").count, SENT);
    let queued = run.hook("udp-queue-rcv");
    assert_eq!(queued.count, 2 * SENT);
    // The first copy does not know yet that another follows.
    assert_eq!(queued.stage("udp-start").count, SENT);
    assert_eq!(queued.stageless("same-timestamp"), SENT);
    let read = run.hook("udp-socket-read");
    assert_eq!(read.stageless("same-timestamp"), 2 * SENT);
    // Nor is the way of one shown as that of the other.
    let slow = run.total.slow.as_ref().expect("they are looked for");
    let packets = slow["packets"].as_array().expect("an array");
    assert_eq!(packets.len() as u64, 2 * SENT);
    for packet in packets {
        let passed = packet["passed"].as_array().expect("an array");
        assert!(passed.is_empty(), "{packet}");
    }
}

/// A large datagram is cut on this host: its pieces have one timestamp. (5.10 cuts it
/// before it gets one.)
#[test]
fn pieces_with_the_same_timestamp_are_left_out() {
    const PIECES: u64 = 10;
    let flow = Flow::over(Link::Loopback.way(Family::V4, 6804));
    setsockopt(&flow.tx, UdpGsoSegment, &100).expect("UDP_SEGMENT");
    let options = ["-r", "100ms", "-n", "right", "--stages"];
    let tool = Tool::start_for_udp(&[&options[..], &["--local-port", "6804"]].concat());
    tool.warm_up();
    const SENT: u64 = 5;
    for _ in 0..SENT {
        let sent = flow.tx.send(&[7; 1000]).expect("send");
        assert_eq!(sent, 1000);
        for _ in 0..PIECES {
            assert_eq!(flow.rx.recv(&mut [0; 100]).expect("recv"), 100);
        }
    }
    let run = tool.finish();
    all_are_accounted_for(&run);
    assert_eq!(stage(&run, "ip-start", "udp-start").count, SENT);
    let queued = run.hook("udp-queue-rcv");
    assert_eq!(queued.count, SENT * PIECES);
    assert_eq!(queued.stage("udp-start").count, SENT);
    assert_eq!(queued.stageless("same-timestamp"), SENT * (PIECES - 1));
    let read = run.hook("udp-socket-read");
    assert_eq!(read.stageless("same-timestamp"), SENT * PIECES);
}

/// From 5.18 on, TCP over loopback gets its timestamp at local delivery, and begins
/// there.
#[test]
fn packets_that_are_restamped_begin_at_tcp() {
    let options = ["-r", "100ms", "-n", "right", "--stages"];
    let tool = Tool::start_for_tcp(&[&options[..], &["--port", "6805"]].concat());
    tool.warm_up();
    let way = Link::Loopback.way(Family::V4, 6805);
    let Connection { mut tx, mut rx } = Connection::over(way);
    for _ in 0..50 {
        tx.write_all(&[7; 300]).expect("write");
        rx.read_exact(&mut [0; 300]).expect("read");
    }
    let run = tool.finish();
    all_are_accounted_for(&run);
    let (ip, start) = (run.hook("ip-start"), run.hook("tcp-start"));
    let begun = start.stageless("begun");
    if linux_from(5, 18) {
        assert_eq!(begun, ip.skip("tx-timestamp"));
        assert_eq!(begun, start.count);
    } else {
        assert_eq!(begun, 0);
        assert_eq!(start.stage("ip-start").count, start.count);
    }
    // SYN-ACKs and what follows of them: the sender's socket is here, too.
    let read = run.hook("tcp-socket-read");
    assert_eq!(read.stage("tcp-socket-enqueued").count, 50);
}

#[test]
fn stages_of_groups_are_refused_with_their_size() {
    let mut command = testlab::tool::command(&["--stages", "--by", "process"]);
    let done = command.output().expect("netstacklat is in the guest");
    let text = String::from_utf8_lossy(&done.stderr);
    assert_eq!(done.status.code(), Some(2), "{text}");
    assert!(text.contains("--by") && text.contains("MiB"), "{text}");
}
