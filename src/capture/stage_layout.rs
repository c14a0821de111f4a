// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the programs are told about stages (`src/bpf/stages.bpf.h`): their numbers,
//! where packets begin, and which hooks leave a note. Pure.

use crate::model::hooks::{HOOK_COUNT, Hook, HookSet};
use crate::model::stage::{Stage, begins, goes_on};
use crate::model::tables;

const SLICE_BYTES: u64 = (tables::SLICE_ENTRIES * size_of::<u64>()) as u64;

/// How stages are measured at a set of hooks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StageLayout {
    /// Notes that there is room for: a power of two.
    pub notes: u32,
    /// Whether notes of all hooks are kept, for slow packets.
    pub ways: bool,
    /// The stages.
    pub stages: Vec<Stage>,
    /// By hook, `NOTE_BEGINS` or `NOTE_MAY_BEGIN`.
    pub begins: [u8; tables::NOTE_HOOKS],
    /// By hook, how many others are before it on its path.
    pub places: [u8; tables::NOTE_HOOKS],
    /// By hook, whether another one comes behind, which looks for a note.
    pub leaves_note: [u8; tables::NOTE_HOOKS],
    /// By hook, how many stages end there.
    pub ending: [u8; tables::NOTE_HOOKS],
    /// Of the stage that ends at the first hook and begins at the second, the number
    /// among those that end there, from 1; `NO_STAGE`: there is none.
    pub numbers: [[u8; tables::NOTE_HOOKS]; HOOK_COUNT],
}

impl StageLayout {
    /// For these hooks, and so many notes. `restamps`: whether the kernel gives
    /// packets with a transmit timestamp another one on the way (Linux 5.18 and
    /// newer), so that they begin behind that.
    pub fn new(enabled: HookSet, notes: u32, restamps: bool) -> StageLayout {
        let stages: Vec<Stage> = Stage::all(enabled).collect();
        let behind: HookSet = enabled.iter().filter(|hook| hook.is_restamped()).collect();
        let mut layout = StageLayout {
            notes,
            ways: false,
            stages: Vec::new(),
            begins: [0; tables::NOTE_HOOKS],
            places: [0; tables::NOTE_HOOKS],
            leaves_note: [0; tables::NOTE_HOOKS],
            ending: [0; tables::NOTE_HOOKS],
            numbers: [[tables::NO_STAGE; tables::NOTE_HOOKS]; HOOK_COUNT],
        };
        for hook in Hook::all() {
            let before = Hook::all().filter(|other| hook.is_behind(*other)).count();
            layout.places[hook.index()] = u8::try_from(before).expect("there are few");
        }
        for hook in enabled.iter() {
            layout.leaves_note[hook.index()] = goes_on(hook, enabled).into();
            layout.begins[hook.index()] = if begins(hook, enabled) {
                tables::NOTE_BEGINS
            } else if restamps && behind.contains(hook) && begins(hook, behind) {
                tables::NOTE_MAY_BEGIN
            } else {
                0
            };
        }
        for stage in &stages {
            let ending = &mut layout.ending[stage.to().index()];
            *ending += 1;
            layout.numbers[stage.to().index()][stage.from().index()] = *ending;
        }
        StageLayout { stages, ..layout }
    }

    /// Slices that a CPU has at a hook: the hook's own, and behind it those of the
    /// stages that end there.
    pub fn slices_at(&self, hook: Hook) -> usize {
        1 + usize::from(self.ending[hook.index()])
    }

    /// The place of a stage among them.
    pub fn slice_of(&self, stage: Stage) -> usize {
        self.numbers[stage.to().index()][stage.from().index()].into()
    }

    /// Slices of all stages together: one for each and for each CPU.
    fn slices(&self, cpus: usize) -> usize {
        self.stages.len() * cpus
    }

    /// Bytes of a place for notes: one word, or also one for each hook.
    pub fn slot_bytes(&self) -> u32 {
        let word = size_of::<u64>() as u32;
        if self.ways {
            word * (1 + tables::WAY_NOTES as u32)
        } else {
            word
        }
    }

    /// Kernel memory for notes and histograms, bytes.
    pub fn memory(&self, cpus: usize) -> u64 {
        u64::from(self.notes) * u64::from(self.slot_bytes())
            + self.slices(cpus) as u64 * SLICE_BYTES
    }

    /// What histograms of so many groups would take, bytes.
    pub fn memory_by_group(&self, cpus: usize, groups: u32) -> u64 {
        self.slices(cpus) as u64 * SLICE_BYTES * u64::from(groups)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(name: &str) -> Hook {
        Hook::named(name).unwrap()
    }

    #[test]
    fn stages_are_numbered_once() {
        let layout = StageLayout::new(HookSet::ALL, 1024, true);
        for hook in Hook::all() {
            let ending = layout.stages.iter().filter(|stage| stage.to() == hook);
            let mut slices: Vec<usize> = ending.map(|stage| layout.slice_of(*stage)).collect();
            slices.sort_unstable();
            assert!(slices.into_iter().eq(1..layout.slices_at(hook)), "{hook}");
            let others = layout.numbers[hook.index()].iter();
            let others = others.filter(|number| **number == tables::NO_STAGE);
            assert_eq!(
                others.count(),
                tables::NOTE_HOOKS + 1 - layout.slices_at(hook)
            );
        }
    }

    #[test]
    fn packets_begin_at_ip_and_where_they_are_restamped() {
        let beginning = |restamps| {
            let layout = StageLayout::new(HookSet::ALL, 1024, restamps);
            let hooks = Hook::all().map(|hook| (hook.name(), layout.begins[hook.index()]));
            hooks.filter(|(_, how)| *how > 0).collect::<Vec<_>>()
        };
        let (always, may) = (tables::NOTE_BEGINS, tables::NOTE_MAY_BEGIN);
        assert_eq!(beginning(true), [("ip-start", always), ("tcp-start", may)]);
        assert_eq!(beginning(false), [("ip-start", always)]);
    }

    /// All hooks that leave notes have a word of their own in a slot.
    #[test]
    fn hooks_of_a_path_have_different_places() {
        let layout = StageLayout::new(HookSet::ALL, 1024, true);
        for stage in &layout.stages {
            let [from, to] = [stage.from(), stage.to()].map(|hook| layout.places[hook.index()]);
            assert!(from < to, "{stage}");
            assert!(usize::from(from) < tables::WAY_NOTES, "{stage}");
        }
    }

    #[test]
    fn the_last_hooks_leave_no_note() {
        let two: HookSet = [hook("udp-start"), hook("udp-socket-read")]
            .into_iter()
            .collect();
        let layout = StageLayout::new(two, 1024, true);
        let leaves = |name| layout.leaves_note[hook(name).index()];
        assert_eq!((leaves("udp-start"), leaves("udp-socket-read")), (1, 0));
        assert_eq!(
            layout.begins[hook("udp-start").index()],
            tables::NOTE_BEGINS
        );
        assert_eq!((layout.stages.len(), layout.slices(4)), (1, 4));
        assert_eq!(layout.memory(4), 8192 + 16384);
        let one: HookSet = [hook("udp-start")].into_iter().collect();
        assert_eq!(StageLayout::new(one, 1024, true).slices(2), 0);
    }
}
