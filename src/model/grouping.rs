// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What packets are counted apart by.

use std::fmt;
use std::str::FromStr;

use crate::model::hooks::nearest;

/// One thing that packets are told apart by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum GroupKey {
    /// The interface that the packet came in by, in its network namespace.
    Interface,
    /// The cgroup (v2) of the process that made the socket.
    Cgroup,
    /// The container that the cgroup belongs to.
    Container,
    /// The pod that the cgroup belongs to.
    Pod,
    /// The process that reads from the socket.
    Process,
    /// The network namespace.
    Netns,
    /// The port that the packet was sent to.
    LocalPort,
    /// The address that the packet came from.
    RemoteIp,
    /// The CPU that the hook ran on.
    Cpu,
    /// The receive queue of the interface.
    RxQueue,
    /// The version of IP.
    Family,
}

impl GroupKey {
    /// All keys. (A container and a pod are known by the cgroup.)
    pub const ALL: [GroupKey; 11] = [
        GroupKey::Interface,
        GroupKey::Netns,
        GroupKey::Cgroup,
        GroupKey::Container,
        GroupKey::Pod,
        GroupKey::Process,
        GroupKey::LocalPort,
        GroupKey::RemoteIp,
        GroupKey::Cpu,
        GroupKey::RxQueue,
        GroupKey::Family,
    ];

    /// What users type, and what every output shows.
    pub fn name(self) -> &'static str {
        match self {
            GroupKey::Interface => "interface",
            GroupKey::Cgroup => "cgroup",
            GroupKey::Process => "process",
            GroupKey::Netns => "netns",
            GroupKey::LocalPort => "local-port",
            GroupKey::RemoteIp => "remote-ip",
            GroupKey::Cpu => "cpu",
            GroupKey::RxQueue => "rx-queue",
            GroupKey::Family => "family",
            GroupKey::Container => "container",
            GroupKey::Pod => "pod",
        }
    }
}

impl fmt::Display for GroupKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for GroupKey {
    type Err = String;

    /// # Errors
    ///
    /// Names the keys that there are.
    fn from_str(text: &str) -> Result<GroupKey, String> {
        let mut keys = GroupKey::ALL.into_iter();
        if let Some(key) = keys.find(|key| key.name().eq_ignore_ascii_case(text)) {
            return Ok(key);
        }
        let names = GroupKey::ALL.map(GroupKey::name);
        Err(match nearest(text, names.into_iter()) {
            Some(near) => format!("no such key; did you mean '{near}'?"),
            None => format!("no such key: write {}", names.join(", ")),
        })
    }
}

/// How packets are counted apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grouping {
    /// By what; at least one, each once, in the user's order.
    pub keys: Vec<GroupKey>,
    /// How many groups are told apart at the same time.
    pub max_groups: u32,
    /// Memory for their histograms, in bytes.
    pub memory: u64,
}

impl Grouping {
    /// Whether packets are told apart by this.
    pub fn is_by(&self, key: GroupKey) -> bool {
        self.keys.contains(&key)
    }

    /// Whether packets are told apart by nothing but the CPU: each CPU has
    /// counters of its own anyway.
    pub fn is_by_cpu_only(&self) -> bool {
        self.keys == [GroupKey::Cpu]
    }

    /// Whether their cgroup must be known.
    pub fn takes_cgroups(&self) -> bool {
        let by_cgroup = [GroupKey::Cgroup, GroupKey::Container, GroupKey::Pod];
        by_cgroup.into_iter().any(|key| self.is_by(key))
    }
}

/// The names of keys, each once.
pub fn key_names(keys: &[GroupKey]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for key in keys {
        if !names.iter().any(|known| known == key.name()) {
            names.push(key.name().into());
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_read_in_any_case() {
        for key in GroupKey::ALL {
            assert_eq!(key.name().to_uppercase().parse(), Ok(key));
        }
        let error = "proces".parse::<GroupKey>().unwrap_err();
        assert!(error.contains("'process'"), "{error}");
        let error = "colour".parse::<GroupKey>().unwrap_err();
        assert!(
            error.contains("cgroup, container, pod, process, local-port"),
            "{error}"
        );
    }
}
