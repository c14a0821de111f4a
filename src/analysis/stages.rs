// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The stages of a comparison: which of them are compared, and at which hooks the age
//! of packets is judged beside them.

use std::collections::BTreeMap;

use crate::analysis::input::Input;
use crate::model::comparison::Arm;
use crate::model::counters::Counters;
use crate::model::histogram::Histogram;
use crate::model::hooks::{Hook, HookSet, Protocol};
use crate::model::side::PerSide;
use crate::model::stage::{Cause, Stage, can_end};

/// A stage is compared if it has this share of the packets that were recorded at the
/// hook where it ends, on both sides together. Rarer ones would be many questions.
const LEAST_PERCENT: u64 = 1;

/// The stages of the files, before they are compared.
#[derive(Clone, Debug, Default)]
pub(super) struct Stages {
    /// To be compared.
    pub(super) compared: Vec<Stage>,
    /// Those with too few packets.
    pub(super) left_out: Vec<Stage>,
    /// The hooks at which these stages replace the age.
    replaced: HookSet,
}

impl Stages {
    /// Empty if a side has measured none.
    pub(super) fn of(input: &Input) -> Stages {
        let mut packets: BTreeMap<Stage, PerSide<u64>> = BTreeMap::new();
        let mut recorded: BTreeMap<_, u64> = BTreeMap::new();
        for arm in Arm::BOTH {
            for file in input.side(arm) {
                let counters = &file.totals(arm).interval.counters;
                for (hook, counted) in counters.hooks() {
                    let sum = recorded.entry(hook).or_default();
                    *sum = sum.saturating_add(counted.histogram.count());
                }
                for (stage, times) in counters.stages() {
                    let sum = &mut packets.entry(stage).or_default()[arm];
                    *sum = sum.saturating_add(times.count());
                }
            }
        }
        let both = |count: &PerSide<u64>| count.a > 0 && count.b > 0;
        if !packets.values().any(both) {
            return Stages::default();
        }
        let is_common = |(stage, count): &(Stage, PerSide<u64>)| {
            let all = recorded.get(&stage.to()).copied().unwrap_or(0);
            let share = count.a.saturating_add(count.b).saturating_mul(100);
            both(count) && share >= all.saturating_mul(LEAST_PERCENT)
        };
        let (compared, left_out): (Vec<_>, Vec<_>) = packets.into_iter().partition(is_common);
        let names = |found: Vec<(Stage, _)>| found.into_iter().map(|(stage, _)| stage).collect();
        let compared: Vec<Stage> = names(compared);
        let live: HookSet = recorded
            .iter()
            .filter(|(_, packets)| **packets > 0)
            .map(|(hook, _)| *hook)
            .collect();
        // The age at a hook is made of the stages that lead there. It is judged where
        // there is none, and where packets leave the stack.
        let replaced = compared.iter().map(|stage| stage.to());
        let replaced: HookSet = replaced.filter(|hook| !can_end(*hook, live)).collect();
        Stages {
            compared,
            left_out: names(left_out),
            replaced,
        }
    }

    /// Whether the age at the hook is judged.
    pub(super) fn asks_for_age(&self, hook: Hook) -> bool {
        !self.replaced.contains(hook)
    }

    /// Whether stages say where a change of this path is.
    pub(super) fn are_of(&self, path: Protocol) -> bool {
        let mut ends = self.compared.iter().map(|stage| stage.to().protocol());
        ends.any(|protocol| protocol == Some(path))
    }
}

/// The slowest packets of a stage that may be missing, and all of them, with the
/// former: those that have lost their note, and those that took longer than is
/// measured, or have no age, in any stage that ends at the hook.
pub(super) fn missing(input: &Input, stage: Stage) -> PerSide<(u64, u64)> {
    PerSide::of(|arm| {
        let files = input.side(arm).iter();
        files.fold((0, 0), |(missing, of): (u64, u64), file| {
            let counters = &file.totals(arm).interval.counters;
            let Some(counted) = counters.measured(stage.to()) else {
                return (missing, of);
            };
            let beyond = counted.skips.beyond().total();
            let lost = lost_notes_of(counters, stage.to()).saturating_add(beyond);
            let times = counted.stages.get(&stage.from());
            let found = times.map_or(0, Histogram::count).saturating_add(lost);
            (missing.saturating_add(lost), of.saturating_add(found))
        })
    })
}

fn lost_notes_of(counters: &Counters, hook: Hook) -> u64 {
    let lost = counters.hook(hook).stageless.get(Cause::NOTE_LOST);
    lost.saturating_add(counters.lost_before(hook))
}

/// Packets of each side that have lost their note before the hook, and those recorded
/// there.
pub(super) fn lost_notes(input: &Input, hook: Hook) -> PerSide<(u64, u64)> {
    PerSide::of(|arm| {
        let files = input.side(arm).iter();
        files.fold((0, 0), |(lost, of): (u64, u64), file| {
            let counters = &file.totals(arm).interval.counters;
            let recorded = counters.hook(hook).histogram.count();
            (
                lost.saturating_add(lost_notes_of(counters, hook)),
                of.saturating_add(recorded),
            )
        })
    })
}
