// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is a read and what is not: peeks, and reads that waited for a segment
//! that the network had lost.

use std::io::Write as _;

use testlab::counters::Snmp;
use testlab::tcp::{Connection, Load};
use testlab::tool::Tool;
use testlab::udp::Flow;
use testlab::{Family, Undo, has_recvmsg_locked};

#[test]
fn a_peek_is_not_a_read() {
    const PEEKS: u64 = 3;
    let tool = Tool::start(&["-r", "1", "-e", "udp-socket-read,tcp-socket-read"]);
    let warm = tool.warm_up();
    let mut buffer = [0; 64];
    for (family, port) in Family::BOTH.into_iter().zip([7700, 7701]) {
        let flow = Flow::open(family, port);
        flow.send(1);
        (0..PEEKS).for_each(|_| assert_eq!(flow.rx.peek(&mut buffer).expect("peek"), 8));
        assert_eq!(flow.receive(), 1);

        let mut connection = Connection::open(family, port);
        connection.tx.write_all(b"data").expect("write");
        for _ in 0..PEEKS {
            assert_eq!(connection.rx.peek(&mut buffer).expect("peek"), 4);
        }
        let load = Load {
            writes: 0,
            size: 0,
            at_once: 64,
            urgent_every: 0,
        };
        assert_eq!(connection.transfer(load), 1);
    }
    let run = tool.finish();
    for (hook, reads, peeks_told) in [
        ("udp-socket-read", 2 + warm.with, true),
        ("tcp-socket-read", 2, has_recvmsg_locked()),
    ] {
        let counts = run.hook(hook);
        println!("{hook}: {}, {:?}", counts.count, counts.skipped);
        // Where they are not told, peeks count as reads: README.
        let (as_reads, as_peeks) = if peeks_told {
            (0, 2 * PEEKS)
        } else {
            (2 * PEEKS, 0)
        };
        assert_eq!(counts.count, reads + as_reads, "{hook}");
        assert_eq!(counts.skip("peek"), as_peeks, "{hook}");
    }
    assert_eq!(
        run.hook("tcp-socket-read").skip("no-data"),
        ends_of_streams()
    );
}

/// The end of each of the two streams, read as no data, where that is seen.
fn ends_of_streams() -> u64 {
    if has_recvmsg_locked() { 2 } else { 0 }
}

/// Each packet of the sender is on its way for 50 ms, also one that is sent
/// again; so data behind a lost segment waits in the receiver for longer than
/// that, and other data hardly at all.
#[test]
fn reads_that_waited_for_the_network() {
    const DELAY_NS: u64 = 50_000_000;
    let _netem = Undo::after(
        "modprobe sch_netem
         tc -n left qdisc replace dev eth0 root netem delay 50ms loss 2% limit 10000",
        "tc -n left qdisc replace dev eth0 root pfifo limit 100000",
    );
    let before = Snmp::read();
    let tool = Tool::start(&["-r", "1", "-e", super::out_of_order::IN_THE_SOCKET]);
    let reads: u64 = Family::BOTH
        .into_iter()
        .zip([7710, 7711])
        .map(|(family, port)| {
            Connection::open(family, port).transfer(Load {
                writes: 1500,
                size: 1000,
                at_once: 64 << 10,
                urgent_every: 0,
            })
        })
        .sum();
    let run = tool.finish();
    let lost = Snmp::read().since(&before, &["TcpExt.TCPOFOQueue"]);
    let counts = run.hook("tcp-socket-read");
    let blocked = counts.skip("hol-blocked");
    println!(
        "{lost} segments out of order; {reads} reads, {:?}, {:?}",
        counts.skipped, counts.buckets
    );
    assert!(
        lost > 0,
        "nothing came out of order: this has tested nothing"
    );
    assert!(blocked > 0 && counts.count > 0);
    assert_eq!(counts.count + blocked, reads);
    assert_eq!(counts.skip("no-data"), ends_of_streams());
    assert_eq!(counts.above(DELAY_NS), 0, "{:?}", counts.buckets);
}
