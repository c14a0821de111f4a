// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reads slow packets out of their ring buffer (`src/bpf/slow.bpf.h`), keeps the
//! slowest, and counts where the slowest hundredth spent its time. Once a second it
//! tells the programs how many they may send, and from which age on.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use libbpf_rs::{MapHandle, RingBuffer, RingBufferBuilder};
use nix::errno::Errno;

use crate::capture::cpu_waits::CpuWaits;
use crate::capture::group_reader::{comm_of, comm_of_bytes};
use crate::capture::object::Loaded;
use crate::capture::slow_limits::{self, Limit, Room};
use crate::capture::slow_plan::SlowPlan;
use crate::capture::slow_sent::{Sent, room};
use crate::host::names::{Names, Owner};
use crate::model::histogram::Histogram;
use crate::model::hooks::Hook;
use crate::model::names;
use crate::model::owner_choice::COMM;
use crate::model::slow::{SlowPacket, SlowPackets, stages};
use crate::text::one_line;

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
    /// Slow packets that the last report had seen; `None`: there was none yet.
    reported: Option<u64>,
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
            reported: None,
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
        // All of them may come on one CPU, and more than in the last second.
        slow_limits::look(&mut self.limits, &counted, self.room.per_cpu / 2);
        self.some_missed |= self.limits.values().any(Limit::is_raised);
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
        if self.reported.is_none() {
            self.found.begin();
        }
        let report = self.found.clone();
        self.reported = Some(report.seen);
        self.cpu_waits.begin_report();
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
                let stages = stages(&packet.passed(), (hook, packet.age));
                shares.may_be_quick = limit.is_some_and(Limit::is_any);
                shares.add(&stages);
            }
        }
        for (hook, counted) in counted {
            let shares = self.found.shares.entry(*hook).or_default();
            shares.counted = Some(counted.clone());
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
        self.found.trim(self.reported.unwrap_or(0));
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
        self.found.not_looked_at = above.saturating_sub(self.found.seen).max(not_sent);
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
