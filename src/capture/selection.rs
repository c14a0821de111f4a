// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Fills the maps by which the programs select packets (`filter.bpf.h`), and
//! keeps them right when interfaces and cgroups come and go.

use anyhow::Result;
use ipnet::IpNet;

use crate::capture::object::Loaded;
use crate::capture::plan::Plan;
use crate::host::processes::{self, OpenSocket};
use crate::model::flow_choice::{FlowChoice, IpVersion, Network, PortRange};
use crate::model::names;
use crate::model::packet_filter::{Interface, PacketFilter};
use crate::model::tables;

/// Bytes of a command's name in the kernel, with the NUL at its end.
const COMM: usize = 16;

/// What must be in the maps before the programs run.
///
/// # Errors
///
/// What the kernel said to a write.
pub(super) fn fill(loaded: &Loaded, plan: &Plan) -> Result<()> {
    if !plan.is_selective() {
        return Ok(());
    }
    for pid in &plan.filter.pids {
        loaded.write(names::PIDS_MAP, &pid.to_ne_bytes(), &1u32.to_ne_bytes())?;
    }
    if plan.asks_for_processes() {
        for OpenSocket { inode, pid, comm } in processes::open_sockets() {
            let mut reader = [0; size_of::<u32>() + COMM];
            reader[..4].copy_from_slice(&pid.to_ne_bytes());
            let comm = &comm.as_bytes()[..comm.len().min(COMM - 1)];
            reader[4..4 + comm.len()].copy_from_slice(comm);
            loaded.write(names::READERS_MAP, &inode.to_ne_bytes(), &reader)?;
        }
    }
    if let Some(groups) = &plan.groups {
        // The stack hands out the last one first: the reader looks through them
        // from the first.
        for index in (0..groups.slices).rev() {
            loaded.write(names::FREE_SLICES_MAP, &[], &index.to_ne_bytes())?;
        }
    }
    if let Some(shared) = loaded.selection() {
        for (ranges, what) in ports(&plan.filter.flow) {
            for port in ranges.iter().flat_map(|range| range.0.clone()) {
                shared.add_port(port, what);
            }
        }
    }
    update(loaded, &plan.filter)
}

/// The ports that are wanted, and as what.
fn ports(flow: &FlowChoice) -> [(&[PortRange], u8); 3] {
    [
        (&flow.ports, tables::PORT_EITHER),
        (&flow.local_ports, tables::PORT_LOCAL),
        (&flow.remote_ports, tables::PORT_REMOTE),
    ]
}

/// What the programs have to ask of ports.
pub(super) fn asked_of_ports(flow: &FlowChoice) -> u8 {
    let asked = ports(flow).into_iter();
    let asked = asked.filter(|(ranges, _)| !ranges.is_empty());
    asked.fold(0, |all, (_, what)| all | what)
}

/// As `struct netstacklat_network` has it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NetworkWords {
    pub(super) family: u32,
    /// In the network's byte order, as they are in memory.
    pub(super) mask: [u32; 4],
    pub(super) address: [u32; 4],
}

/// A network as the programs test it.
pub(super) fn network(network: &Network) -> NetworkWords {
    let (version, before, address) = match network.0 {
        IpNet::V4(v4) => (IpVersion::V4, 96, v4.network().to_ipv6_mapped()),
        IpNet::V6(v6) => (IpVersion::V6, 0, v6.network()),
    };
    let words = |bytes: [u8; 16]| {
        let (words, _) = bytes.as_chunks::<4>();
        [0, 1, 2, 3].map(|i| u32::from_ne_bytes(words[i]))
    };
    let prefix = before + u32::from(network.0.prefix_len());
    let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
    NetworkWords {
        family: version.number(),
        mask: words(mask.to_be_bytes()),
        address: words(address.octets()),
    }
}

/// Writes what can change while the programs run.
///
/// # Errors
///
/// What the kernel said to a write.
pub(super) fn update(loaded: &Loaded, filter: &PacketFilter) -> Result<()> {
    let Some(shared) = loaded.selection() else {
        return Ok(());
    };
    shared.set_cgroups(&filter.cgroups);
    let Some(interfaces) = &filter.interfaces else {
        return Ok(());
    };
    shared.set_interface(interfaces.first().copied());
    let wanted: Vec<_> = interfaces.iter().map(key).collect();
    for gone in loaded.keys(names::INTERFACES_MAP)? {
        if !wanted.iter().any(|key| key[..] == gone[..]) {
            loaded.erase(names::INTERFACES_MAP, &gone)?;
        }
    }
    for key in &wanted {
        loaded.write(names::INTERFACES_MAP, key, &1u32.to_ne_bytes())?;
    }
    Ok(())
}

/// As `struct netstacklat_interface` has it.
fn key(interface: &Interface) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&interface.index.to_ne_bytes());
    key[4..].copy_from_slice(&interface.netns.to_ne_bytes());
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The words of an address as packets have them.
    fn words(text: &str) -> [u32; 4] {
        let address: std::net::IpAddr = text.parse().unwrap();
        let bytes = match address {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(v6) => v6.octets(),
        };
        let (words, _) = bytes.as_chunks::<4>();
        [0, 1, 2, 3].map(|i| u32::from_ne_bytes(words[i]))
    }

    #[test]
    fn networks_hold_the_addresses_that_they_should() {
        let holds = |text: &str, address: &str| {
            let network = network(&text.parse().unwrap());
            let address = words(address);
            (0..4).all(|i| address[i] & network.mask[i] == network.address[i])
        };
        for (text, inside, outside) in [
            ("192.0.2.0/25", "192.0.2.127", "192.0.2.128"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::1", "::1", "::2"),
        ] {
            assert!(holds(text, inside), "{text}");
            assert!(!holds(text, outside), "{text}");
        }
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(holds("::/0", "2001:db8::1"));
    }

    #[test]
    fn programs_ask_only_for_what_the_user_named() {
        let mut flow = FlowChoice::default();
        assert_eq!(asked_of_ports(&flow), 0);
        flow.local_ports = vec!["80".parse().unwrap()];
        assert_eq!(asked_of_ports(&flow), tables::PORT_LOCAL);
        flow.ports = vec!["1-2".parse().unwrap()];
        assert_eq!(
            asked_of_ports(&flow),
            tables::PORT_LOCAL | tables::PORT_EITHER
        );
    }
}
