// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The run file of a comparison: a line per period, and the sum of each side.

use anyhow::{Context as _, Result};

use crate::model::comparison::{Arm, Place};
use crate::model::run::RunInfo;
use crate::model::snapshot::Interval;
use crate::render::{Json, Kind, Renderer as _, Report};
use crate::runfile::writer::Writer;

/// What has been written so far.
pub(super) struct Periods {
    writer: Writer,
    seq: u64,
    sums: [Option<Interval>; 2],
}

impl Periods {
    /// Into `writer`.
    pub(super) fn new(writer: Writer) -> Periods {
        Periods {
            writer,
            seq: 0,
            sums: [None, None],
        }
    }

    /// Writes the first line.
    pub(super) fn start(&mut self, info: &RunInfo) -> Result<()> {
        written(Json.start(&mut self.writer, info))
    }

    /// Writes a period.
    pub(super) fn period(&mut self, place: Place, interval: &Interval) -> Result<()> {
        self.seq += 1;
        self.line(Kind::Interval, place, interval)?;
        // What is not in the file is not in its totals.
        match &mut self.sums[place.arm as usize] {
            Some(sum) => sum.add(interval),
            none => *none = Some(interval.clone()),
        }
        Ok(())
    }

    /// Writes what each side has come to.
    pub(super) fn finish(mut self) -> Result<()> {
        for arm in Arm::BOTH {
            if let Some(sum) = self.sums[arm as usize].take() {
                self.line(Kind::Total, Place { arm, round: None }, &sum)?;
            }
        }
        self.writer.finish()
    }

    fn line(&mut self, kind: Kind, place: Place, interval: &Interval) -> Result<()> {
        let report = Report {
            kind,
            seq: self.seq,
            partial: false,
            missed_intervals: 0,
            cumulative: false,
            place: Some(place),
            interval,
        };
        written(Json.report(&mut self.writer, &report))
    }
}

fn written(result: std::io::Result<()>) -> Result<()> {
    result.context("writing the run file")
}
