// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Which packets are measured, as the BPF programs test it: numbers, where users
//! write names.

use crate::model::flow_choice::FlowChoice;
use crate::model::hooks::{Hook, HookSet};
use crate::model::owner_choice::CommChoice;

/// An interface: an index means something only in its network namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interface {
    /// The index, as in `ip link`.
    pub index: u32,
    /// Inode number of the network namespace, as in `/proc/PID/ns/net`.
    pub netns: u32,
}

/// A cgroup (v2), with all that is below it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CgroupId {
    /// The id: the inode number of its directory. `None`: it is gone.
    pub id: Option<u64>,
    /// How many cgroups are above it; 0 of the root.
    pub level: u32,
}

/// Which packets are measured. By default all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PacketFilter {
    /// Those that came in by one of these interfaces; `None`: by any. An empty
    /// list: none of the interfaces is there now.
    pub interfaces: Option<Vec<Interface>>,
    /// How many interfaces the user named: those that are not there now may
    /// appear.
    pub named_interfaces: usize,
    /// Those of this network namespace (inode number); `None`: of any.
    pub netns: Option<u32>,
    /// Those that one of these processes reads; empty: any.
    pub pids: Vec<u32>,
    /// Those of sockets in one of these cgroups, or below.
    pub cgroups: Vec<CgroupId>,
    /// How many of them there can be while it is measured; 0: packets of all
    /// cgroups are wanted.
    pub cgroup_places: usize,
    /// The options that ask for them.
    pub cgroup_options: Vec<&'static str>,
    /// Reads that leave at least so many packets in the socket's queue; 0: all.
    pub min_queue: u32,
    /// TCP reads that waited for a missing segment are measured, too.
    pub include_hol_blocked: bool,
    /// Those whose headers say so.
    pub flow: FlowChoice,
    /// Those that processes of one of these names read; empty: any.
    pub comms: Vec<CommChoice>,
}

impl PacketFilter {
    /// Whether a packet can be left out.
    pub fn is_on(&self) -> bool {
        self.interfaces.is_some()
            || self.netns.is_some()
            || !self.pids.is_empty()
            || self.cgroup_places > 0
            || self.min_queue > 0
            || self.flow.is_on()
            || !self.comms.is_empty()
    }

    /// Whether it matters which process reads from a socket.
    pub fn asks_for_processes(&self) -> bool {
        !self.pids.is_empty() || !self.comms.is_empty()
    }

    /// The options that ask for what only the socket tells.
    fn asked_of_socket(&self) -> Vec<&'static str> {
        let asked = [
            ("--pids", !self.pids.is_empty()),
            ("--comm", !self.comms.is_empty()),
        ];
        let asked = asked.into_iter().filter(|(_, on)| *on);
        let asked = asked.map(|(option, _)| option);
        asked.chain(self.cgroup_options.iter().copied()).collect()
    }

    /// These options, and the hooks at which the socket is not known yet: these
    /// measure all packets. `None`: all options apply at all of `hooks`.
    /// (`src/bpf/filter.bpf.h` tests the same.)
    pub fn not_applied(&self, hooks: HookSet) -> Option<(Vec<&'static str>, Vec<Hook>)> {
        self.asked_at(
            hooks
                .iter()
                .filter(|hook| hook.is_of_packets() && !hook.knows_socket()),
        )
    }

    /// These options, and the hooks at which only established connections have a
    /// socket: other packets count there as owner-unknown.
    pub fn applied_to_connections(&self, hooks: HookSet) -> Option<(Vec<&'static str>, Vec<Hook>)> {
        self.asked_at(hooks.iter().filter(|hook| hook.has_early_demux()))
    }

    fn asked_at(
        &self,
        hooks: impl Iterator<Item = Hook>,
    ) -> Option<(Vec<&'static str>, Vec<Hook>)> {
        let (asked, hooks) = (self.asked_of_socket(), hooks.collect::<Vec<_>>());
        (!asked.is_empty() && !hooks.is_empty()).then_some((asked, hooks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filter() -> PacketFilter {
        PacketFilter {
            pids: vec![7],
            min_queue: 2,
            ..PacketFilter::default()
        }
    }

    #[test]
    fn nothing_is_filtered_by_default() {
        let filter = PacketFilter::default();
        assert!(!filter.is_on());
        assert_eq!(filter.not_applied(HookSet::ALL), None);
    }

    #[test]
    fn hooks_that_cannot_apply_a_filter_are_named() {
        let (options, hooks) = filter().not_applied(HookSet::ALL).unwrap();
        assert_eq!(options, ["--pids"]);
        // And whatever other hook does not know the socket.
        let names: Vec<_> = hooks.iter().map(|hook| hook.name()).collect();
        assert!(names.contains(&"ip-start") && names.contains(&"udp-start"));
        assert!(hooks.iter().all(|hook| !hook.knows_socket()), "{names:?}");
        let (options, hooks) = filter().applied_to_connections(HookSet::ALL).unwrap();
        assert_eq!(options, ["--pids"]);
        let names: Vec<_> = hooks.iter().map(|hook| hook.name()).collect();
        assert_eq!(names, ["tcp-start"]);
        let reads: HookSet = Hook::all().filter(|hook| hook.is_in_reader()).collect();
        assert_eq!(filter().not_applied(reads), None);
        assert_eq!(filter().applied_to_connections(reads), None);
        let all = PacketFilter {
            comms: vec!["nginx".parse().unwrap()],
            cgroup_options: vec!["--cgroups", "--pod"],
            ..filter()
        };
        let (options, _) = all.not_applied(HookSet::ALL).unwrap();
        assert_eq!(options, ["--pids", "--comm", "--cgroups", "--pod"]);
    }
}
