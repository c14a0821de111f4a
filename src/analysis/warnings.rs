// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Warnings: what a reader must know before any difference.

use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;

/// Something to know before the differences.
#[derive(Clone, Debug, PartialEq)]
pub struct Warning {
    /// What it is about.
    pub kind: Kind,
    /// The hook that it is about; `None`: all.
    pub hook: Option<Hook>,
    /// The quantity that it is about; `None`: all.
    pub quantity: Option<Quantity>,
}

/// What to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// The sides differ in something else, or files of one side do.
    Differs {
        /// What it is: `kernel`, `host`, a fact's name, ...
        what: String,
        /// What A's files say of it, then B's; at most a few.
        values: PerSide<Vec<String>>,
    },
    /// The wall clock was stepped, so often with A and with B.
    ClockSteps(PerSide<u64>),
    /// So many rounds are excluded because the clock was stepped in them.
    RoundsExcluded(u64),
    /// At this quantity, rounds of these numbers are excluded, because one of
    /// their periods was disturbed.
    Disturbed(Vec<u64>),
    /// Latencies of A and B in the rounds or files that are used: so different
    /// that those of the richer side were thinned.
    UnequalRates(PerSide<u64>),
    /// All files of one side were made before all of the other.
    NotAlternating,
    /// Packets that should have been measured and were not, above 1 %.
    Skipped {
        /// Of A and of B.
        lost: PerSide<u64>,
        /// Those that were measured or lost.
        of: PerSide<u64>,
    },
    /// Runs that the kernel left out, above 1 %.
    Missed {
        /// Of A and of B.
        missed: PerSide<u64>,
        /// Those, and the ones that were not left out.
        of: PerSide<u64>,
    },
    /// Units (rounds, or files of A and B) that have enough samples.
    TooFewSamples {
        /// That have.
        units: PerSide<usize>,
        /// That there are.
        of: PerSide<usize>,
    },
    /// Fewer rounds than a verdict needs.
    FewRounds(usize),
    /// Fewer files a side than an interval needs.
    FewFiles(PerSide<usize>),
    /// Rounds were meant to be made, and were not.
    RoundsMissing {
        /// That are there.
        made: u64,
        /// That were meant to be.
        planned: u64,
    },
    /// A file's last run has not come to its end.
    Incomplete(String),
    /// What a file lacks, because it ended before its time.
    Excluded {
        /// The file.
        path: String,
        /// In words.
        text: String,
    },
    /// Something is wrong with a file.
    Problem {
        /// The file.
        path: String,
        /// In words.
        text: String,
    },
    /// Reports that were not made in time, with A and with B. Nothing is lost.
    MissedIntervals(PerSide<u64>),
    /// A file has several runs in it, which are added up.
    SeveralRuns {
        /// The file.
        path: String,
        /// How many.
        runs: u64,
    },
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

    /// As in the JSON.
    pub fn code(&self) -> &'static str {
        match self.kind {
            Kind::Differs { .. } => "differs",
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
            Kind::MissedIntervals(_) => "missed-intervals",
            Kind::SeveralRuns { .. } => "several-runs",
        }
    }

    /// Whether verdicts may not mean what they seem to because of it. Those
    /// that do not, take verdicts away altogether, or nothing.
    pub fn is_serious(&self) -> bool {
        match self.kind {
            Kind::Differs { .. }
            | Kind::ClockSteps(_)
            | Kind::Skipped { .. }
            | Kind::Missed { .. }
            | Kind::TooFewSamples { .. }
            | Kind::NotAlternating
            | Kind::Problem { .. } => true,
            Kind::FewRounds(_)
            | Kind::RoundsExcluded(_)
            | Kind::Disturbed(_)
            | Kind::UnequalRates(_)
            | Kind::FewFiles(_)
            | Kind::RoundsMissing { .. }
            | Kind::Incomplete(_)
            | Kind::Excluded { .. }
            | Kind::MissedIntervals(_)
            | Kind::SeveralRuns { .. } => false,
        }
    }

    /// Whether it puts a verdict in doubt.
    pub fn puts_in_doubt(&self, hook: Hook, quantity: Quantity) -> bool {
        self.is_serious()
            && self.hook.is_none_or(|about| about == hook)
            && self.quantity.is_none_or(|about| about == quantity)
    }
}
