// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Links without a card. TCP over them arrives with the time of transmission
//! in place of a stamp: each such skb is counted, and the reader is told.

use testlab::counters::Snmp;
use testlab::hooks::udp_hooks_counted;
use testlab::links::{Link, veth};
use testlab::tcp::{Connection, Load};
use testlab::text::TextTool;
use testlab::tool::Tool;
use testlab::{Family, linux_from, udp};

const IP_IN: [&str; 2] = ["Ip.InReceives", "Ip6.InReceives"];

/// 5.18 (a1ac9c8acec1) let the time of transmission get through to the
/// receiver, marked as such.
fn tx_stamps_get_through() -> bool {
    linux_from(5, 18)
}

/// Four connections: the kernel's count of segments is the other side.
fn tcp_over(link: Link) -> u64 {
    let before = Snmp::read();
    for (family, port) in Family::BOTH.into_iter().zip([8000, 8010]) {
        for n in 0..2 {
            Connection::over(link.way(family, port + n)).transfer(Load {
                writes: 300,
                size: 600,
                at_once: 4096,
                urgent_every: 0,
            });
        }
    }
    Snmp::at_rest().since(&before, &["Tcp.InSegs"])
}

/// With `ip-start`, which is where the mark can be seen, and without.
#[test]
fn tcp_comes_with_a_transmit_time() {
    let _veth = veth();
    for hooks in ["tcp-start", "ip-start,tcp-start"] {
        let before = Snmp::read();
        let tool = Tool::start(&["-r", "1", "-e", hooks]);
        let warm = tool.warm_up();
        let [wire, loopback, veth] = Link::ALL.map(tcp_over);
        let run = tool.finish();
        let packets = Snmp::read().since(&before, &IP_IN);
        let start = run.hook("tcp-start");
        println!(
            "{hooks}: segments {wire} by wire, {loopback} by loopback, {veth} by veth; \
             {} with a transmit timestamp, {} measured at TCP",
            run.total.tx_stamped, start.count
        );
        let marked = if tx_stamps_get_through() {
            loopback + veth
        } else {
            0
        };
        assert_eq!(run.total.tx_stamped, marked);
        // Behind local delivery each has a proper stamp, wherever it is from.
        let all = wire + loopback + veth;
        assert_eq!(start.count, all, "{:?}", start.skipped);
        assert!(start.skipped.is_empty(), "{:?}", start.skipped);
        if hooks.starts_with("ip-start") {
            let ip = run.hook("ip-start");
            assert_eq!(ip.skip("tx-timestamp"), marked, "{:?}", ip.skipped);
            assert_eq!(ip.skip("no-timestamp"), warm.without);
            assert_eq!(ip.count, all - marked + warm.with);
            assert_eq!(ip.runs(), packets);
        }
    }
}

/// One line, once in a report, whatever its form and however many hooks.
#[test]
fn the_report_says_what_tcp_hooks_then_mean() {
    let _veth = veth();
    for (form, link) in [("--color=never", Link::Loopback), ("--summary", Link::Veth)] {
        let hooks = "tcp-start,tcp-do-rcv,tcp-socket-enqueued";
        let tool = TextTool::start(&["--duration", "1h", "-e", hooks, form]);
        udp::until_stamped(true);
        let segments = tcp_over(link);
        let (text, _) = tool.finish();
        println!("{text}");
        assert!(hooks.split(',').all(|hook| text.contains(hook)), "{text}");
        let told: Vec<&str> = text
            .lines()
            .filter(|l| l.starts_with("tx-timestamp: ") && l.contains("skbs"))
            .collect();
        if tx_stamps_get_through() {
            let line = format!(
                "tx-timestamp: {segments} skbs (lo, veth): tcp-* start late, at local delivery"
            );
            assert_eq!(told, [line]);
        } else {
            assert!(told.is_empty(), "{told:?}");
        }
    }
}

/// UDP over the same links is measured like any other.
#[test]
fn udp_comes_with_a_stamp() {
    const N: u64 = 1000;
    let _veth = veth();
    let before = Snmp::read();
    let tool = Tool::start(&["-r", "1"]);
    let warm = tool.warm_up();
    for (link, base) in [(Link::Loopback, 8020), (Link::Veth, 8040)] {
        for (family, port) in Family::BOTH.into_iter().zip([base, base + 10]) {
            let flows = (port..port + 4).map(|port| udp::Flow::over(link.way(family, port)));
            udp::exchange(&flows.collect::<Vec<_>>(), N);
        }
    }
    let run = tool.finish();
    let after = Snmp::read();

    after.nothing_lost_since(&before);
    udp_hooks_counted(&run, 4 * N, warm);
    assert_eq!(run.total.tx_stamped, 0);
    let ip = run.hook("ip-start");
    assert_eq!(ip.count, 4 * N + warm.with, "{:?}", ip.skipped);
    assert_eq!(ip.runs(), after.since(&before, &IP_IN));
}
