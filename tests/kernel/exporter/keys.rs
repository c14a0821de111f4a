// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Grouped objects that count by other keys than the default ones
//! (`make bpf GROUP_BY=...`). The sender knows what each packet is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::time::Duration;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use testlab::exporter::{Exporter, config};
use testlab::links::Link;
use testlab::scrape::Scrape;
use testlab::tcp::Connection;
use testlab::udp::{Flow, exchange};
use testlab::{Family, Ns, Undo, sh};

use super::groups::Cgroup;

const CONFIG: &str = "netstacklat-groups";
/// Of the grouped object.
const HOOKS: [&str; 6] = [
    "tcp-start",
    "tcp-socket-enqueued",
    "tcp-socket-read",
    "udp-start",
    "udp-socket-enqueued",
    "udp-socket-read",
];
/// The labels of the objects that `tools/vm/test` has made.
const BY_PORT: [&str; 2] = ["local_port", "family"];
const BY_ALL: [&str; 7] = [
    "cgroup",
    "interface",
    "netns",
    "local_port",
    "rx_queue",
    "cpu",
    "family",
];
/// Groups that there is room for, and those among them that users can make up
/// (`src/bpf/limits.h`).
const ROOM: u16 = 128;
const OF_USERS: usize = 32;

type Groups<const N: usize> = BTreeMap<[String; N], u64>;

/// An exporter of the object in this directory that measures, and what must
/// outlive that.
fn measuring(name: &str) -> (Exporter, Flow) {
    // Ports of these tests that the kernel would give to other sockets of theirs.
    sh("ip netns exec right sysctl -qw net.ipv4.ip_local_reserved_ports=40000-40039,50000");
    let stamping = Flow::open(Family::V4, 6300).with_stamps();
    let names = format!("netstacklat,{CONFIG}");
    let exporter = Exporter::start_with(&config().join(name), &names, Exporter::handed(name));
    exporter.measures();
    (exporter, stamping)
}

/// What has been counted between two scrapes.
fn new<const N: usize>(
    labels: [&str; N],
    hook: &str,
    before: &Scrape,
    after: &Scrape,
) -> Groups<N> {
    let before = before.groups_by(labels, hook);
    let mut groups = after.groups_by(labels, hook);
    for (group, count) in &mut groups {
        *count -= before.get(group).copied().unwrap_or_default();
    }
    groups.retain(|_, count| *count > 0);
    groups
}

fn groups<const N: usize, const M: usize>(expected: [([&str; N], u64); M]) -> Groups<N> {
    let expected = expected.into_iter();
    expected
        .map(|(group, count)| (group.map(String::from), count))
        .collect()
}

/// Sends datagrams over the loopback of the right namespace, one by one.
fn over_loopback(port: u16, count: u64) -> Flow {
    let flow = Flow::over(Link::Loopback.way(Family::V4, port));
    exchange(std::slice::from_ref(&flow), count);
    flow
}

#[test]
fn ports_and_ip_versions() {
    const DATAGRAMS: [(Family, u16, u64); 6] = [
        (Family::V4, 700, 300),
        (Family::V6, 700, 200),
        (Family::V6, 6310, 150),
        (Family::V4, 32767, 70),
        (Family::V4, 32768, 40),
        (Family::V6, 50000, 30),
    ];
    let (exporter, _held) = measuring("by-port");
    let flows = DATAGRAMS.map(|(family, port, n)| (Flow::open(family, port), n));
    let mut connections = [
        (Connection::open(Family::V4, 6320), 10),
        (Connection::open(Family::V6, 6321), 20),
        (Connection::dual_stack(6322), 40),
    ];
    let before = exporter.scrape();
    let missed_before = exporter.missed_reads_of(CONFIG);
    for (flow, n) in &flows {
        exchange(std::slice::from_ref(flow), *n);
    }
    for (connection, n) in &mut connections {
        connection.talk(*n);
    }
    let after = exporter.scrape();
    let missed = exporter.missed_reads_of(CONFIG) - missed_before;
    let new = |hook| new(BY_PORT, hook, &before, &after);

    let expected = groups([
        (["700", "IPv4"], 300),
        (["700", "IPv6"], 200),
        (["6310", "IPv6"], 150),
        (["32767", "IPv4"], 70),
        (["ephemeral", "IPv4"], 40),
        (["ephemeral", "IPv6"], 30),
    ]);
    assert_eq!(new("udp-socket-enqueued"), expected);
    let read = new("udp-socket-read");
    println!("{read:?}, missed {missed}");
    assert!(read.iter().all(|(group, n)| *n <= expected[group]));
    assert_eq!(read.values().sum::<u64>() + missed, 790);
    // Whoever sends can write any port into a packet.
    let start = groups([(["", "IPv4"], 410), (["", "IPv6"], 380)]);
    assert_eq!(new("udp-start"), start);

    let expected = groups([
        (["6320", "IPv4"], 10),
        (["6321", "IPv6"], 20),
        (["6322", "IPv4"], 40),
    ]);
    for hook in ["tcp-socket-enqueued", "tcp-socket-read"] {
        assert_eq!(new(hook), expected, "{hook}");
    }
    // Here pass acknowledgements, too.
    let start = new("tcp-start");
    assert!(start[&["".into(), "IPv4".into()]] >= 50, "{start:?}");
    assert!(start[&["".into(), "IPv6".into()]] >= 20, "{start:?}");
    assert_eq!(start.len(), 2, "{start:?}");
    exporter.stop();
}

/// Neither users, by ports of their own, nor those who send to ports that do not
/// exist can push others out; and what they have taken is for those with more
/// packets after a while.
#[test]
fn made_up_ports_do_not_occupy_all_places() {
    const SENT: u64 = 3;
    let (exporter, _held) = measuring("by-port");
    let labels = |exporter: &Exporter| {
        let scrape = exporter.scrape();
        let groups = HOOKS.into_iter();
        let groups = groups.flat_map(|hook| scrape.groups_by(BY_PORT, hook).into_keys());
        groups.collect::<BTreeSet<_>>()
    };
    let enqueued = |exporter: &Exporter, port: &str| {
        let groups = exporter
            .scrape()
            .groups_by(BY_PORT, "udp-socket-enqueued")
            .into_iter();
        let of_port = groups.filter(|([label, _], _)| label == port);
        of_port.map(|(_, count)| count).sum::<u64>()
    };

    let before = labels(&exporter);
    let start = exporter.scrape();
    let scanner = Ns::Right.run(|| UdpSocket::bind("127.0.0.1:0").expect("bind"));
    for port in 1..=2 * ROOM {
        scanner.send_to(b"?", ("127.0.0.1", port)).expect("send");
    }
    let scanned = new(BY_PORT, "udp-start", &start, &exporter.scrape());
    assert_eq!(scanned, groups([(["", "IPv4"], 2 * u64::from(ROOM))]));
    assert_eq!(labels(&exporter), before);

    let busy = over_loopback(6999, SENT);
    let made_up = (7000..7000 + ROOM).map(|port| over_loopback(port, SENT));
    let made_up: Vec<_> = made_up.collect();
    for port in 40_000..40_040 {
        over_loopback(port, SENT);
    }
    over_loopback(701, SENT);
    let all = labels(&exporter);
    let of_users = all
        .iter()
        .filter(|[port, _]| port.parse::<u16>().is_ok_and(|port| port >= 1024));
    let of_users: Vec<_> = of_users.collect();
    println!("{of_users:?}");
    assert_eq!(of_users.len(), OF_USERS);
    assert_eq!(enqueued(&exporter, "6999"), SENT);
    assert_eq!(enqueued(&exporter, "701"), SENT);
    assert_eq!(enqueued(&exporter, "ephemeral"), 40 * SENT);
    // One is that of the first datagrams, by which an exporter is warmed up.
    let placed = OF_USERS as u64 - 2;
    let others = (u64::from(ROOM) - placed) * SENT;
    assert_eq!(enqueued(&exporter, "other"), others);

    // One has much to do from now on, as has the first of all. The others keep sending
    // a datagram now and then.
    let late = over_loopback(6998, 1);
    assert_eq!(enqueued(&exporter, "other"), others + 1);
    for round in 1..=6 {
        std::thread::sleep(Duration::from_secs(70));
        for flow in &made_up[..OF_USERS] {
            exchange(std::slice::from_ref(flow), 1);
        }
        exchange(std::slice::from_ref(&busy), 30);
        exchange(std::slice::from_ref(&late), 300);
        let own = enqueued(&exporter, "6998");
        println!("round {round}: {own} datagrams have a group of their own");
        assert!(round > 3 || own == 0);
        assert!(round < 6 || own > 300);
    }
    assert_eq!(enqueued(&exporter, "6999"), SENT + 6 * 30);
    assert_eq!(enqueued(&exporter, "701"), SENT);
    exporter.stop();
}

fn inode(path: &str) -> String {
    let found = std::fs::metadata(Path::new(path)).expect("a namespace");
    found.ino().to_string()
}

/// What is known of such a packet before its socket is.
fn at_start(mut group: [&str; 7]) -> [&str; 7] {
    (group[0], group[3]) = ("", "");
    group
}

/// Seven words of a key, each of which somebody knows.
#[test]
fn every_key_at_once() {
    let (exporter, _held) = measuring("by-all");
    let cpus: usize = sh("nproc").trim().parse().expect("a number");
    let last = (cpus - 1).to_string();
    let cgroup = Cgroup::enter("nsl-keys");
    let link = Undo::after("ip link set lo up", "ip link set lo down");
    let here = Flow::over(testlab::links::Way {
        from: Ns::Root,
        to: Ns::Root,
        at: "[::1]:710".parse().expect("an address"),
    });
    let wire = Flow::open(Family::V4, 711);
    let mut connection = Connection::open(Family::V4, 6330);
    let before = exporter.scrape();
    // Over loopback a packet stays on the CPU of its sender.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut only = CpuSet::new();
            only.set(cpus - 1).expect("a CPU");
            sched_setaffinity(Pid::from_raw(0), &only).expect("sched_setaffinity");
            for number in 0..50 {
                here.send(number);
                assert_eq!(here.receive(), number);
            }
        });
    });
    exchange(std::slice::from_ref(&wire), 60);
    connection.talk(30);
    let after = exporter.scrape();
    drop((cgroup, link));
    let new = |hook| new(BY_ALL, hook, &before, &after);

    let (ours, right) = (inode("/proc/self/ns/net"), inode("/run/netns/right"));
    let path = "/sys/fs/cgroup/nsl-keys";
    // The CPU of the card's interrupt is the kernel's choice.
    let on_any_cpu = |groups: Groups<7>| {
        let mut sums = Groups::<7>::new();
        for (mut group, count) in groups {
            if group[2] == right {
                assert!(group[5].parse::<usize>().is_ok_and(|cpu| cpu < cpus));
                group[5] = "any".into();
            }
            *sums.entry(group).or_default() += count;
        }
        sums
    };
    let here = [path, "lo", &ours, "710", "none", &last, "IPv6"];
    let wire = [path, "other-netns", &right, "711", "0", "any", "IPv4"];
    let expected = groups([(here, 50), (wire, 60)]);
    assert_eq!(on_any_cpu(new("udp-socket-enqueued")), expected);
    let expected = groups([(at_start(here), 50), (at_start(wire), 60)]);
    assert_eq!(on_any_cpu(new("udp-start")), expected);
    let read = [path, "other-netns", &right, "6330", "0", "any", "IPv4"];
    assert_eq!(on_any_cpu(new("tcp-socket-read")), groups([(read, 30)]));
    exporter.stop();
}

/// Any user can make network namespaces in a user namespace. They share a part of
/// the room, and give it back.
#[test]
fn namespaces_of_users_share_a_part_of_the_room() {
    const MADE: usize = 40;
    let (exporter, _held) = measuring("by-all");
    let of_root = [
        inode("/proc/self/ns/net"),
        inode("/run/netns/left"),
        inode("/run/netns/right"),
        "other".into(),
    ];
    let made_up = |exporter: &Exporter| {
        let scrape = exporter.scrape();
        let groups = HOOKS.into_iter();
        let groups = groups.flat_map(|hook| scrape.groups_by(BY_ALL, hook).into_keys());
        let made_up = groups.filter(|[_, _, netns, port, ..]| {
            !of_root.contains(netns) || port.parse::<u16>().is_ok_and(|port| port >= 1024)
        });
        made_up.collect::<BTreeSet<_>>()
    };
    let of_users = |exporter: &Exporter| {
        let groups = made_up(exporter).into_iter();
        groups
            .filter(|[_, _, netns, ..]| !of_root.contains(netns))
            .count()
    };
    // Each sends itself one datagram, to a port that nobody listens at, and stays.
    let namespaces = |number: usize| {
        sh(&format!(
            "rm -rf /run/nsl-namespaces; mkdir /run/nsl-namespaces
            for n in {{1..{number}}}; do
                unshare -Urn bash -c 'ip link set lo up && echo ? >/dev/udp/127.0.0.1/9
                    echo $$ >/run/nsl-namespaces/$0 && exec sleep 10000' $n </dev/null &>/dev/null &
            done
            for n in {{1..{number}}}; do
                until [[ -s /run/nsl-namespaces/$n ]]; do sleep 0.1; done
            done"
        ));
        Undo::after("true", "kill $(cat /run/nsl-namespaces/*)")
    };
    assert_eq!(of_users(&exporter), 0);
    let before = exporter.scrape();
    let held = namespaces(MADE);
    let counted = new(BY_ALL, "udp-start", &before, &exporter.scrape());
    let placed = of_users(&exporter);
    println!("{placed} have places: {counted:?}");
    assert_eq!(made_up(&exporter).len(), OF_USERS);
    let others = &["other"; 7].map(String::from);
    assert_eq!(counted[others], (MADE - placed) as u64);
    // Root's have places, whatever users do.
    over_loopback(712, 5);
    let enqueued = exporter.scrape().groups_by(BY_ALL, "udp-socket-enqueued");
    let of_root: u64 = enqueued
        .iter()
        .filter(|([_, _, netns, port, ..], _)| netns == &of_root[2] && port == "712")
        .map(|(_, count)| count)
        .sum();
    assert_eq!(of_root, 5);

    drop(held);
    // The kernel takes its time, and so does each scrape.
    let gone = (0..20).any(|_| {
        std::thread::sleep(Duration::from_millis(500));
        of_users(&exporter) == 0
    });
    assert!(gone, "{} are left", of_users(&exporter));
    let held = namespaces(1);
    assert_eq!(of_users(&exporter), 1);
    drop(held);
    exporter.stop();
}
