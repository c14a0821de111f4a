// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Warnings: what makes the result of a comparison incomplete or doubtful.

use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;

/// A message about something that makes a result incomplete or doubtful.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    pub kind: Kind,
    /// `None`: all hooks.
    pub hook: Option<Hook>,
    /// `None`: all quantities.
    pub quantity: Option<Quantity>,
}

/// The cause of a warning.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// A property is not the same in all files.
    Differs {
        /// The property: `kernel`, `host`, the name of a fact, ...
        what: String,
        /// The values in the files of each side, at most four.
        values: PerSide<Vec<String>>,
    },
    /// The files measured different shares of the packets (`--sample`): those of each
    /// side, at most four.
    SharesDiffer(PerSide<Vec<String>>),
    /// The number of clock steps of each side.
    ClockSteps(PerSide<u64>),
    /// The number of rounds excluded because of a clock step.
    RoundsExcluded(u64),
    /// The numbers of the rounds that are excluded for this quantity because one of
    /// their periods was disturbed.
    Disturbed(Vec<u64>),
    /// The number of latencies of each side in the units used. They are so different
    /// that the larger side was thinned.
    UnequalRates(PerSide<u64>),
    /// All files of one side are older than all of the other.
    NotAlternating,
    /// More than 1 % of the packets that should have been measured were not.
    Skipped {
        lost: PerSide<u64>,
        /// Measured or lost.
        of: PerSide<u64>,
    },
    /// The kernel left out more than 1 % of a program's runs.
    Missed {
        missed: PerSide<u64>,
        /// Missed runs, and those that took place.
        of: PerSide<u64>,
    },
    /// Some units have too few samples.
    TooFewSamples {
        /// The number of units with enough samples.
        units: PerSide<usize>,
        of: PerSide<usize>,
    },
    /// The number of rounds used, which is less than a verdict needs.
    FewRounds(usize),
    /// The number of files of each side. One of them is less than an interval needs.
    FewFiles(PerSide<usize>),
    /// Planned rounds are missing.
    RoundsMissing { made: u64, planned: u64 },
    /// The path of a file whose last run has no total.
    Incomplete(String),
    /// A part of a file is ignored because the run ended early.
    Excluded { path: String, text: String },
    /// A file is damaged.
    Problem { path: String, text: String },
    /// The packets of each side that were counted in the group `other`, because there
    /// was no room for more groups. This puts groups in doubt, and nothing else.
    OtherGroup(PerSide<u64>),
    /// So many packets have lost their note that a quantile of stages which end at the
    /// hook could be another: those that wait long lose it first.
    LostNotes {
        lost: PerSide<u64>,
        /// Recorded.
        of: PerSide<u64>,
    },
    /// The number of reports of each side that were not made in time. No sample is
    /// lost by that.
    MissedIntervals(PerSide<u64>),
    /// A file has several runs, which are added up.
    SeveralRuns { path: String, runs: u64 },
}

impl Warning {
    pub(super) fn about_all(kind: Kind) -> Warning {
        Warning {
            kind,
            hook: None,
            quantity: None,
        }
    }

    pub(super) fn about(hook: Hook, kind: Kind) -> Warning {
        Warning {
            hook: Some(hook),
            ..Warning::about_all(kind)
        }
    }

    /// The name in the JSON.
    pub fn code(&self) -> &'static str {
        match self.kind {
            Kind::Differs { .. } => "differs",
            Kind::SharesDiffer(_) => "shares-differ",
            Kind::ClockSteps(_) => "clock-steps",
            Kind::RoundsExcluded(_) => "rounds-excluded",
            Kind::Disturbed(_) => "disturbed",
            Kind::UnequalRates(_) => "unequal-rates",
            Kind::NotAlternating => "not-alternating",
            Kind::Skipped { .. } => "skipped",
            Kind::Missed { .. } => "missed",
            Kind::TooFewSamples { .. } => "too-few-samples",
            Kind::FewRounds(_) => "few-rounds",
            Kind::FewFiles(_) => "few-files",
            Kind::RoundsMissing { .. } => "rounds-missing",
            Kind::Incomplete(_) => "incomplete",
            Kind::Excluded { .. } => "excluded",
            Kind::Problem { .. } => "problem",
            Kind::OtherGroup(_) => "other-group",
            Kind::LostNotes { .. } => "lost-notes",
            Kind::MissedIntervals(_) => "missed-intervals",
            Kind::SeveralRuns { .. } => "several-runs",
        }
    }

    /// Whether the warning may explain a verdict. The others only say why verdicts or
    /// units are missing.
    pub fn is_serious(&self) -> bool {
        match self.kind {
            Kind::Differs { .. }
            | Kind::ClockSteps(_)
            | Kind::Skipped { .. }
            | Kind::Missed { .. }
            | Kind::TooFewSamples { .. }
            | Kind::NotAlternating
            | Kind::Problem { .. } => true,
            // Which packets are measured does not depend on how long they take.
            Kind::SharesDiffer(_)
            | Kind::FewRounds(_)
            | Kind::RoundsExcluded(_)
            | Kind::Disturbed(_)
            | Kind::UnequalRates(_)
            | Kind::FewFiles(_)
            | Kind::RoundsMissing { .. }
            | Kind::Incomplete(_)
            | Kind::Excluded { .. }
            | Kind::OtherGroup(_)
            // Of stages, and not of the ages at the hook.
            | Kind::LostNotes { .. }
            | Kind::MissedIntervals(_)
            | Kind::SeveralRuns { .. } => false,
        }
    }

    /// Whether the warning may explain the verdict on a quantity of a hook.
    pub fn puts_in_doubt(&self, hook: Hook, quantity: Quantity) -> bool {
        self.is_serious()
            && self.hook.is_none_or(|about| about == hook)
            && self.quantity.is_none_or(|about| about == quantity)
    }
}
