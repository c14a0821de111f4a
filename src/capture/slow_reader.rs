// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reads slow packets out of their ring buffer (`src/bpf/slow.bpf.h`), keeps the
//! slowest, and counts where the slowest hundredth spent its time. Once a second it
//! tells the programs how many they may send, and from which age on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use libbpf_rs::{MapHandle, RingBuffer, RingBufferBuilder};
use nix::errno::Errno;

use crate::capture::cpu_waits::CpuWaits;
use crate::capture::group_reader::{comm_of, comm_of_bytes};
use crate::capture::object::Loaded;
use crate::capture::plan::SlowPlan;
use crate::capture::slow_limits::{Limit, Room};
use crate::host::names::{Names, Owner};
use crate::model::histogram::Histogram;
use crate::model::hooks::{HOOK_COUNT, Hook};
use crate::model::names;
use crate::model::owner_choice::COMM;
use crate::model::slow::{SlowPacket, SlowPackets, stages};
use crate::model::tables;
use crate::text::one_line;

/// Of a note, see `src/bpf/stages.bpf.h`.
const TAG_SHIFT: u32 = tables::NOTE_TIME_BITS + tables::NOTE_HOOK_BITS;
const TIME_MASK: u64 = (1 << tables::NOTE_TIME_BITS) - 1;
const HOOK_MASK: usize = (1 << tables::NOTE_HOOK_BITS) - 1;

/// Slow packets that each CPU may send in a second, and bytes of the ring buffer.
pub(super) fn room(cpus: usize) -> Room {
    Room::for_cpus(cpus, size_of::<Sent>())
}

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
    /// In readers: what the process calls itself.
    reader: [u8; COMM + 1],
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
        debug_assert_eq!(bytes.len(), size_of::<Sent>());
        if bytes.len() != size_of::<Sent>() {
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
                let hook = (note >> tables::NOTE_TIME_BITS) as usize & HOOK_MASK;
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
    most: usize,
    redact: bool,
    room: Room,
    ring: RingBuffer<'static>,
    sent: Rc<RefCell<Vec<Sent>>>,
    names: Names,
    reader_names: MapHandle,
    limits: BTreeMap<Hook, Limit>,
    /// Some slow packets were not looked at since the start.
    some_missed: bool,
    found: SlowPackets,
    /// Slow packets that the last report had seen.
    reported: u64,
    cpu_waits: CpuWaits,
}

impl SlowReader {
    /// Sets the limits. Before the programs run, which send nothing without.
    ///
    /// # Errors
    ///
    /// If there is no descriptor left, or no memory.
    pub(super) fn new(
        loaded: &Loaded,
        plan: &SlowPlan,
        cpus: usize,
        names: Names,
    ) -> Result<SlowReader> {
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
        let limits = plan.limits.iter();
        let reader = SlowReader {
            most: plan.most,
            redact: plan.redact,
            room: room(cpus),
            ring,
            sent,
            names,
            reader_names: loaded.map_handle(names::READER_NAMES_MAP)?,
            limits: limits.map(|(hook, ns)| (*hook, Limit::new(*ns))).collect(),
            some_missed: false,
            found: SlowPackets::keeping(plan.most),
            reported: 0,
            cpu_waits: if plan.redact {
                CpuWaits::default()
            } else {
                CpuWaits::from_now_on()
            },
        };
        reader.allow(loaded);
        Ok(reader)
    }

    /// Lets the programs send what there is room for in the next second.
    fn allow(&self, loaded: &Loaded) {
        if let Some(budget) = loaded.slow_budget() {
            for (hook, limit) in &self.limits {
                budget.set_from(*hook, limit.from);
            }
            budget.refill(self.room.per_cpu);
        }
    }

    /// Reads what has come in the last second, and sets the limits for the next one.
    /// `counted`: what a hook has counted since the start.
    ///
    /// # Errors
    ///
    /// Those of libbpf.
    pub(super) fn look(
        &mut self,
        loaded: &Loaded,
        counted: impl Fn(Hook) -> Histogram,
    ) -> Result<()> {
        let counted = self.counted(counted);
        self.read(loaded, &counted)?;
        // All of them may come on one CPU, and twice as many as in the last second.
        let room = self.room.per_cpu / 2 / self.limits.len().max(1) as u64;
        for (hook, limit) in &mut self.limits {
            limit.look(&counted[hook], room);
            self.some_missed |= limit.is_raised();
        }
        self.allow(loaded);
        Ok(())
    }

    /// The slowest packets since the start, and since the last time. `counted`: as of
    /// [`SlowReader::look`].
    ///
    /// # Errors
    ///
    /// Those of libbpf.
    pub(super) fn report(
        &mut self,
        loaded: &Loaded,
        counted: impl Fn(Hook) -> Histogram,
    ) -> Result<SlowPackets> {
        let counted = self.counted(counted);
        self.read(loaded, &counted)?;
        let report = self.found.clone();
        self.reported = report.seen;
        Ok(report)
    }

    fn counted(&self, counted: impl Fn(Hook) -> Histogram) -> BTreeMap<Hook, Histogram> {
        let hooks = self.limits.keys();
        hooks.map(|hook| (*hook, counted(*hook))).collect()
    }

    fn read(&mut self, loaded: &Loaded, counted: &BTreeMap<Hook, Histogram>) -> Result<()> {
        let error = self.ring.consume_raw();
        if error < 0 {
            return Err(Errno::from_raw(-error))
                .context("reading slow packets from a BPF ring buffer");
        }
        let mut sent = std::mem::take(&mut *self.sent.borrow_mut());
        for packet in &sent {
            let hook = packet.hook();
            let limit = self.limits.get(&hook);
            let from = limit.and_then(|limit| limit.slowest_hundredth(&counted[&hook]));
            if from.is_some_and(|from| packet.age > from) {
                let shares = self.found.shares.entry(hook).or_default();
                shares.add(&stages(&packet.passed(), (hook, packet.age)));
            }
        }
        self.add_cpu_waits(&sent);
        // Names are looked up of those that are kept only.
        sent.sort_by_key(|packet| std::cmp::Reverse(packet.age));
        self.names.begin_report();
        for packet in sent.iter().take(self.most) {
            let packet = self.packet(packet);
            self.found.add(packet);
        }
        self.found.seen += sent.len().saturating_sub(self.most) as u64;
        self.found.trim(self.reported);
        self.count_missed(loaded, counted);
        Ok(())
    }

    /// Slow packets that were not looked at: the programs were not allowed to send
    /// them, or the limit was raised, which only the histograms know.
    fn count_missed(&mut self, loaded: &Loaded, counted: &BTreeMap<Hook, Histogram>) {
        let not_sent = loaded.slow_budget().map_or(0, |budget| budget.not_sent());
        self.some_missed |= not_sent > 0;
        if !self.some_missed {
            return;
        }
        let limits = self.limits.iter();
        let above: u64 = limits
            .map(|(hook, limit)| limit.above(&counted[hook]))
            .sum();
        let missed = above.saturating_sub(self.found.seen).max(not_sent);
        self.found.not_looked_at = self.found.not_looked_at.max(missed);
    }

    /// Notes how long the readers of these packets have waited for a CPU.
    fn add_cpu_waits(&mut self, sent: &[Sent]) {
        if self.redact {
            return;
        }
        for packet in sent.iter().filter(|sent| sent.hook().is_in_reader()) {
            let name = || one_line(&comm_of_bytes(&packet.reader), COMM);
            self.cpu_waits.watch(packet.pid, name);
        }
        self.found.cpu_waits.clone_from(self.cpu_waits.look());
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
        let noted = &self.reader_names;
        let ended = |pid| match sent.reader[0] {
            0 => comm_of(noted, pid),
            _ => Some(comm_of_bytes(&sent.reader)),
        };
        let owner = self.names.of(&owner, ended);
        let shown = |end: Option<SocketAddr>| end.filter(|_| !self.redact);
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

#[cfg(test)]
mod tests {
    use super::*;

    const TSTAMP: u64 = 1_795_256_223_123_456_789;

    fn note(tstamp: u64, hook: Hook, mono: u64) -> u64 {
        let tag = tstamp.wrapping_mul(tables::SAMPLE_MULTIPLIER) << TAG_SHIFT;
        tag | (hook.index() as u64) << tables::NOTE_TIME_BITS | (mono & TIME_MASK)
    }

    fn hook(name: &str) -> Hook {
        Hook::named(name).unwrap()
    }

    fn sent() -> Sent {
        // SAFETY: all bits zero are numbers.
        let mut sent: Sent = unsafe { std::mem::zeroed() };
        (sent.tstamp, sent.age) = (TSTAMP, 5000);
        // Just behind a wrap of the notes' 35 bits.
        sent.mono = (7 << tables::NOTE_TIME_BITS) + 1000;
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
