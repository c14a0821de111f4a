// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What people call an interface, a cgroup or a process of which the programs
//! know the number. A name is looked up once, when the first packet is counted,
//! and is kept when what it named is gone.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::host::cgroups::CgroupTree;
use crate::host::namespaces::Netns;
use crate::host::processes;
use crate::model::counters::UNKNOWN;
use crate::model::grouping::GroupKey;
use crate::model::tables;
use crate::text::one_line;

/// Characters of a name.
const LONGEST: usize = 200;

/// Whose packets, by the numbers that the programs know; `None`: they were not
/// asked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owner {
    /// Inode number of the network namespace.
    pub netns: Option<u32>,
    /// Index of the interface; 0: not known.
    pub interface: Option<u32>,
    /// Id of the cgroup; 0: not known.
    pub cgroup: Option<u32>,
    /// Number of the process; 0: not known.
    pub pid: Option<u32>,
}

/// Looks up names.
#[derive(Debug)]
pub struct Names {
    keys: Vec<GroupKey>,
    /// The namespace that packets are in, where the programs do not say.
    netns: u32,
    own_netns: u32,
    /// `None`: not looked up yet, or that may not be entered.
    interfaces: BTreeMap<u32, BTreeMap<u32, String>>,
    tree: Option<CgroupTree>,
    cgroups: BTreeMap<u64, String>,
    /// Whether the tree of cgroups may be gone through for a name: once a report,
    /// because those that are gone are not found however often.
    may_walk: bool,
}

impl Names {
    /// For groups by these keys. `netns` is the namespace in which packets are
    /// measured, if it is one.
    pub(crate) fn new(keys: &[GroupKey], netns: Option<u32>, tree: Option<CgroupTree>) -> Names {
        let own_netns = Netns::own().map_or(0, |own| own.inode);
        Names {
            keys: keys.into(),
            netns: netns.unwrap_or(own_netns),
            own_netns,
            interfaces: BTreeMap::new(),
            tree,
            cgroups: BTreeMap::new(),
            may_walk: true,
        }
    }

    /// Names of cgroups may be looked up again.
    pub(crate) fn begin_report(&mut self) {
        self.may_walk = true;
    }

    /// Keys and values of the group, in the order of the keys. `ended` knows what
    /// processes called themselves that are gone.
    pub(crate) fn of(
        &mut self,
        owner: &Owner,
        ended: impl Fn(u32) -> Option<String>,
    ) -> Arc<[(String, String)]> {
        let keys = self.keys.clone();
        let values = keys.into_iter().map(|key| {
            let value = match key {
                GroupKey::Interface => self.interface(owner),
                GroupKey::Cgroup => self.cgroup(owner.cgroup.unwrap_or(0)),
                GroupKey::Process => process(owner.pid.unwrap_or(0), &ended),
            };
            (key.name().into(), one_line(&value, LONGEST))
        });
        values.collect()
    }

    /// `eth0`; in another namespace `eth0@NAME`, or with the namespace's inode
    /// number, where it has no name.
    fn interface(&mut self, owner: &Owner) -> String {
        let index = owner.interface.unwrap_or(0);
        let netns = owner.netns.unwrap_or(self.netns);
        let name = match index {
            0 => UNKNOWN.into(),
            _ => self.interface_name(netns, index),
        };
        if netns == self.own_netns {
            return name;
        }
        let place = Netns::name(netns).unwrap_or_else(|| netns.to_string());
        format!("{name}@{place}")
    }

    fn interface_name(&mut self, netns: u32, index: u32) -> String {
        let known = |names: &BTreeMap<u32, BTreeMap<u32, String>>| {
            names
                .get(&netns)
                .and_then(|names| names.get(&index))
                .cloned()
        };
        if let Some(name) = known(&self.interfaces) {
            return name;
        }
        let found = Netns::by_inode(netns).and_then(|netns| netns.interfaces().ok());
        let found = found.into_iter().flatten();
        self.interfaces.entry(netns).or_default().extend(found);
        // It is gone, or this user may not look into the namespace.
        known(&self.interfaces).unwrap_or_else(|| format!("if{index}"))
    }

    fn cgroup(&mut self, number: u32) -> String {
        if number == 0 || number == tables::GROUP_OTHER {
            return UNKNOWN.into();
        }
        let id = u64::from(number);
        if !self.cgroups.contains_key(&id)
            && let Some(tree) = &self.tree
            && std::mem::take(&mut self.may_walk)
        {
            self.cgroups.extend(tree.names());
        }
        match self.cgroups.get(&id) {
            Some(name) => name.clone(),
            None => format!("cgroup {id}"),
        }
    }
}

fn process(pid: u32, ended: impl Fn(u32) -> Option<String>) -> String {
    if pid == 0 {
        return UNKNOWN.into();
    }
    match processes::comm(pid).or_else(|| ended(pid)) {
        Some(comm) => format!("{comm}({pid})"),
        None => format!("({pid})"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_in_the_order_of_the_keys() {
        let pid = std::process::id();
        let mut names = Names::new(&[GroupKey::Process, GroupKey::Interface], None, None);
        let owner = Owner {
            interface: Some(1),
            pid: Some(pid),
            ..Owner::default()
        };
        let comm = processes::comm(pid).unwrap();
        let expected = [
            ("process".to_owned(), format!("{comm}({pid})")),
            ("interface".to_owned(), "lo".to_owned()),
        ];
        assert_eq!(*names.of(&owner, |_| None), expected);
    }

    #[test]
    fn what_is_not_known_has_a_name_too() {
        let mut names = Names::new(&GroupKey::ALL, None, None);
        let value =
            |names: &mut Names, owner: Owner, key: usize| names.of(&owner, |_| None)[key].1.clone();
        let nobody = Owner::default();
        for key in 0..GroupKey::ALL.len() {
            assert_eq!(value(&mut names, nobody, key), "unknown");
        }
        let gone = Owner {
            netns: Some(7),
            interface: Some(9),
            cgroup: Some(5),
            pid: Some(u32::MAX),
        };
        assert_eq!(value(&mut names, gone, 0), "if9@7");
        assert_eq!(value(&mut names, gone, 1), "cgroup 5");
        assert_eq!(value(&mut names, gone, 2), format!("({})", u32::MAX));
    }
}
