// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reads slow packets out of their ring buffer (`src/bpf/slow.bpf.h`), keeps the
//! slowest, and counts where the slowest hundredth spent its time. When there are more
//! than are looked at, the programs are told to send that hundredth only.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use libbpf_rs::{MapHandle, RingBuffer, RingBufferBuilder};
use nix::errno::Errno;

use crate::capture::group_reader::comm_of;
use crate::capture::object::Loaded;
use crate::capture::plan::SlowPlan;
use crate::host::names::{Names, Owner};
use crate::host::processes;
use crate::model::counters::Counters;
use crate::model::histogram::Histogram;
use crate::model::hooks::{HOOK_COUNT, Hook};
use crate::model::names;
use crate::model::owner_choice::COMM;
use crate::model::quantile::{Estimate, Quantile};
use crate::model::slow::{SlowPacket, SlowPackets, stages};
use crate::model::tables;
use crate::text::one_line;

/// Bits of a note, see `src/bpf/stages.bpf.h`.
const TIME_BITS: u32 = 35;
const HOOK_BITS: u32 = 5;
const TAG_SHIFT: u32 = TIME_BITS + HOOK_BITS;
const TIME_MASK: u64 = (1 << TIME_BITS) - 1;

/// Sockets of which the processes are looked at when it starts.
const MOST_PROCESSES: usize = 16_384;

/// Readers of which the wait for a CPU is watched: those met first.
const MOST_READERS: usize = 64;

/// What the program sends: `struct netstacklat_slow_packet`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Sent {
    tstamp: u64,
    age: u64,
    mono: u64,
    way: [u64; tables::WAY_NOTES],
    hook: u32,
    cpu: u32,
    netns: u32,
    interface: u32,
    cgroup: u32,
    pid: u32,
    queue_length: u32,
    flow: Flow,
}

/// `struct packet_flow`.
#[repr(C)]
#[derive(Clone, Copy)]
struct Flow {
    family: u32,
    ports_known: u8,
    addresses_known: u8,
    local_port: u16,
    remote_port: u16,
    queue: u16,
    local: [u32; 4],
    remote: [u32; 4],
}

impl Sent {
    fn read(bytes: &[u8]) -> Option<Sent> {
        if bytes.len() < size_of::<Sent>() {
            return None;
        }
        // SAFETY: as many bytes are there, and all bits of the fields are numbers.
        Some(unsafe { bytes.as_ptr().cast::<Sent>().read_unaligned() })
    }

    fn hook(&self) -> Hook {
        Hook::at((self.hook as usize).min(HOOK_COUNT - 1))
    }

    /// The hooks that the packet passed before, with its ages there. A word of
    /// another packet has another tag.
    fn passed(&self) -> Vec<(Hook, u64)> {
        let tag = self.tstamp.wrapping_mul(tables::SAMPLE_MULTIPLIER) << TAG_SHIFT;
        let own = self
            .way
            .iter()
            .filter(|note| (*note ^ tag) >> TAG_SHIFT == 0);
        let mut passed: Vec<(Hook, u64)> = own
            .filter_map(|note| {
                let hook = (note >> TIME_BITS) as usize & ((1 << HOOK_BITS) - 1);
                let since = self.mono.wrapping_sub(*note) & TIME_MASK;
                let hook = (hook < HOOK_COUNT).then(|| Hook::at(hook))?;
                Some((hook, self.age.checked_sub(since)?))
            })
            .collect();
        // Of an earlier packet with this timestamp there may be notes that come later.
        passed.retain(|(hook, _)| self.hook().is_behind(*hook));
        passed.sort_unstable();
        passed
    }
}

impl Flow {
    fn end(&self, words: [u32; 4], port: u16) -> Option<SocketAddr> {
        if self.addresses_known == 0 {
            return None;
        }
        // In the network's byte order, as they are in memory.
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let address = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
        let address = IpAddr::V6(address).to_canonical();
        Some(SocketAddr::new(address, port))
    }
}

/// The slowest packets, as last read.
pub(super) struct SlowReader {
    plan: SlowPlan,
    ring: RingBuffer<'static>,
    sent: Rc<RefCell<Vec<Sent>>>,
    names: Names,
    reader_names: MapHandle,
    found: SlowPackets,
    not_sent: u64,
    /// What hooks had counted the last time.
    counted: BTreeMap<Hook, Histogram>,
    /// How long processes had waited for a CPU at the start, or when they were first
    /// seen, ns.
    cpu_waits: BTreeMap<u32, u64>,
    /// Those that have read slow packets.
    readers: BTreeSet<u32>,
}

impl SlowReader {
    /// # Errors
    ///
    /// If there is no descriptor left, or no memory.
    pub(super) fn new(loaded: &Loaded, plan: SlowPlan, names: Names) -> Result<SlowReader> {
        let map = loaded.map_handle(names::SLOW_PACKETS_MAP)?;
        let sent: Rc<RefCell<Vec<Sent>>> = Rc::default();
        let received = Rc::clone(&sent);
        let mut builder = RingBufferBuilder::new();
        builder
            .add(&map, move |bytes: &[u8]| {
                received.borrow_mut().extend(Sent::read(bytes));
                0
            })
            .context("mapping the BPF ring buffer of slow packets")?;
        let ring = builder
            .build()
            .context("watching the BPF ring buffer of slow packets")?;
        let reader = SlowReader {
            found: SlowPackets::keeping(plan.most),
            reader_names: loaded.map_handle(names::READER_NAMES_MAP)?,
            plan,
            ring,
            sent,
            names,
            not_sent: 0,
            counted: BTreeMap::new(),
            cpu_waits: cpu_waits_at_the_start(),
            readers: BTreeSet::new(),
        };
        if let Some(budget) = loaded.slow_budget() {
            for (hook, age_ns) in &reader.plan.limits {
                budget.set_from(*hook, *age_ns);
            }
            budget.refill(tables::SLOW_PER_CPU);
        }
        Ok(reader)
    }

    /// The slowest packets since the start, and since the last time.
    ///
    /// # Errors
    ///
    /// Those of libbpf.
    pub(super) fn read(&mut self, loaded: &Loaded, counters: &Counters) -> Result<SlowPackets> {
        let error = self.ring.consume_raw();
        if error < 0 {
            return Err(Errno::from_raw(-error))
                .context("reading slow packets from a BPF ring buffer");
        }
        self.names.begin_report();
        let earlier = self.found.seen;
        let mut sent = std::mem::take(&mut *self.sent.borrow_mut());
        // Names are looked up of those that are kept only.
        sent.sort_by_key(|packet| std::cmp::Reverse(packet.age));
        let most = self.plan.most;
        for packet in sent.iter().take(most) {
            let packet = self.packet(packet);
            self.found.add(packet);
        }
        self.found.seen += sent.len().saturating_sub(most) as u64;
        self.found.trim(earlier);
        let slowest = self.slowest_hundredth(counters);
        for packet in &sent {
            let hook = packet.hook();
            if slowest.get(&hook).is_some_and(|from| packet.age > *from) {
                let shares = self.found.shares.entry(hook).or_default();
                shares.add(&stages(&packet.passed(), (hook, packet.age)));
            }
        }
        self.wait_for_cpus(&sent);
        if let Some(budget) = loaded.slow_budget() {
            let not_sent = budget.not_sent();
            let too_many = not_sent > self.not_sent;
            self.found.not_looked_at += not_sent - self.not_sent;
            self.not_sent = not_sent;
            for (hook, limit) in &self.plan.limits {
                let from = slowest.get(hook).filter(|_| too_many);
                budget.set_from(*hook, (*limit).max(from.copied().unwrap_or(0)));
            }
            budget.refill(tables::SLOW_PER_CPU);
        }
        Ok(self.found.clone())
    }

    /// By hook, the lower bound of the bucket that holds the p99 of the packets which
    /// came since the last time.
    fn slowest_hundredth(&mut self, counters: &Counters) -> BTreeMap<Hook, u64> {
        let mut slowest = BTreeMap::new();
        for (hook, _) in &self.plan.limits {
            let now = counters.hook(*hook).histogram.clone();
            let since = match self.counted.get(hook) {
                Some(then) => now.since(then),
                None => now.clone(),
            };
            if let Some(Estimate::Ns(ns)) = Quantile::P99.of(&since, 0) {
                let bucket = since.resolution().index(ns);
                let lower = bucket.map_or(ns, |bucket| since.resolution().bounds(bucket).0);
                slowest.insert(*hook, lower);
            }
            self.counted.insert(*hook, now);
        }
        slowest
    }

    /// Notes how long the readers of these packets have waited for a CPU, since they
    /// were first seen.
    fn wait_for_cpus(&mut self, sent: &[Sent]) {
        if self.plan.redact {
            return;
        }
        for packet in sent.iter().filter(|sent| sent.hook().is_in_reader()) {
            if self.readers.len() < MOST_READERS {
                self.readers.insert(packet.pid);
            }
        }
        for pid in &self.readers {
            let Some(now) = processes::waited_for_cpu(*pid) else {
                continue;
            };
            let before = self.cpu_waits.entry(*pid).or_insert(now);
            let name = comm_of(&self.reader_names, *pid).unwrap_or_default();
            let name = format!("{}({pid})", one_line(&name, COMM));
            let waited = now.saturating_sub(*before);
            self.found.cpu_waits.insert(name, waited);
        }
    }

    fn packet(&mut self, sent: &Sent) -> SlowPacket {
        let hook = sent.hook();
        let owner = Owner {
            netns: Some(sent.netns),
            interface: Some(sent.interface),
            cgroup: Some(sent.cgroup),
            pid: Some(sent.pid),
            ..Owner::default()
        };
        let ended = &self.reader_names;
        let owner = self.names.of(&owner, |pid| comm_of(ended, pid));
        let shown = |end: Option<SocketAddr>| end.filter(|_| !self.plan.redact);
        let flow = sent.flow;
        SlowPacket {
            hook,
            age_ns: sent.age,
            time: UNIX_EPOCH + Duration::from_nanos(sent.tstamp),
            passed: sent.passed(),
            cpu: sent.cpu,
            rx_queue: flow.queue.checked_sub(1).map(u32::from),
            queue_length: hook.is_in_reader().then_some(sent.queue_length),
            remote: shown(flow.end(flow.remote, flow.remote_port)),
            local: shown(flow.end(flow.local, flow.local_port)),
            owner: owner.to_vec(),
        }
    }
}

/// Of processes that have sockets open: they may become readers of slow packets.
fn cpu_waits_at_the_start() -> BTreeMap<u32, u64> {
    let pids = processes::open_sockets()
        .into_iter()
        .map(|socket| socket.pid);
    let pids: BTreeSet<u32> = pids.take(MOST_PROCESSES).collect();
    let waits = pids
        .into_iter()
        .filter_map(|pid| Some((pid, processes::waited_for_cpu(pid)?)));
    waits.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TSTAMP: u64 = 1_795_256_223_123_456_789;

    fn note(tstamp: u64, hook: Hook, mono: u64) -> u64 {
        let tag = tstamp.wrapping_mul(tables::SAMPLE_MULTIPLIER) << TAG_SHIFT;
        tag | (hook.index() as u64) << TIME_BITS | (mono & TIME_MASK)
    }

    fn hook(name: &str) -> Hook {
        Hook::named(name).unwrap()
    }

    fn sent() -> Sent {
        // SAFETY: all bits zero are numbers.
        let mut sent: Sent = unsafe { std::mem::zeroed() };
        (sent.tstamp, sent.age) = (TSTAMP, 5000);
        // Just behind a wrap of the notes' 35 bits.
        sent.mono = (7 << TIME_BITS) + 1000;
        sent.hook = hook("udp-socket-read").index() as u32;
        sent
    }

    #[test]
    fn ages_come_from_the_notes_of_the_packet_only() {
        let mut sent = sent();
        sent.way[0] = note(TSTAMP, hook("ip-start"), sent.mono - 4900);
        sent.way[1] = note(TSTAMP, hook("udp-start"), sent.mono - 3000);
        sent.way[2] = note(TSTAMP + 1, hook("udp-queue-rcv"), sent.mono - 2000);
        let expected = [(hook("ip-start"), 100), (hook("udp-start"), 2000)];
        assert_eq!(sent.passed(), expected);
        // What is not on the way to this hook was another packet.
        sent.way[3] = note(TSTAMP, hook("tcp-start"), sent.mono - 10);
        assert_eq!(sent.passed(), expected);
    }

    #[test]
    fn ends_are_addresses_with_ports() {
        let mut flow = sent().flow;
        assert_eq!(flow.end(flow.local, 53), None);
        flow.addresses_known = 1;
        let mapped = "::ffff:192.0.2.1".parse::<Ipv6Addr>().unwrap().octets();
        let words = mapped.as_chunks::<4>().0;
        let words: Vec<u32> = words.iter().map(|word| u32::from_ne_bytes(*word)).collect();
        let words = <[u32; 4]>::try_from(words).unwrap();
        assert_eq!(flow.end(words, 53).unwrap().to_string(), "192.0.2.1:53");
    }
}
