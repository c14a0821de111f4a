// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Ways to read other than one read for what has come: several, one for many,
//! late, and such as the read hooks do not see: docs/what-is-counted.md.

use std::io::Write as _;
use std::net::Shutdown;
use std::os::fd::AsRawFd as _;
use std::thread::sleep;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimestampns;

use super::out_of_order::queue_adds_up;
use testlab::clock::real_ns;
use testlab::counters::Snmp;
use testlab::lines::Counts;
use testlab::links::{Link, segments_are_sent_once};
use testlab::tcp::{Connection, Load};
use testlab::tcp_reads::{Read, mptcp, read_stamped, readable, splice_to_the_end, wake_at};
use testlab::tool::Tool;
use testlab::udp::Flow;
use testlab::{Family, PATIENCE, linux_from};

const TCP_QUEUE_AND_READ: &str = "tcp-data-queue,tcp-socket-enqueued,tcp-socket-read";
/// The clocks of two CPUs may differ by this (NETSTACKLAT_CLOCK_LAG_NS).
const LAG_NS: i64 = 10_000;

fn stamped_connection(family: Family, port: u16) -> Connection {
    let connection = Connection::open(family, port);
    setsockopt(&connection.rx, ReceiveTimestampns, &true).expect("SO_TIMESTAMPNS");
    connection
}

/// The samples are these reads. Which is which they do not say; but if each
/// lies between the bounds of its read, then the shortest lies between the
/// lowest bounds, the next between the next, and so on.
fn are(counts: &Counts, reads: Vec<Read>) {
    println!("{:?}, {:?}: {reads:?}", counts.buckets, counts.skipped);
    assert_eq!(counts.count, reads.len() as u64);
    let sorted = |of: fn(&Read) -> i64| {
        let mut ages: Vec<_> = reads.iter().map(of).collect();
        ages.sort_unstable();
        ages
    };
    let bounds = sorted(|read| read.least_age).into_iter();
    let bounds = bounds.zip(sorted(|read| read.most_age));
    let samples = counts.buckets.iter();
    let samples = samples.flat_map(|(bucket, count)| (0..*count).map(move |_| *bucket));
    for ((lo, hi), (least, most)) in samples.zip(bounds) {
        assert!(
            hi as i64 >= least - LAG_NS && lo as i64 <= most + LAG_NS,
            "({lo}, {hi}] for {least} to {most}"
        );
    }
}

/// One segment, five reads: five samples, from the same stamp.
#[test]
fn a_segment_in_small_reads() {
    const READS: usize = 5;
    let tool = Tool::start(&["-r", "1", "-e", TCP_QUEUE_AND_READ]);
    tool.warm_up();
    let mut connections = Family::BOTH.map(|family| stamped_connection(family, 8300));
    let mut reads = Vec::new();
    for connection in &mut connections {
        connection.tx.write_all(&[7; 200 * READS]).expect("write");
        let mut of_segment = Vec::new();
        for _ in 0..READS {
            sleep(Duration::from_millis(60));
            of_segment.push(read_stamped(&connection.rx, 200));
        }
        assert!(of_segment.iter().all(|read| read.bytes == 200));
        assert!(
            of_segment
                .iter()
                .all(|read| read.stamp == of_segment[0].stamp)
        );
        reads.extend(of_segment);
    }
    let run = tool.finish();
    assert_eq!(run.hook("tcp-socket-enqueued").count, 2);
    are(&run.hook("tcp-socket-read"), reads);
}

/// A reader that is told of data only when there are 200 bytes: the first half
/// has waited for the second, and the sample is the second's.
#[test]
fn a_reader_woken_late() {
    const WAIT: Duration = Duration::from_millis(400);
    let tool = Tool::start(&["-r", "1", "-e", TCP_QUEUE_AND_READ]);
    tool.warm_up();
    let mut connections = Family::BOTH.map(|family| stamped_connection(family, 8310));
    let mut reads = Vec::new();
    for Connection { tx, rx } in &mut connections {
        wake_at(rx, 200);
        tx.write_all(&[7; 100]).expect("write");
        assert!(!readable(rx, WAIT), "the kernel tells of half");
        let second = real_ns();
        tx.write_all(&[7; 100]).expect("write");
        assert!(readable(rx, PATIENCE));
        let read = read_stamped(rx, 4096);
        assert_eq!(read.bytes, 200);
        assert!(read.stamp >= second - LAG_NS, "{read:?}");
        reads.push(read);
    }
    let run = tool.finish();
    assert_eq!(run.hook("tcp-socket-enqueued").count, 4);
    are(&run.hook("tcp-socket-read"), reads);
}

/// Many datagrams for one call are so many reads.
#[test]
fn recvmmsg() {
    const N: usize = 50;
    let tool = Tool::start(&["-r", "1", "-e", "udp-socket-enqueued,udp-socket-read"]);
    let warm = tool.warm_up();
    for family in Family::BOTH {
        let flow = Flow::open(family, 8320);
        (0..N as u64).for_each(|number| flow.send(number));
        let mut buffers = [[0u8; 8]; N];
        let mut parts = buffers.each_mut().map(|buffer| libc::iovec {
            iov_base: buffer.as_mut_ptr().cast(),
            iov_len: buffer.len(),
        });
        let mut messages = parts.each_mut().map(|part| {
            // SAFETY: all zeros is an empty message.
            let mut message: libc::mmsghdr = unsafe { std::mem::zeroed() };
            message.msg_hdr.msg_iov = part;
            message.msg_hdr.msg_iovlen = 1;
            message
        });
        let (fd, all) = (flow.rx.as_raw_fd(), messages.as_mut_ptr());
        // Waits until all are there.
        // SAFETY: N messages, each with a buffer of its own that outlives it.
        let received = unsafe { libc::recvmmsg(fd, all, N as u32, 0, std::ptr::null_mut()) };
        assert_eq!(Errno::result(received), Ok(N as i32));
    }
    let run = tool.finish();
    let all = 2 * N as u64 + warm.with;
    for hook in ["udp-socket-enqueued", "udp-socket-read"] {
        let counts = run.hook(hook);
        println!(
            "{hook}: {}, {:?}, missed {}",
            counts.count, counts.skipped, counts.missed
        );
        assert_eq!(counts.count, all, "{:?}", counts.skipped);
    }
}

/// splice(2) hands no data to user space: the hooks in the stack see what it
/// moves, the read hook does not.
#[test]
fn splice() {
    const BYTES: usize = 200_000;
    let _once = segments_are_sent_once();
    let before = Snmp::read();
    let tool = Tool::start(&["-r", "1", "-e", TCP_QUEUE_AND_READ]);
    tool.warm_up();
    for family in Family::BOTH {
        let Connection { mut tx, rx } = Connection::open(family, 8330);
        let (calls, bytes) = std::thread::scope(|scope| {
            let reader = scope.spawn(|| splice_to_the_end(&rx));
            tx.write_all(&vec![7; BYTES]).expect("write");
            tx.shutdown(Shutdown::Write).expect("shutdown");
            reader.join().expect("the reader")
        });
        println!("{calls} calls");
        assert_eq!(bytes, BYTES);
    }
    let after = Snmp::at_rest();
    let run = tool.finish();
    assert_eq!(run.hook("tcp-socket-read").runs(), 0);
    assert_eq!(queue_adds_up(&run, &before, &after), 0);
}

/// MPTCP's sockets read in their own way, which the read hook does not see, out
/// of connections that are TCP's to every hook before. A server's socket is
/// TCP's if the client is; a client's stays MPTCP's.
#[test]
fn multipath() {
    let before = Snmp::read();
    let tool = Tool::start(&["-r", "1", "-e", TCP_QUEUE_AND_READ]);
    tool.warm_up();
    let mut seen = 0;
    for family in Family::BOTH {
        let both = mptcp(Link::Wire.way(family, 8340), true, true);
        if !linux_from(6, 1) {
            // Debian's 5.10 has none.
            assert_eq!(both.err(), Some(Errno::EPROTONOSUPPORT));
            continue;
        }
        let load = Load {
            writes: 200,
            size: 600,
            at_once: 4096,
            urgent_every: 0,
        };
        assert!(both.expect("MPTCP").transfer(load) > 0);
        let server = mptcp(Link::Wire.way(family, 8341), false, true);
        seen += server.expect("MPTCP").transfer(load);
        let client = mptcp(Link::Wire.way(family, 8342), true, false);
        let Connection { tx: rx, rx: tx } = client.expect("MPTCP");
        assert!(Connection { tx, rx }.transfer(load) > 0);
    }
    let after = Snmp::at_rest();
    let run = tool.finish();
    if linux_from(6, 1) {
        assert_eq!(after.since(&before, &["MPTcpExt.MPCapableSYNRX"]), 2);
    }
    let read = run.hook("tcp-socket-read");
    println!("{}, {:?}, missed {}", read.count, read.skipped, read.missed);
    assert!((read.count..=read.count + read.missed).contains(&seen));
    assert_eq!(queue_adds_up(&run, &before, &after), 0);
}
