// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reports: a run and its intervals in, bytes out.
//!
//! Renderers only write what they are given. They reach no kernel and print
//! nothing by themselves; a report arrives at `out` in a single write, and
//! flushing is up to the caller.

use std::io::{self, Write};

use crate::model::comparison::Place;
use crate::model::snapshot::Interval;

pub mod check;
pub mod diff;
pub mod json;
#[cfg(test)]
mod json_tests;
mod notes;
pub mod screen;
pub mod summary;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod text;
pub mod units;

pub use diff::Diff;
pub use json::Json;
pub use screen::Screen;
pub use summary::Summary;
pub use text::Text;

pub use crate::model::run::{ClockInfo, HookStatus, RunInfo};

/// What stretch of a run a report covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of many, made when the interval is over.
    Interval,
    /// The whole run, made at its end.
    Total,
}

/// One report.
#[derive(Clone, Copy, Debug)]
pub struct Report<'a> {
    /// Interval or total.
    pub kind: Kind,
    /// The interval's number, from 1; in a total, how many came before it.
    pub seq: u64,
    /// The run ended before the interval did.
    pub partial: bool,
    /// Reports that fell due before this one and were not made: an interval
    /// then lasts that many intervals longer. In a total, those of the run.
    pub missed_intervals: u64,
    /// The interval begins at the start of the run, not at the last report.
    pub cumulative: bool,
    /// Its place in a comparison.
    pub place: Option<Place>,
    /// What was counted.
    pub interval: &'a Interval,
}

impl Report<'_> {
    /// Whether counts are since the start of the run.
    pub fn since_start(&self) -> bool {
        self.cumulative || self.kind == Kind::Total
    }
}

/// A form that reports can take.
pub trait Renderer {
    /// Writes what precedes the first report, if the form has such a thing.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    fn start(&mut self, out: &mut dyn Write, run: &RunInfo) -> io::Result<()>;

    /// Writes one report in a single write.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    fn report(&mut self, out: &mut dyn Write, report: &Report) -> io::Result<()>;
}
