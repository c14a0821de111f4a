// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Each packet is counted once at each hook: against the programs that send
//! and receive, against the kernel's counters, against its count of runs.

use testlab::counters::{Snmp, hook_runs, packets_by_cpu};
use testlab::hooks::udp_hooks_counted;
use testlab::tcp::{Connection, Load};
use testlab::tool::Tool;
use testlab::{Family, Undo, sh, udp};

const IP_IN: [&str; 2] = ["Ip.InReceives", "Ip6.InReceives"];

/// Packets of different flows go up the stack on both CPUs at once.
pub fn receive_on_both_cpus() -> Undo {
    const RPS: &str = "/sys/class/net/eth0/queues/rx-0/rps_cpus";
    let undo = Undo::after(
        &format!("ip netns exec right bash -c 'echo 3 >{RPS}'"),
        "ip netns exec right bash -c 'echo 0 >/sys/class/net/eth0/queues/rx-0/rps_cpus'",
    );
    let set = sh(&format!("ip netns exec right cat {RPS}"));
    assert_eq!(set.trim(), "3");
    undo
}

fn without_gro() -> Undo {
    Undo::after(
        "for ns in left right; do ip netns exec $ns ethtool -K eth0 gro off; done",
        "for ns in left right; do ip netns exec $ns ethtool -K eth0 gro on; done",
    )
}

#[test]
fn udp_on_both_cpus() {
    const N: u64 = 10_000;
    let _rps = receive_on_both_cpus();
    let before = Snmp::read();
    let tool = Tool::start(&["-r", "50ms"]);
    let warm = tool.warm_up();
    let cpus_before = packets_by_cpu();
    // RPS places each flow by a random hash: so many that each CPU gets some.
    for (family, port) in Family::BOTH.into_iter().zip([5000, 5100]) {
        udp::exchange(&udp::Flow::several(family, port..port + 32), N);
    }
    let cpus: Vec<u64> = packets_by_cpu();
    let run = tool.finish();
    let after = Snmp::read();

    after.nothing_lost_since(&before);
    let all = 2 * N + warm.with + warm.without;
    let kernel = after.since(&before, &["Udp.InDatagrams", "Udp6.InDatagrams"]);
    assert_eq!(kernel, all, "the kernel has seen other datagrams");
    udp_hooks_counted(&run, 2 * N, warm);
    for (cpu, (now, then)) in cpus.iter().zip(&cpus_before).enumerate() {
        let share = now - then;
        println!("CPU {cpu}: {share} packets");
        assert!(share > N / 5, "CPU {cpu} had only {share} packets");
    }
    // Not all of IP is UDP, so this is against the kernel's count.
    let ip = run.hook("ip-start");
    assert_eq!(ip.runs(), after.since(&before, &IP_IN));
    assert_eq!(ip.missed, 0);
}

/// One small send after the other to a reader that takes each as it comes, and
/// to one that holds the socket for long, so that segments pile up in its
/// backlog and are replayed by the reader.
#[test]
fn tcp_as_the_kernel_counts() {
    let _gro = without_gro();
    let before = Snmp::read();
    let tool = Tool::start(&["-r", "50ms"]);
    tool.warm_up();
    for (family, port) in Family::BOTH.into_iter().zip([5200, 5300]) {
        for (n, at_once) in [(0, 600), (1, 1 << 20)] {
            let connection = Connection::open(family, port + n);
            connection.transfer(Load {
                writes: 6000,
                size: 600,
                at_once,
                urgent_every: 0,
            });
        }
    }
    tool.totals_up_to_now();
    let runs = hook_runs();
    let run = tool.finish();
    let after = Snmp::read();

    let backlog = after.since(&before, &["TcpExt.TCPBacklogCoalesce"]);
    println!(
        "{} segments, {backlog} coalesced in a backlog",
        after.since(&before, &["Tcp.InSegs"])
    );
    for hook in [
        "tcp-start",
        "tcp-do-rcv",
        "tcp-data-queue",
        "tcp-socket-enqueued",
    ] {
        let counts = run.hook(hook);
        println!(
            "{hook}: {}, {:?}, missed {}",
            counts.count, counts.skipped, counts.missed
        );
        assert_eq!(counts.runs(), runs[hook].run, "{hook}");
    }
    let start = run.hook("tcp-start");
    assert_eq!(start.missed, 0);
    assert_eq!(start.runs(), after.since(&before, &["Tcp.InSegs"]));
    assert_eq!(start.count, start.runs(), "{:?}", start.skipped);
    assert_eq!(run.hook("ip-start").runs(), after.since(&before, &IP_IN));
}

/// All the reports of a long run together are the total, the total is what
/// was sent, and every run of every program is accounted for.
#[test]
fn a_long_run() {
    // 200,000 datagrams in `make test-all`.
    let n = if testlab::at_full_length() {
        100_000
    } else {
        20_000
    };
    let _rps = receive_on_both_cpus();
    let before = Snmp::read();
    let tool = Tool::start(&["-r", "50ms"]);
    let warm = tool.warm_up();
    let connection = Connection::open(Family::V4, 5400);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            connection.transfer(Load {
                writes: 10_000,
                size: 600,
                at_once: 1 << 20,
                urgent_every: 0,
            })
        });
        for (family, port) in Family::BOTH.into_iter().zip([5500, 5600]) {
            udp::exchange(&udp::Flow::several(family, port..port + 4), n);
        }
    });
    settled_with_every_run(&tool);
    let run = tool.finish();
    let after = Snmp::read();

    after.nothing_lost_since(&before);
    udp_hooks_counted(&run, 2 * n, warm);
    assert!(
        run.intervals.len() > 10,
        "{} intervals",
        run.intervals.len()
    );
}

/// Waits until nothing runs the programs, which are still attached, any more:
/// by then each of their runs has become a sample or a counted skip.
pub fn settled_with_every_run(tool: &Tool) {
    let (runs, settled) = (0..5)
        .find_map(|_| {
            let first = tool.totals_up_to_now();
            let runs = hook_runs();
            (tool.totals_up_to_now() == first).then_some((runs, first))
        })
        .expect("the guest does not come to rest");
    assert_eq!(settled.len(), runs.len());
    for (hook, counts) in &settled {
        let Some(kernel) = runs.get(hook) else {
            panic!("{hook} has no program in the kernel");
        };
        println!(
            "{hook}: recorded {} + skipped {} = {} runs, missed {}",
            counts.count,
            counts.runs() - counts.count,
            kernel.run,
            counts.missed
        );
        assert_eq!(counts.runs(), kernel.run, "{hook}: {:?}", counts.skipped);
        assert_eq!(counts.missed, kernel.missed, "{hook}");
    }
}
