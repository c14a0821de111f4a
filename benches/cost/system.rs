// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What netstacklat costs the whole system, and itself: instructions per
//! packet with and without it, from its start to the last attach, a snapshot.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Error, Result, ensure};
use netstacklat::capture::Capture;
use netstacklat::capture::clock::Clock;
use netstacklat::capture::object::Loaded;
use netstacklat::capture::plan::decide;
use netstacklat::host::facts::HostFacts;
use netstacklat::model::hook_choice::HookChoice;
use netstacklat::model::hooks::HookSet;
use netstacklat::model::sampling::Sampling;
use nix::libc;
use nix::time::{ClockId, clock_gettime};

use crate::{SIZE, Traffic};

const TURNS: usize = 9;
const ROUNDS: usize = 11;
/// Datagrams, or requests, of `SIZE` bytes in a round.
const MESSAGES: u64 = 200;
/// Bytes that are sent before they are read.
const CHUNK: usize = 32 << 10;

/// The hooks that the C netstacklat has, under other names of its own.
const SEVEN: &str = "ip-start,tcp-start,tcp-socket-enqueued,tcp-socket-read,\
                     udp-start,udp-socket-enqueued,udp-socket-read";

/// As many as `--stages` has room for.
const NOTES: u32 = 16_384;

/// What is sent, and how many instructions it takes, sender included.
type Load = (&'static str, fn(&Loads) -> Result<u64>);
const LOADS: [Load; 4] = [
    ("datagram, cards", |loads| {
        datagram(&loads.cards.udp[0], &loads.idle)
    }),
    ("TCP megabyte, cards", |loads| {
        megabyte(&loads.cards.tcp[0], &loads.idle)
    }),
    ("datagram, loopback", |loads| {
        datagram(&loads.loopback_udp, &loads.idle)
    }),
    ("TCP request and response, loopback", |loads| {
        request(&loads.loopback_tcp, &loads.idle)
    }),
];

struct Loads {
    cards: Traffic,
    loopback_udp: (UdpSocket, UdpSocket),
    loopback_tcp: (TcpStream, TcpStream),
    idle: Idle,
}

impl Loads {
    fn new() -> Result<Loads> {
        let receiver = UdpSocket::bind("127.0.0.1:7001")?;
        let sender = UdpSocket::bind("127.0.0.1:0")?;
        sender.connect("127.0.0.1:7001")?;
        let listener = TcpListener::bind("127.0.0.1:7001")?;
        let client = TcpStream::connect("127.0.0.1:7001")?;
        let (server, _) = listener.accept()?;
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        Ok(Loads {
            loopback_udp: (sender, receiver),
            loopback_tcp: (client, server),
            // Leaves this thread in the namespace of a card.
            cards: Traffic::new()?,
            idle: Idle::watch()?,
        })
    }
}

/// Prints what packets cost, sender included: without the tool, with the three
/// hooks of the first version, with the seven of the C tool, with all, and with all
/// and stages. In turns, since what a card announces with one interrupt drifts.
pub(crate) fn traffic() -> Result<()> {
    let none = HookSet::default_ones().minus(HookSet::default_ones());
    let subject = |name, hooks| Subject {
        name,
        hooks,
        sampling: Sampling::ALL,
        notes: None,
    };
    subjects_in_turns([
        subject("off", none),
        subject("3 hooks", choice("original")?),
        subject("7 hooks", choice(SEVEN)?),
        subject("all hooks", HookSet::default_ones()),
        Subject {
            notes: Some(NOTES),
            ..subject("all hooks, `--stages`", HookSet::default_ones())
        },
    ])
}

/// Prints the same of the set light, and of one packet in 16.
pub(crate) fn light() -> Result<()> {
    let some = Sampling::new(16).context("a share")?;
    let none = HookSet::default_ones().minus(HookSet::default_ones());
    let subject = |name, hooks, sampling| Subject {
        name,
        hooks,
        sampling,
        notes: None,
    };
    subjects_in_turns([
        subject("off", none, Sampling::ALL),
        subject("`-e light`", choice("light")?, Sampling::ALL),
        subject("`-e light --sample 1/16`", choice("light")?, some),
        subject("`--sample 1/16`", HookSet::default_ones(), some),
    ])
}

fn choice(words: &str) -> Result<HookSet> {
    let mut hooks = Vec::new();
    for word in words.split(',') {
        let choice: HookChoice = word.parse().map_err(Error::msg)?;
        hooks.extend(choice.hooks.iter());
    }
    Ok(hooks.into_iter().collect())
}

/// A way to run the tool, or not to.
struct Subject {
    name: &'static str,
    hooks: HookSet,
    sampling: Sampling,
    /// With stages, and so many notes.
    notes: Option<u32>,
}

/// A start takes long in an emulated guest: with an argument there are fewer turns,
/// with as many rounds together.
fn subjects_in_turns<const N: usize>(subjects: [Subject; N]) -> Result<()> {
    let turns = std::env::args().nth(2).map(|text| text.parse());
    let turns = turns.transpose()?.unwrap_or(TURNS).max(1);
    let rounds = (TURNS * ROUNDS).div_ceil(turns);
    let facts = HostFacts::probe()?;
    let loads = Loads::new()?;
    let mut costs = subjects.each_ref().map(|_| LOADS.map(|_| Vec::new()));
    for _ in 0..turns {
        for (subject, costs) in subjects.iter().zip(&mut costs) {
            // Timestamping is on only while the tool runs: it is part of its cost.
            let capture = if subject.hooks.is_empty() {
                None
            } else {
                let plan = decide(&facts, subject.hooks)?.sampled(subject.sampling);
                Some(Capture::start(plan.staged(subject.notes), None)?)
            };
            for (_, load) in &LOADS {
                load(&loads)?;
            }
            for _ in 0..rounds {
                for ((_, load), costs) in LOADS.iter().zip(costs.iter_mut()) {
                    costs.push(load(&loads)?);
                }
            }
            drop(capture);
        }
    }
    for (place, (name, _)) in LOADS.iter().enumerate() {
        println!("| {name} | instructions | added | |\n|---|---:|---:|---:|");
        let mut off = None;
        for (subject, costs) in subjects.iter().zip(&costs) {
            let spread = Spread::of(&costs[place]);
            let off = *off.get_or_insert(spread.tenth);
            let added = spread.tenth as i64 - off as i64;
            let percent = 100.0 * added as f64 / off as f64;
            println!(
                "| {} | {spread} | {added:+} | {percent:+.1} % |",
                subject.name
            );
        }
        println!();
    }
    Ok(())
}

/// The cheapest tenth of the rounds, and the median for comparison: how often a
/// card interrupts depends on how busy the machine below the guest is.
struct Spread {
    tenth: u64,
    median: u64,
}

impl Spread {
    fn of(rounds: &[u64]) -> Spread {
        let mut rounds = rounds.to_vec();
        rounds.sort_unstable();
        Spread {
            tenth: rounds[rounds.len() / 10],
            median: rounds[rounds.len() / 2],
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (median {})", self.tenth, self.median)
    }
}

/// Instructions for a datagram that is sent, and read when it is there.
fn datagram((sender, receiver): &(UdpSocket, UdpSocket), idle: &Idle) -> Result<u64> {
    let mut buffer = [1; SIZE];
    let start = idle.busy_ns()?;
    for _ in 0..MESSAGES {
        sender.send(&buffer)?;
        ensure!(receiver.recv(&mut buffer)? == buffer.len(), "it was cut");
    }
    Ok((idle.busy_ns()? - start) / MESSAGES)
}

/// Instructions for a request over TCP and the response to it.
fn request((client, server): &(TcpStream, TcpStream), idle: &Idle) -> Result<u64> {
    let mut buffer = [1; SIZE];
    let start = idle.busy_ns()?;
    for _ in 0..MESSAGES {
        for (mut from, mut to) in [(client, server), (server, client)] {
            from.write_all(&buffer)?;
            to.read_exact(&mut buffer)?;
        }
    }
    Ok((idle.busy_ns()? - start) / MESSAGES)
}

/// Instructions for a megabyte over TCP.
fn megabyte((client, server): &(TcpStream, TcpStream), idle: &Idle) -> Result<u64> {
    let (mut client, mut server) = (client, server);
    let mut buffer = vec![1; CHUNK];
    let start = idle.busy_ns()?;
    for _ in 0..(1 << 20) / CHUNK {
        client.write_all(&buffer)?;
        server.read_exact(&mut buffer)?;
    }
    Ok(idle.busy_ns()? - start)
}

/// A thread that takes all the time that nobody else wants, and counts what it
/// does with it: the rest of the guest's time is the instructions of everything
/// else, interrupts and the kernel's threads included. (Not by the thread's CPU
/// time: interrupts that it suffers are in that.)
struct Idle {
    turns: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
    ns_per_turn: f64,
}

impl Idle {
    fn watch() -> Result<Idle> {
        let (turns, over) = (
            Arc::new(AtomicU64::new(0)),
            Arc::new(AtomicBool::new(false)),
        );
        let ns_per_turn = calibrate(&over);
        let (counted, stop) = (turns.clone(), over.clone());
        let (sender, receiver) = std::sync::mpsc::channel();
        std::thread::spawn(move || {
            let parameters = libc::sched_param { sched_priority: 0 };
            // SAFETY: parameters is a valid struct; 0 is this thread.
            let status = unsafe { libc::sched_setscheduler(0, libc::SCHED_IDLE, &parameters) };
            let _ = sender.send(status);
            turn(&counted, &stop, u64::MAX);
        });
        nix::errno::Errno::result(receiver.recv()?).context("SCHED_IDLE")?;
        Ok(Idle {
            turns,
            over,
            ns_per_turn,
        })
    }

    /// Guest time that was not spent turning.
    fn busy_ns(&self) -> Result<u64> {
        let now = Duration::from(clock_gettime(ClockId::CLOCK_MONOTONIC)?);
        let turned = self.turns.load(Ordering::Relaxed) as f64 * self.ns_per_turn;
        Ok(now.as_nanos() as u64 - turned as u64)
    }
}

#[inline(never)]
fn turn(turns: &AtomicU64, stop: &AtomicBool, most: u64) {
    let mut left = most;
    while left > 0 && !stop.load(Ordering::Relaxed) {
        turns.fetch_add(1, Ordering::Relaxed);
        left -= 1;
    }
}

/// Undisturbed by interrupts in at least one of many short runs.
fn calibrate(stop: &AtomicBool) -> f64 {
    const MANY: u64 = 20_000;
    let once = || {
        let start = Instant::now();
        turn(&AtomicU64::new(0), stop, MANY);
        start.elapsed().as_nanos() as f64 / MANY as f64
    };
    (0..100).map(|_| once()).fold(f64::MAX, f64::min)
}

impl Drop for Idle {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
    }
}

/// Prints the instructions of the parts of a start, in the cheapest of some:
/// those of this process, system calls included. What it waits for (the clock's
/// next update, the kernel's RCU) is not in them.
pub(crate) fn start() -> Result<()> {
    let mut least = one_start()?;
    for _ in 0..4 {
        for (least, (_, cost)) in least.iter_mut().zip(one_start()?) {
            least.1 = least.1.min(cost);
        }
    }
    for (name, cost) in &least {
        println!("{name}: {cost}");
    }
    println!(
        "together: {}",
        least.iter().map(|(_, cost)| cost).sum::<u64>()
    );
    Ok(())
}

fn one_start() -> Result<Vec<(&'static str, u64)>> {
    let mut phases = Vec::new();
    let mut last = cpu_ns()?;
    let mut done = |name| -> Result<()> {
        let now = cpu_ns()?;
        phases.push((name, now - last));
        last = now;
        Ok(())
    };
    let facts = HostFacts::probe()?;
    done("facts (the kernel's type information)")?;
    let mut plan = decide(&facts, HookSet::default_ones())?;
    let mut loaded = Loaded::load(&mut plan)?;
    done("load (relocations, verifier)")?;
    let clock = Clock::start(&mut loaded, &plan)?;
    done("clock program attached, has run")?;
    loaded.attach_hooks(&mut plan)?;
    done("hooks attached")?;
    drop((loaded, clock));
    Ok(phases)
}

fn cpu_ns() -> Result<u64> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?;
    Ok(Duration::from(time).as_nanos() as u64)
}
