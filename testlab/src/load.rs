// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Sends UDP and TCP over both IP versions while a test does something else.

use std::io::{Read as _, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::Duration;

use crate::tcp::Connection;
use crate::{Family, PATIENCE, prepare, sh, udp, wait_until};

/// How much is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rate {
    /// As fast as it is read, so the CPUs are never idle.
    Full,
    /// A thousand packets a second: the CPUs are idle most of the time.
    Moderate,
}

impl Rate {
    /// How many datagrams or writes are sent before checking whether to stop.
    fn round(self) -> u64 {
        match self {
            Rate::Full => 200,
            Rate::Moderate => 10,
        }
    }

    fn rest(self) {
        if self == Rate::Moderate {
            sleep(Duration::from_millis(40));
        }
    }
}

/// Traffic that is sent until this is stopped or dropped.
pub struct Background {
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    datagrams: AtomicU64,
    bytes: AtomicU64,
}

/// What has been received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received {
    pub datagrams: u64,
    /// over TCP
    pub bytes: u64,
}

impl Background {
    /// Uses ten ports from `port` on.
    pub fn start(rate: Rate, port: u16) -> Background {
        prepare();
        let shared = Arc::<Shared>::default();
        let mut threads = Vec::new();
        for (family, port) in Family::BOTH.into_iter().zip([port, port + 5]) {
            let flows = udp::Flow::several(family, port..port + 5);
            let connection = Connection::open(family, port);
            let (udp, tcp) = (Arc::clone(&shared), Arc::clone(&shared));
            threads.push(std::thread::spawn(move || {
                udp.keep_exchanging(rate, &flows)
            }));
            threads.push(std::thread::spawn(move || {
                tcp.keep_transferring(rate, connection)
            }));
        }
        let background = Background { shared, threads };
        background.wait_for_traffic();
        background
    }

    pub fn received(&self) -> Received {
        Received {
            datagrams: self.shared.datagrams.load(Ordering::Relaxed),
            bytes: self.shared.bytes.load(Ordering::Relaxed),
        }
    }

    /// Waits until more has arrived over each protocol.
    pub fn wait_for_traffic(&self) {
        let before = self.received();
        wait_until(PATIENCE, "traffic flows", || {
            let now = self.received();
            now.datagrams > before.datagrams && now.bytes > before.bytes
        });
    }

    /// Stops sending, waits until all has been received, and returns how much
    /// that was.
    pub fn stop(mut self) -> Received {
        self.shared.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().expect("background traffic");
        }
        self.received()
    }

    /// Stops sending, for tests that do not test the traffic itself. A lost
    /// datagram is only printed, with the kernel's counters. (That was seen
    /// once on 5.10 while programs were attached or detached, and is not
    /// explained.)
    pub fn stop_ignoring_loss(mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
        let ended = self.threads.drain(..).map(JoinHandle::join);
        if ended.filter(Result::is_err).count() > 0 {
            let counters = sh("for ns in left right; do
                    ip netns exec $ns cat /proc/net/snmp /proc/net/snmp6 /proc/net/softnet_stat
                    ip -n $ns -s link show eth0
                    tc -n $ns -s qdisc show dev eth0
                done");
            println!("background traffic lost a datagram:\n{counters}");
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Shared {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn keep_exchanging(&self, rate: Rate, flows: &[udp::Flow]) {
        while !self.stopped() {
            udp::exchange(flows, rate.round());
            self.datagrams.fetch_add(rate.round(), Ordering::Relaxed);
            rate.rest();
        }
    }

    fn keep_transferring(&self, rate: Rate, connection: Connection) {
        let Connection { mut tx, mut rx } = connection;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                while !self.stopped() {
                    for _ in 0..rate.round() {
                        tx.write_all(&[7; 1000]).expect("write");
                    }
                    rate.rest();
                }
            });
            let mut buffer = [0; 4096];
            loop {
                match rx.read(&mut buffer).expect("a stalled connection") {
                    0 => break,
                    n => self.bytes.fetch_add(n as u64, Ordering::Relaxed),
                };
            }
        });
    }
}
