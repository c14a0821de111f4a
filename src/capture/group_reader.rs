// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reads what groups have counted out of the slices that their packets took
//! (`histogram/mmap_by_group.bpf.h`): each of one group, hook and CPU. When there
//! is no room for new groups, others make it (`group_places`).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv6Addr;
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use anyhow::{Context as _, Result};
use libbpf_rs::{MapCore as _, MapFlags, MapHandle, MapType};

use crate::capture::group_places::{Activity, is_named};
use crate::capture::layout::GroupLayout;
use crate::capture::reader::Slice;
use crate::host::names::{Names, Owner};
use crate::model::counters::Counters;
use crate::model::group::{Group, MAX_GROUPS};
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hooks::{HOOK_COUNT, Hook};
use crate::model::tables;

/// Slices are taken one after the other, but another CPU may be quicker to say
/// whose its slice is: behind so many that nobody uses, there are no more.
const GAP: usize = 64;
const SLICE_BYTES: usize = tables::SLICE_ENTRIES * size_of::<u64>();
/// Where a slice says whose it is. The first word is 0 in a slice of nobody.
const KEY: usize = tables::SLICE_IN_USE + 1;

/// The maps of groups, and whether somebody has found no room in them.
pub(super) struct GroupMaps {
    pub slots: MapHandle,
    pub groups: MapHandle,
    pub slices: MapHandle,
    pub free: MapHandle,
    /// Who reads from sockets: keeps the names of processes that have ended.
    pub reader_names: MapHandle,
    pub no_room: &'static AtomicU32,
}

/// What groups have counted, as last read.
pub(super) struct GroupReader {
    layout: GroupLayout,
    resolution: Resolution,
    maps: GroupMaps,
    programs_end: ProgramsEnd,
    names: Names,
    slices: Vec<Used>,
    /// Which group it is, by what the programs know of it: fixed at first sight.
    /// Several can be one group: the cgroups of a container.
    owners: BTreeMap<Owner, Group>,
    /// Groups that get a name although there are many names already: also later,
    /// when their packets come again.
    worthy: BTreeSet<Owner>,
    /// Packets that have found no room, since the start.
    other: u64,
    /// Since the start, also of groups whose slices others have now.
    totals: BTreeMap<Group, BTreeMap<Hook, Histogram>>,
}

/// A slice that has been seen.
#[derive(Default)]
struct Used {
    /// `None`: nobody uses it yet.
    of: Option<Place>,
    seen: Slice,
}

/// Whose a slice is.
struct Place {
    owner: Owner,
    hook: Hook,
    /// Its key in the map of slots.
    key: Vec<u8>,
}

impl GroupReader {
    /// # Errors
    ///
    /// If the kernel makes no map.
    pub(super) fn new(
        layout: GroupLayout,
        resolution: Resolution,
        maps: GroupMaps,
        names: Names,
    ) -> Result<GroupReader> {
        Ok(GroupReader {
            layout,
            resolution,
            maps,
            programs_end: ProgramsEnd::new()?,
            names,
            slices: Vec::new(),
            owners: BTreeMap::new(),
            worthy: BTreeSet::new(),
            other: 0,
            totals: BTreeMap::new(),
        })
    }

    /// Adds what groups have counted to `counters`: to the groups, and to all
    /// packets. Makes room when there was none.
    ///
    /// # Errors
    ///
    /// If the kernel does not take back what idle groups had.
    pub(super) fn read(&mut self, words: &[AtomicU64], counters: &mut Counters) -> Result<()> {
        self.names.begin_report();
        // What is there now found no room: groups come below.
        let other = counters.hooks().map(|(_, of)| of.histogram.count()).sum();
        let activity = Activity {
            groups: self.read_slices(words),
            other: other - std::mem::replace(&mut self.other, other),
        };
        if self.maps.no_room.load(Ordering::Relaxed) != 0 {
            let leaving = activity.leaving();
            let leaves = |slice: &Used| {
                let of = slice.of.as_ref();
                of.is_some_and(|place| leaving.contains(&place.owner.on_any_cpu()))
            };
            let places = 0..self.slices.len();
            let places: Vec<usize> = places.filter(|&i| leaves(&self.slices[i])).collect();
            if !places.is_empty() {
                self.retire(&places, words)
                    .context("making room for groups")?;
            }
        }
        self.name_the_worthy(&activity);
        for (group, hooks) in &self.totals {
            for (hook, histogram) in hooks {
                counters.group_mut(group, *hook).histogram.merge(histogram);
                counters.hook_mut(*hook).histogram.merge(histogram);
            }
        }
        Ok(())
    }

    /// Groups that have no name, because there are many, and that have many packets
    /// get one when they are read next.
    fn name_the_worthy(&mut self, activity: &Activity) {
        let worthy = |owner: &Owner| activity.is_worth_a_name(&owner.on_any_cpu());
        let unnamed = self.owners.iter().filter(|(_, of)| **of == Group::Other);
        let new: Vec<_> = unnamed.map(|(owner, _)| *owner).filter(worthy).collect();
        if self.worthy.len() + new.len() > MAX_GROUPS {
            self.worthy.clear();
        }
        for owner in new {
            self.owners.remove(&owner);
            self.worthy.insert(owner);
        }
    }

    /// Reads all slices. How many packets each group has counted since the last
    /// time.
    fn read_slices(&mut self, words: &[AtomicU64]) -> BTreeMap<Owner, u64> {
        let mut packets = BTreeMap::new();
        let mut unused = 0;
        for (index, words) in words.chunks_exact(tables::SLICE_ENTRIES).enumerate() {
            if index == self.slices.len() {
                if unused > GAP {
                    break;
                }
                self.slices.push(Used::default());
            }
            if self.slices[index].of.is_none() {
                let place = place(words, &self.layout);
                self.slices[index].of = place.filter(|place| self.is_found_at(index, place));
            }
            if self.slices[index].of.is_none() {
                unused += 1;
                continue;
            }
            unused = 0;
            if let Some((owner, count)) = self.read_slice(index, words) {
                *packets.entry(owner.on_any_cpu()).or_insert(0) += count;
            }
        }
        packets
    }

    /// Whether the programs find a slice by the key that it shows. Where a CPU does not
    /// see in order what another one writes (arm64), the key can be seen half written:
    /// then it is read the next time.
    fn is_found_at(&self, index: usize, place: &Place) -> bool {
        let number = self.maps.slots.lookup(&place.key, MapFlags::ANY);
        number
            .is_ok_and(|number| number.is_some_and(|number| number == (index as u32).to_ne_bytes()))
    }

    /// Reads a slice that is in use. Whose it is, and how many packets have come.
    fn read_slice(&mut self, index: usize, words: &[AtomicU64]) -> Option<(Owner, u64)> {
        let Used { of, seen } = &mut self.slices[index];
        let Place { owner, hook, .. } = of.as_ref()?;
        let (names, ended) = (&mut self.names, &self.maps.reader_names);
        let (totals, worthy) = (&self.totals, &self.worthy);
        let group = self.owners.entry(*owner).or_insert_with(|| {
            let group = Group::Of(names.of(owner, |pid| comm_of(ended, pid)));
            if totals.contains_key(&group) || is_named(totals.len(), worthy.contains(owner)) {
                return group;
            }
            // More names than anybody can read, of groups that came and went.
            Group::Other
        });
        let hooks = self.totals.entry(group.clone()).or_default();
        let new = || Histogram::new(self.resolution);
        let packets = seen.read(words, hooks.entry(*hook).or_insert_with(new));
        Some((*owner, packets))
    }

    /// Takes these slices from their groups, and nothing of what they have
    /// counted: no program finds them any more, those that have found them end,
    /// they are read for the last time, and then they are free.
    fn retire(&mut self, slices: &[usize], words: &[AtomicU64]) -> Result<()> {
        let mut owners = BTreeSet::new();
        let slice_words = |index: usize| {
            let begin = index * tables::SLICE_ENTRIES;
            &words[begin..begin + tables::SLICE_ENTRIES]
        };
        for &index in slices {
            let Some(Place { owner, key, .. }) = &self.slices[index].of else {
                continue;
            };
            owners.insert(*owner);
            // Both are hashes, in which only the key can be missing.
            let _ = self.maps.slots.delete(key);
            // CPUs remember where their groups have counted, and look here.
            slice_words(index)[KEY].store(0, Ordering::Relaxed);
            let mut group = key.clone();
            group[..size_of::<u32>()].fill(0);
            let _ = self.maps.groups.delete(&group);
        }
        self.programs_end
            .wait()
            .context("waiting for BPF programs to end")?;
        for &index in slices {
            self.read_slice(index, slice_words(index));
            let number = (index as u32).to_ne_bytes();
            let maps = &self.maps;
            maps.slices
                .update(&number, &[0; SLICE_BYTES], MapFlags::ANY)?;
            maps.free.update(&[], &number, MapFlags::ANY)?;
            self.slices[index] = Used::default();
        }
        // Those that come back may have another name.
        self.owners.retain(|owner, _| !owners.contains(owner));
        self.maps.no_room.store(0, Ordering::Relaxed);
        Ok(())
    }
}

/// Whose a slice is; `None`: nobody uses it, or it cannot be told yet.
fn place(words: &[AtomicU64], layout: &GroupLayout) -> Option<Place> {
    if words[tables::SLICE_IN_USE].load(Ordering::Acquire) == 0 {
        return None;
    }
    let key = &words[KEY..][..layout.key_words()];
    let key: Vec<u32> = key
        .iter()
        .map(|word| word.load(Ordering::Relaxed) as u32)
        .collect();
    let mut parts = key.iter().copied();
    let cpu_and_hook = parts.next()?;
    let hook = (cpu_and_hook & 0xff).checked_sub(1)? as usize;
    let mut part = |on: bool| if on { parts.next() } else { None };
    let owner = Owner {
        cpu: layout.by_cpu.then_some(cpu_and_hook >> 8),
        netns: part(layout.by_netns),
        interface: part(layout.by_interface),
        cgroup: part(layout.by_cgroup),
        pid: part(layout.by_process),
        local_port: part(layout.by_local_port),
        rx_queue: part(layout.by_rx_queue),
        family: part(layout.by_family),
        remote_ip: part(layout.by_remote_ip).and_then(|first| {
            let rest = [parts.next()?, parts.next()?, parts.next()?];
            let words = [first, rest[0], rest[1], rest[2]];
            // In the network's byte order, as they are in memory.
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
            <[u8; 16]>::try_from(bytes).map(Ipv6Addr::from).ok()
        }),
    };
    (hook < HOOK_COUNT).then(|| Place {
        owner,
        hook: Hook::at(hook),
        key: key.iter().flat_map(|word| word.to_ne_bytes()).collect(),
    })
}

/// Waits until all programs have ended that run now.
///
/// The kernel does that before an update of a map of maps returns, by
/// `synchronize_rcu()`: programs are RCU readers (`maybe_wait_bpf_programs()` in
/// `kernel/bpf/syscall.c`, Linux 4.18). membarrier(2) does it only with several CPUs
/// online, and not with nohz_full.
struct ProgramsEnd {
    outer: MapHandle,
    inner: MapHandle,
}

impl ProgramsEnd {
    /// # Errors
    ///
    /// If the kernel makes no map.
    fn new() -> Result<ProgramsEnd> {
        const WORD: u32 = size_of::<u32>() as u32;
        let mut options = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _,
            ..Default::default()
        };
        let inner = MapHandle::create(MapType::Array, Some("nsl_inner"), WORD, WORD, 1, &options);
        let inner = inner.context("making a BPF map")?;
        options.inner_map_fd = inner.as_fd().as_raw_fd() as u32;
        let kind = MapType::ArrayOfMaps;
        let outer = MapHandle::create(kind, Some("nsl_outer"), WORD, WORD, 1, &options);
        let outer = outer.context("making a BPF map of maps")?;
        Ok(ProgramsEnd { outer, inner })
    }

    /// # Errors
    ///
    /// If the kernel refuses an update of the map.
    fn wait(&self) -> Result<()> {
        let fd = self.inner.as_fd().as_raw_fd().to_ne_bytes();
        let updated = self.outer.update(&0_u32.to_ne_bytes(), &fd, MapFlags::ANY);
        updated.context("updating a BPF map of maps")
    }
}

/// What a process called itself when it began to read from a socket.
pub(super) fn comm_of(names: &MapHandle, pid: u32) -> Option<String> {
    let name = names.lookup(&pid.to_ne_bytes(), MapFlags::ANY).ok()??;
    Some(comm_of_bytes(&name))
}

/// A name as the programs have it: up to the first zero.
pub(super) fn comm_of_bytes(name: &[u8]) -> String {
    let end = name.iter().position(|c| *c == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::grouping::{GroupKey, Grouping};
    use crate::model::packet_filter::PacketFilter;

    fn layout(keys: &[GroupKey], filter: PacketFilter) -> GroupLayout {
        let grouping = Grouping {
            keys: keys.into(),
            max_groups: 256,
            memory: 1 << 20,
        };
        GroupLayout::new(&grouping, &filter)
    }

    fn slice(in_use: u64, key: &[u64]) -> Vec<AtomicU64> {
        let mut words = vec![0; tables::SLICE_ENTRIES];
        words[tables::SLICE_IN_USE] = in_use;
        words[KEY..][..key.len()].copy_from_slice(key);
        words.into_iter().map(AtomicU64::new).collect()
    }

    /// As the programs put the key together: CPU and hook, and what is asked for.
    #[test]
    fn a_slice_says_whose_it_is() {
        let layout = layout(
            &[GroupKey::Process, GroupKey::Interface],
            PacketFilter::default(),
        );
        assert_eq!((layout.slices, layout.key_size()), (256, 16));
        let key = [3 << 8 | (2 + 1), 4_026_531_840, 7, 1234];
        assert!(place(&slice(0, &key), &layout).is_none());
        let place = place(&slice(1, &key), &layout).unwrap();
        assert_eq!(place.hook.index(), 2);
        let owner = Owner {
            netns: Some(4_026_531_840),
            interface: Some(7),
            pid: Some(1234),
            ..Owner::default()
        };
        assert_eq!(place.owner, owner);
        let expected: Vec<u8> = key
            .iter()
            .flat_map(|word| (*word as u32).to_ne_bytes())
            .collect();
        assert_eq!(place.key, expected);
    }

    #[test]
    fn addresses_and_ports_are_in_the_key() {
        let keys = [GroupKey::RemoteIp, GroupKey::LocalPort, GroupKey::Cpu];
        let layout = layout(&keys, PacketFilter::default());
        assert_eq!(layout.key_size(), 24);
        let of = |address: Ipv6Addr| {
            let words = address.octets();
            let (words, _) = words.as_chunks::<4>();
            let words = words
                .iter()
                .map(|word| u64::from(u32::from_ne_bytes(*word)));
            let key: Vec<u64> = [5 << 8 | 1, 443].into_iter().chain(words).collect();
            place(&slice(1, &key), &layout).unwrap().owner
        };
        let address = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 7);
        let owner = of(address);
        assert_eq!(owner.remote_ip, Some(address));
        assert_eq!((owner.local_port, owner.cpu), (Some(443), Some(5)));
    }

    #[test]
    fn a_key_of_no_hook_is_nobodys() {
        let layout = layout(&[GroupKey::Cgroup], PacketFilter::default());
        assert!(place(&slice(1, &[0xff, 1]), &layout).is_none());
        assert!(place(&slice(1, &[0, 1]), &layout).is_none());
    }

    #[test]
    fn the_namespace_is_in_the_key_where_there_are_several() {
        let words = |keys: &[GroupKey], filter| layout(keys, filter).key_words() - 1;
        let interface = [GroupKey::Interface];
        assert_eq!(words(&interface, PacketFilter::default()), 2);
        let one = PacketFilter {
            netns: Some(1),
            ..PacketFilter::default()
        };
        assert_eq!(words(&interface, one.clone()), 1);
        let three = [GroupKey::Interface, GroupKey::Cgroup, GroupKey::Process];
        assert_eq!(words(&three, one), 3);
        // All words that there can be, and none of the CPU.
        let all = words(&GroupKey::ALL, PacketFilter::default());
        assert_eq!(all, tables::GROUP_WORDS);
        assert_eq!(words(&[GroupKey::Cgroup], PacketFilter::default()), 1);
    }
}
