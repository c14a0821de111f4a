// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Steady UDP and TCP traffic whose receiver notes for each packet the stamp
//! that it came with, and when it was read.

use std::io::Write as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::sockopt::ReceiveTimestampns;
use nix::sys::socket::{MsgFlags, setsockopt};

use crate::clock::mono_ns;
use crate::receive::receive;
use crate::tcp::Connection;
use crate::timeline::Read;
use crate::udp::Flow;
use crate::{Family, PATIENCE, Waiting, wait_until};

const SEND_EVERY: Duration = Duration::from_millis(4);
const READ_EVERY: Duration = Duration::from_millis(8);
/// Time for packets to queue before the clock is set, and after it. More than
/// the smallest step, so that a sample that is off by it looks plausible.
const QUEUE: Duration = Duration::from_millis(35);
/// So many at least.
const QUEUED: usize = 20;
const SIZE: usize = 500;

/// All that was read.
#[derive(Default)]
pub struct Reads {
    pub udp: Vec<Read>,
    pub tcp: Vec<Read>,
}

/// Traffic from left to right over both IP versions, which nothing else may
/// add to while it lasts.
pub struct GroundTruth {
    shared: Arc<Shared>,
    sender: Option<JoinHandle<()>>,
    reader: Option<JoinHandle<Reads>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    all_sent: AtomicBool,
    /// Nothing is to be read.
    hold: AtomicBool,
    /// Nothing is, and what has come since then is still to be read.
    held: AtomicBool,
    /// Nothing is sent over TCP.
    tcp_rests: AtomicBool,
    datagrams: AtomicUsize,
    segments: AtomicUsize,
}

impl GroundTruth {
    pub fn start(port: u16) -> GroundTruth {
        let flows = Family::BOTH.map(|family| Flow::open(family, port).with_stamps());
        let connections = Family::BOTH.map(|family| Connection::open(family, port));
        for connection in &connections {
            setsockopt(&connection.rx, ReceiveTimestampns, &true).expect("SO_TIMESTAMPNS");
        }
        let shared = Arc::<Shared>::default();
        let (sending, reading) = (Arc::clone(&shared), Arc::clone(&shared));
        let [udp_v4, udp_v6] = flows;
        let (udp_tx, udp_rx) = ([udp_v4.tx, udp_v6.tx], [udp_v4.rx, udp_v6.rx]);
        let [tcp_v4, tcp_v6] = connections;
        let (tcp_tx, tcp_rx) = ([tcp_v4.tx, tcp_v6.tx], [tcp_v4.rx, tcp_v6.rx]);
        let sender = std::thread::spawn(move || {
            while !sending.stop.load(Ordering::Relaxed) {
                for tx in &udp_tx {
                    assert_eq!(tx.send(&[7; SIZE]).expect("send"), SIZE);
                    sending.datagrams.fetch_add(1, Ordering::Relaxed);
                }
                for mut tx in &tcp_tx {
                    if !sending.tcp_rests.load(Ordering::Relaxed) {
                        tx.write_all(&[7; SIZE]).expect("write");
                        sending.segments.fetch_add(1, Ordering::Relaxed);
                    }
                }
                sleep(SEND_EVERY);
            }
        });
        let reader = std::thread::spawn(move || {
            let udp = udp_rx.each_ref().map(|rx| rx.as_fd());
            reading.read_all(udp, tcp_rx.each_ref().map(|rx| rx.as_fd()))
        });
        GroundTruth {
            shared,
            sender: Some(sender),
            reader: Some(reader),
        }
    }

    /// Changes the clock while packets are in the sockets' queues. Datagrams
    /// come before and after it; segments only before it, as those that wait
    /// in a queue are merged, and have the stamp of the last.
    pub fn across<T>(&self, change: impl FnOnce() -> T) -> T {
        self.shared.hold.store(true, Ordering::Relaxed);
        wait_until(PATIENCE, "the reader stops", || {
            self.shared.held.load(Ordering::Relaxed)
        });
        let sent = || {
            let sent = [&self.shared.datagrams, &self.shared.segments];
            sent.map(|count| count.load(Ordering::Relaxed))
        };
        let [datagrams, segments] = sent().map(|count| count + QUEUED);
        sleep(QUEUE);
        wait_until(PATIENCE, "packets are queued", || {
            sent()[0] >= datagrams && sent()[1] >= segments
        });
        self.shared.tcp_rests.store(true, Ordering::Relaxed);
        sleep(QUEUE / 2);
        let changed = change();
        sleep(QUEUE / 2);
        self.shared.hold.store(false, Ordering::Relaxed);
        wait_until(PATIENCE, "the reader goes on", || {
            !self.shared.held.load(Ordering::Relaxed)
        });
        self.shared.tcp_rests.store(false, Ordering::Relaxed);
        changed
    }

    /// Ends it when all that was sent has been read.
    pub fn stop(mut self) -> Reads {
        self.shared.stop.store(true, Ordering::Relaxed);
        let sender = self.sender.take().expect("joined once");
        sender.join().expect("the sender");
        self.shared.all_sent.store(true, Ordering::Release);
        let reader = self.reader.take().expect("joined once");
        reader.join().expect("the reader")
    }
}

/// A failed test leaves no traffic to disturb the next.
impl Drop for GroundTruth {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        self.shared.hold.store(false, Ordering::Relaxed);
        let sender = self.sender.take().map(JoinHandle::join);
        self.shared.all_sent.store(true, Ordering::Release);
        let reader = self.reader.take().map(JoinHandle::join);
        // Whatever they say, the test has failed already.
        drop((sender, reader));
    }
}

impl Shared {
    fn read_all(&self, udp: [BorrowedFd; 2], tcp: [BorrowedFd; 2]) -> Reads {
        let mut reads = Reads::default();
        let mut bytes = 0;
        let mut waiting_for_the_last = None;
        loop {
            for fd in udp {
                while let Some((read, _)) = read_stamped(fd) {
                    reads.udp.push(read);
                }
            }
            for fd in tcp {
                while let Some((read, size)) = read_stamped(fd) {
                    reads.tcp.push(read);
                    bytes += size;
                }
            }
            self.held.store(false, Ordering::Relaxed);
            if self.all_sent.load(Ordering::Acquire) {
                let datagrams = self.datagrams.load(Ordering::Relaxed);
                let sent = self.segments.load(Ordering::Relaxed) * SIZE;
                if (reads.udp.len(), bytes) == (datagrams, sent) {
                    return reads;
                }
                let waiting = Waiting::new(PATIENCE, "what was sent last is read");
                waiting_for_the_last.get_or_insert(waiting).nap();
            }
            sleep(READ_EVERY);
            while self.hold.load(Ordering::Relaxed) {
                self.held.store(true, Ordering::Relaxed);
                sleep(Duration::from_millis(1));
            }
        }
    }
}

/// The next packet, or segment, if there is one now.
fn read_stamped(fd: BorrowedFd) -> Option<(Read, usize)> {
    let mut buffer = [0; SIZE];
    let before = mono_ns();
    let received = match receive(fd, &mut buffer, MsgFlags::MSG_DONTWAIT) {
        Err(Errno::EAGAIN) => return None,
        received => received.expect("recvmsg"),
    };
    let after = mono_ns();
    if received.bytes == 0 {
        // The end of a connection.
        return None;
    }
    let read = Read {
        stamp: received.stamp.expect("stamping is on"),
        at: (before, after),
    };
    Some((read, received.bytes))
}
