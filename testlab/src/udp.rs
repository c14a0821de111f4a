// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! UDP that is counted datagram by datagram on both ends.

use std::collections::BTreeSet;
use std::net::UdpSocket;
use std::ops::Range;
use std::os::fd::AsFd as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimestampns, Timestamping};
use nix::sys::socket::{MsgFlags, TimestampingFlag, setsockopt};

use crate::links::{Link, Way};
use crate::receive::receive;
use crate::{Family, PATIENCE, wait_until};

/// Datagrams that may be on their way: sent and not yet read.
const WINDOW: u64 = 256;
const RECEIVE_BUFFER: usize = 256 << 20;
const WARM_UP_PORT: u16 = 4000;

/// A sender and a receiver.
pub struct Flow {
    pub tx: UdpSocket,
    pub rx: UdpSocket,
}

impl Flow {
    /// Over the wire.
    pub fn open(family: Family, port: u16) -> Flow {
        Flow::over(Link::Wire.way(family, port))
    }

    pub fn over(way: Way) -> Flow {
        let rx = way.to.run(|| UdpSocket::bind(way.at).expect("bind"));
        setsockopt(&rx, RcvBufForce, &RECEIVE_BUFFER).expect("SO_RCVBUFFORCE");
        rx.set_read_timeout(Some(PATIENCE)).expect("SO_RCVTIMEO");
        let any = Family::of(way.at).any();
        let tx = way.from.run(|| UdpSocket::bind(any).expect("bind"));
        tx.connect(way.at).expect("connect");
        Flow { tx, rx }
    }

    pub fn several(family: Family, ports: Range<u16>) -> Vec<Flow> {
        ports.map(|port| Flow::open(family, port)).collect()
    }

    pub fn send(&self, number: u64) {
        let sent = self.tx.send(&number.to_ne_bytes()).expect("send");
        assert_eq!(sent, 8);
    }

    /// The next datagram's number.
    pub fn receive(&self) -> u64 {
        let mut number = [0; 8];
        let received = self.rx.recv(&mut number).expect("a datagram was lost");
        assert_eq!(received, 8);
        u64::from_ne_bytes(number)
    }

    /// Asks for receive stamps with each datagram, which turns stamping on.
    pub fn with_stamps(self) -> Flow {
        setsockopt(&self.rx, ReceiveTimestampns, &true).expect("SO_TIMESTAMPNS");
        self
    }

    /// The next datagram's stamp, if it has one: CLOCK_REALTIME, ns.
    pub fn receive_stamp(&self) -> Option<i64> {
        let received = receive(self.rx.as_fd(), &mut [0; 8], MsgFlags::empty());
        received.expect("a datagram was lost").stamp
    }
}

/// Sends `n` datagrams over the flows in turn, paced by the receivers so that
/// no queue overflows, and returns when each has been read. Their order is not
/// looked at: the emulated wire changes it when a card's ring is full.
pub fn exchange(flows: &[Flow], n: u64) {
    let received = AtomicU64::new(0);
    let received = &received;
    let step = flows.len();
    std::thread::scope(|scope| {
        for (first, flow) in flows.iter().enumerate() {
            scope.spawn(move || {
                let mut missing: BTreeSet<_> = (first as u64..n).step_by(step).collect();
                while !missing.is_empty() {
                    let number = flow.receive();
                    assert!(missing.remove(&number), "{number} came twice");
                    received.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for (number, flow) in (0..n).zip(flows.iter().cycle()) {
            let room = || number < received.load(Ordering::Relaxed) + WINDOW;
            if !room() {
                wait_until(PATIENCE, "the receivers keep up", room);
            }
            flow.send(number);
        }
    });
}

/// Datagrams that came with a stamp, and without.
#[derive(Clone, Copy, Debug, Default)]
pub struct Stamped {
    pub with: u64,
    pub without: u64,
}

/// Sends single datagrams until one arrives with a stamp (`wanted`), or
/// without. The receiver only looks (SOF_TIMESTAMPING_SOFTWARE): it would not
/// by itself have packets stamped.
pub fn until_stamped(wanted: bool) -> Stamped {
    let flow = Flow::open(Family::V4, WARM_UP_PORT);
    let look = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
    setsockopt(&flow.rx, Timestamping, &look).expect("SO_TIMESTAMPING");
    let mut seen = Stamped::default();
    wait_until(Duration::from_secs(5), "stamping is switched", || {
        flow.send(0);
        let stamp = flow.receive_stamp();
        match stamp {
            Some(_) => seen.with += 1,
            None => seen.without += 1,
        }
        stamp.is_some() == wanted
    });
    seen
}
