// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The parts of a run file that `show` shows.

use crate::model::comparison::{Arm, Place};
use crate::model::group::Group;
use crate::model::hooks::HookSet;
use crate::model::listing::Listing;
use crate::model::snapshot::Interval;
use crate::render::{Kind, Report};
use crate::runfile::{Content, RunFile, Totals};

/// The number of periods of a round.
pub(super) const PERIODS: usize = 4;

/// A run file, and what of it to show.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Show<'a> {
    pub file: &'a RunFile,
    pub hooks: HookSet,
    /// Keys of the groups, in their order: some of those that the file has.
    pub by: &'a [String],
    pub listing: Listing,
}

/// A whole recording, or one side of a comparison.
pub(super) struct Part<'a> {
    pub(super) arm: Option<Arm>,
    pub(super) totals: &'a Totals,
    /// The totals of the hooks to show.
    interval: Interval,
}

impl<'a> Show<'a> {
    pub(super) fn parts(&self) -> Vec<Part<'a>> {
        let arms = match &self.file.content {
            Content::Recording(_) => vec![None],
            Content::Comparison { .. } => Arm::BOTH.map(Some).into(),
        };
        let part = |arm: Option<Arm>| {
            let totals = self.file.totals(arm.unwrap_or(Arm::A));
            let mut interval = totals.interval.clone();
            // Sums that the file's own groups have reached already.
            let by_keys = |group: &Group| Some(group.by(self.by));
            if let Some(counters) = interval.counters.regrouped(by_keys) {
                interval.counters = counters;
            }
            interval.counters.keep(self.hooks);
            Part {
                arm,
                totals,
                interval,
            }
        };
        arms.into_iter().map(part).collect()
    }

    /// The number of complete rounds. `None` if the file is not of a comparison.
    pub(super) fn rounds(&self) -> Option<usize> {
        match &self.file.content {
            Content::Recording(_) => None,
            Content::Comparison { periods, .. } => Some(periods.len() / PERIODS),
        }
    }

    /// Hooks that are off, or (`attached`) not attached to all functions, by reason.
    pub(super) fn by_reason(&self, attached: bool) -> Vec<(&'a str, Vec<&'static str>)> {
        let mut found: Vec<(&str, Vec<&str>)> = Vec::new();
        for status in &self.file.info.hooks {
            let Some(reason) = status.reason.as_deref() else {
                continue;
            };
            if status.attached() != attached || !self.hooks.contains(status.hook) {
                continue;
            }
            let name = status.hook.name();
            match found.iter_mut().find(|(other, _)| *other == reason) {
                Some((_, hooks)) => hooks.push(name),
                None => found.push((reason, vec![name])),
            }
        }
        found
    }
}

impl Part<'_> {
    /// A report in the form of a run's total.
    pub(super) fn report(&self) -> Report<'_> {
        Report {
            kind: Kind::Total,
            seq: self.totals.intervals,
            partial: false,
            missed_intervals: self.totals.missed_intervals,
            cumulative: false,
            place: self.arm.map(|arm| Place { arm, round: None }),
            interval: &self.interval,
        }
    }
}
