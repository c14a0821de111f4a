// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What filters and groups cost a run of a hook: of packets that are left out,
//! and of those that are counted apart.

use std::fs;
use std::path::Path;
use std::str::FromStr;

use anyhow::{Error, Result};
use netstacklat::capture::Capture;
use netstacklat::capture::plan::decide;
use netstacklat::host::facts::HostFacts;
use netstacklat::host::packets::Packets;
use netstacklat::model::flow_choice::{FlowChoice, IpVersion};
use netstacklat::model::grouping::{GroupKey, Grouping};
use netstacklat::model::hooks::HookSet;
use netstacklat::model::packet_choice::PacketChoice;

use crate::{Traffic, floors};

/// Programs of a hook before the socket is known, at it, and at reads.
const PROGRAMS: [(&str, &str); 4] = [
    ("udp-start", "nsl_udp_rcv"),
    ("udp-queue-rcv", "nsl_udp_queue_rcv_one_skb"),
    ("udp-socket-read", "nsl_skb_consume_udp"),
    ("tcp-socket-read", "nsl_tcp_recvmsg_locked"),
];
/// The kernel keeps as many characters of a program's name.
const KEPT: usize = 15;

/// A cgroup that no socket is in.
const EMPTY_CGROUP: &str = "/sys/fs/cgroup/nsl-cost";

/// What is selected, by its name in the table.
fn cases() -> Result<Vec<(&'static str, PacketChoice, &'static [GroupKey])>> {
    use GroupKey::{Cgroup, Family, Interface, LocalPort, Process, RemoteIp};
    let choice = PacketChoice::default;
    let read = |text: &str| text.parse().map_err(Error::msg);
    let interface = |netns: &str, name: &str| -> Result<PacketChoice> {
        Ok(PacketChoice {
            interfaces: vec![name.parse().map_err(Error::msg)?],
            namespace: read(netns)?,
            ..choice()
        })
    };
    let netns = |netns: &str| -> Result<PacketChoice> {
        Ok(PacketChoice {
            namespace: read(netns)?,
            ..choice()
        })
    };
    let pids = PacketChoice {
        pids: vec![1],
        ..choice()
    };
    let cgroups = PacketChoice {
        cgroups: vec![EMPTY_CGROUP.parse().map_err(Error::msg)?],
        ..choice()
    };
    let flow = |flow: FlowChoice| PacketChoice { flow, ..choice() };
    let all = FlowChoice::default;
    let port = flow(FlowChoice {
        local_ports: vec![read_flow("1")?],
        ..all()
    });
    let network = flow(FlowChoice {
        networks: vec![read_flow("192.0.2.0/24")?],
        ..all()
    });
    let version = flow(FlowChoice {
        version: Some(IpVersion::V6),
        ..all()
    });
    let queue = flow(FlowChoice {
        rx_queues: vec![read_flow("7")?],
        ..all()
    });
    let comms = PacketChoice {
        comms: vec!["nsl-nobody".parse().map_err(Error::msg)?],
        ..choice()
    };
    // Datagrams arrive at the right card, whose index is that of the left one.
    Ok(vec![
        ("-i, another index", interface("left", "lo")?, &[]),
        (
            "-i, the index in another namespace",
            interface("left", "eth0")?,
            &[],
        ),
        (
            "-i, two others",
            {
                let mut two = interface("left", "lo")?;
                two.interfaces.push("eth0".parse().map_err(Error::msg)?);
                two
            },
            &[],
        ),
        ("-n, another", netns("left")?, &[]),
        ("-p, another", pids, &[]),
        ("-c, another", cgroups, &[]),
        ("--local-port, another", port, &[]),
        ("--ip, another", network, &[]),
        ("-6", version, &[]),
        ("--rx-queue, another", queue, &[]),
        ("--comm, another", comms, &[]),
        ("-n, this one", netns("right")?, &[]),
        (
            "--by interface in one namespace",
            netns("right")?,
            &[Interface],
        ),
        ("--by interface", choice(), &[Interface]),
        ("--by cgroup", choice(), &[Cgroup]),
        ("--by process", choice(), &[Process]),
        ("--by local-port", choice(), &[LocalPort]),
        ("--by remote-ip", choice(), &[RemoteIp]),
        ("--by family", choice(), &[Family]),
        ("--by interface,cgroup", choice(), &[Interface, Cgroup]),
        ("--by local-port,cgroup", choice(), &[LocalPort, Cgroup]),
    ])
}

fn read_flow<T: FromStr<Err = String>>(text: &str) -> Result<T> {
    text.parse().map_err(Error::msg)
}

/// Prints a line for each case: instructions above the floor at some hooks.
pub(crate) fn selection() -> Result<()> {
    let traffic = Traffic::new()?;
    let floor = floors(&traffic)?.empty;
    fs::create_dir_all(Path::new(EMPTY_CGROUP))?;
    let facts = HostFacts::probe()?;
    let titles = PROGRAMS.map(|(hook, _)| hook).join(" | ");
    println!("| | {titles} |\n|---|---:|---:|---:|---:|");
    for (name, choice, keys) in cases()? {
        let packets = Packets::resolve(&choice)?;
        let grouping = (!keys.is_empty()).then(|| Grouping {
            keys: keys.into(),
            max_groups: 256,
            memory: 64 << 20,
        });
        let plan = decide(&facts, HookSet::default_ones())?;
        let capture = Capture::start_for(plan, packets, grouping, None)?;
        let costs = traffic.cheapest("nsl_")?;
        let cells = PROGRAMS.map(|(_, program)| {
            let cost = costs.get(&program[..program.len().min(KEPT)]);
            cost.map_or("-".into(), |cost| format!("{:.0}", cost - floor))
        });
        println!("| {name} | {} |", cells.join(" | "));
        drop(capture);
    }
    fs::remove_dir(EMPTY_CGROUP)?;
    Ok(())
}
