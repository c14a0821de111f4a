// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What netstacklat costs the whole system, and itself: instructions per
//! packet with and without it, from its start to the last attach, a snapshot.

use std::io::{Read as _, Write as _};
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
use nix::libc;
use nix::time::{ClockId, clock_gettime};

use crate::Traffic;

const TURNS: usize = 9;
const ROUNDS: usize = 11;
const DATAGRAMS: u64 = 200;
/// Bytes that are sent before they are read.
const CHUNK: usize = 32 << 10;

/// Prints what a datagram and a TCP megabyte cost, sender included: without the
/// tool, with its first three hooks, with the others, with all. In turns, since what a card
/// announces with one interrupt drifts.
pub(crate) fn traffic() -> Result<()> {
    let original: HookChoice = "original".parse().map_err(Error::msg)?;
    let three = original.hooks;
    let facts = HostFacts::probe()?;
    let traffic = Traffic::new()?;
    let idle = Idle::watch()?;
    let mut subjects = [
        (
            "off",
            HookSet::ALL.minus(HookSet::ALL),
            [const { Vec::new() }; 2],
        ),
        ("3 hooks", three, [const { Vec::new() }; 2]),
        (
            "the other hooks",
            HookSet::ALL.minus(three),
            [const { Vec::new() }; 2],
        ),
        ("all hooks", HookSet::ALL, [const { Vec::new() }; 2]),
    ];
    for _ in 0..TURNS {
        for (_, hooks, [datagrams, megabytes]) in &mut subjects {
            // Stamping is on only while the tool runs: it is part of its cost.
            let capture = if hooks.is_empty() {
                None
            } else {
                Some(Capture::start(decide(&facts, *hooks)?, None)?)
            };
            datagram(&traffic, &idle)?;
            for _ in 0..ROUNDS {
                datagrams.push(datagram(&traffic, &idle)?);
                megabytes.push(megabyte(&traffic, &idle)?);
            }
            drop(capture);
        }
    }
    println!("| | datagram | | TCP megabyte | |\n|---|---:|---:|---:|---:|");
    let mut off = None;
    for (name, _, [datagrams, megabytes]) in subjects {
        let (datagram, megabyte) = (Spread::of(datagrams), Spread::of(megabytes));
        let (first, second) = *off.get_or_insert((datagram.tenth, megabyte.tenth));
        println!(
            "| {name} | {datagram} | {} | {megabyte} | {} |",
            datagram.above(first),
            megabyte.above(second)
        );
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
    fn of(mut rounds: Vec<u64>) -> Spread {
        rounds.sort_unstable();
        Spread {
            tenth: rounds[rounds.len() / 10],
            median: rounds[rounds.len() / 2],
        }
    }

    fn above(&self, base: u64) -> String {
        let percent = 100.0 * (self.tenth as f64 / base as f64 - 1.0);
        format!("{percent:+.1} %")
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (median {})", self.tenth, self.median)
    }
}

/// Instructions for a datagram that is sent, and read when it is there.
fn datagram(traffic: &Traffic, idle: &Idle) -> Result<u64> {
    let (sender, receiver) = &traffic.udp[0];
    let mut buffer = [1; 200];
    let start = idle.busy_ns()?;
    for _ in 0..DATAGRAMS {
        sender.send(&buffer)?;
        ensure!(receiver.recv(&mut buffer)? == buffer.len(), "it was cut");
    }
    Ok((idle.busy_ns()? - start) / DATAGRAMS)
}

/// Instructions for a megabyte over TCP.
fn megabyte(traffic: &Traffic, idle: &Idle) -> Result<u64> {
    let (mut client, mut server) = (&traffic.tcp[0].0, &traffic.tcp[0].1);
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
    let mut plan = decide(&facts, HookSet::ALL)?;
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
