// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The run files that are compared: recordings of two sides, or a file of `compare`.

use std::time::Duration;

use crate::analysis::samples::MIN_FILES;
use crate::model::comparison::Arm;
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hooks::Hook;
use crate::model::side::PerSide;
use crate::model::skips::SkipReason;
use crate::model::slow::SlowPackets;
use crate::runfile::RunFile;

/// The run files that are compared.
#[derive(Clone, Copy, Debug)]
pub enum Input<'a> {
    /// A file of `compare`, which has both sides.
    Comparison(&'a RunFile),
    /// Recordings of A and of B.
    Recordings {
        /// The names of the sides.
        names: PerSide<&'a str>,
        /// One or more files of each side.
        sides: PerSide<&'a [RunFile]>,
    },
}

/// The unit that is repeated. Its variation decides how sure a result is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Design {
    /// Rounds of four periods.
    Rounds { used: usize, planned: u64 },
    /// Files of each side.
    Files(PerSide<usize>),
}

impl Design {
    /// The number of units of each side.
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

    /// The length of a period. `None` for recordings.
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

    /// All latencies of a side at a hook in buckets of powers of two, and the number
    /// of those over range. The files may have different resolutions.
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

    /// The three slowest packets of a side. Files can hold anything: sums beyond 64 bits
    /// are left out.
    pub fn slow(&self, arm: Arm) -> SlowPackets {
        const MOST: usize = 3;
        let mut sum = SlowPackets::default();
        for file in self.side(arm) {
            let mut with_file = sum.clone();
            let of_file = &file.totals(arm).interval.counters.slow;
            if with_file.try_add(of_file).is_some() {
                sum = with_file;
            }
        }
        sum.keep(MOST);
        sum
    }

    /// Whether there are enough files to judge limits. If not, `--fail-if` is a
    /// usage error.
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

    /// The seed from which assignments of labels are drawn.
    pub(super) fn seed(&self) -> u64 {
        match self {
            Input::Comparison(file) => file.info.comparison.as_ref().map_or(0, |plan| plan.seed),
            Input::Recordings { .. } => 0,
        }
    }
}
