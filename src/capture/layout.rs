// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Where the counters are in the BPF maps. Pure arithmetic.

use crate::model::grouping::{GroupKey, Grouping};
use crate::model::hooks::HOOK_COUNT;
use crate::model::packet_filter::PacketFilter;
use crate::model::skips::SKIP_COUNT;
use crate::model::tables;

/// u64 values in a cache line: slices of different CPUs share none.
const LINE: usize = 8;

/// Words of an IP address in a key; IPv4 as ::ffff:192.0.2.1.
pub(super) const ADDRESS_WORDS: usize = 4;

/// Where things are in the maps: one slice per possible CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Slices in each map.
    pub cpus: usize,
    /// Entries from one CPU's slice of the skip counters to the next.
    pub skip_stride: usize,
}

impl Layout {
    /// The layout for `cpus` possible CPUs.
    pub fn new(cpus: usize) -> Layout {
        Layout {
            cpus,
            skip_stride: (HOOK_COUNT * SKIP_COUNT).next_multiple_of(LINE),
        }
    }

    /// Entries of the map of skip counters.
    pub fn skip_entries(&self) -> usize {
        self.cpus * self.skip_stride
    }
}

/// Where the counters of groups are: in slices, each of one group, hook and CPU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupLayout {
    /// Slices that there are.
    pub slices: u32,
    /// Groups that are told apart.
    pub max_groups: u32,
    /// Whether the key says the network namespace. Without it an interface's
    /// index means nothing, unless there is one namespace to measure in.
    pub by_netns: bool,
    /// Whether it says the interface.
    pub by_interface: bool,
    /// Whether it says the cgroup.
    pub by_cgroup: bool,
    /// Whether it says the process.
    pub by_process: bool,
    /// Whether it says the local port.
    pub by_local_port: bool,
    /// Whether it says the receive queue.
    pub by_rx_queue: bool,
    /// Whether it says the version of IP.
    pub by_family: bool,
    /// Whether it says the remote address, in four words.
    pub by_remote_ip: bool,
    /// Whether groups are told apart by the CPU, which the first word says of
    /// every slice.
    pub by_cpu: bool,
}

impl GroupLayout {
    /// The layout for this grouping.
    pub fn new(grouping: &Grouping, filter: &PacketFilter) -> GroupLayout {
        let one_netns = filter.netns.is_some() || filter.interfaces.is_some();
        let by_interface = grouping.is_by(GroupKey::Interface);
        let slice = (tables::SLICE_ENTRIES * size_of::<u64>()) as u64;
        GroupLayout {
            slices: u32::try_from(grouping.memory / slice).unwrap_or(u32::MAX),
            max_groups: grouping.max_groups,
            by_netns: grouping.is_by(GroupKey::Netns) || by_interface && !one_netns,
            by_interface,
            by_cgroup: grouping.takes_cgroups(),
            by_process: grouping.is_by(GroupKey::Process),
            by_local_port: grouping.is_by(GroupKey::LocalPort),
            by_rx_queue: grouping.is_by(GroupKey::RxQueue),
            by_family: grouping.is_by(GroupKey::Family),
            by_remote_ip: grouping.is_by(GroupKey::RemoteIp),
            by_cpu: grouping.is_by(GroupKey::Cpu),
        }
    }

    /// Whether it says anything of what is in the packets' headers, or beside them.
    pub fn reads_headers(&self) -> bool {
        self.by_local_port || self.by_rx_queue || self.by_family || self.by_remote_ip
    }

    /// Words of a key: the one that says CPU and hook, and those of the group.
    pub fn key_words(&self) -> usize {
        1 + self.words()
    }

    fn words(&self) -> usize {
        let parts = [
            self.by_netns,
            self.by_interface,
            self.by_cgroup,
            self.by_process,
            self.by_local_port,
            self.by_rx_queue,
            self.by_family,
        ];
        let address = if self.by_remote_ip { ADDRESS_WORDS } else { 0 };
        parts.into_iter().filter(|on| *on).count() + address
    }

    /// Bytes of a key in the maps.
    pub fn key_size(&self) -> u32 {
        (self.key_words() * size_of::<u32>()) as u32
    }
}
