// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! From what users write to what the programs test: names become numbers, and
//! again when what has the name changes.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use anyhow::{Context as _, Result};

use crate::error::UsageError;
use crate::host::cgroups::CgroupTree;
use crate::host::names::Names;
use crate::host::namespaces::Netns;
use crate::host::processes;
use crate::host::wanted_cgroups::WantedCgroups;
use crate::host::wanted_interfaces::WantedInterfaces;
use crate::model::grouping::{GroupKey, Grouping};
use crate::model::owner_choice::CommChoice;
use crate::model::packet_choice::PacketChoice;
use crate::model::packet_filter::PacketFilter;
use crate::model::tables;

/// The packets that the user wants, on this host.
#[derive(Debug)]
pub struct Packets {
    filter: PacketFilter,
    interfaces: Option<WantedInterfaces>,
    cgroups: Option<WantedCgroups>,
    cgroup_mount: Option<PathBuf>,
}

impl Packets {
    /// Looks up what the user wrote.
    ///
    /// # Errors
    ///
    /// A [`UsageError`] that names what does not exist; or what the kernel said.
    pub fn resolve(choice: &PacketChoice) -> Result<Packets> {
        let number = choice.flow.networks.len();
        UsageError::check_number("--ip", number, tables::MAX_FILTER_NETWORKS)?;
        let netns = Netns::find(&choice.namespace)?;
        let mut filter = PacketFilter {
            netns: netns.as_ref().map(|netns| netns.inode),
            pids: pids(&choice.pids)?,
            min_queue: choice.min_queue.unwrap_or(0),
            include_hol_blocked: choice.include_hol_blocked,
            // What the headers say need not be looked up.
            flow: choice.flow.clone(),
            comms: choice.comms.clone(),
            ..PacketFilter::default()
        };
        let number = choice.interfaces.len();
        UsageError::check_number("--interfaces", number, tables::MAX_FILTER_INTERFACES)?;
        let interfaces = if choice.interfaces.is_empty() {
            None
        } else {
            let netns = match netns {
                Some(netns) => netns,
                None => Netns::own().context("looking up the own network namespace")?,
            };
            let (wanted, found) = WantedInterfaces::find(&choice.interfaces, netns)?;
            filter.interfaces = Some(found);
            filter.named_interfaces = number;
            Some(wanted)
        };
        let cgroups = WantedCgroups::find(choice)?;
        if let Some(wanted) = &cgroups {
            filter.cgroups = wanted.ids();
            filter.cgroup_places = wanted.number_of_places();
            filter.cgroup_options = wanted.options().into();
        }
        Ok(Packets {
            filter,
            interfaces,
            cgroups,
            cgroup_mount: choice.cgroup_mount.clone(),
        })
    }

    /// What is not measured of what the user wants; `None`: nothing new.
    pub(crate) fn overflow(&mut self) -> Option<String> {
        self.cgroups.as_mut().and_then(WantedCgroups::overflow)
    }

    /// What may be missed.
    pub(crate) fn blind_spots(&self) -> Option<String> {
        self.cgroups.as_ref().and_then(WantedCgroups::blind_spots)
    }

    /// As the programs test it, by what was last looked up.
    pub fn filter(&self) -> &PacketFilter {
        &self.filter
    }

    /// Names of the groups that these packets are counted apart by.
    ///
    /// # Errors
    ///
    /// If cgroups are asked for, and there are none to tell apart.
    pub(crate) fn names(&self, grouping: &Grouping) -> Result<Names, UsageError> {
        let tree = if grouping.takes_cgroups() {
            Some(match &self.cgroups {
                Some(wanted) => wanted.tree().clone(),
                None => CgroupTree::find(self.cgroup_mount.as_deref())?,
            })
        } else {
            None
        };
        let of_interfaces = self.interfaces.as_ref().map(WantedInterfaces::netns);
        let netns = self.filter.netns.or(of_interfaces);
        Ok(Names::new(&grouping.keys, netns, tree))
    }

    /// Names of what single packets belong to: interface, and, unless they are to be
    /// hidden, its namespace, cgroup (where there are any of v2) and process.
    pub(crate) fn names_of_packets(&self, redact: bool) -> Names {
        let mut keys = vec![GroupKey::Interface];
        let tree = match &self.cgroups {
            Some(wanted) => Some(wanted.tree().clone()),
            None => CgroupTree::find(self.cgroup_mount.as_deref()).ok(),
        };
        let tree = tree.filter(|_| !redact);
        if tree.is_some() {
            keys.push(GroupKey::Cgroup);
        }
        if !redact {
            keys.push(GroupKey::Process);
        }
        // The programs say the namespace of each packet.
        let names = Names::new(&keys, None, tree);
        if redact {
            names.without_namespaces()
        } else {
            names
        }
    }

    /// What becomes readable when interfaces or cgroups may have changed.
    pub(crate) fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let interfaces = self.interfaces.iter().flat_map(WantedInterfaces::watched);
        interfaces.chain(self.cgroups.iter().flat_map(WantedCgroups::watched))
    }

    /// Looks everything up again. Whether something has changed.
    ///
    /// # Errors
    ///
    /// If the interfaces cannot be read, or the kernel does not tell of new cgroups.
    pub(crate) fn look_again(&mut self) -> Result<bool> {
        let before = self.filter.clone();
        if let Some(wanted) = &self.interfaces
            && let Some(found) = wanted.look_again()?
        {
            self.filter.interfaces = Some(found);
        }
        if let Some(wanted) = &mut self.cgroups {
            wanted.look_again()?;
            self.filter.cgroups = wanted.ids();
        }
        Ok(self.filter != before)
    }

    /// Interfaces, cgroups and processes of the user that are not there.
    pub(crate) fn absent(&self) -> Vec<String> {
        let mut absent: Vec<_> = self.interfaces.iter().flat_map(|it| it.absent()).collect();
        absent.extend(self.cgroups.iter().flat_map(|it| it.absent()));
        let comms = &self.filter.comms;
        if !comms.is_empty() {
            let running = processes::comms();
            let runs = |choice: &CommChoice| running.iter().any(|comm| choice.is(comm));
            let idle = comms.iter().filter(|choice| !runs(choice));
            absent.extend(idle.map(|choice| format!("process called {choice}")));
        }
        absent
    }
}

fn pids(wanted: &[u32]) -> Result<Vec<u32>, UsageError> {
    UsageError::check_number("--pids", wanted.len(), tables::MAX_FILTER_PIDS)?;
    let wanted: BTreeSet<u32> = wanted.iter().copied().collect();
    if let Some(dead) = wanted.iter().find(|pid| !processes::exists(**pid)) {
        return Err(UsageError(format!(
            "--pids {dead}: there is no such process"
        )));
    }
    Ok(wanted.into_iter().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::packet_filter::Interface;

    fn choice() -> PacketChoice {
        PacketChoice::default()
    }

    fn error(choice: &PacketChoice) -> String {
        let error = Packets::resolve(choice).unwrap_err();
        assert!(error.is::<UsageError>(), "{error:#}");
        error.to_string()
    }

    #[test]
    fn by_default_all_packets_are_wanted() {
        let packets = Packets::resolve(&choice()).unwrap();
        assert!(!packets.filter().is_on());
        assert!(packets.absent().is_empty());
    }

    #[test]
    fn interfaces_are_those_of_the_own_namespace() {
        let mut wanted = choice();
        wanted.interfaces = vec!["lo".parse().unwrap(), "no-such".parse().unwrap()];
        let mut packets = Packets::resolve(&wanted).unwrap();
        let own = Netns::own().unwrap().inode;
        let lo = Interface {
            index: 1,
            netns: own,
        };
        assert_eq!(packets.filter().interfaces, Some(vec![lo]));
        // That is no filter of the namespace.
        assert_eq!(packets.filter().netns, None);
        assert_eq!(packets.absent(), ["interface no-such"]);
        assert!(!packets.look_again().unwrap());
    }

    #[test]
    fn what_does_not_exist_is_named() {
        let mut wanted = choice();
        wanted.interfaces = vec!["no-such".parse().unwrap()];
        let text = error(&wanted);
        assert!(text.contains("no-such") && text.contains("lo"), "{text}");
        wanted.interfaces = vec!["lo".parse().unwrap(), "77777".parse().unwrap()];
        assert!(error(&wanted).contains("77777"));
        let mut wanted = choice();
        wanted.pids = vec![std::process::id(), 4_194_304];
        assert!(error(&wanted).contains("4194304"));
        let mut wanted = choice();
        wanted.pids = vec![1; 5000];
        assert!(error(&wanted).contains("at most 4096"));
        let mut wanted = choice();
        wanted.flow.networks = vec!["10.0.0.0/8".parse().unwrap(); 17];
        assert!(error(&wanted).contains("--ip takes at most 16"));
    }

    #[test]
    fn a_process_that_does_not_run_is_named() {
        let mut wanted = choice();
        let own = processes::comm(std::process::id()).unwrap();
        wanted.comms = vec![own.parse().unwrap(), "nsl-no-such".parse().unwrap()];
        let packets = Packets::resolve(&wanted).unwrap();
        assert!(packets.filter().is_on());
        assert_eq!(packets.absent(), ["process called nsl-no-such"]);
    }
}
