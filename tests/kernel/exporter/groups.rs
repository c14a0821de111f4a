// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The grouped object: each datagram is counted for the interface that it came
//! in by and for the cgroup of its socket. The test makes both.
//!
//! It is for kernels from 6.1 on: older ones lack `tcp_recvmsg_locked`, or the
//! fields that it reads.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use netstacklat::model::exported::Object;
use netstacklat::model::hooks::Hook;

use testlab::exporter::{Exporter, config};
use testlab::hooks::hooks_of;
use testlab::links::Way;
use testlab::udp::{Flow, exchange};
use testlab::{Family, Ns, PATIENCE, Undo, has_recvmsg_locked, wait_until};

/// Cgroup and interface to the number of samples.
type Groups = BTreeMap<(String, String), u64>;

const CONFIG: &str = "netstacklat-groups";

/// Pairs that have a group of their own (`src/bpf/limits.h`).
const ROOM: usize = 128;

/// Two ends in the root namespace: loopback, and a cable from the left one.
fn links() -> Undo {
    Undo::after(
        "ip link set lo up
        ip link add cable type veth peer name cable netns left
        ip addr add 10.9.0.1/24 dev cable
        ip link set cable up
        ip -n left addr add 10.9.0.2/24 dev cable
        ip -n left link set cable up",
        "ip link del cable; ip link set lo down",
    )
}

/// The UDP hooks of the grouped object.
fn grouped_udp() -> impl Iterator<Item = &'static str> {
    let grouped = Object::Groups.hooks();
    let udp = hooks_of("UDP").into_iter();
    let udp = udp.filter(move |hook| grouped.contains(hook));
    udp.map(Hook::name)
}

pub fn flow(from: Ns, at: &str) -> Flow {
    let at: SocketAddr = at.parse().expect("an address");
    Flow::over(Way {
        from,
        to: Ns::Root,
        at,
    })
}

/// A cgroup that this process is in until dropped.
pub struct Cgroup(PathBuf);

impl Cgroup {
    pub fn enter(name: impl AsRef<OsStr>) -> Cgroup {
        let path = Path::new("/sys/fs/cgroup").join(name.as_ref());
        std::fs::create_dir(&path).expect("a cgroup");
        std::fs::write(path.join("cgroup.procs"), "0").expect("moved");
        Cgroup(path)
    }
}

impl Cgroup {
    /// Goes back; what was opened inside stays there.
    pub fn leave(self) {
        std::fs::write("/sys/fs/cgroup/cgroup.procs", "0").expect("moved back");
        std::mem::forget(self);
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = std::fs::write("/sys/fs/cgroup/cgroup.procs", "0");
        // A thread that is ending keeps it busy for a moment.
        for _ in 0..100 {
            match std::fs::remove_dir(&self.0) {
                Err(error) if error.kind() == ErrorKind::ResourceBusy => {
                    std::thread::sleep(Duration::from_millis(10));
                }
                _ => break,
            }
        }
    }
}

/// An exporter of both objects that measures, and what must outlive that.
fn measuring() -> (Exporter, (Undo, Flow)) {
    let links = links();
    let stamping = Flow::open(Family::V4, 6300).with_stamps();
    let names = format!("netstacklat,{CONFIG}");
    let exporter = Exporter::start_with(&config(), &names, Exporter::handed("groups"));
    exporter.measures();
    (exporter, (links, stamping))
}

/// `now` without what had been counted before.
fn new(now: Groups, before: &Groups) -> Groups {
    let grown = now.into_iter().map(|(group, count)| {
        let earlier = before.get(&group).copied().unwrap_or_default();
        (group, count - earlier)
    });
    grown.filter(|(_, count)| *count > 0).collect()
}

fn groups<const N: usize>(expected: [(&str, &str, u64); N]) -> Groups {
    let groups = expected.into_iter();
    groups
        .map(|(cgroup, interface, count)| ((cgroup.into(), interface.into()), count))
        .collect()
}

/// With the other object beside it, as a host that wants both has it.
#[test]
fn by_interface_and_cgroup() {
    if !has_recvmsg_locked() {
        return not_for_this_kernel();
    }
    let (exporter, _held) = measuring();
    let before = exporter.scrape();
    let missed_before = exporter.missed_reads_of(CONFIG);

    let web = Cgroup::enter("nsl-web");
    let lo = flow(Ns::Root, "127.0.0.1:6301");
    let cable = flow(Ns::Left, "10.9.0.1:6302");
    let db = Cgroup::enter("nsl-db");
    let other_cable = flow(Ns::Left, "10.9.0.1:6303");
    let container = Flow::open(Family::V6, 6304);
    for (flow, n) in [
        (lo, 300),
        (cable, 500),
        (other_cable, 700),
        (container, 900),
    ] {
        exchange(&[flow], n);
    }
    // A cgroup that is gone has no name any more.
    let after = exporter.scrape();
    drop((db, web));
    let (web, db) = ("/sys/fs/cgroup/nsl-web", "/sys/fs/cgroup/nsl-db");
    let since = |hook| new(after.groups(hook), &before.groups(hook));
    let expected = groups([
        (web, "lo", 300),
        (web, "cable", 500),
        (db, "cable", 700),
        (db, "other-netns", 900),
    ]);
    assert_eq!(since("udp-socket-enqueued"), expected);
    // Reads run in tasks; the kernel leaves re-entered programs out, of
    // whichever group.
    let missed = exporter.missed_reads_of(CONFIG) - missed_before;
    let read = since("udp-socket-read");
    println!("{read:?}, missed {missed}");
    assert!(expected.iter().all(|(group, n)| read[group] <= *n));
    assert_eq!(read.values().sum::<u64>() + missed, 2400);

    let start = since("udp-start");
    let expected = [
        ("", "lo", 300),
        ("", "cable", 1200),
        ("", "other-netns", 900),
    ];
    assert_eq!(start, groups(expected));
    // The object beside it has counted the same datagrams.
    let all = after
        .histogram("udp-start")
        .since(&before.histogram("udp-start"));
    assert_eq!(all.count(), 2400);
    exporter.stop();
}

/// Any user can name a cgroup by bytes that are no UTF-8, and whoever may make
/// interfaces, an interface: the exporter goes on, and nothing is lost.
#[test]
fn names_that_are_no_text() {
    if !has_recvmsg_locked() {
        return not_for_this_kernel();
    }
    let odd = Undo::after(
        r"ip link add dev $'odd\xff1' type veth peer name odd netns left
        ip addr add 10.9.1.1/24 dev $'odd\xff1'
        ip link set $'odd\xff1' up
        ip -n left addr add 10.9.1.2/24 dev odd
        ip -n left link set odd up",
        r"ip link del $'odd\xff1'",
    );
    let (exporter, _held) = measuring();
    let before = exporter.scrape().groups("udp-socket-enqueued");
    let names: [&[u8]; 3] = [b"nsl-\xff", b"nsl-\xfe-\xc3\xa4", "nsl-ä✓".as_bytes()];
    let mut cgroups = Vec::new();
    for (name, port) in names.into_iter().zip(6350..) {
        cgroups.push(Cgroup::enter(OsStr::from_bytes(name)));
        exchange(&[flow(Ns::Root, &format!("127.0.0.1:{port}"))], 100);
        exchange(&[flow(Ns::Left, &format!("10.9.1.1:{port}"))], 10);
    }
    // Twice: it is also after the first that it would have died.
    exporter.scrape();
    let now = exporter.scrape().groups("udp-socket-enqueued");
    drop(cgroups);
    let expected = groups([
        ("/sys/fs/cgroup/nsl-", "lo", 200),
        ("/sys/fs/cgroup/nsl-", "odd", 20),
        ("/sys/fs/cgroup/nsl-ä✓", "lo", 100),
        ("/sys/fs/cgroup/nsl-ä✓", "odd", 10),
    ]);
    assert_eq!(new(now, &before), expected);
    exporter.stop();
    drop(odd);
}

/// What finds no room is not lost, and not hidden.
#[test]
fn more_groups_than_there_is_room_for() {
    const SENT: u64 = 3;
    const CGROUPS: usize = ROOM + 20;
    if !has_recvmsg_locked() {
        return not_for_this_kernel();
    }
    let (exporter, _held) = measuring();
    let before = exporter.scrape().groups("udp-socket-enqueued");
    let mut cgroups = Vec::new();
    for n in 0..CGROUPS {
        cgroups.push(Cgroup::enter(format!("nsl-{n}")));
        let flow = flow(Ns::Root, &format!("127.0.0.1:{}", 6400 + n));
        for number in 0..SENT {
            flow.send(number);
            assert_eq!(flow.receive(), number);
        }
    }
    let scrape = exporter.scrape();
    drop(cgroups);
    let now = scrape.groups("udp-socket-enqueued");
    let all: u64 = new(now.clone(), &before).values().sum();
    assert_eq!(all, CGROUPS as u64 * SENT);

    let other = ("other".to_owned(), "other".to_owned());
    // All hooks share the room: the group of udp-start has a place, too.
    let mut admitted: Vec<_> = grouped_udp()
        .flat_map(|hook| scrape.groups(hook).into_keys())
        .filter(|group| *group != other)
        .collect();
    admitted.sort();
    admitted.dedup();
    println!(
        "{} groups, {} samples of others",
        admitted.len(),
        now[&other]
    );
    assert_eq!(admitted.len(), ROOM);
    let mine = now.keys().filter(|(cgroup, _)| cgroup.contains("nsl-"));
    assert_eq!(now[&other], (CGROUPS - mine.count()) as u64 * SENT);
    exporter.stop();
}

fn send(port: usize, count: u64) {
    let flow = flow(Ns::Root, &format!("127.0.0.1:{port}"));
    for number in 0..count {
        flow.send(number);
        assert_eq!(flow.receive(), number);
    }
}

/// A service that is restarted, or a job of many, does not use up the room: a
/// cgroup that is removed gives its places back.
#[test]
fn a_removed_cgroup_gives_its_places_back() {
    const SENT: u64 = 3;
    if !has_recvmsg_locked() {
        return not_for_this_kernel();
    }
    let (exporter, _held) = measuring();
    let cgroups = |exporter: &Exporter| {
        let groups = exporter.scrape().groups("udp-socket-enqueued");
        let ours = groups
            .into_iter()
            .filter(|((cgroup, _), _)| cgroup.contains("nsl-"));
        ours.collect::<Vec<_>>()
    };
    // The same name, again and again, with a scrape now and then.
    for n in 0..ROOM + 20 {
        let cgroup = Cgroup::enter("nsl-again");
        send(6600 + n, SENT);
        if n % 40 == 0 {
            let [((name, _), count)] = &cgroups(&exporter)[..] else {
                panic!("{n}: {:?}", cgroups(&exporter));
            };
            assert_eq!((name.as_str(), *count), ("/sys/fs/cgroup/nsl-again", SENT));
        }
        drop(cgroup);
    }
    assert_eq!(cgroups(&exporter), []);
    let other = exporter.scrape().groups("udp-socket-enqueued");
    let other = other.get(&("other".into(), "other".into()));
    assert_eq!(other, None);

    // A socket that outlives its cgroup takes no place that nobody gives back.
    let cgroup = Cgroup::enter("nsl-gone");
    let flow = flow(Ns::Root, "127.0.0.1:6800");
    exchange(std::slice::from_ref(&flow), SENT);
    drop(cgroup);
    exchange(std::slice::from_ref(&flow), SENT);
    assert_eq!(cgroups(&exporter), []);
    let other = exporter.scrape().groups("udp-socket-enqueued");
    assert_eq!(other[&("other".into(), "other".into())], SENT);
    exporter.stop();
}

/// Packets that arrive while a cgroup is removed make nothing again that nobody
/// deletes.
#[test]
fn a_cgroup_removed_under_traffic_leaves_nothing() {
    if !has_recvmsg_locked() {
        return not_for_this_kernel();
    }
    let (exporter, _held) = measuring();
    for n in 0..60 {
        let cgroup = Cgroup::enter("nsl-busy");
        let flow = flow(Ns::Root, &format!("127.0.0.1:{}", 7200 + n));
        std::fs::write("/sys/fs/cgroup/cgroup.procs", "0").expect("moved back");
        let stop = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    exchange(std::slice::from_ref(&flow), 20);
                }
            });
            std::thread::sleep(Duration::from_millis(20));
            drop(cgroup);
            std::thread::sleep(Duration::from_millis(5));
            stop.store(true, Ordering::Relaxed);
        });
    }
    let scrape = exporter.scrape();
    for hook in grouped_udp() {
        let left = scrape.groups(hook).into_keys();
        let left: Vec<_> = left
            .filter(|(cgroup, _)| cgroup.contains("nsl-") || cgroup.contains("unknown"))
            .collect();
        assert_eq!(left, [], "{hook}");
    }
    exporter.stop();
}

/// Pods come and go with interfaces of their own.
#[test]
fn a_removed_interface_gives_its_places_back() {
    if !has_recvmsg_locked() {
        return not_for_this_kernel();
    }
    let (exporter, _held) = measuring();
    let of = |exporter: &Exporter, interface: &str| {
        let scrape = exporter.scrape();
        let keys = grouped_udp().flat_map(|hook| scrape.groups(hook).into_keys());
        keys.filter(|(_, name)| name == interface).count()
    };
    let veth = Undo::after(
        "ip link add pod type veth peer name pod0 netns left
        ip addr add 10.9.2.1/24 dev pod
        ip link set pod up
        ip -n left addr add 10.9.2.2/24 dev pod0
        ip -n left link set pod0 up",
        "ip link del pod",
    );
    let flow = flow(Ns::Left, "10.9.2.1:7300");
    exchange(&[flow], 10);
    assert_eq!(of(&exporter, "pod"), 3);
    drop(veth);
    wait_until(PATIENCE, "the interface's groups are freed", || {
        let scrape = exporter.scrape();
        let groups = scrape.groups("udp-start").into_keys();
        let names: Vec<_> = groups.map(|(_, name)| name).collect();
        !names
            .iter()
            .any(|name| name == "pod" || name.starts_with("unknown"))
    });
    assert_eq!(of(&exporter, "pod"), 0);
    exporter.stop();
}

/// A user with a tree of cgroups of its own cannot push others out.
#[test]
fn users_share_a_part_of_the_room() {
    const SENT: u64 = 3;
    const OF_USERS: usize = 32;
    if !has_recvmsg_locked() {
        return not_for_this_kernel();
    }
    let (exporter, _held) = measuring();
    let mut cgroups = Vec::new();
    for n in 0..ROOM {
        let cgroup = Cgroup::enter(format!("nsl-user-{n}"));
        std::os::unix::fs::chown(&cgroup.0, Some(1000), None).expect("root");
        cgroups.push(cgroup);
        send(6900 + n, SENT);
    }
    cgroups.push(Cgroup::enter("nsl-service"));
    send(7100, SENT);
    let groups = exporter.scrape().groups("udp-socket-enqueued");
    drop(cgroups);
    let of_users = groups
        .keys()
        .filter(|(cgroup, _)| cgroup.contains("nsl-user"));
    assert_eq!(of_users.count(), OF_USERS);
    let of = |cgroup: &str, interface: &str| groups[&(cgroup.to_owned(), interface.to_owned())];
    assert_eq!(of("other", "other"), (ROOM - OF_USERS) as u64 * SENT);
    assert_eq!(of("/sys/fs/cgroup/nsl-service", "lo"), SENT);
    // And they get places again when theirs are gone.
    let cgroup = Cgroup::enter("nsl-user-late");
    std::os::unix::fs::chown(&cgroup.0, Some(1000), None).expect("root");
    send(7101, SENT);
    let groups = exporter.scrape().groups("udp-socket-enqueued");
    drop(cgroup);
    assert!(
        groups
            .keys()
            .any(|(cgroup, _)| cgroup.contains("nsl-user-late"))
    );
    exporter.stop();
}

/// All programs or none, and it says so.
fn not_for_this_kernel() {
    let directory = PathBuf::from("/usr/local/share/netstacklat");
    let log = Exporter::refused(&directory, CONFIG);
    assert!(log.contains("error loading bpf object"), "{log}");
}
