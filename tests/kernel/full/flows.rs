// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Filters and groups by what the headers of a packet say, by its receive queue
//! and by CPU. The sender knows what each packet carries.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use netstacklat::model::hooks::Hook;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use testlab::hooks::hooks_of;
use testlab::lines::Values;
use testlab::links::{Link, veth};
use testlab::tcp::Connection;
use testlab::tool::Tool;
use testlab::udp::{Flow, exchange};
use testlab::{Family, PATIENCE, at_full_length, sh, wait_until};

use super::filters::recorded;

/// Where a test's flows go, and how many datagrams each gets.
const PORTS: [(Family, Link, u16, u64); 6] = [
    (Family::V4, Link::Wire, 6720, 10),
    (Family::V4, Link::Wire, 6721, 20),
    (Family::V6, Link::Wire, 6722, 40),
    (Family::V6, Link::Wire, 6723, 80),
    (Family::V4, Link::Loopback, 6724, 160),
    (Family::V6, Link::Loopback, 6725, 320),
];

fn flows() -> Vec<(Flow, u64)> {
    let flow =
        |(family, link, port, n): (Family, Link, u16, u64)| (Flow::over(link.way(family, port)), n);
    PORTS.into_iter().map(flow).collect()
}

/// The first cases; all of them at full length.
fn some<T: Copy>(cases: &[T], first: usize) -> impl Iterator<Item = T> {
    let number = if at_full_length() { cases.len() } else { first };
    cases.iter().copied().take(number)
}

/// The options, which ports' datagrams they select, and whether those by which
/// the tool is warmed up (IPv4 over the wire, to port 4000) are among them.
#[test]
fn datagrams_by_their_headers() {
    let flows = flows();
    let source = flows[1]
        .0
        .tx
        .local_addr()
        .expect("bound")
        .port()
        .to_string();
    let cases: [(&[&str], &[u16], bool); 10] = [
        (
            &["--local-port", "6720,6722-6723"],
            &[6720, 6722, 6723],
            false,
        ),
        (&["--port", &format!("6724,{source}")], &[6721, 6724], false),
        (&["-4"], &[6720, 6721, 6724], true),
        (&["--ip", "fd00::/64,127.0.0.1"], &[6722, 6723, 6724], false),
        (
            &["--ip", "::1", "--local-port", "6720-6725"],
            &[6725],
            false,
        ),
        (&["--remote-port", &source], &[6721], false),
        (&["--port", "6720-6725", "-6"], &[6722, 6723, 6725], false),
        (&["-4", "--udp", "--tcp"], &[6720, 6721, 6724], true),
        (&["--ip", "10.0.0.0/30"], &[6720, 6721], true),
        (&["-e", "udp*,ip-start", "--ip", "192.0.2.0/24"], &[], false),
    ];
    let all: u64 = flows.iter().map(|(_, n)| n).sum();
    for (options, ports, with_warm_up) in some(&cases, 4) {
        let tool = Tool::start_for_udp(&[&["-r", "100ms", "-n", "right"], options].concat());
        let warm = tool.warm_up();
        let mut wanted = if with_warm_up { warm.with } else { 0 };
        for ((flow, n), (.., port, _)) in flows.iter().zip(PORTS) {
            exchange(std::slice::from_ref(flow), *n);
            if ports.contains(&port) {
                wanted += n;
            }
        }
        let run = tool.finish();
        println!("{options:?}");
        recorded(&run, wanted, all, warm, hooks_of("UDP").into_iter());
        // Here pass other packets, too, none of which is selected.
        let at_ip = run.hook("ip-start");
        assert_eq!(at_ip.count, wanted, "{:?}", at_ip.skipped);
        assert_eq!(run.hook("udp-start").skip("owner-unknown"), 0);
    }
}

/// Only the first fragment of a datagram says the ports.
#[test]
fn fragments_have_no_ports_at_ip() {
    const SENT: u64 = 5;
    let _link = veth();
    let flows = Family::BOTH.map(|family| Flow::over(Link::Veth.way(family, 6726)));
    let tool = Tool::start_for_udp(&["-r", "100ms", "-n", "right", "--local-port", "6726"]);
    tool.warm_up();
    // 3,008 bytes with the UDP header: three fragments for an MTU of 1,500.
    let data = [7; 3000];
    for flow in &flows {
        for _ in 0..SENT {
            flow.tx.send(&data).expect("send");
            assert_eq!(flow.rx.recv(&mut [0; 4000]).expect("it arrives"), 3000);
        }
    }
    let run = tool.finish();
    let at_ip = run.hook("ip-start");
    println!("{} recorded, {:?}", at_ip.count, at_ip.skipped);
    assert_eq!(at_ip.count, 2 * SENT);
    assert_eq!(at_ip.skip("owner-unknown"), 2 * 2 * SENT);
    for hook in hooks_of("UDP") {
        assert_eq!(run.hook(hook.name()).count, 2 * SENT, "{hook}");
    }
}

/// Virtio's driver leaves all but the Ethernet header of a large packet in a page,
/// until IP and then UDP ask for their headers.
#[test]
fn headers_of_large_packets() {
    const SENT: u64 = 10;
    let flow = Flow::open(Family::V4, 6727);
    let mut connection = Connection::open(Family::V6, 6728);
    let tool = Tool::start(&["-r", "100ms", "-n", "right", "--local-port", "6727-6728"]);
    tool.warm_up();
    for _ in 0..SENT {
        flow.tx.send(&[7; 1200]).expect("send");
        assert_eq!(flow.rx.recv(&mut [0; 2000]).expect("it arrives"), 1200);
        connection.tx.write_all(&[7; 1200]).expect("write");
        connection.rx.read_exact(&mut [0; 1200]).expect("read");
    }
    let run = tool.finish();
    for hook in hooks_of("UDP").into_iter().map(Hook::name) {
        assert_eq!(run.hook(hook).count, SENT, "{hook}");
    }
    for hook in ["tcp-start", "tcp-socket-enqueued", "tcp-socket-read"] {
        assert_eq!(run.hook(hook).count, SENT, "{hook}");
    }
    // GRO, which looks at TCP's headers, copies them to where they can be read.
    let at_ip = run.hook("ip-start");
    println!("{} recorded, {:?}", at_ip.count, at_ip.skipped);
    assert!(at_ip.count >= SENT, "{}", at_ip.count);
    assert_eq!(at_ip.count + at_ip.skip("owner-unknown"), 2 * SENT);
}

/// A read has no packet: its ports and addresses are those of the connection.
#[test]
fn segments_by_their_headers() {
    const PORTS: [(u16, u64); 3] = [(6730, 10), (6731, 20), (6732, 40)];
    let mut connections = [
        Connection::open(Family::V4, 6730),
        Connection::open(Family::V6, 6731),
        Connection::dual_stack(6732),
    ];
    let source = connections[0].tx.local_addr().expect("bound").port();
    let source = source.to_string();
    let cases: [(&[&str], &[u16]); 5] = [
        (&["--ip", "10.0.0.0/8", "--port", "6732"], &[6732]),
        (&["-4", "--tcp"], &[6730, 6732]),
        (&["--ip", "fd00::1"], &[6731]),
        (&["--local-port", "6731,6732"], &[6731, 6732]),
        (&["--remote-port", &source], &[6730]),
    ];
    for (options, ports) in some(&cases, 2) {
        let tool = Tool::start_for_tcp(&[&["-r", "100ms", "-n", "right"], options].concat());
        tool.warm_up();
        let mut wanted = 0;
        for (connection, (port, n)) in connections.iter_mut().zip(PORTS) {
            connection.talk(n);
            if ports.contains(&port) {
                wanted += n;
            }
        }
        let run = tool.finish();
        for hook in ["tcp-socket-enqueued", "tcp-socket-read"] {
            let counts = run.hook(hook);
            println!("{options:?} {hook}: {} {:?}", counts.count, counts.skipped);
            assert_eq!(counts.count, wanted, "{hook}");
            assert_eq!(counts.skip("filtered"), 70 - wanted, "{hook}");
        }
        // These see acknowledgements, too. tcp-do-rcv also runs in tasks (backlog), and
        // the kernel leaves out a program that is inside itself on this CPU.
        for hook in ["tcp-start", "tcp-do-rcv"] {
            let counts = run.hook(hook);
            println!("{hook}: {} and {} missed", counts.count, counts.missed);
            assert!(counts.count + counts.missed >= wanted, "{hook}");
            assert!(
                counts.skip("filtered") + counts.missed >= 70 - wanted,
                "{hook}"
            );
        }
    }
}

/// Values of a group, in the order of the names of the keys, and its packets.
fn groups<const N: usize>(expected: [([&str; N], u64); 6]) -> BTreeMap<Values, u64> {
    let values = |values: [&str; N]| values.map(String::from).to_vec();
    let mut sums = BTreeMap::new();
    for (group, count) in expected {
        *sums.entry(values(group)).or_default() += count;
    }
    sums
}

#[test]
fn groups_by_headers() {
    let flows = flows();
    let mut connection = Connection::open(Family::V6, 6731);
    let keys = "family,local-port,remote-ip,netns";
    let tool = Tool::start(&["-r", "100ms", "--by", keys]);
    let warm = tool.warm_up();
    for (flow, n) in &flows {
        exchange(std::slice::from_ref(flow), *n);
    }
    connection.talk(30);
    let run = tool.finish();
    // By name: family, local-port, netns, remote-ip.
    let mut expected = groups([
        (["IPv4", "6720", "right", "10.0.0.1"], 10),
        (["IPv4", "6721", "right", "10.0.0.1"], 20),
        (["IPv6", "6722", "right", "fd00::1"], 40),
        (["IPv6", "6723", "right", "fd00::1"], 80),
        (["IPv4", "6724", "right", "127.0.0.1"], 160),
        (["IPv6", "6725", "right", "::1"], 320),
    ]);
    let warm_up = ["IPv4", "4000", "right", "10.0.0.1"].map(String::from);
    expected.insert(warm_up.to_vec(), warm.with);
    for hook in hooks_of("UDP") {
        assert_eq!(run.groups(hook.name()), expected, "{hook}");
    }
    for hook in ["tcp-socket-enqueued", "tcp-socket-read"] {
        let read = BTreeMap::from([(
            ["IPv6", "6731", "right", "fd00::1"]
                .map(String::from)
                .to_vec(),
            30,
        )]);
        assert_eq!(run.groups(hook), read, "{hook}");
    }
}

/// The cards have one receive queue, loopback has none.
#[test]
fn by_receive_queue() {
    let flows = flows();
    let (wire, loopback) = (10 + 20 + 40 + 80, 160 + 320);
    let cases: [(&[&str], bool); 3] = [
        (&["--rx-queue", "0"], true),
        (&["--rx-queue", "1-1023"], false),
        (&["--by", "rx-queue"], true),
    ];
    for (options, on_wire) in cases {
        let mut connection = Connection::open(Family::V4, 6730);
        let tool = Tool::start(&[&["-r", "100ms", "-n", "right"], options].concat());
        let warm = tool.warm_up();
        for (flow, n) in &flows {
            exchange(std::slice::from_ref(flow), *n);
        }
        connection.talk(30);
        let run = tool.finish();
        println!("{options:?}");
        if options[0] == "--by" {
            let expected = BTreeMap::from([
                (vec!["0".to_owned()], wire + warm.with),
                (vec!["none".to_owned()], loopback),
            ]);
            for hook in hooks_of("UDP") {
                assert_eq!(run.groups(hook.name()), expected, "{hook}");
            }
        } else {
            let wanted = if on_wire { wire + warm.with } else { 0 };
            let hooks = hooks_of("UDP").into_iter();
            recorded(&run, wanted, wire + loopback, warm, hooks);
            let read = run.hook("tcp-socket-read").count;
            assert_eq!(read, if on_wire { 30 } else { 0 });
        }
    }
}

/// A read is counted on the CPU that reads. Alone it needs no other object.
#[test]
fn by_cpu() {
    let cpus: usize = sh("nproc").trim().parse().expect("a number");
    let this = || Pid::from_raw(0);
    for (keys, own_port) in [("cpu", None), ("local-port,cpu", Some("6720"))] {
        let flow = Flow::open(Family::V4, 6720);
        let tool = Tool::start(&["-r", "100ms", "-n", "right", "--by", keys]);
        let warm = tool.warm_up();
        const SENT: u64 = 100;
        for number in 0..SENT {
            flow.send(number);
        }
        let arrived = || tool.totals_up_to_now()["udp-socket-enqueued"].count;
        wait_until(PATIENCE, "all have arrived", || {
            arrived() >= SENT + warm.with
        });
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut last = CpuSet::new();
                last.set(cpus - 1).expect("a CPU");
                sched_setaffinity(this(), &last).expect("sched_setaffinity");
                for _ in 0..SENT {
                    flow.receive();
                }
            });
        });
        let run = tool.finish();
        let read = run.groups("udp-socket-read");
        println!("{keys}: {read:?}");
        let cpu = (cpus - 1).to_string();
        let group: Values = [Some(cpu.as_str()), own_port]
            .into_iter()
            .flatten()
            .map(String::from)
            .collect();
        // The warm-up's reads were on any.
        let others: u64 = read.values().sum::<u64>() - read[&group];
        assert!(read[&group] >= SENT && others <= warm.with, "{read:?}");
        assert_eq!(read[&group] + others, SENT + warm.with);
        if own_port.is_some() {
            assert_eq!(read[&group], SENT);
        }
    }
}
