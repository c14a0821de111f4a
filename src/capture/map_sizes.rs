// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How many entries each map has, and how long the keys of groups are: as many as
//! the plan needs, before the kernel makes them.

use anyhow::{Context as _, Result};
use libbpf_rs::{OpenMapMut, OpenObject};

use crate::capture::plan::Plan;
use crate::capture::slow_sent::room;
use crate::capture::socket_readers;
use crate::model::hooks::Hook;
use crate::model::names;
use crate::model::tables;

/// Sets the sizes of all maps.
///
/// # Errors
///
/// Those of libbpf; names the map.
pub(super) fn set(object: &mut OpenObject, plan: &Plan) -> Result<()> {
    let enabled = plan.enabled();
    for mut map in object.maps_mut() {
        let hook = Hook::all().find(|hook| map.name() == hook.map_name().as_str());
        let entries = match hook {
            Some(hook) if enabled.contains(hook) => {
                let bytes = plan.histogram_stride(hook) * size_of::<u64>();
                map.set_value_size(bytes as u32)
                    .with_context(|| size_of_map(&map))?;
                plan.layout.cpus as u32
            }
            // A disabled hook's map stays, as small as it can be.
            Some(_) => continue,
            None if map.name() == names::NOTES_MAP => match &plan.stages {
                Some(stages) => {
                    map.set_value_size(stages.slot_bytes())
                        .with_context(|| size_of_map(&map))?;
                    stages.notes
                }
                None => continue,
            },
            None if map.name() == names::SLOW_PACKETS_MAP => room(plan.layout.cpus).bytes,
            None => match group_map(&map, plan) {
                Some((entries, None)) => entries,
                Some((entries, Some(key_size))) => {
                    map.set_key_size(key_size)
                        .with_context(|| size_of_map(&map))?;
                    entries
                }
                None => continue,
            },
        };
        map.set_max_entries(entries)
            .with_context(|| size_of_map(&map))?;
    }
    Ok(())
}

fn size_of_map(map: &OpenMapMut<'_>) -> String {
    format!("setting the size of BPF map {}", map.name().display())
}

/// Entries, and the size of the key, of a map that is not a hook's; `None`: as
/// they are. Maps of groups stay as small as can be where nothing is grouped.
fn group_map(map: &OpenMapMut<'_>, plan: &Plan) -> Option<(u32, Option<u32>)> {
    let name = map.name();
    if name == names::SKIPPED_MAP {
        return Some((plan.layout.skip_entries() as u32, None));
    }
    let forwards = plan.noting_hooks().iter().any(|hook| !hook.knows_socket());
    if name == names::FORWARD_NOTES_MAP && forwards {
        return Some((tables::FORWARD_NOTES, None));
    }
    if name == names::ORIGIN_NOTES_MAP && forwards {
        return Some((tables::ORIGIN_NOTES, None));
    }
    if name == names::READERS_MAP && plan.notes_readers() {
        return Some((socket_readers::ROWS, None));
    }
    if name == names::READER_NAMES_MAP && !plan.notes_readers() {
        return Some((1, None));
    }
    if name == names::PIDS_MAP && plan.filter.pids.len() > 1 {
        return Some(((1 << tables::PID_BITS) / u64::BITS, None));
    }
    // libbpf makes the ring buffer a page, which is the least.
    let is_of_names = name == names::PROCESS_NAMES_MAP || name == names::NEW_NAMES_MAP;
    if is_of_names && plan.filter.comms.is_empty() {
        return Some((1, None));
    }
    let groups = plan.groups.as_ref()?;
    if name == names::GROUP_SLOTS_MAP {
        Some((groups.slices, Some(groups.key_size())))
    } else if name == names::GROUPS_MAP {
        Some((groups.max_groups, Some(groups.key_size())))
    } else if name == names::RECENT_SLICES_MAP {
        Some(((plan.layout.cpus * tables::RECENT_SLICES) as u32, None))
    } else if name == names::GROUP_SLICES_MAP || name == names::FREE_SLICES_MAP {
        Some((groups.slices, None))
    } else {
        None
    }
}
