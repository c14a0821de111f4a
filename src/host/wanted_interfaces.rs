// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The interfaces that the user named: found in their network namespace, and
//! again when one appears or is renamed.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, BorrowedFd};

use anyhow::{Context as _, Result};

use crate::error::UsageError;
use crate::host::link_monitor::LinkMonitor;
use crate::host::namespaces::Netns;
use crate::model::packet_choice::InterfaceChoice;
use crate::model::packet_filter::Interface;

/// The interfaces that are wanted.
#[derive(Debug)]
pub(super) struct WantedInterfaces {
    choices: Vec<InterfaceChoice>,
    /// Where they are looked up.
    netns: Netns,
    /// By name; an index belongs to one interface for ever.
    links: Option<LinkMonitor>,
}

impl WantedInterfaces {
    /// Looks them up for the first time.
    ///
    /// # Errors
    ///
    /// A [`UsageError`] that names what does not exist; or what the kernel said.
    pub(super) fn find(
        choices: &[InterfaceChoice],
        netns: Netns,
    ) -> Result<(WantedInterfaces, Vec<Interface>)> {
        let found = first_interfaces(&netns, choices)?;
        let links = if choices.iter().any(is_name) {
            let links = LinkMonitor::new(&netns);
            Some(links.context("watching for changes of interfaces")?)
        } else {
            None
        };
        let wanted = WantedInterfaces {
            choices: choices.into(),
            netns,
            links,
        };
        Ok((wanted, found))
    }

    /// Inode number of their namespace.
    pub(super) fn netns(&self) -> u32 {
        self.netns.inode
    }

    /// What becomes readable when interfaces may have changed.
    pub(super) fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.links.as_ref().map(LinkMonitor::as_fd)
    }

    /// Those that are there now; `None`: nothing has changed.
    ///
    /// # Errors
    ///
    /// If the interfaces cannot be read.
    pub(super) fn look_again(&self) -> Result<Option<Vec<Interface>>> {
        let Some(links) = &self.links else {
            return Ok(None);
        };
        if !links.drain().context("reading about changed interfaces")? {
            return Ok(None);
        }
        let known = self.netns.interfaces();
        let known = known.context("listing the interfaces")?;
        Ok(Some(matching(&self.netns, &self.choices, &known)))
    }

    /// Those that are not there.
    pub(super) fn absent(&self) -> Vec<String> {
        let known = self.netns.interfaces().unwrap_or_default();
        let absent = self.choices.iter();
        let absent = absent.filter(|choice| find(choice, &known).is_none());
        absent.map(|choice| format!("interface {choice}")).collect()
    }
}

fn is_name(choice: &InterfaceChoice) -> bool {
    matches!(choice, InterfaceChoice::Name(_))
}

/// The first time, one of the interfaces at least must be there: a name that is
/// wrong would measure nothing for ever.
fn first_interfaces(netns: &Netns, wanted: &[InterfaceChoice]) -> Result<Vec<Interface>> {
    let known = netns
        .interfaces()
        .context("listing the interfaces of the network namespace (takes CAP_SYS_ADMIN)")?;
    let found = matching(netns, wanted, &known);
    let wrong_index = wanted.iter().find_map(|choice| match choice {
        InterfaceChoice::Index(index) if find(choice, &known).is_none() => Some(index.to_string()),
        _ => None,
    });
    let wrong_name = || {
        wanted.iter().find_map(|choice| match choice {
            InterfaceChoice::Name(name) if found.is_empty() => Some(name.clone()),
            _ => None,
        })
    };
    if let Some(wrong) = wrong_index.or_else(wrong_name) {
        let names: Vec<_> = known.iter().map(|(_, name)| name.as_str()).collect();
        let here = match &netns.inode {
            inode if Netns::own().is_ok_and(|own| own.inode == *inode) => {
                "the network namespace that netstacklat runs in".into()
            }
            inode => format!("network namespace {inode}"),
        };
        return Err(UsageError(format!(
            "--interfaces {wrong}: there is no such interface in {here}; there are {}",
            names.join(", ")
        ))
        .into());
    }
    Ok(found)
}

fn find(choice: &InterfaceChoice, known: &BTreeSet<(u32, String)>) -> Option<u32> {
    let found = known.iter().find(|(index, name)| match choice {
        InterfaceChoice::Name(wanted) => wanted == name,
        InterfaceChoice::Index(wanted) => wanted == index,
    });
    found.map(|(index, _)| *index)
}

fn matching(
    netns: &Netns,
    wanted: &[InterfaceChoice],
    known: &BTreeSet<(u32, String)>,
) -> Vec<Interface> {
    let indexes: BTreeSet<u32> = wanted.iter().filter_map(|c| find(c, known)).collect();
    let interfaces = indexes.into_iter().map(|index| Interface {
        index,
        netns: netns.inode,
    });
    interfaces.collect()
}
