// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A kernel without some of the functions: the user is told which hooks do not
//! measure, and those that can, do.

use netstacklat::model::hooks::Hook;

use testlab::text::TextTool;
use testlab::{Family, PATIENCE, udp, wait_until};

const DATAGRAMS: u64 = 100;

#[test]
fn verdicts_are_printed_and_the_rest_measures() {
    let tool = TextTool::start_hiding("tcp_data_queue,udpv6_rcv", &["-r", "100ms"]);
    // It measures when it has reported once.
    wait_until(PATIENCE, "a report", || tool.stdout().contains(" UTC  "));
    let warm = udp::until_stamped(true);
    for (family, port) in Family::BOTH.into_iter().zip([7810, 7811]) {
        udp::exchange(&udp::Flow::several(family, port..port + 1), DATAGRAMS);
    }
    let (stdout, stderr) = tool.finish();
    let (_, total) = stdout.split_once("\ntotal ").expect("a total");
    println!("{stderr}\n{total}");

    let said: Vec<&str> = stderr.lines().collect();
    let left = Hook::default_ones().count() - 1;
    let expected = format!("netstacklat: measuring at {left} hooks, ");
    assert!(said[0].starts_with(&expected), "{said:?}");
    let verdicts = [
        "netstacklat: tcp-data-queue is off: tcp_data_queue is not in this kernel's BTF.",
        "netstacklat: udp-start: only in part: udpv6_rcv is not in this kernel's BTF.",
    ];
    assert_eq!(said[1..], verdicts);

    // What was hidden is IPv6's: the warm-up and the others are IPv4.
    assert_eq!(samples(total, "udp-start"), Some(DATAGRAMS + warm.with));
    let both = Some(2 * DATAGRAMS + warm.with);
    assert_eq!(samples(total, "udp-queue-rcv"), both);
    assert_eq!(samples(total, "udp-socket-read"), both);
    assert!(!total.contains("tcp-data-queue"));
}

/// The `count` of a hook in the total.
fn samples(total: &str, hook: &str) -> Option<u64> {
    let heading = format!("\n{hook}: ");
    let (_, block) = total.split_once(&heading)?;
    let (_, count) = block.split_once("\ncount ")?;
    count.split_whitespace().next()?.parse().ok()
}
