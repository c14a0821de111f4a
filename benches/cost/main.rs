// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a hook costs, in guest instructions: run by `tools/bench` in a guest
//! under `-icount`, where one instruction takes one nanosecond of guest time,
//! so that the kernel's own `run_time_ns / run_cnt` counts instructions.
//!
//! `cost hooks` prints the cost of each program, `cost objects` the same of the
//! objects for ebpf_exporter, `cost selection` that of filters and groups, `cost
//! sampling` that of packets that are not in the sample, `cost stages` that of stages,
//! `cost forwarding` that of forwarded packets,
//! `cost snapshot` that of one snapshot, `cost traffic` that of packets with and without the tool, `cost
//! light` the same of the cheapest ways to run it, `cost start` what its start takes.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::time::Instant;

use anyhow::{Context as _, Result, bail, ensure};
use libbpf_rs::query::ProgInfoIter;
use libbpf_rs::skel::{OpenSkel as _, Skel as _, SkelBuilder as _};
use netstacklat::capture::Capture;
use netstacklat::capture::plan::decide;
use netstacklat::host::facts::HostFacts;
use netstacklat::model::hooks::{HookSet, programs};
use testlab::Ns;
use testlab::objects::floor::FloorSkelBuilder;

mod forwarding;
mod objects;
mod sampling;
mod selection;
mod stages;
mod system;

/// Short rounds, of which the cheapest counts: a task is sometimes interrupted
/// inside a program, and the interrupt's instructions are then counted too.
const ROUNDS: usize = 40;
const MESSAGES: usize = 25;
const SIZE: usize = 200;

fn main() -> Result<()> {
    let word = std::env::args().nth(1).unwrap_or_default();
    match word.as_str() {
        "hooks" => hooks(),
        "objects" => objects::objects(std::env::args().skip(2)),
        "snapshot" => snapshot(),
        "traffic" => system::traffic(),
        "light" => system::light(),
        "start" => system::start(),
        "selection" => selection::selection(),
        "sampling" => sampling::sampling(),
        "stages" => stages::stages(),
        "forwarding" => forwarding::forwarding(),
        _ => bail!(
            "usage: cost hooks|objects|selection|sampling|stages|forwarding|snapshot|traffic|light|start, \
             in a guest: see tools/bench"
        ),
    }
}

/// Prints `program cost above-the-floor` for floors and hooks.
fn hooks() -> Result<()> {
    let traffic = Traffic::new()?;
    let floors = floors(&traffic)?;
    let floor = floors.empty;
    println!("empty program (fentry) {floor:.0}");
    println!("empty program (fexit) {:.0}", floors.empty_fexit);
    println!("stamp and clock read {:.0}", floors.clock_read);

    let facts = HostFacts::probe()?;
    let capture = Capture::start(decide(&facts, HookSet::default_ones())?, None)?;
    let costs = traffic.cheapest("nsl_")?;
    for program in programs() {
        // The kernel keeps 15 characters of a program's name.
        let kept = &program.name[..program.name.len().min(15)];
        if let Some(cost) = costs.get(kept) {
            println!(
                "{} {} {cost:.0} {:.0}",
                program.hook,
                program.function,
                cost - floor
            );
        }
    }
    if let Some(cost) = costs.get("nsl_update_vsys") {
        println!("(clock) update_vsyscall {cost:.0} {:.0}", cost - floor);
    }
    drop(capture);
    Ok(())
}

/// What programs cost that do next to nothing.
struct Floors {
    empty: f64,
    empty_fexit: f64,
    clock_read: f64,
}

fn floors(traffic: &Traffic) -> Result<Floors> {
    let mut storage = MaybeUninit::uninit();
    let mut skel = FloorSkelBuilder::default().open(&mut storage)?.load()?;
    skel.attach()?;
    let floors = traffic.cheapest("")?;
    let of = |name: &str| {
        floors
            .get(name)
            .copied()
            .with_context(|| format!("{name} did not run"))
    };
    Ok(Floors {
        empty: of("empty_fentry")?,
        empty_fexit: of("empty_fexit")?,
        clock_read: of("clock_read")?,
    })
}

/// Prints the instructions of one snapshot, of all maps of all possible CPUs:
/// when nothing has come since the one before, and when packets have passed all
/// hooks.
fn snapshot() -> Result<()> {
    let facts = HostFacts::probe()?;
    let traffic = Traffic::new()?;
    let capture = Capture::start(decide(&facts, HookSet::default_ones())?, None)?;
    for busy in [false, true] {
        let mut least = u128::MAX;
        for _ in 0..20 {
            if busy {
                traffic.exchange()?;
            }
            let start = Instant::now();
            capture.snapshot()?;
            least = least.min(start.elapsed().as_nanos());
        }
        println!(
            "{} possible CPUs, {}: {least} instructions a snapshot",
            facts.cpus(),
            if busy { "busy" } else { "idle" }
        );
    }
    Ok(())
}

/// One request/response flow each over TCP and UDP, IPv4 and IPv6, on one
/// thread: nothing is in flight while the other end runs, so that no backlog
/// is replayed and no softirq runs inside a program.
struct Traffic {
    tcp: Vec<(TcpStream, TcpStream)>,
    udp: Vec<(UdpSocket, UdpSocket)>,
}

impl Traffic {
    fn new() -> Result<Traffic> {
        let (mut tcp, mut udp) = (Vec::new(), Vec::new());
        for (left, right) in [("10.0.0.1", "10.0.0.2"), ("fd00::1", "fd00::2")] {
            Ns::Right.enter();
            let listener = TcpListener::bind((right, 7000))?;
            let receiver = UdpSocket::bind((right, 7000))?;
            Ns::Left.enter();
            let sender = UdpSocket::bind((left, 0))?;
            sender.connect((right, 7000))?;
            let client = TcpStream::connect((right, 7000))?;
            client.set_nodelay(true)?;
            let (server, _) = listener.accept()?;
            server.set_nodelay(true)?;
            tcp.push((client, server));
            udp.push((sender, receiver));
        }
        Ok(Traffic { tcp, udp })
    }

    fn exchange(&self) -> Result<()> {
        let mut buffer = [0; SIZE];
        for (client, server) in &self.tcp {
            for (mut from, mut to) in [(client, server), (server, client)] {
                from.write_all(&[1; SIZE])?;
                to.read_exact(&mut buffer)?;
            }
        }
        for (sender, receiver) in &self.udp {
            sender.send(&[1; SIZE])?;
            ensure!(receiver.recv(&mut buffer)? == SIZE, "a datagram was cut");
        }
        Ok(())
    }

    /// Mean instructions per run of each program, in its cheapest round.
    fn cheapest(&self, prefix: &str) -> Result<BTreeMap<String, f64>> {
        cheapest(prefix, || self.exchange())
    }
}

/// Mean instructions per run of each program that `exchange` makes run, in its cheapest
/// round.
fn cheapest(prefix: &str, exchange: impl Fn() -> Result<()>) -> Result<BTreeMap<String, f64>> {
    let mut least = BTreeMap::new();
    exchange()?;
    let mut before = run_times(prefix);
    for _ in 0..ROUNDS {
        for _ in 0..MESSAGES {
            exchange()?;
        }
        let after = run_times(prefix);
        for (name, (time, runs)) in &after {
            let (time_before, runs_before) = before.get(name).copied().unwrap_or_default();
            if *runs > runs_before {
                let mean = (time - time_before) as f64 / (runs - runs_before) as f64;
                let entry = least.entry(name.clone()).or_insert(mean);
                *entry = entry.min(mean);
            }
        }
        before = after;
    }
    Ok(least)
}

/// `run_time_ns` and `run_cnt` of the loaded programs, by kernel name.
fn run_times(prefix: &str) -> BTreeMap<String, (u64, u64)> {
    ProgInfoIter::default()
        .map(|info| {
            let name = info.name.to_string_lossy().into_owned();
            (name, (info.run_time_ns, info.run_cnt))
        })
        .filter(|(name, _)| name.starts_with(prefix))
        .collect()
}
