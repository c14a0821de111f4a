// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is compared: recordings of two sides, or a file of `compare`.

use std::time::Duration;

use crate::analysis::samples::MIN_FILES;
use crate::model::comparison::Arm;
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hooks::Hook;
use crate::model::side::PerSide;
use crate::model::skips::SkipReason;
use crate::runfile::RunFile;

/// What is compared.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A file of `compare`, which has both sides.
    Comparison(&'a RunFile),
    /// Recordings, A's and B's.
    Recordings {
        /// What the sides are called.
        names: PerSide<&'a str>,
        /// Their files, one or more each.
        sides: PerSide<&'a [RunFile]>,
    },
}

/// What is repeated, so that it is known how it varies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Design {
    /// Rounds of four periods.
    Rounds {
        /// That count.
        used: usize,
        /// That were meant to be made.
        planned: u64,
    },
    /// Files, of A and of B.
    Files(PerSide<usize>),
}

impl Design {
    /// Units of A and of B.
    pub fn units(&self) -> PerSide<usize> {
        match *self {
            Design::Rounds { used, .. } => PerSide::both(used),
            Design::Files(files) => files,
        }
    }
}

impl Input<'_> {
    /// The files of a side.
    pub fn side(&self, arm: Arm) -> &[RunFile] {
        match self {
            Input::Comparison(file) => std::slice::from_ref(file),
            Input::Recordings { sides, .. } => sides[arm],
        }
    }

    /// How long each period of a comparison is measured.
    pub fn period(&self) -> Option<Duration> {
        match self {
            Input::Comparison(file) => Some(file.info.comparison.as_ref()?.period),
            Input::Recordings { .. } => None,
        }
    }

    /// Each file once, A's first.
    pub fn files(&self) -> impl Iterator<Item = &RunFile> {
        let (first, second): (&[RunFile], &[RunFile]) = match self {
            Input::Comparison(file) => (std::slice::from_ref(file), &[]),
            Input::Recordings { sides, .. } => (sides.a, sides.b),
        };
        first.iter().chain(second)
    }

    /// All latencies of a side at a hook by powers of two, whatever the
    /// resolutions of its files, and those over range.
    pub fn log2(&self, arm: Arm, hook: Hook) -> (Histogram, u64) {
        let mut sum = (Histogram::new(Resolution::LOG2), 0);
        for file in self.side(arm) {
            let Some(stats) = file.totals(arm).hook(hook) else {
                continue;
            };
            let over_range = stats.skips.get(SkipReason::OVER_RANGE);
            let more = stats.histogram.count().checked_add(over_range);
            let fits = more.and_then(|more| more.checked_add(sum.0.count())?.checked_add(sum.1));
            if fits.is_some() {
                sum.0.merge(&stats.histogram.to_log2());
                sum.1 += over_range;
            }
        }
        sum
    }

    /// Whether limits can be judged at all: else it is bad usage to ask.
    pub fn knows_how_it_varies(&self) -> bool {
        match self {
            Input::Comparison(_) => true,
            Input::Recordings { sides, .. } => sides.iter().all(|side| side.len() >= MIN_FILES),
        }
    }

    pub(super) fn names(&self) -> PerSide<String> {
        match self {
            Input::Recordings { names, .. } => names.map(String::from),
            Input::Comparison(file) => match &file.info.comparison {
                Some(comparison) => PerSide::of(|arm| comparison.side(arm).name.clone()),
                None => PerSide {
                    a: "A".into(),
                    b: "B".into(),
                },
            },
        }
    }

    /// What assignments are drawn from, where there are too many to try all.
    pub(super) fn seed(&self) -> u64 {
        match self {
            Input::Comparison(file) => file.info.comparison.as_ref().map_or(0, |plan| plan.seed),
            Input::Recordings { .. } => 0,
        }
    }
}
