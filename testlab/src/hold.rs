// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Packets that are held between IP and their socket for a known time: by
//! netfilter, in a queue from which this program lets them go.

use std::io::ErrorKind;
use std::thread::sleep;
use std::time::{Duration, UNIX_EPOCH};

use nfq::{Message, Queue, Verdict};

use crate::clock::real_ns;
use crate::timeline::Between;
use crate::{Ns, PATIENCE, Undo, wait_until};

/// What is sent to it is held, UDP and TCP alike.
pub const PORT: u16 = 6400;
/// What it shows of a packet: the IP header of either version.
const HEADER: u16 = 40;
/// The kernel tells stamps in microseconds.
const STAMP_NS: i64 = 1000;

/// Which protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    Udp,
    Tcp,
}

/// A packet that has been let go.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub protocol: Protocol,
    /// How old it was before it went on, and when all of the kernel's work on
    /// it was done, ns: that is done within the call that lets it go.
    pub age: Between,
}

/// Holds what goes to [`PORT`] through the right namespace.
pub struct Holder {
    queue: Queue,
    _rules: Undo,
}

impl Holder {
    /// In the INPUT chain.
    pub fn start() -> Holder {
        Holder::at("input")
    }

    /// In this chain of netfilter.
    pub fn at(chain: &str) -> Holder {
        let queue = Ns::Right.run(|| {
            let mut queue = Queue::open().expect("a netlink socket");
            queue.bind(0).expect("nfnetlink_queue");
            queue.set_copy_range(0, HEADER).expect("a length");
            queue.set_nonblocking(true);
            queue
        });
        let rules = Undo::after(
            &format!(
                "ip netns exec right nft -f - <<'TEXT'
table inet hold {{
    chain {chain} {{
        type filter hook {chain} priority 0
        meta l4proto {{ tcp, udp }} th dport {PORT} queue num 0
    }}
}}
TEXT"
            ),
            "ip netns exec right nft delete table inet hold",
        );
        Holder {
            queue,
            _rules: rules,
        }
    }

    /// Waits for so many packets, and lets each go at that age.
    pub fn hold(&mut self, packets: usize, age: Duration) -> Vec<Held> {
        let mut messages = Vec::new();
        wait_until(PATIENCE, "packets to hold", || {
            messages.extend(std::iter::from_fn(|| self.next()));
            messages.len() >= packets
        });
        let held = messages.into_iter().map(|mut message| {
            let protocol = protocol(&message);
            let stamp = message.get_timestamp().expect("stamping is on");
            let stamp = stamp.duration_since(UNIX_EPOCH).expect("after 1970");
            let stamp = stamp.as_nanos() as i64;
            let due = stamp + age.as_nanos() as i64;
            sleep(Duration::from_nanos((due - real_ns()).max(0) as u64));
            message.set_verdict(Verdict::Accept);
            let before = real_ns();
            self.queue.verdict(message).expect("a verdict");
            Held {
                protocol,
                age: (before - stamp - STAMP_NS, real_ns() - stamp),
            }
        });
        let held = held.collect();
        assert!(self.next().is_none(), "a packet too many");
        held
    }

    fn next(&mut self) -> Option<Message> {
        match self.queue.recv() {
            Ok(message) => Some(message),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Err(error) => panic!("the queue: {error}"),
        }
    }
}

/// By the IP header's field, of either version.
fn protocol(message: &Message) -> Protocol {
    let packet = message.get_payload();
    match (packet[0] >> 4, packet[9], packet[6]) {
        (4, 17, _) | (6, _, 17) => Protocol::Udp,
        (4, 6, _) | (6, _, 6) => Protocol::Tcp,
        _ => panic!("neither UDP nor TCP: {packet:?}"),
    }
}
