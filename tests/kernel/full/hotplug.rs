// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! CPUs that go offline and come back while packets arrive: every counter is
//! per CPU, and none is lost.

use std::time::Duration;

use super::exact::{receive_on_both_cpus, settled_with_every_run};
use testlab::counters::{Snmp, packets_by_cpu};
use testlab::hooks::udp_hooks_counted;
use testlab::lines::Run;
use testlab::load::{Background, Rate};
use testlab::tool::Tool;
use testlab::{Family, Undo, sh, udp};

const ONLINE: &str = "/sys/devices/system/cpu/online";
/// Time for packets with a CPU, and without it.
const PHASE: Duration = Duration::from_millis(300);

/// Switches the second CPU; the first cannot go.
fn second_cpu(online: bool) {
    let switch = u8::from(online);
    sh(&format!(
        "echo {switch} >/sys/devices/system/cpu/cpu1/online"
    ));
    let expected = if online { "0-1" } else { "0" };
    let now = std::fs::read_to_string(ONLINE).expect("/sys");
    assert_eq!(now.trim(), expected);
}

/// Packets that it has passed up the stack since it came online.
fn packets_on_second_cpu() -> u64 {
    packets_by_cpu()[1]
}

#[test]
fn goes_and_comes_back() {
    // Its first packets come when the programs have long been attached.
    counted_through(|load| {
        for _ in 0..3 {
            second_cpu(false);
            with_packets(load);
            second_cpu(true);
            let before = packets_on_second_cpu();
            with_packets(load);
            let share = packets_on_second_cpu() - before;
            println!("CPU 1 is back: {share} packets");
            assert!(share > 10, "no packets on CPU 1");
        }
    });
}

#[test]
fn stays_away_to_the_end() {
    counted_through(|load| {
        with_packets(load);
        second_cpu(false);
        with_packets(load);
    });
}

fn with_packets(load: &Background) {
    std::thread::sleep(PHASE);
    load.wait_for_traffic();
}

/// Every datagram is counted at every hook, and every run of every program,
/// whatever `change` does to the second CPU under load.
fn counted_through(change: impl FnOnce(&Background)) {
    let _back = Undo::after("true", "echo 1 >/sys/devices/system/cpu/cpu1/online");
    let _rps = receive_on_both_cpus();
    let before = Snmp::read();
    let tool = Tool::start(&["-r", "50ms"]);
    let warm = tool.warm_up();
    // RPS places each flow by a random hash: so many that each CPU gets some.
    let on_second = packets_on_second_cpu();
    udp::exchange(&udp::Flow::several(Family::V4, 7660..7692), 1000);
    assert!(packets_on_second_cpu() > on_second + 100);

    let load = Background::start(Rate::Full, 7720);
    change(&load);
    let datagrams = 1000 + load.stop().datagrams;
    settled_with_every_run(&tool);
    let run: Run = tool.finish();
    Snmp::read().nothing_lost_since(&before);
    udp_hooks_counted(&run, datagrams, warm);
}
