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
    /// The process that reads from the socket.
    Process,
}

impl GroupKey {
    /// All keys, in the order in which the programs put them together.
    pub const ALL: [GroupKey; 3] = [GroupKey::Interface, GroupKey::Cgroup, GroupKey::Process];

    /// What users type, and what every output shows.
    pub fn name(self) -> &'static str {
        match self {
            GroupKey::Interface => "interface",
            GroupKey::Cgroup => "cgroup",
            GroupKey::Process => "process",
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
        assert!(error.contains("interface, cgroup, process"), "{error}");
    }
}
