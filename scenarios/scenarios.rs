// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The scenarios: what is changed, and what must be found. What must be found
//! follows from how the kernel works, and was written down before it was
//! measured.

use anyhow::Result;
use clap::ValueEnum;
use testlab::sh;

use crate::batching;
use crate::finding::Expected::{NotSlower, NothingAt, OnlyInA, Same, Slower, SlowerAbove, Warned};
use crate::forward;
use crate::keepalive;
use crate::kube_proxy;
use crate::trial::Trial;

#[derive(Clone, Copy, ValueEnum)]
pub enum Scenario {
    Aa,
    #[value(name = "iptables-25k")]
    Iptables25k,
    ForwarderBuffers,
    BusyCpu,
    Rps,
    ForwarderSplice,
    HttpKeepalive,
    KubeProxy,
    BatchingReader,
}

impl Scenario {
    /// Ends well if all that was expected was found.
    pub fn run(self) -> Result<()> {
        println!("Linux {}", sh("uname -r").trim());
        match self {
            Scenario::Aa => aa(),
            Scenario::Iptables25k => iptables_25k(),
            Scenario::ForwarderBuffers => forwarder_buffers(),
            Scenario::BusyCpu => busy_cpu(),
            Scenario::Rps => rps(),
            Scenario::ForwarderSplice => forwarder_splice(),
            Scenario::HttpKeepalive => keepalive::run(),
            Scenario::KubeProxy => kube_proxy::run(),
            Scenario::BatchingReader => batching::run(),
        }
    }
}

pub const PLAIN: Trial = Trial {
    names: ["A", "B"],
    a: [""; 2],
    b: [""; 2],
    load: "",
    options: &[],
    by: None,
    period: "3s",
    settle: "1s",
};

/// Nothing is changed. A wrong verdict comes up in at most one of twenty such
/// comparisons.
fn aa() -> Result<()> {
    let found = Trial {
        names: ["nothing", "nothing-again"],
        b: ["true", "true"],
        load: "scenario traffic --both --rate 300 --tcp 4 --exchange 2 --udp 4",
        ..PLAIN
    }
    .run()?;
    found.check(&[NothingAt(&[
        "ip-start",
        "tcp-start",
        "tcp-do-rcv",
        "tcp-socket-enqueued",
        "tcp-socket-read",
        "udp-start",
        "udp-queue-rcv",
        "udp-socket-enqueued",
        "udp-socket-read",
    ])])
}

/// Rules in INPUT come after IP has received the packet, and before TCP or UDP
/// does.
fn iptables_25k() -> Result<()> {
    let in_both = |command| format!("for ns in left right; do ip netns exec $ns {command}; done");
    sh("scenario rules iptables 25000 >rules
        scenario rules nft 25000 >nft-rules");
    let legacy = [
        in_both("iptables-legacy-restore rules"),
        in_both("iptables-legacy -F INPUT"),
    ];
    // nft takes seconds for so many: they are there before, in a chain where
    // no packet comes by.
    sh(&in_both("nft -f nft-rules"));
    let nft = [
        in_both("nft add rule ip scenario input jump rules"),
        in_both("nft flush chain ip scenario input"),
    ];
    for [start, stop] in [legacy, nft] {
        let found = Trial {
            names: ["none", "25k-rules"],
            b: [&start, &stop],
            load: "scenario traffic --rate 10 --tcp 10 --udp 5",
            ..PLAIN
        }
        .run()?;
        found.check(&[
            Same("ip-start"),
            Slower("tcp-start"),
            Slower("tcp-socket-read"),
            Slower("udp-start"),
            Slower("udp-socket-read"),
        ])?;
    }
    Ok(())
}

/// In bulk the forwarder is what everything waits for, and its socket is full:
/// what comes in waits until all before it has been forwarded, and small reads
/// and writes take longer for that. (The hooks before see changes, too: with
/// the pace of the forwarder, that of segments and acknowledgements changes,
/// and how many of them come at once.) Where each read brings 32 bytes no
/// buffer is ever filled.
fn forwarder_buffers() -> Result<()> {
    let control = forward::control()?;
    let control = |kib: usize| control(&(kib << 10).to_string());
    for (small, name) in [(8, "8KiB"), (16, "16KiB")] {
        let found = Trial {
            names: ["64KiB", name],
            b: [&control(small), &control(64)],
            load: "scenario forward bulk",
            ..PLAIN
        }
        .run()?;
        found.check(&[SlowerAbove("tcp-socket-read")])?;
    }
    let found = Trial {
        names: ["64KiB", "8KiB"],
        b: [&control(8), &control(64)],
        load: "scenario forward exchange",
        ..PLAIN
    }
    .run()?;
    found.check(&[NothingAt(&["tcp-socket-enqueued", "tcp-socket-read"])])
}

/// splice(2) moves pages from one socket to the next, and is no read to
/// netstacklat. So a forwarder that splices has no latencies at
/// `tcp-socket-read`, and nothing can be said of how long its segments wait for
/// it: no verdict there, and none anywhere else. Segments reach both sockets in
/// the same way, and the next program reads as before. (Where all packets are of
/// this port, a warning says that there were no reads to judge. That was not
/// foreseen: where the port is one group of several, no warning does.)
fn forwarder_splice() -> Result<()> {
    let control = forward::control()?;
    let trial = Trial {
        names: ["copy", "splice"],
        b: [&control("splice"), &control("65536")],
        load: "scenario forward stream",
        ..PLAIN
    };
    let before = ["ip-start", "tcp-start", "tcp-do-rcv", "tcp-socket-enqueued"];
    let of_forwarder = [
        NothingAt(&before),
        OnlyInA {
            hook: "tcp-socket-read",
            behind: "tcp-socket-enqueued",
        },
    ];
    let [forwarder, receiver] = forward::PORTS.map(|port| port.to_string());
    let found = Trial {
        options: &["--local-port", &forwarder],
        ..trial
    }
    .run()?;
    found.check(
        &[
            &of_forwarder[..],
            &[Warned("too-few-samples", "tcp-socket-read")],
        ]
        .concat(),
    )?;
    let found = Trial {
        by: Some("local-port"),
        ..trial
    }
    .run()?;
    found.of("local-port", &forwarder)?.check(&of_forwarder)?;
    let all = [&before[..], &["tcp-socket-read"]].concat();
    found.of("local-port", &receiver)?.check(&[NothingAt(&all)])
}

/// A hog does not keep a CPU from its interrupts, and packets reach their
/// socket in those. It keeps the reader from it, if that one needs much of the
/// CPU itself: it works for 1.5 ms on what each read brings. (A reader that only
/// reads is not held up at the median: the scheduler lets who has slept go
/// first. Before Linux 6.6 this one is not either.)
fn busy_cpu() -> Result<()> {
    let found = Trial {
        names: ["idle", "hog"],
        b: [
            "scenario hog >/dev/null 2>&1 & echo $! >/run/hog",
            "kill $(cat /run/hog)",
        ],
        load: "scenario traffic --punctual --rate 150 --tcp 1 --udp 1 --work 1500",
        period: "2s",
        settle: "500ms",
        ..PLAIN
    }
    .run()?;
    found.check(&[
        Same("ip-start"),
        Same("tcp-start"),
        Same("tcp-socket-enqueued"),
        Slower("tcp-socket-read"),
        Same("udp-start"),
        // It ends with waking the reader, which is less often asleep.
        NotSlower("udp-socket-enqueued"),
        Slower("udp-socket-read"),
    ])
}

/// Steering comes before IP. Whether its way to the other CPU is in the
/// latency, the place of the stamp decides. (Behind it, IP may even be reached
/// sooner than without: what was steered is taken up packet by packet, and not
/// in lists that are stamped before the first of them goes on.)
fn rps() -> Result<()> {
    sh(
        "for irq in $(sed -n 's/^ *\\([0-9]*\\):.*virtio.*-input.*/\\1/p' /proc/interrupts); do
            echo 0 >/proc/irq/$irq/smp_affinity_list
        done",
    );
    for (prequeue, place) in [(1, "before"), (0, "behind")] {
        println!("\nnet.core.netdev_tstamp_prequeue={prequeue}: packets are stamped {place} RPS");
        sh(&format!(
            "sysctl -w net.core.netdev_tstamp_prequeue={prequeue}"
        ));
        let steer = |cpus| {
            format!(
                "for ns in left right; do ip netns exec $ns \
                 sh -c \"echo {cpus} >/sys/class/net/eth0/queues/rx-0/rps_cpus\"; done"
            )
        };
        let found = Trial {
            names: ["no-rps", "rps-to-cpu1"],
            b: [&steer(2), &steer(0)],
            load: "scenario traffic --rate 100 --tcp 4 --udp 4",
            ..PLAIN
        }
        .run()?;
        match prequeue {
            1 => found.check(&[Slower("ip-start"), Slower("tcp-start"), Slower("udp-start")])?,
            _ => found.check(&[
                NotSlower("ip-start"),
                NotSlower("tcp-start"),
                NotSlower("udp-start"),
            ])?,
        }
    }
    Ok(())
}
