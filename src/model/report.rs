// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reports: what was counted, and which stretch of a run that is.

use crate::model::comparison::Place;
use crate::model::snapshot::Interval;

/// What stretch of a run a report covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One of many, made when the interval is over.
    Interval,
    /// The whole run, made at its end.
    Total,
}

/// One report, whose interval is borrowed or its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report<I = Interval> {
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
    pub interval: I,
}

impl<I> Report<I> {
    /// Whether counts are since the start of the run.
    pub fn since_start(&self) -> bool {
        self.cumulative || self.kind == Kind::Total
    }
}
