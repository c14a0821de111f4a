// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What people call an interface, a cgroup or a process of which the programs
//! know the number. A name is looked up once, when the first packet is counted,
//! and is kept when what it named is gone.

use std::collections::BTreeMap;
use std::net::Ipv6Addr;
use std::path::Path;
use std::sync::Arc;

use crate::host::cgroups::CgroupTree;
use crate::host::container_names::ContainerNames;
use crate::host::namespaces::Netns;
use crate::host::processes;
use crate::model::group::UNKNOWN;
use crate::model::grouping::GroupKey;
use crate::model::tables;
use crate::text::one_line;

/// What a packet does not have: a port (ICMP), a receive queue (loopback); a
/// container or a pod, to which its cgroup would belong.
const NONE: &str = "none";
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
    /// The local port; 0: not known, or the packet has none.
    pub local_port: Option<u32>,
    /// 1 more than the number of the receive queue; 0: there is none.
    pub rx_queue: Option<u32>,
    /// Version of IP.
    pub family: Option<u32>,
    /// The remote address; IPv4 as ::ffff:192.0.2.1.
    pub remote_ip: Option<Ipv6Addr>,
    /// Number of the CPU.
    pub cpu: Option<u32>,
}

impl Owner {
    /// The same, whatever the CPU.
    #[must_use]
    pub fn on_any_cpu(self) -> Owner {
        Owner { cpu: None, ..self }
    }

    /// All that a CPU has counted.
    pub fn cpu(number: usize) -> Owner {
        Owner {
            cpu: u32::try_from(number).ok(),
            ..Owner::default()
        }
    }
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
    containers: ContainerNames,
    /// Whether the tree of cgroups may be gone through for a name: once a report,
    /// because those that are gone are not found however often.
    may_walk: bool,
    /// Whether interfaces of other namespaces are told apart.
    with_namespaces: bool,
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
            containers: ContainerNames::below(Path::new("/")),
            may_walk: true,
            with_namespaces: true,
        }
    }

    /// The same, with interfaces as they are called within their namespaces.
    #[must_use]
    pub(crate) fn without_namespaces(self) -> Names {
        Names {
            with_namespaces: false,
            ..self
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
                GroupKey::Netns => netns(owner.netns.unwrap_or(self.netns)),
                GroupKey::LocalPort => number_or(owner.local_port, 0, NONE),
                GroupKey::RemoteIp => remote_ip(owner.remote_ip),
                GroupKey::Cpu => number_or(owner.cpu, u32::MAX, UNKNOWN),
                GroupKey::RxQueue => match owner.rx_queue {
                    None | Some(0) => NONE.into(),
                    Some(number) => (number - 1).to_string(),
                },
                GroupKey::Family => match owner.family {
                    Some(version @ (4 | 6)) => format!("IPv{version}"),
                    _ => UNKNOWN.into(),
                },
                GroupKey::Container => self.container(owner.cgroup.unwrap_or(0)),
                GroupKey::Pod => self.pod(owner.cgroup.unwrap_or(0)),
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
        if netns == self.own_netns || !self.with_namespaces {
            return name;
        }
        format!("{name}@{}", self::netns(netns))
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

/// The name of a network namespace, or its inode number.
fn netns(inode: u32) -> String {
    Netns::name(inode).unwrap_or_else(|| inode.to_string())
}

fn number_or(number: Option<u32>, none: u32, otherwise: &str) -> String {
    match number {
        Some(number) if number != none => number.to_string(),
        _ => otherwise.into(),
    }
}

/// As people write addresses: IPv4 ones without the prefix.
fn remote_ip(address: Option<Ipv6Addr>) -> String {
    match address {
        Some(address) if !address.is_unspecified() => address.to_canonical().to_string(),
        _ => UNKNOWN.into(),
    }
}

impl Names {
    /// Several cgroups can be of one container: they are one group.
    fn container(&mut self, number: u32) -> String {
        let path = self.cgroup(number);
        if !self.cgroups.contains_key(&number.into()) {
            // Not known whether it was a container's.
            return path;
        }
        let known = self.containers.container(&path);
        known.map_or(NONE.into(), |known| known.label)
    }

    /// The same of pods.
    fn pod(&mut self, number: u32) -> String {
        let path = self.cgroup(number);
        if !self.cgroups.contains_key(&number.into()) {
            return path;
        }
        let known = self.containers.pod(&path);
        known.map_or(NONE.into(), |known| known.label)
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
        for (place, key) in GroupKey::ALL.into_iter().enumerate() {
            let expected = match key {
                GroupKey::LocalPort | GroupKey::RxQueue => "none".into(),
                // That is the one in which packets are measured.
                GroupKey::Netns => netns(Netns::own().unwrap().inode),
                _ => "unknown".to_owned(),
            };
            assert_eq!(value(&mut names, nobody, place), expected, "{key}");
        }
        let gone = Owner {
            netns: Some(7),
            interface: Some(9),
            cgroup: Some(5),
            pid: Some(u32::MAX),
            ..Owner::default()
        };
        let values = names.of(&gone, |_| None);
        let values: Vec<_> = values.iter().map(|(_, value)| value.as_str()).collect();
        let process = format!("({})", u32::MAX);
        let cgroup = "cgroup 5";
        let expected = ["if9@7", "7", cgroup, cgroup, cgroup, &process];
        assert_eq!(values[..expected.len()], expected);
    }

    #[test]
    fn flows_are_named_as_people_write_them() {
        let keys = [
            GroupKey::Cpu,
            GroupKey::Family,
            GroupKey::RxQueue,
            GroupKey::LocalPort,
            GroupKey::RemoteIp,
        ];
        let mut names = Names::new(&keys, None, None);
        let mut values = |owner: &Owner| -> Vec<String> {
            let named = names.of(owner, |_| None);
            named.iter().map(|(_, value)| value.clone()).collect()
        };
        let owner = Owner {
            cpu: Some(0),
            family: Some(4),
            rx_queue: Some(1),
            local_port: Some(80),
            remote_ip: Some("::ffff:192.0.2.1".parse().unwrap()),
            ..Owner::default()
        };
        assert_eq!(values(&owner), ["0", "IPv4", "0", "80", "192.0.2.1"]);
        let owner = Owner {
            family: Some(6),
            remote_ip: Some("2001:db8::1".parse().unwrap()),
            ..owner
        };
        assert_eq!(values(&owner), ["0", "IPv6", "0", "80", "2001:db8::1"]);
    }

    /// Cgroups of one container are one group, those of none another.
    #[test]
    fn cgroups_get_the_names_of_their_containers() {
        const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let mut names = Names::new(&[GroupKey::Container, GroupKey::Pod], None, None);
        let docker = format!("system.slice/docker-{ID}.scope");
        let pod = format!("machine.slice/machine-libpod_pod_{ID}.slice");
        for (id, path) in [
            (5, docker.clone()),
            (6, format!("{docker}/system.slice/ssh.service")),
            (7, "system.slice/ssh.service".into()),
            (8, pod),
        ] {
            names.cgroups.insert(id, path);
        }
        let of = |names: &mut Names, cgroup: u32| {
            let owner = Owner {
                cgroup: Some(cgroup),
                ..Owner::default()
            };
            let values = names.of(&owner, |_| None);
            [values[0].1.clone(), values[1].1.clone()]
        };
        for cgroup in [5, 6] {
            assert_eq!(of(&mut names, cgroup), ["0123456789ab", "none"]);
        }
        assert_eq!(of(&mut names, 7), ["none", "none"]);
        assert_eq!(of(&mut names, 8), ["none", "0123456789ab"]);
    }
}
