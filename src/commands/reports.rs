// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Writes a run's reports one after the other, and numbers them.

use std::io::{self, Write};

use anyhow::{Context as _, Result};

use crate::model::snapshot::{Interval, Snapshot};
use crate::render::{Kind, Renderer, Report, RunInfo};

/// What has been reported so far, how, and where to.
pub(super) struct Reports<W> {
    renderer: Box<dyn Renderer>,
    out: W,
    target: String,
    cumulative: bool,
    seq: u64,
    missed_intervals: u64,
}

impl<W: Write> Reports<W> {
    /// `target` is what errors call `out`.
    pub(super) fn new(
        renderer: Box<dyn Renderer>,
        out: W,
        target: impl Into<String>,
        cumulative: bool,
    ) -> Reports<W> {
        Reports {
            renderer,
            out,
            target: target.into(),
            cumulative,
            seq: 0,
            missed_intervals: 0,
        }
    }

    /// Intervals reported.
    pub(super) fn seq(&self) -> u64 {
        self.seq
    }

    /// Intervals that went by without a report.
    pub(super) fn missed_intervals(&self) -> u64 {
        self.missed_intervals
    }

    /// What the reports were written to.
    pub(super) fn into_inner(self) -> W {
        self.out
    }

    /// What comes before the first report.
    pub(super) fn start(&mut self, info: &RunInfo) -> Result<()> {
        self.write(|renderer, out| renderer.start(out, info))
    }

    /// What was counted from `last` to `now`; from `first` if cumulative.
    pub(super) fn interval(
        &mut self,
        first: &Snapshot,
        last: &Snapshot,
        now: &Snapshot,
        missed: u64,
        partial: bool,
    ) -> Result<()> {
        self.seq += 1;
        self.missed_intervals += missed;
        let from = if self.cumulative { first } else { last };
        self.report(Kind::Interval, &now.since(from), missed, partial)
    }

    /// What was counted from `first` to `last`, all intervals together.
    pub(super) fn total(&mut self, first: &Snapshot, last: &Snapshot) -> Result<()> {
        self.report(
            Kind::Total,
            &last.since(first),
            self.missed_intervals,
            false,
        )
    }

    fn report(
        &mut self,
        kind: Kind,
        interval: &Interval,
        missed: u64,
        partial: bool,
    ) -> Result<()> {
        let report = Report {
            kind,
            seq: self.seq,
            partial,
            missed_intervals: missed,
            cumulative: self.cumulative,
            place: None,
            interval,
        };
        self.write(|renderer, out| renderer.report(out, &report))
    }

    /// Every report is on its way before the next is waited for.
    fn write(
        &mut self,
        render: impl FnOnce(&mut dyn Renderer, &mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        render(self.renderer.as_mut(), &mut self.out)
            .and_then(|()| self.out.flush())
            .with_context(|| format!("writing to {}", self.target))
    }
}
