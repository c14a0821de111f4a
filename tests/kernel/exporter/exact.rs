// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! ebpf_exporter, our own tool beside it with its own object, and those who
//! held and read the packets: they agree on each bucket of each hook.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::thread::sleep;
use std::time::Duration;

use netstacklat::model::hooks::Hook;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::ReceiveTimestampns;

use testlab::clock::real_ns;
use testlab::counters::Snmp;
use testlab::exporter::Exporter;
use testlab::hold::{Held, Holder, PORT, Protocol};
use testlab::lines::Counts;
use testlab::scrape::{BOUNDS, Histogram, Scrape, bucket_of};
use testlab::tcp::Connection;
use testlab::tcp_reads::read_stamped;
use testlab::timeline::Between;
use testlab::tool::Tool;
use testlab::udp::Flow;
use testlab::{Family, Undo};

/// Of each IP version.
const DATAGRAMS: usize = 10;
const SEGMENTS: usize = 4;
const SEGMENT: usize = 100;
/// In the middle of (2^27, 2^28] ns, 134 to 268 ms, and of (2^29, 2^30], 537 to
/// 1074 ms, in ratios.
const HELD_FOR: Duration = Duration::from_millis(190);
const READ_AT: Duration = Duration::from_millis(760);
/// The clocks of two CPUs may differ by this (NETSTACKLAT_CLOCK_LAG_NS).
const LAG_NS: i64 = 10_000;
/// A guest that is kept waiting may be so late that a bound lies between what
/// is known of a packet.
const ROUNDS: usize = 10;

/// Each write is one packet, sent once however late it is acknowledged.
fn segments_one_by_one() -> Undo {
    Undo::after(
        "for ns in left right; do ip netns exec $ns ethtool -K eth0 gro off; done
        ip netns exec left sysctl -qw net.ipv4.tcp_early_retrans=0 net.ipv4.tcp_autocorking=0
        ip -n left route change 10.0.0.0/24 dev eth0 src 10.0.0.1 rto_min 20s
        ip -n left route change fd00::/64 dev eth0 proto kernel metric 256 rto_min 20s",
        "for ns in left right; do ip netns exec $ns ethtool -K eth0 gro on; done
        ip netns exec left sysctl -qw net.ipv4.tcp_early_retrans=3 net.ipv4.tcp_autocorking=1
        ip -n left route change 10.0.0.0/24 dev eth0 proto kernel scope link src 10.0.0.1
        ip -n left route change fd00::/64 dev eth0 proto kernel metric 256",
    )
}

/// What both have counted, at rest.
struct Seen {
    scrape: Scrape,
    ours: BTreeMap<String, Counts>,
    kernel: Snmp,
}

impl Seen {
    fn by(exporter: &Exporter, tool: &Tool) -> Seen {
        let kernel = Snmp::at_rest();
        Seen {
            ours: tool.totals_up_to_now(),
            scrape: exporter.scrape(),
            kernel,
        }
    }
}

/// Packets by bucket, as those know who held or read them.
type Truth = [u64; BOUNDS];

/// None if it may be one bucket or another.
fn truth(ages: impl IntoIterator<Item = Between>) -> Option<Truth> {
    let mut truth = [0; BOUNDS];
    for (least, most) in ages {
        let (least, most) = ((least - LAG_NS) as u64, (most + LAG_NS) as u64);
        let bucket = bucket_of(least);
        if bucket != bucket_of(most) {
            println!("{least} to {most} ns: two buckets");
            return None;
        }
        truth[bucket] += 1;
    }
    Some(truth)
}

/// The traffic, and who receives it.
struct Round {
    flows: [Flow; 2],
    connections: [Connection; 2],
}

/// What is known of its packets.
struct Known {
    held: Vec<Held>,
    udp_reads: Vec<Between>,
    tcp_reads: Vec<Between>,
}

impl Round {
    fn open() -> Round {
        let flows = Family::BOTH.map(|family| Flow::open(family, PORT).with_stamps());
        let connections = Family::BOTH.map(|family| Connection::open(family, PORT));
        for connection in &connections {
            setsockopt(&connection.rx, ReceiveTimestampns, &true).expect("SO_TIMESTAMPNS");
        }
        Round { flows, connections }
    }

    fn run(&mut self, holder: &mut Holder) -> Known {
        for flow in &self.flows {
            (0..DATAGRAMS).for_each(|number| flow.send(number as u64));
        }
        for connection in &mut self.connections {
            for _ in 0..SEGMENTS {
                connection.tx.write_all(&[7; SEGMENT]).expect("write");
            }
        }
        let held = holder.hold(2 * (DATAGRAMS + SEGMENTS), HELD_FOR);
        sleep(READ_AT - HELD_FOR);
        let mut udp_reads = Vec::new();
        for flow in &self.flows {
            udp_reads.extend((0..DATAGRAMS).map(|_| datagram_read(flow)));
        }
        let tcp_reads = self.connections.iter().map(|connection| {
            let read = read_stamped(&connection.rx, SEGMENTS * SEGMENT);
            assert_eq!(read.bytes, SEGMENTS * SEGMENT);
            (read.least_age, read.most_age)
        });
        Known {
            held,
            udp_reads,
            tcp_reads: tcp_reads.collect(),
        }
    }
}

fn datagram_read(flow: &Flow) -> Between {
    let before = real_ns();
    let stamp = flow.receive_stamp().expect("stamping is on");
    (before - stamp, real_ns() - stamp)
}

#[test]
fn held_packets_are_in_the_buckets_of_their_holder() {
    let _one_by_one = segments_one_by_one();
    // The first to be attached is the last to be run, and to look at its clock.
    let exporter = Exporter::start();
    let tool = Tool::start(&["-r", "100ms"]);
    exporter.measures();
    let mut round = Round::open();
    let mut holder = Holder::start();
    let mut before = Seen::by(&exporter, &tool);
    let clear = (0..ROUNDS).any(|_| {
        let known = round.run(&mut holder);
        let after = Seen::by(&exporter, &tool);
        let of = |protocol| {
            known
                .held
                .iter()
                .filter(move |held| held.protocol == protocol)
        };
        let ages = |protocol| truth(of(protocol).map(|held| held.age));
        let truths = (
            ages(Protocol::Udp),
            ages(Protocol::Tcp),
            truth(known.udp_reads),
            truth(known.tcp_reads),
        );
        let round = Compared {
            before: &before,
            after: &after,
        };
        round.both_agree();
        let clear = match truths {
            (Some(udp), Some(tcp), Some(udp_read), Some(tcp_read)) => {
                round.truth_is(udp, tcp, udp_read, tcp_read);
                true
            }
            _ => false,
        };
        before = after;
        clear
    });
    assert!(clear, "the guest is too slow to know its packets' buckets");
    tool.finish();
}

/// What came between two looks.
struct Compared<'a> {
    before: &'a Seen,
    after: &'a Seen,
}

impl Compared<'_> {
    fn served(&self, hook: &str) -> Histogram {
        let (before, after) = (&self.before.scrape, &self.after.scrape);
        after.histogram(hook).since(&before.histogram(hook))
    }

    fn ours(&self, hook: &str) -> Counts {
        self.after.ours[hook].since(&self.before.ours[hook])
    }

    /// Both count the same packets, and of none does the exporter say that it
    /// came sooner: packets that nobody held included.
    fn both_agree(&self) {
        for hook in Hook::default_ones().map(Hook::name) {
            let (served, ours) = (self.served(hook), self.ours(hook));
            let coarse = log2(&ours);
            println!("{hook}: {:?}, ours {:?}", served.filled(), coarse.filled());
            assert_eq!(ours.missed, 0, "{hook}");
            assert_eq!(served.count(), ours.count, "{hook}");
            assert!(served.sum_ns >= ours.sum_ns, "{hook}");
            assert!(served.nowhere_before(&coarse), "{hook}");
            let skipped = self.after.scrape.since(&self.before.scrape, hook).skipped;
            let mut ours = ours.skipped;
            ours.retain(|_, count| *count > 0);
            assert_eq!(skipped, ours, "{hook}");
        }
        let since = |names: &[&str]| self.after.kernel.since(&self.before.kernel, names);
        let packets = since(&["Ip.InReceives", "Ip6.InReceives"]);
        assert_eq!(self.served("ip-start").count(), packets);
        let segments = since(&["Tcp.InSegs"]);
        assert_eq!(self.served("tcp-start").count(), segments);
    }

    fn truth_is(&self, udp: Truth, tcp: Truth, udp_read: Truth, tcp_read: Truth) {
        for (hook, truth) in [
            ("udp-start", udp),
            ("udp-queue-rcv", udp),
            ("udp-socket-enqueued", udp),
            ("udp-socket-read", udp_read),
            ("tcp-socket-enqueued", tcp),
            ("tcp-socket-read", tcp_read),
        ] {
            assert_eq!(self.served(hook).buckets, truth, "{hook}");
            assert_eq!(log2(&self.ours(hook)).buckets, truth, "{hook}: ours");
        }
        // Acknowledgements pass here, too: unheld.
        let held = tcp.iter().position(|count| *count > 0).expect("segments");
        for hook in ["tcp-start", "tcp-do-rcv"] {
            assert_eq!(self.served(hook).buckets[held..], tcp[held..], "{hook}");
            let ours = log2(&self.ours(hook)).buckets;
            assert_eq!(ours[held..], tcp[held..], "{hook}: ours");
        }
    }
}

/// Our fine buckets, added up to powers of two.
fn log2(counts: &Counts) -> Histogram {
    let mut buckets = [0; BOUNDS];
    for ((_, hi), count) in &counts.buckets {
        buckets[bucket_of(*hi)] += count;
    }
    Histogram {
        buckets,
        sum_ns: counts.sum_ns,
    }
}
