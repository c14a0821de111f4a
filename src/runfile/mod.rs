// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Run files: what `record` and `compare` write, read back.
//!
//! `docs/run-file.md` says what is in them; the lines are those of
//! [`crate::render::json`].

mod assembly;
mod line;
mod reader;
mod tally;
mod text;
pub mod writer;

use std::path::PathBuf;

use crate::model::comparison::Arm;
use crate::model::hooks::{HOOK_COUNT, Hook};
use crate::model::run::RunInfo;
use crate::model::snapshot::HookStats;
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
    /// When its first interval began: RFC 3339, UTC.
    pub began: Option<String>,
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
pub enum Content {
    /// One side, by `record` or saved from `--json`.
    Recording(Tally),
    /// Both sides, by `compare`.
    Comparison {
        /// The periods in their order, four a round.
        periods: Vec<Period>,
        /// All of A.
        a: Tally,
        /// All of B.
        b: Tally,
    },
}

/// Sums over the intervals of one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Interval lines.
    pub intervals: u64,
    /// Monotonic time, ns.
    pub duration_ns: u64,
    /// Reports that were not made in time.
    pub missed_intervals: u64,
    /// Steps of the wall clock.
    pub clock_steps: u64,
    /// skbs that carried a transmit time at IP.
    pub tx_stamped: u64,
    /// By [`Hook::index`]; `None` where no line has the hook.
    pub hooks: Vec<Option<HookStats>>,
}

/// One period of a comparison.
#[derive(Clone, Debug)]
pub struct Period {
    /// Its side.
    pub arm: Arm,
    /// Its round, from 1.
    pub round: u64,
    /// Steps of the wall clock in it.
    pub clock_steps: u64,
    /// Latencies, by [`Hook::index`]; `None` where its line has not the hook.
    pub hooks: [Option<Sparse>; HOOK_COUNT],
}

impl RunFile {
    /// All that the file has of a side. A recording is of one side only.
    pub fn totals(&self, arm: Arm) -> &Tally {
        match (&self.content, arm) {
            (Content::Recording(tally), _) => tally,
            (Content::Comparison { a, .. }, Arm::A) => a,
            (Content::Comparison { b, .. }, Arm::B) => b,
        }
    }
}

impl Tally {
    /// What a hook has counted.
    pub fn hook(&self, hook: Hook) -> Option<&HookStats> {
        self.hooks[hook.index()].as_ref()
    }
}
