// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Short of memory, the kernel copies the receive queue of a socket, without timestamps:
//! the reads of these segments are the late ones, and of unknown age.

use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::socket::sockopt::{RcvBuf, ReceiveTimestampns};
use nix::sys::socket::{MsgFlags, setsockopt};
use testlab::clock::real_ns;
use testlab::counters::Snmp;
use testlab::receive::receive;
use testlab::tcp::Connection;
use testlab::tool::Tool;
use testlab::{Family, linux_from};

const PORT: u16 = 6970;
const WRITES: u64 = 1500;
const SIZE: usize = 40;

/// A reader that stops, with little room. The ages of what it reads, ns, where the kernel
/// gives the reader a timestamp.
fn late_reads() -> Vec<Option<i64>> {
    let Connection { mut tx, rx } = Connection::open(Family::V4, PORT);
    setsockopt(&rx, RcvBuf, &20_000).expect("SO_RCVBUF");
    setsockopt(&rx, ReceiveTimestampns, &true).expect("SO_TIMESTAMPNS");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            for _ in 0..WRITES {
                tx.write_all(&[7; SIZE]).expect("write");
                sleep(Duration::from_millis(1));
            }
        });
        sleep(Duration::from_secs(3));
        let mut reads = Vec::new();
        for _ in 0..WRITES {
            let mut data = [0; SIZE];
            let received = receive(rx.as_fd(), &mut data, MsgFlags::MSG_WAITALL);
            let received = received.expect("a read");
            assert_eq!(received.bytes, SIZE);
            reads.push(received.stamp.map(|stamp| real_ns() - stamp));
        }
        reads
    })
}

#[test]
fn late_reads_of_unknown_age_are_counted_and_ranked() {
    let tool = Tool::start_for_tcp(&["-r", "1s", "-e", "tcp-socket-read"]);
    tool.warm_up();
    let before = Snmp::read();
    let reads = late_reads();
    let collapsed = Snmp::read().since(&before, &["TcpExt.TCPRcvCollapsed"]);
    let run = tool.finish();
    let counts = run.hook("tcp-socket-read");
    let unstamped = reads.iter().filter(|age| age.is_none()).count() as u64;
    println!(
        "TCPRcvCollapsed {collapsed}, {unstamped} reads without a timestamp; counted {} {:?}",
        counts.count, counts.skipped
    );
    assert!(collapsed > 0);
    assert_eq!(counts.skip("collapsed"), unstamped);
    assert_eq!(counts.skip("no-timestamp"), 0);
    assert_eq!(counts.count + unstamped, WRITES);
    if linux_from(6, 1) {
        assert!(unstamped > WRITES / 10);
    }
    // Those without are the late ones: they have the highest ranks.
    let mut ages: Vec<_> = reads.iter().flatten().map(|age| *age as u64).collect();
    ages.sort_unstable();
    let line = run
        .total
        .of_all()
        .find(|line| line.hook == "tcp-socket-read");
    let quantiles = &line.expect("it measures").quantiles_ns;
    for (name, percent) in [("p50", 50), ("p90", 90), ("p99", 99)] {
        let rank = WRITES * percent / 100;
        let exact = ages.get(rank as usize - 1);
        println!("{name}: {:?} shown, {exact:?}", quantiles[name]);
        match (quantiles[name], exact) {
            (None, None) => {}
            (Some(shown), Some(exact)) => {
                let slack = 1_000_000 + exact / 20;
                assert!(exact.abs_diff(shown) <= slack, "{name}");
            }
            (shown, exact) => panic!("{name}: {shown:?}, not {exact:?}"),
        }
    }
}
