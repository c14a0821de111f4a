// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the objects for ebpf_exporter show: their maps are metrics, and
//! `exporter/*.yaml` describes them.

use crate::model::hooks::Hook;
use crate::model::tables;

/// The last bucket, up to 2^34 ns; the sum follows it.
pub const BUCKET_MAX: u32 = tables::MAX_BITS;

/// The states of the clock, in the order of their keys.
pub const CLOCK_STATES: &[&str] = tables::CLOCK_STATES;

/// The number of the group, cgroup and interface, of what found no room.
pub const GROUP_OTHER: u32 = tables::GROUP_OTHER;

/// The number of the interfaces of other network namespaces than the first.
pub const GROUP_OTHER_NETNS: u32 = tables::GROUP_OTHER_NETNS;

/// An object, by what it has a series for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// Each hook.
    Hooks,
    /// Some hooks, by interface and cgroup.
    Groups,
}

impl Object {
    /// The name of its file, without `.bpf.o`, and of its description.
    pub fn name(self) -> &'static str {
        match self {
            Object::Hooks => "netstacklat",
            Object::Groups => "netstacklat-groups",
        }
    }

    /// Its hooks, in path order.
    pub fn hooks(self) -> Vec<Hook> {
        match self {
            Object::Hooks => Hook::all().collect(),
            Object::Groups => Hook::all()
                .filter(|hook| tables::GROUPED_HOOKS.contains(&hook.index()))
                .collect(),
        }
    }

    /// The name of a map, given what is after the prefix that all have.
    pub fn map(self, name: &str) -> String {
        let prefix = match self {
            Object::Hooks => "netstack_",
            Object::Groups => "netstack_group_",
        };
        format!("{prefix}{name}")
    }

    /// The map with the hook's histogram.
    pub fn latency_map(self, hook: Hook) -> String {
        self.map(&format!("{}_latency_seconds", hook.ident()))
    }

    /// The map with the hook's skip counters, a key for each reason.
    pub fn skips_map(self, hook: Hook) -> String {
        self.map(&format!("{}_skipped_total", hook.ident()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_are_those_of_the_maps() {
        for hook in Hook::all() {
            assert_eq!(Object::Hooks.latency_map(hook), hook.map_name());
        }
    }
}
