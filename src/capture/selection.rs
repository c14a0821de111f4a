// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Fills the maps by which the programs select packets (`filter.bpf.h`), and
//! keeps them right when interfaces and cgroups come and go.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::capture::object::Loaded;
use crate::capture::plan::Plan;
use crate::capture::process_names;
use crate::capture::socket_readers::SocketReaders;
use crate::host::processes::{self, OpenSocket};
use crate::model::names;
use crate::model::packet_filter::{Interface, PacketFilter};

/// What must be in the maps before the programs run.
///
/// # Errors
///
/// What the kernel said to a write.
pub(super) fn fill(loaded: &Loaded, plan: &Plan) -> Result<()> {
    if !plan.is_selective() {
        return Ok(());
    }
    if plan.filter.pids.len() > 1 {
        for (index, bits) in bits_of(&plan.filter.pids) {
            loaded.write(names::PIDS_MAP, &index.to_ne_bytes(), &bits.to_ne_bytes())?;
        }
    }
    if plan.notes_readers() {
        let mut readers = SocketReaders::default();
        for OpenSocket { inode, pid, comm } in processes::open_sockets() {
            readers.note(inode, pid);
            let name = processes::padded(&comm);
            loaded.write(names::READER_NAMES_MAP, &pid.to_ne_bytes(), &name)?;
        }
        for (row, words) in readers.rows() {
            loaded.write(names::READERS_MAP, &row.to_ne_bytes(), &words)?;
        }
    }
    if !plan.filter.comms.is_empty() {
        process_names::fill(loaded, &plan.filter.comms)?;
    }
    if let Some(groups) = &plan.groups {
        // The stack hands out the last one first: the reader looks through them
        // from the first.
        for index in (0..groups.slices).rev() {
            loaded.write(names::FREE_SLICES_MAP, &[], &index.to_ne_bytes())?;
        }
    }
    if let Some(shared) = loaded.selection() {
        for (ranges, what) in plan.filter.flow.wanted_ports() {
            for port in ranges.iter().flat_map(|range| range.0.clone()) {
                shared.add_port(port, what);
            }
        }
    }
    update(loaded, &plan.filter)
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

/// Words of a bit for each process, by their index.
fn bits_of(pids: &[u32]) -> BTreeMap<u32, u64> {
    let mut words = BTreeMap::new();
    for pid in pids {
        *words.entry(pid / u64::BITS).or_insert(0) |= 1 << (pid % u64::BITS);
    }
    words
}

/// As `struct netstacklat_interface` has it.
fn key(interface: &Interface) -> [u8; 8] {
    let mut key = [0; 8];
    key[..4].copy_from_slice(&interface.index.to_ne_bytes());
    key[4..].copy_from_slice(&interface.netns.to_ne_bytes());
    key
}
