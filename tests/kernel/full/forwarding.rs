// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Forwarded packets: the right namespace passes on what the left one sends to the inner
//! one. Each is counted, as the kernel counts it, and each delay is in its stage.

use std::collections::BTreeMap;
use std::time::Duration;

use netstacklat::model::hooks::Hook;
use testlab::hold::{self, Holder};
use testlab::hooks::hooks_of;
use testlab::lines::{Counts, Run};
use testlab::links::{Link, Way, routed};
use testlab::tcp::{Connection, Load};
use testlab::tool::Tool;
use testlab::udp::{Flow, exchange};
use testlab::{Family, Ns, Undo, linux_from, sh};

/// For so long the queueing discipline of a device delays what the right namespace sends.
fn delay_at(device: &str, delay: &str) -> Undo {
    let undo = match device {
        "eth0" => "tc -n right qdisc replace dev eth0 root pfifo limit 100000",
        _ => "tc -n right qdisc del dev inner0 root",
    };
    let script = format!(
        "modprobe sch_netem
        tc -n right qdisc replace dev {device} root netem delay {delay}"
    );
    Undo::after(&script, undo)
}

/// Counters of IP in a namespace, of both versions.
fn counters(ns: &str) -> BTreeMap<String, u64> {
    let text = sh(&format!(
        "ip netns exec {ns} bash -c 'grep ^Ip: /proc/net/snmp; cat /proc/net/snmp6'"
    ));
    let mut counters = BTreeMap::new();
    let mut lines = text.lines();
    let (names, values) = (lines.next().expect("names"), lines.next().expect("values"));
    for (name, value) in names.split_whitespace().zip(values.split_whitespace()) {
        counters.insert(name.to_owned(), value.parse().unwrap_or(0));
    }
    for line in lines {
        let (name, value) = line.split_once(char::is_whitespace).expect("two words");
        counters.insert(name.to_owned(), value.trim().parse().expect("a number"));
    }
    counters
}

/// What the right namespace has forwarded, and sent itself, and what came to the inner
/// one.
fn forwarded_sent_and_received() -> [u64; 3] {
    let (right, inner) = (counters("right"), counters("inner"));
    [
        right["ForwDatagrams"] + right["Ip6OutForwDatagrams"],
        right["OutRequests"] + right["Ip6OutRequests"],
        inner["InReceives"] + inner["Ip6InReceives"],
    ]
}

/// The forwarded packets that a hook has seen.
fn came(counts: &Counts) -> u64 {
    counts.count + counts.skip("tx-timestamp")
}

/// As many as the kernel counts, whoever sends, and none of those that the host sends
/// itself. With both hooks, and where only the second one is asked for.
#[test]
fn each_forwarded_packet_is_counted() {
    const N: u64 = 200;
    let _routed = routed();
    for hooks in ["forwarding", "ip-forwarded"] {
        let tool = Tool::start(&["-r", "100ms", "-e", hooks]);
        tool.warm_up();
        let before = forwarded_sent_and_received();
        for (family, port) in Family::BOTH.into_iter().zip([6900, 6910]) {
            exchange(&[Flow::over(Link::Routed.way(family, port))], N);
            // To where packets come in by a veth pair, with a time of transmission.
            let back = Way::wire(Ns::Inner, Ns::Left, family, port + 1);
            exchange(&[Flow::over(back)], N);
            let load = Load {
                writes: 50,
                size: 1000,
                at_once: 100_000,
                urgent_every: 0,
            };
            Connection::over(Link::Routed.way(family, port + 2)).transfer(load);
            // Not forwarded.
            let own = Way::wire(Ns::Right, Ns::Left, family, port + 3);
            exchange(&[Flow::over(own)], N);
        }
        let after = forwarded_sent_and_received();
        let run = tool.finish();
        let grown = [0, 1, 2].map(|counter: usize| after[counter] - before[counter]);
        let [forwarded, sent, received] = grown;
        println!("{hooks}: the kernel has forwarded {forwarded}, and sent {sent}");
        assert!(forwarded > 4 * N && sent >= 2 * N);
        // Of the segments from the inner namespace; 5.18 let their mark get through.
        let tx = run.hook("ip-forwarded").skip("tx-timestamp");
        assert_eq!(tx > 0, linux_from(5, 18));
        for hook in ["ip-forward", "ip-forwarded"] {
            if hook == "ip-forward" && hooks == "ip-forwarded" {
                assert!(run.total.of_all().all(|line| line.hook != hook));
                continue;
            }
            let counts = run.hook(hook);
            println!(
                "{hook}: {}, {:?}, missed {}",
                counts.count, counts.skipped, counts.missed
            );
            // Runs that the kernel has left out may have been for packets of its own.
            let missed = counts.missed;
            assert!(missed <= forwarded / 20, "{hook}: {missed}");
            let wanted = forwarded - missed..=forwarded;
            assert!(wanted.contains(&came(&counts)), "{hook}: {wanted:?}");
            let known = ["tx-timestamp", "not-forwarded"];
            let others = counts
                .skipped
                .keys()
                .filter(|reason| !known.contains(&&***reason));
            assert_eq!(others.count(), 0, "{hook}: {:?}", counts.skipped);
        }
        // What goes out by the card is in other namespaces later, too, often in the same
        // skb, and looks alike.
        if hooks == "forwarding" {
            let inner = run.hook("inner-ip-start");
            println!(
                "inner-ip-start: {} of {received}, {:?}",
                inner.count, inner.skipped
            );
            let wanted = received - received / 10..=received;
            assert!(wanted.contains(&came(&inner)), "{wanted:?}");
        }
        let counts = run.hook("ip-forwarded");
        let own = counts.skip("not-forwarded") + counts.missed;
        assert!(own >= sent, "{own}");
    }
}

/// Netfilter holds packets before routing, and behind it, and the queueing discipline of
/// the way out delays them. The first two are stages, and the third is behind the last
/// hook.
#[test]
fn a_delay_of_a_forwarded_packet_is_in_its_stage() {
    const HELD: Duration = Duration::from_millis(300);
    const PACKETS: u64 = 3;
    let _routed = routed();
    let _netem = delay_at("inner0", "200ms");
    let hops = ["ip-start", "ip-forward", "ip-forwarded"];
    for (chain, behind) in [("prerouting", 1), ("forward", 2)] {
        let mut holder = Holder::at(chain);
        let options = ["-r", "100ms", "-n", "right", "-e", "forwarding"];
        let tool = Tool::start(&[&options[..], &["--slower-than", "100ms"]].concat());
        tool.warm_up();
        let mut ages = Vec::new();
        for family in Family::BOTH {
            exchange(&[Flow::over(Link::Routed.way(family, 6920))], 20);
            let flow = Flow::over(Link::Routed.way(family, hold::PORT));
            for number in 0..PACKETS {
                flow.send(number);
                ages.extend(holder.hold(1, HELD).into_iter().map(|held| held.age));
                flow.receive();
            }
        }
        let run = tool.finish();
        for at in 1..hops.len() {
            let stage = run.hook(hops[at]).stage(hops[at - 1]);
            let slow = stage.above(HELD.as_nanos() as u64 / 2);
            println!("{chain}: {} -> {}: {slow} slow", hops[at - 1], hops[at]);
            let expected = if at == behind { 2 * PACKETS } else { 0 };
            assert_eq!(slow, expected, "{chain}, {}", hops[at]);
            assert_eq!(stage.count, run.hook(hops[at]).count, "{}", hops[at]);
        }
        // As the holder measured it.
        let shown = shown(&run);
        assert_eq!(shown.len(), ages.len(), "{shown:?}");
        for (age, (least, most)) in shown.into_iter().zip(ages) {
            assert!((least..=most).contains(&age), "{age}: {least} to {most}");
        }
    }
}

/// Behind the FORWARD chain, the queueing discipline of a card delays packets: each that
/// leaves by it is in the stage, and the host's own packets are not.
#[test]
fn the_queueing_discipline_of_a_card_is_a_stage() {
    const N: u64 = 50;
    const DELAY: u64 = 50_000_000;
    let _routed = routed();
    let _netem = delay_at("eth0", "50ms");
    let options = ["-r", "100ms", "-n", "right", "--stages"];
    let tool = Tool::start(&[&options[..], &["-e", "forwarding,forwarded-sent"]].concat());
    tool.warm_up();
    let before = forwarded_sent_and_received();
    for (family, port) in Family::BOTH.into_iter().zip([6960, 6961]) {
        exchange(
            &[Flow::over(Way::wire(Ns::Inner, Ns::Left, family, port))],
            N,
        );
        // The other way, by a veth device, and the host's own.
        exchange(&[Flow::over(Link::Routed.way(family, port))], N);
        exchange(
            &[Flow::over(Way::wire(Ns::Right, Ns::Left, family, port + 2))],
            N,
        );
    }
    let [forwarded, ..] = forwarded_sent_and_received();
    let forwarded = forwarded - before[0];
    let run = tool.finish();
    let sent = run.hook("forwarded-sent");
    println!(
        "{forwarded} forwarded; sent {}, {:?}",
        sent.count, sent.skipped
    );
    // Neighbours and routers are asked for, too.
    assert!((2 * N..forwarded - N).contains(&sent.count));
    let stage = sent.stage("ip-forwarded");
    let late = stage.above(DELAY / 16 * 15);
    assert!(
        late >= 2 * N && late == stage.count,
        "{late} of {}",
        stage.count
    );
    for (hook, before) in [("ip-forward", "ip-start"), ("ip-forwarded", "ip-forward")] {
        assert_eq!(run.hook(hook).stage(before).above(DELAY / 2), 0, "{hook}");
    }
    assert!(sent.skip("not-forwarded") >= 4 * N);
}

/// Ages of the slow packets, in the order in which they came.
fn shown(run: &Run) -> Vec<i64> {
    let slow = run.total.slow.as_ref().expect("they are looked for");
    let packets = slow["packets"].as_array().expect("an array");
    let mut packets: Vec<_> = packets.iter().collect();
    packets.sort_by_key(|packet| packet["time"].as_str().expect("a time").to_owned());
    packets
        .iter()
        .map(|packet| {
            assert_eq!(packet["hook"], "ip-forwarded", "{packet}");
            packet["age_ns"].as_i64().expect("a number")
        })
        .collect()
}

/// In the namespace that packets are forwarded to over veth, each is measured since it
/// entered the host: at IP there, and when it is read. Its time in netfilter of the host
/// and in the queueing discipline of the veth device are in it, and each is in its stage.
#[test]
fn packets_in_a_container_are_as_old_as_in_the_host() {
    const HELD: Duration = Duration::from_millis(300);
    const N: u64 = 100;
    const LATE: u64 = 3;
    let _routed = routed();
    let _netem = delay_at("inner0", "50ms");
    let mut holder = Holder::at("forward");
    let tool = Tool::start(&["-r", "100ms", "-e", "forwarding", "--stages"]);
    tool.warm_up();
    for (family, port) in Family::BOTH.into_iter().zip([6940, 6941]) {
        exchange(&[Flow::over(Link::Routed.way(family, port))], N);
        let held = Flow::over(Link::Routed.way(family, hold::PORT));
        for number in 0..LATE {
            held.send(number);
            holder.hold(1, HELD);
            held.receive();
        }
        Connection::over(Link::Routed.way(family, port)).talk(N);
        // Not forwarded: none of these hooks takes them for their own.
        exchange(&[Flow::open(family, port)], N);
        Connection::open(family, port).talk(N);
    }
    let run = tool.finish();
    let of_set = |hook: &Hook| hook.name() != "forwarded-sent";
    for hook in hooks_of("forwarded").into_iter().filter(of_set) {
        let counts = run.hook(hook.name());
        println!(
            "{hook}: {}, {:?}, missed {}, without a stage {:?}",
            counts.count, counts.skipped, counts.missed, counts.stageless
        );
    }
    // A packet can interrupt a program that runs for a packet of the host's own: then its
    // program is left out, and the hooks behind that one do not know it. And of 256 that
    // wait at once, one in 64 meets another one in its place.
    const LOST: u64 = N / 10;
    let udp = run.hook("inner-udp-socket-read");
    let tcp = run.hook("inner-tcp-socket-read");
    for (counts, sent) in [(&udp, 2 * (N + LATE)), (&tcp, 2 * N)] {
        assert!((sent - LOST..=sent).contains(&counts.count), "{counts:?}");
    }
    let (held, queued) = (HELD.as_nanos() as u64, 50_000_000);
    assert_eq!(udp.above(held), 2 * LATE);
    for (to, from, slow, least) in [
        ("inner-ip-start", "ip-forwarded", None, queued / 16 * 15),
        (
            "inner-udp-socket-read",
            "inner-ip-start",
            Some(0),
            queued / 2,
        ),
        (
            "inner-tcp-socket-read",
            "inner-ip-start",
            Some(0),
            queued / 2,
        ),
    ] {
        let counts = run.hook(to);
        let stage = counts.stage(from);
        println!("{from} -> {to}: {} of {}", stage.above(least), stage.count);
        let all = stage.count;
        assert_eq!(stage.above(least), slow.unwrap_or(all), "{from} -> {to}");
        // A program that was left out in between leaves a longer stage.
        assert!(all >= counts.count * 15 / 16, "{from} -> {to}");
    }
}

/// A packet that is dropped leaves its note, and other packets get its memory: none of
/// them is taken for it.
#[test]
fn a_dropped_packet_is_not_taken_for_another() {
    const N: u64 = 300;
    let _routed = routed();
    let _drop = Undo::after(
        "ip netns exec right nft -f - <<'TEXT'
table inet dropper {
    chain forward {
        type filter hook forward priority 0
        udp dport 6930 drop
    }
}
TEXT",
        "ip netns exec right nft delete table inet dropper",
    );
    let tool = Tool::start(&["-r", "100ms", "-n", "right", "-e", "forwarding"]);
    tool.warm_up();
    for family in Family::BOTH {
        let dropped = Flow::over(Link::Routed.way(family, 6930));
        let passed = Flow::over(Link::Routed.way(family, 6931));
        let own = Flow::over(Way::wire(Ns::Right, Ns::Left, family, 6932));
        for number in 0..N {
            dropped.send(number);
            own.send(number);
            own.receive();
            passed.send(number);
            passed.receive();
        }
    }
    let run = tool.finish();
    assert_eq!(run.hook("ip-forward").count, 4 * N);
    let forwarded = run.hook("ip-forwarded");
    assert_eq!(forwarded.count, 2 * N, "{:?}", forwarded.skipped);
    assert_eq!(forwarded.skip("entry-missed"), 0);
}

/// Filters and groups apply at each of these hooks, and `--sample` keeps the same packets
/// at all of them, on both sides of the veth pair.
#[test]
fn filters_groups_and_shares() {
    const N: u64 = 200;
    const LOST: u64 = N / 10;
    const HOOKS: [&str; 4] = [
        "ip-forward",
        "ip-forwarded",
        "inner-ip-start",
        "inner-udp-socket-read",
    ];
    let _routed = routed();
    let send = || {
        for (family, port) in [(Family::V4, 6950), (Family::V6, 6951), (Family::V4, 6952)] {
            exchange(&[Flow::over(Link::Routed.way(family, port))], N);
        }
    };
    let options = [
        "-r",
        "100ms",
        "-e",
        "forwarding",
        "--local-port",
        "6950-6951",
    ];
    let tool = Tool::start(&[&options[..], &["--by", "family"]].concat());
    tool.warm_up();
    send();
    let run = tool.finish();
    for hook in HOOKS {
        let groups = run.groups(hook);
        println!("{hook}: {groups:?}");
        for family in ["IPv4", "IPv6"] {
            let count = groups[&vec![family.to_owned()]];
            assert!((N - LOST..=N).contains(&count), "{hook}, {family}");
        }
        assert_eq!(groups.len(), 2, "{hook}");
        assert!(run.hook(hook).skip("filtered") >= N - LOST, "{hook}");
    }
    let tool = Tool::start(&[&options[..], &["--sample", "1/4"]].concat());
    tool.warm_up();
    send();
    let run = tool.finish();
    let kept = run.hook("ip-forward");
    println!("ip-forward: {} kept, {:?}", kept.count, kept.skipped);
    assert_eq!(kept.count + kept.skip("sampled-out"), 2 * N);
    assert!((N / 4..N).contains(&kept.count));
    for hook in HOOKS {
        let counts = run.hook(hook);
        println!("{hook}: {} kept, {:?}", counts.count, counts.skipped);
        let kept = kept.count - LOST..=kept.count;
        assert!(kept.contains(&counts.count), "{hook}");
        let all = counts.count + counts.skip("sampled-out");
        assert!((2 * N - LOST..=2 * N).contains(&all), "{hook}");
    }
}
