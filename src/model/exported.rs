// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the objects for ebpf_exporter show: their maps are metrics, and
//! `exporter/*.yaml` describes them.

use std::str::FromStr;

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

/// The number that stands for all ports that the kernel gives to clients.
pub const GROUP_EPHEMERAL: u32 = tables::GROUP_EPHEMERAL;

/// The number of the receive queue of packets that came by none.
pub const GROUP_NONE: u32 = tables::GROUP_NONE;

/// A key that the grouped object can count by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ExportedKey(usize);

impl ExportedKey {
    /// All that there are, in the order of the labels.
    pub fn all() -> impl Iterator<Item = ExportedKey> {
        (0..tables::EXPORTED_KEYS.len()).map(ExportedKey)
    }

    fn row(self) -> &'static tables::ExportedKeyRow {
        &tables::EXPORTED_KEYS[self.0]
    }

    /// What users type: the key's name in `--by`.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The label of the series.
    pub fn label(self) -> &'static str {
        self.row().label
    }
}

/// The keys that a grouped object counts by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportedKeys(Vec<ExportedKey>);

impl ExportedKeys {
    /// In the order of the labels; at least one, each once.
    pub fn iter(&self) -> impl Iterator<Item = ExportedKey> + '_ {
        self.0.iter().copied()
    }

    /// Whether it counts by the key of this name.
    pub fn has(&self, name: &str) -> bool {
        self.iter().any(|key| key.name() == name)
    }

    /// As users write them.
    pub fn text(&self) -> String {
        let names: Vec<_> = self.iter().map(ExportedKey::name).collect();
        names.join(",")
    }

    /// The value of `GROUP_BY` in `src/bpf/group_by.bpf.h`.
    pub fn constants(&self) -> String {
        let constants: Vec<_> = self.iter().map(|key| key.row().constant).collect();
        constants.join("|")
    }
}

/// What is counted by unless somebody chooses.
impl Default for ExportedKeys {
    fn default() -> Self {
        ExportedKeys(
            tables::DEFAULT_KEYS
                .iter()
                .copied()
                .map(ExportedKey)
                .collect(),
        )
    }
}

impl FromStr for ExportedKeys {
    type Err = String;

    /// Reads names separated by commas, in any order.
    ///
    /// # Errors
    ///
    /// Names the word that is no key, and the keys that there are.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut keys = Vec::new();
        for name in text.split(',') {
            let mut all = ExportedKey::all();
            let key = all.find(|key| key.name().eq_ignore_ascii_case(name));
            let key = key.ok_or_else(|| {
                let names: Vec<_> = ExportedKey::all().map(ExportedKey::name).collect();
                format!(
                    "GROUP_BY: '{name}' is no key of netstacklat-groups, which can count by {}",
                    names.join(", ")
                )
            })?;
            if keys.contains(&key) {
                return Err(format!("GROUP_BY: '{name}' is there twice in '{text}'"));
            }
            keys.push(key);
        }
        keys.sort_unstable();
        Ok(ExportedKeys(keys))
    }
}

/// An object, by what it has a series for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Object {
    /// Each hook.
    Hooks,
    /// Some hooks, by interface and cgroup or other keys.
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
            Object::Hooks => Hook::default_ones().collect(),
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

    fn keys(text: &str) -> ExportedKeys {
        text.parse().unwrap()
    }

    #[test]
    fn keys_are_sorted_whatever_the_order() {
        assert_eq!(keys("interface,cgroup"), ExportedKeys::default());
        assert_eq!(keys("cgroup,interface"), ExportedKeys::default());
        assert_eq!(keys("Family,LOCAL-port").text(), "local-port,family");
        assert_eq!(keys("family,cpu").constants(), "BY_CPU|BY_FAMILY");
        assert_ne!(keys("cgroup"), ExportedKeys::default());
    }

    #[test]
    fn a_wrong_key_is_named_with_those_that_there_are() {
        for (text, wrong) in [
            ("cgroup,colour", "colour"),
            ("", ""),
            ("cpu,", ""),
            ("remote-ip", "remote-ip"),
            ("local_port", "local_port"),
        ] {
            assert_eq!(
                text.parse::<ExportedKeys>().unwrap_err(),
                format!(
                    "GROUP_BY: '{wrong}' is no key of netstacklat-groups, which can count by cgroup, \
                     interface, netns, local-port, rx-queue, cpu, family"
                )
            );
        }
        let twice = "cpu,family,cpu".parse::<ExportedKeys>().unwrap_err();
        assert!(twice.contains("'cpu' is there twice"), "{twice}");
    }

    /// One word for one thing: keys are those of `--by`, labels what Prometheus
    /// takes of them.
    #[test]
    fn keys_are_called_as_by_calls_them() {
        for key in ExportedKey::all() {
            assert!(
                key.name()
                    .parse::<crate::model::grouping::GroupKey>()
                    .is_ok()
            );
            assert_eq!(key.label(), key.name().replace('-', "_"));
        }
    }

    #[test]
    fn the_names_are_those_of_the_maps() {
        for hook in Hook::all() {
            assert_eq!(Object::Hooks.latency_map(hook), hook.map_name());
        }
    }
}
