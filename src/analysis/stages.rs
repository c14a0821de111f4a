// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The stages of a comparison: which of them are compared, and at which hooks the age
//! of packets is judged beside them.

use std::collections::BTreeMap;

use crate::analysis::input::Input;
use crate::model::comparison::Arm;
use crate::model::hooks::HookSet;
use crate::model::side::PerSide;
use crate::model::stage::{Cause, Stage, begins, goes_on};

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
    /// With stages: the hooks at which the age is judged, too. `None`: at all hooks.
    pub(super) ages: Option<HookSet>,
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
        let live: HookSet = recorded
            .iter()
            .filter(|(_, packets)| **packets > 0)
            .map(|(hook, _)| *hook)
            .collect();
        // Where packets come in, and where they leave the stack: all that lies between
        // is in the stages.
        let ends = live
            .iter()
            .filter(|hook| begins(*hook, live) || !goes_on(*hook, live));
        let names = |found: Vec<(Stage, _)>| found.into_iter().map(|(stage, _)| stage).collect();
        Stages {
            compared: names(compared),
            left_out: names(left_out),
            ages: Some(ends.collect()),
        }
    }
}

/// Packets of each side that have lost their note before the hook where the stage ends,
/// and those recorded there.
pub(super) fn lost_notes(input: &Input, stage: Stage) -> PerSide<(u64, u64)> {
    PerSide::of(|arm| {
        let files = input.side(arm).iter();
        let counted = files.filter_map(|file| file.totals(arm).hook(stage.to()));
        counted.fold((0, 0), |(lost, of): (u64, u64), counted| {
            (
                lost.saturating_add(counted.stageless.get(Cause::NOTE_LOST)),
                of.saturating_add(counted.histogram.count()),
            )
        })
    })
}
