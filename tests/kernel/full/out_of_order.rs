// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Segments that arrive out of order, one by one and by chance: which hooks
//! they pass, and which reads have waited for them.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use testlab::counters::Snmp;
use testlab::lines::Run;
use testlab::tcp::{Connection, Load};
use testlab::tool::Tool;
use testlab::{Family, Undo, sh};

const ROUNDS: u64 = 2;
pub(super) const IN_THE_SOCKET: &str = "tcp-data-queue,tcp-socket-enqueued,tcp-socket-read";

/// The first segment of each round is on its way for a second, the second
/// overtakes it, the third follows when both are read.
#[test]
fn a_segment_overtakes_another() {
    const DELAY_NS: u64 = 1_000_000_000;
    // Nothing is sent again meanwhile: one duplicate acknowledgement is too few
    // without SACK, and the timeout is far away.
    let _slow = Undo::after(
        "modprobe sch_netem
         ip netns exec left sysctl -qw net.ipv4.tcp_sack=0
         ip -n left route add 10.0.0.2/32 dev eth0 rto_min 20s
         ip -n left route add fd00::2/128 dev eth0 rto_min 20s",
        "tc -n left qdisc replace dev eth0 root pfifo limit 100000
         ip -n left route del fd00::2/128 dev eth0
         ip -n left route del 10.0.0.2/32 dev eth0
         ip netns exec left sysctl -qw net.ipv4.tcp_sack=1",
    );
    let delay = |time| {
        sh(&format!(
            "tc -n left qdisc replace dev eth0 root netem delay {time}"
        ))
    };
    delay("0");
    let tool = Tool::start(&["-r", "1", "-e", IN_THE_SOCKET]);
    tool.warm_up();
    let mut connections = Family::BOTH.map(|family| Connection::open(family, 8200));
    // What opened them is not what is counted here.
    let before = Snmp::read();
    for _ in 0..ROUNDS {
        delay("1s");
        let sent = Instant::now();
        send(&mut connections);
        delay("0");
        send(&mut connections);
        read(&mut connections, 200);
        assert!(sent.elapsed() >= Duration::from_nanos(DELAY_NS));
        send(&mut connections);
        read(&mut connections, 100);
    }
    let after = Snmp::at_rest();
    let run = tool.finish();

    let each = 2 * ROUNDS;
    let since = |name: &str| after.since(&before, &[name]);
    assert_eq!(since("TcpExt.TCPOFOQueue"), each);
    assert_eq!(since("Tcp.RetransSegs"), 0);
    // Only the third may come by header prediction: it is off while something
    // is missing.
    let predicted = since("TcpExt.TCPHPHits");
    assert!(predicted <= each);
    let queued = run.hook("tcp-data-queue");
    assert_eq!(queued.count, 3 * each - predicted, "{:?}", queued.skipped);
    // What overtakes waits elsewhere, and gets into the queue without being
    // seen.
    assert_eq!(run.hook("tcp-socket-enqueued").count, 2 * each);
    let read = run.hook("tcp-socket-read");
    println!(
        "{} predicted; {:?}, {:?}",
        predicted, read.skipped, read.buckets
    );
    assert_eq!(read.skip("hol-blocked"), each, "{:?}", read.skipped);
    assert_eq!(read.count, each);
    assert_eq!(read.above(DELAY_NS / 2), 0);
}

fn send(connections: &mut [Connection]) {
    for connection in connections {
        connection.tx.write_all(&[7; 100]).expect("write");
    }
}

/// All that is there comes with one read.
fn read(connections: &mut [Connection], size: usize) {
    for connection in connections {
        assert_eq!(connection.rx.read(&mut [0; 4096]).expect("read"), size);
    }
}

#[test]
fn reordering() {
    // Nothing is sent again: without SACK that takes 300 duplicate
    // acknowledgements.
    let _netem = Undo::after(
        "modprobe sch_netem
         ip netns exec left sysctl -qw net.ipv4.tcp_sack=0 net.ipv4.tcp_reordering=300
         ip netns exec right ethtool -K eth0 gro off",
        "ip netns exec right ethtool -K eth0 gro on
         tc -n left qdisc replace dev eth0 root pfifo limit 100000
         ip netns exec left sysctl -qw net.ipv4.tcp_sack=1 net.ipv4.tcp_reordering=3",
    );
    let old = segments_add_up("delay 10ms reorder 25% 50%");
    assert_eq!(old, 0, "segments came twice");
}

#[test]
fn loss() {
    let _netem = Undo::after(
        "modprobe sch_netem
         ip netns exec right ethtool -K eth0 gro off",
        "ip netns exec right ethtool -K eth0 gro on
         tc -n left qdisc replace dev eth0 root pfifo limit 100000",
    );
    segments_add_up("delay 10ms loss 3%");
}

/// What is sent over two connections while netem does this; how many segments
/// may have come twice.
fn segments_add_up(netem: &str) -> u64 {
    let before = Snmp::read();
    let tool = Tool::start(&["-r", "1", "-e", IN_THE_SOCKET]);
    // Before: it takes a lost datagram for a failure.
    tool.warm_up();
    sh(&format!(
        "tc -n left qdisc replace dev eth0 root netem {netem} limit 10000"
    ));
    let mut reads = 0;
    for (family, port) in Family::BOTH.into_iter().zip([8210, 8211]) {
        reads += Connection::open(family, port).transfer(Load {
            writes: 1000,
            size: 1000,
            at_once: 64 << 10,
            urgent_every: 0,
        });
    }
    let after = Snmp::at_rest();
    let run = tool.finish();

    let late = after.since(&before, &["TcpExt.TCPOFOQueue"]);
    assert!(late > 10, "only {late}: this has tested nothing");
    let old = queue_adds_up(&run, &before, &after);
    let read = run.hook("tcp-socket-read");
    println!("{reads} reads: {}, {:?}", read.count, read.skipped);
    let blocked = read.skip("hol-blocked");
    assert!(blocked > 0);
    // What the kernel has left out may have been the end of a stream.
    let seen = read.count + blocked;
    assert!(
        (seen..=seen + read.missed).contains(&reads),
        "{seen}, missed {}",
        read.missed
    );
    old
}

/// Every segment with data, or with the end of the data, is either foretold by
/// its header or comes to `tcp-data-queue`, and is enqueued or out of order, or
/// may be known already: the kernel counts at most so many, which are returned.
/// (Those of them that lie before the window, or have an old timestamp, do not
/// come as far.)
pub(super) fn queue_adds_up(run: &Run, before: &Snmp, after: &Snmp) -> u64 {
    let since = |name: &str| after.since(before, &[&format!("TcpExt.{name}")]);
    let [predicted, late, old] = ["TCPHPHits", "TCPOFOQueue", "DelayedACKLost"].map(since);
    for name in ["TCPOFODrop", "TCPRcvQDrop", "TCPZeroWindowDrop"] {
        assert_eq!(since(name), 0, "{name}");
    }
    let [queued, enqueued] = ["tcp-data-queue", "tcp-socket-enqueued"].map(|hook| {
        let counts = run.hook(hook);
        println!(
            "{hook}: {}, {:?}, missed {}",
            counts.count, counts.skipped, counts.missed
        );
        counts
    });
    println!("{predicted} predicted, {late} out of order, at most {old} old");
    let arrived = queued.count + predicted;
    let placed = enqueued.count + enqueued.missed + late;
    // What the kernel has left out may have been segments without data.
    assert!(
        placed <= arrived + queued.missed && arrived <= placed + old,
        "{arrived} segments have arrived, {placed} are somewhere"
    );
    old
}
