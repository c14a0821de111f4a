// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Firewall rules that every packet must be compared with: what they cost
//! shows behind INPUT, at TCP and UDP, and not before it, at IP.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};

use testlab::lines::Totals;
use testlab::tcp::Connection;
use testlab::tool::Tool;
use testlab::udp::Flow;
use testlab::{Family, Undo, at_full_length, sh};

/// So many rules: five times as many at full length.
fn rules() -> [usize; 3] {
    let least = if at_full_length() { 1000 } else { 200 };
    [0, least, 5 * least]
}

/// Up and down again, so that what slows the guest down for some seconds, or
/// more and more, does so to all.
const TURNS: [usize; 6] = [0, 1, 2, 2, 1, 0];
/// To and fro on a connection, and one way by UDP: one at a time, so that no
/// packet waits for the one before.
const PACKETS: u64 = 100;
const HOOKS: [&str; 3] = ["ip-start", "tcp-start", "udp-start"];

#[test]
fn iptables() {
    let _clean = Undo::after(
        "true",
        "for ns in left right; do
            for option in F X; do ip netns exec $ns iptables-legacy -$option; done
        done",
    );
    let mut table = String::from("*filter\n:INPUT ACCEPT [0:0]\n");
    for n in rules() {
        let _ = writeln!(table, ":rules{n} - [0:0]");
        for mark in 1..=n {
            let _ = writeln!(table, "-A rules{n} -m mark --mark {mark} -j DROP");
        }
    }
    in_both("iptables-legacy-restore", &(table + "COMMIT\n"));
    let switch = |n| {
        in_both(
            "iptables-legacy-restore --noflush",
            &format!("*filter\n-F INPUT\n-A INPUT -j rules{n}\n-A INPUT -j ACCEPT\nCOMMIT\n"),
        );
    };
    let passed = || {
        let rules = sh("ip netns exec right iptables-legacy-save -c -t filter");
        let last = rules
            .lines()
            .find(|line| line.ends_with("-A INPUT -j ACCEPT"));
        let counter = last.and_then(|line| line.strip_prefix('[')?.split(':').next());
        counter.expect("a counter").parse().expect("a number")
    };
    more_rules_take_longer(Family::V4, switch, passed);
}

#[test]
fn nftables() {
    let _clean = Undo::after(
        "true",
        "for ns in left right; do ip netns exec $ns nft flush ruleset; done",
    );
    let mut table = String::from("table inet lab {\n");
    for n in rules() {
        let _ = writeln!(table, "chain rules{n} {{");
        // A rule each and no set: the kernel compares one after the other.
        for mark in 1..=n {
            let _ = writeln!(table, "meta mark {mark} drop");
        }
        table += "}\n";
    }
    table += "chain input { type filter hook input priority 0; }\n}\n";
    in_both("nft -f -", &table);
    let switch = |n| {
        in_both(
            "nft -f -",
            &format!(
                "flush chain inet lab input
                 add rule inet lab input jump rules{n}
                 add rule inet lab input counter\n"
            ),
        );
    };
    let passed = || {
        let chain = sh("ip netns exec right nft list chain inet lab input");
        let mut words = chain.split_whitespace();
        words.find(|word| *word == "packets").expect("a counter");
        words.next().expect("a count").parse().expect("a number")
    };
    more_rules_take_longer(Family::V6, switch, passed);
}

/// The sender gets rules too, as its acknowledgements are measured with the
/// receiver's segments.
fn in_both(program: &str, rules: &str) {
    std::fs::write("/tmp/rules", rules).expect("/tmp");
    for ns in ["left", "right"] {
        sh(&format!("ip netns exec {ns} {program} </tmp/rules"));
    }
}

/// `switch` puts so many rules before one that counts what has `passed` them
/// all on the right.
fn more_rules_take_longer(family: Family, switch: impl Fn(usize), passed: impl Fn() -> u64) {
    let tool = Tool::start(&["-r", "50ms", "-e", &HOOKS.join(",")]);
    tool.warm_up();
    let flow = Flow::open(family, 8100);
    let mut connection = Connection::open(family, 8100);
    let rules = rules();
    let mut by_rules = rules.map(|_| Totals::new());
    let mut before = tool.totals_up_to_now();
    for turn in TURNS {
        switch(rules[turn]);
        for number in 0..PACKETS {
            flow.send(number);
            assert_eq!(flow.receive(), number);
            there_and_back(&mut connection);
        }
        assert!(passed() >= 2 * PACKETS, "{}: {}", rules[turn], passed());
        let after = tool.totals_up_to_now();
        for hook in HOOKS {
            let earlier = before.get(hook).cloned().unwrap_or_default();
            let sum = by_rules[turn].entry(hook.into()).or_default();
            sum.merge(&after[hook].since(&earlier));
        }
        before = after;
    }
    tool.finish();

    let medians = HOOKS.map(|hook| {
        let of = |totals: &Totals| {
            assert!(totals[hook].count >= 2 * PACKETS, "{:?}", totals[hook]);
            totals[hook].median()
        };
        let medians = by_rules.each_ref().map(of);
        println!("{hook}: medians with {rules:?} rules {medians:?}");
        medians
    });
    let [ip, behind @ ..] = medians;
    for [none, some, many] in behind {
        assert!(none.1 <= some.0 && some.1 <= many.0);
        // If IP were behind the rules its median would have risen as much as
        // these. A quarter of that is left to the guest, whose caches thousands
        // of rules empty, in truth and of translated code.
        let rise = many.0 - none.1;
        assert!(ip[2].0 <= ip[0].1 + rise / 4, "{ip:?}");
        assert!(ip[1].0 <= ip[0].1 + rise / 4, "{ip:?}");
    }
}

fn there_and_back(connection: &mut Connection) {
    let mut data = [0; 100];
    connection.tx.write_all(&data).expect("write");
    connection.rx.read_exact(&mut data).expect("read");
    connection.rx.write_all(&data).expect("write");
    connection.tx.read_exact(&mut data).expect("read");
}
