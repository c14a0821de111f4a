// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Run files: what `record` and `compare` write, read back.
//!
//! `docs/run-file.md` says what is in them; the lines are those of
//! [`crate::schema`].

mod assembly;
mod groups;
mod line;
mod reader;
pub mod writer;

use std::path::PathBuf;
use std::time::SystemTime;

use crate::model::comparison::Arm;
use crate::model::hook_counters::HookCounters;
use crate::model::hooks::Hook;
use crate::model::run::RunInfo;
use crate::model::snapshot::Interval;
use crate::model::sparse::Sparse;

/// What is in a run file.
#[derive(Clone, Debug)]
pub struct RunFile {
    /// Where it was read from.
    pub path: PathBuf,
    /// Its (first) start line.
    pub info: RunInfo,
    /// Start lines: more than one, if it was added to.
    pub runs: u64,
    /// When its first interval began; `None` without one.
    pub began: Option<SystemTime>,
    /// Whether its last run has come to its end.
    pub complete: bool,
    /// What an end before its time has taken away, in words; the rest is as
    /// good as ever.
    pub excluded: Vec<String>,
    /// What is strange, in words.
    pub problems: Vec<String>,
    /// What was measured.
    pub content: Content,
}

/// What was measured.
#[derive(Clone, Debug)]
#[allow(
    clippy::large_enum_variant,
    reason = "there is one for each file that was read"
)]
pub enum Content {
    /// One side, by `record` or saved from `--json`.
    Recording(Totals),
    /// Both sides, by `compare`.
    Comparison {
        /// The periods in their order, four a round.
        periods: Vec<Period>,
        /// All of A.
        a: Totals,
        /// All of B.
        b: Totals,
    },
}

/// All that a file has of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Totals {
    /// Interval lines.
    pub intervals: u64,
    /// Reports that were not made in time.
    pub missed_intervals: u64,
    /// The sum of the intervals.
    pub interval: Interval,
}

/// One period of a comparison.
#[derive(Clone, Debug)]
pub struct Period {
    /// Its side.
    pub arm: Arm,
    /// Its round, from 1.
    pub round: u64,
    /// What was counted in it.
    pub interval: Interval<Sparse>,
}

impl RunFile {
    /// All that the file has of a side. A recording is of one side only.
    pub fn totals(&self, arm: Arm) -> &Totals {
        match (&self.content, arm) {
            (Content::Recording(totals), _) => totals,
            (Content::Comparison { a, .. }, Arm::A) => a,
            (Content::Comparison { b, .. }, Arm::B) => b,
        }
    }
}

impl Totals {
    /// What a hook has counted; `None` where no line has the hook.
    pub fn hook(&self, hook: Hook) -> Option<&HookCounters> {
        self.interval.counters.measured(hook)
    }
}
