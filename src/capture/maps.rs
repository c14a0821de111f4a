// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! BPF maps to snapshots: each map is mapped into memory once and then read
//! without system calls. All `unsafe` that concerns maps is here.

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::ptr::NonNull;
use std::sync::atomic::AtomicU64;

use anyhow::{Context as _, Result};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

use crate::capture::group_reader::GroupReader;
use crate::capture::object::Loaded;
use crate::capture::plan::Plan;
use crate::capture::reader::{HistogramReader, SkipReader};
use crate::host::names::{Names, Owner};
use crate::model::counters::Counters;
use crate::model::group::Group;
use crate::model::histogram::Histogram;
use crate::model::hooks::Hook;
use crate::model::names;
use crate::model::stage::Stage;
use crate::model::tables;

/// An array map of u64.
struct MappedArray {
    address: NonNull<AtomicU64>,
    entries: usize,
}

impl MappedArray {
    fn map(fd: BorrowedFd<'_>, entries: usize, protection: ProtFlags) -> nix::Result<MappedArray> {
        let bytes = NonZeroUsize::new(entries * size_of::<u64>()).ok_or(nix::Error::EINVAL)?;
        // SAFETY: a fresh shared mapping at an address of the kernel's choice,
        // which aliases no Rust object.
        let address = unsafe { mmap(None, bytes, protection, MapFlags::MAP_SHARED, fd, 0)? };
        Ok(MappedArray {
            address: address.cast(),
            entries,
        })
    }

    /// The kernel writes to these while we read, hence atomics.
    fn values(&self) -> &[AtomicU64] {
        // SAFETY: the mapping holds this many u64, which are aligned (it is
        // page-aligned), and lives as long as self.
        unsafe { NonNull::slice_from_raw_parts(self.address, self.entries).as_ref() }
    }
}

impl Drop for MappedArray {
    fn drop(&mut self) {
        // SAFETY: mapped by us with this length; no reference outlives self.
        let unmapped = unsafe { munmap(self.address.cast(), self.entries * size_of::<u64>()) };
        debug_assert!(unmapped.is_ok());
    }
}

/// The counters of all hooks, mapped.
pub struct Maps {
    /// By hook; those of the stages that end there follow each CPU's own.
    histograms: Vec<(Hook, MappedArray)>,
    skips: MappedArray,
    /// The slices of groups, where packets are grouped.
    groups: Option<MappedArray>,
    readers: RefCell<Readers>,
}

/// What was read before.
struct Readers {
    histograms: Vec<HistogramReader>,
    /// In place of the former where CPUs are told apart: hook by hook.
    by_cpu: Option<(Names, Vec<Vec<HistogramReader>>)>,
    skips: SkipReader,
    groups: Option<GroupReader>,
    /// Of the stages that are measured.
    stages: Vec<(Stage, HistogramReader)>,
}

impl Maps {
    /// Maps the histograms of the enabled hooks and the skip counters.
    ///
    /// # Errors
    ///
    /// If the kernel refuses a mapping; names the map.
    pub(super) fn map(loaded: &Loaded, plan: &Plan, mut owners: Option<Names>) -> Result<Maps> {
        let layout = plan.layout;
        let map_with = |protection, name: &str, entries| {
            MappedArray::map(loaded.map_fd(name)?, entries, protection)
                .with_context(|| format!("mapping BPF map {name} into memory"))
        };
        let map = |name: &str, entries| map_with(ProtFlags::PROT_READ, name, entries);
        let histograms = plan.enabled().iter().map(|hook| {
            let mapped = map(&hook.map_name(), layout.cpus * plan.histogram_stride(hook))?;
            Ok((hook, mapped))
        });
        let histograms: Vec<_> = histograms.collect::<Result<_>>()?;
        let reader = || HistogramReader::new(plan.resolution, layout.cpus, 0);
        let of_cpu = || HistogramReader::new(plan.resolution, 1, 0);
        let of_hook = |_| (0..layout.cpus).map(|_| of_cpu()).collect();
        let cpu_names = owners.take_if(|_| plan.is_by_cpu_only());
        let by_cpu = cpu_names.map(|names| (names, histograms.iter().map(of_hook).collect()));
        let of_stages = plan.stages.iter().flat_map(|stages| {
            let reader = |stage: &Stage| {
                let offset = stages.slice_of(*stage) * tables::SLICE_ENTRIES;
                let reader = HistogramReader::new(plan.resolution, layout.cpus, offset);
                (*stage, reader)
            };
            stages.stages.iter().map(reader)
        });
        let of_stages = of_stages.collect();
        let groups = plan.groups.as_ref().map(|groups| {
            let entries = groups.slices as usize * tables::SLICE_ENTRIES;
            // Written to when a slice is taken from its group.
            let protection = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
            map_with(protection, names::GROUP_SLICES_MAP, entries)
        });
        let group_reader = plan.groups.clone().zip(owners).map(|(layout, owners)| {
            let maps = loaded.group_maps()?;
            GroupReader::new(layout, plan.resolution, maps, owners)
        });
        Ok(Maps {
            readers: RefCell::new(Readers {
                histograms: histograms.iter().map(|_| reader()).collect(),
                by_cpu,
                skips: SkipReader::new(layout.cpus, layout.skip_stride),
                groups: group_reader.transpose()?,
                stages: of_stages,
            }),
            groups: groups.transpose()?,
            histograms,
            skips: map(names::SKIPPED_MAP, layout.skip_entries())?,
        })
    }

    /// Adds what all CPUs have counted to `counters`, which hold zeros; each
    /// counter by itself, not all at one instant.
    ///
    /// # Errors
    ///
    /// If the kernel does not take back what idle groups had.
    pub fn read(&self, counters: &mut Counters) -> Result<()> {
        let readers = &mut *self.readers.borrow_mut();
        if let Some((names, hooks)) = &mut readers.by_cpu {
            self.read_cpus(names, hooks, counters);
        } else {
            self.read_all_cpus(&mut readers.histograms, counters);
        }
        if let (Some(map), Some(reader)) = (&self.groups, &mut readers.groups) {
            reader.read(map.values(), counters)?;
        }
        for (stage, reader) in &mut readers.stages {
            let hook = self.histograms.iter().find(|(hook, _)| *hook == stage.to());
            let Some((_, map)) = hook else { continue };
            let counted = reader.read(map.values());
            if counted.count() > 0 {
                let at = &mut counters.hook_mut(stage.to()).stages;
                at.insert(stage.from(), counted.clone());
            }
        }
        readers.skips.read(self.skips.values(), counters);
        Ok(())
    }

    /// What a hook has counted since the programs were attached, of all packets.
    pub(super) fn histogram(&self, hook: Hook) -> Option<Histogram> {
        let readers = &mut *self.readers.borrow_mut();
        let mut hooks = self.histograms.iter().zip(&mut readers.histograms);
        let ((_, map), reader) = hooks.find(|((other, _), _)| *other == hook)?;
        Some(reader.read(map.values()).clone())
    }

    /// All CPUs in one.
    fn read_all_cpus(&self, readers: &mut [HistogramReader], counters: &mut Counters) {
        for ((hook, map), reader) in self.histograms.iter().zip(readers) {
            let counted = reader.read(map.values());
            counters.hook_mut(*hook).histogram.merge(counted);
            if self.groups.is_some() && counted.count() > 0 {
                // Those for whose group there was no room.
                let others = counters.group_mut(&Group::Other, *hook);
                others.histogram.merge(counted);
            }
        }
    }

    /// Each CPU as a group.
    fn read_cpus(
        &self,
        names: &mut Names,
        hooks: &mut [Vec<HistogramReader>],
        counters: &mut Counters,
    ) {
        for ((hook, map), cpus) in self.histograms.iter().zip(hooks) {
            let stride = map.values().len() / cpus.len().max(1);
            let slices = map.values().chunks_exact(stride);
            for (cpu, (reader, slice)) in cpus.iter_mut().zip(slices).enumerate() {
                let counted = reader.read(slice);
                if counted.count() == 0 {
                    continue;
                }
                counters.hook_mut(*hook).histogram.merge(counted);
                let group = Group::Of(names.of(&Owner::cpu(cpu), |_| None));
                counters.group_mut(&group, *hook).histogram.merge(counted);
            }
        }
    }
}
