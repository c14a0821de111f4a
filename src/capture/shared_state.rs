// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the programs and the loader share of filters, samples and slow packets while
//! they run: counters, and what the loader may change.

use std::sync::atomic::Ordering::{Relaxed, Release, SeqCst};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64};

use crate::model::hooks::Hook;
use crate::model::packet_filter::{CgroupId, Interface};
use crate::model::tables;

/// Counters of packets by CPU and hook, such as those that were left out. They can be
/// most of all packets, so they are not among the other skips: no look-up finds them.
pub(super) struct HookCounts(pub &'static [AtomicU64]);

impl HookCounts {
    /// Those of a hook, on so many CPUs.
    pub(super) fn of(&self, hook: Hook, cpus: usize) -> u64 {
        let of_cpus = self.0.chunks_exact(tables::FILTERED_STRIDE).take(cpus);
        let counts = of_cpus.map(|hooks| hooks[hook.index()].load(Relaxed));
        counts.sum()
    }
}

/// What a CPU may send of slow packets.
pub(super) struct CpuBudget {
    /// So many more.
    pub left: &'static AtomicU64,
    /// Those that it could not send, since the start.
    pub not_sent: &'static AtomicU64,
    /// The age of the slowest that it has sent, ns.
    pub slowest: &'static AtomicU64,
}

/// What programs may send of slow packets.
pub(super) struct SlowBudget {
    pub cpus: Vec<CpuBudget>,
    /// By hook, from which age on a packet is slow, ns.
    pub from: [&'static AtomicU64; tables::NOTE_HOOKS],
}

impl SlowBudget {
    /// Lets each CPU send so many packets.
    pub(super) fn refill(&self, packets: u64) {
        for cpu in &self.cpus {
            cpu.slowest.store(0, Relaxed);
            cpu.left.store(packets, Relaxed);
        }
    }

    /// Slow packets that were not sent, since the start.
    pub(super) fn not_sent(&self) -> u64 {
        let counts = self.cpus.iter().map(|cpu| cpu.not_sent.load(Relaxed));
        counts.sum()
    }

    /// Sets from which age on a packet is slow at a hook, ns.
    pub(super) fn set_from(&self, hook: Hook, age_ns: u64) {
        self.from[hook.index()].store(age_ns, Relaxed);
    }
}

/// What the loader may change of a filter, and whether groups found room.
pub(super) struct SharedSelection {
    pub index: &'static AtomicU32,
    pub netns: &'static AtomicU32,
    /// As what each port is wanted.
    pub ports: &'static [AtomicU8],
    pub cgroups: [&'static AtomicU64; tables::MAX_FILTER_CGROUPS],
    /// Packets that were left out.
    pub filtered: HookCounts,
    pub cgroup_levels: [&'static AtomicU32; tables::MAX_FILTER_CGROUPS],
    /// 1: a group, or a slice of one, was not to be had.
    pub no_room: &'static AtomicU32,
}

impl SharedSelection {
    /// Which interface is wanted, where it is one; `None`: there is none now.
    pub(super) fn set_interface(&self, interface: Option<Interface>) {
        // No packet matches in between: neither the old index in the new
        // namespace, nor the reverse.
        self.index.store(u32::MAX, SeqCst);
        if let Some(interface) = interface {
            self.netns.store(interface.netns, SeqCst);
            self.index.store(interface.index, SeqCst);
        }
    }

    /// Packets that were left out at a hook, on so many CPUs.
    pub(super) fn filtered(&self, hook: Hook, cpus: usize) -> u64 {
        self.filtered.of(hook, cpus)
    }

    /// As what a port is wanted, too (`tables::PORT_*`).
    pub(super) fn add_port(&self, port: u16, what: u8) {
        self.ports[usize::from(port)].fetch_or(what, Relaxed);
    }

    /// Which cgroups are wanted.
    pub(super) fn set_cgroups(&self, cgroups: &[CgroupId]) {
        let places = self.cgroups.iter().zip(&self.cgroup_levels);
        for ((place, level), cgroup) in places.zip(cgroups) {
            // The level first: an id matches at no level but its own.
            level.store(cgroup.level, Release);
            place.store(cgroup.id.unwrap_or(u64::MAX), Release);
        }
    }
}
