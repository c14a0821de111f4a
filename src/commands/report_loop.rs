// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A run's reports, one after the other and numbered, on their way to a sink.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::commands::stop_condition::StopCondition;
use crate::model::run::RunInfo;
use crate::model::snapshot::{Interval, Snapshot};
use crate::render::{Kind, Renderer, Report};
use crate::runtime::event_loop::{EventLoop, Events};
use crate::runtime::sink::{Full, Sink};

/// Bytes that wait to be written: no report is begun before the one before it
/// has been taken, so that these are few.
const CAPACITY: usize = 64 << 20;

/// What has been reported so far, how, and where to.
pub(super) struct Reports<W> {
    renderer: Box<dyn Renderer>,
    sink: Sink<W>,
    target: String,
    cumulative: bool,
    seq: u64,
    missed_intervals: u64,
    /// Intervals whose time is over since the last report.
    waiting: u64,
}

impl<W: Write + Send + 'static> Reports<W> {
    /// `target` is what errors call `out`.
    ///
    /// # Errors
    ///
    /// If there is no room for a thread.
    pub(super) fn new(
        renderer: Box<dyn Renderer>,
        out: W,
        target: impl Into<String>,
        cumulative: bool,
        events: &EventLoop,
    ) -> Result<Reports<W>> {
        let sink = Sink::new(out, CAPACITY, Some(events.waker()));
        Ok(Reports {
            renderer,
            sink: sink.context("starting a thread that writes")?,
            target: target.into(),
            cumulative,
            seq: 0,
            missed_intervals: 0,
            waiting: 0,
        })
    }

    /// Whether to report now: at the end of an interval, if all that came before
    /// has been written; and at the end of the run. Otherwise the interval goes
    /// on: nothing is lost, and nothing piles up.
    pub(super) fn is_due(&mut self, event: &Events, over: bool, condition: &StopCondition) -> bool {
        self.waiting += event.reports;
        let due = event.reports > 0 && self.sink.pending() == 0;
        let passed = self.seq + self.missed_intervals + self.waiting;
        over || due || condition.time_is_over(passed)
    }

    /// Whether writing goes well.
    ///
    /// # Errors
    ///
    /// That of writing.
    pub(super) fn check(&self) -> Result<()> {
        match self.sink.take_error() {
            None => Ok(()),
            Some(error) => Err(error).with_context(|| format!("writing to {}", self.target)),
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

    /// Waits until all is written; once a signal has asked for the end, only as
    /// long as something is taken. What the reports were written to.
    ///
    /// # Errors
    ///
    /// If writing fails, or nothing is taken any more.
    pub(super) fn close(self, events: &mut EventLoop) -> Result<W> {
        let left = events.drain(|| self.sink.pending_with_wakeups())?;
        self.check()?;
        let Some(out) = self.sink.close(Some(Duration::ZERO)) else {
            return Err(anyhow!(
                "{left} bytes of the last reports were not written: nobody reads {}",
                self.target
            ));
        };
        Ok(out)
    }

    /// What comes before the first report.
    pub(super) fn start(&mut self, info: &RunInfo) -> Result<()> {
        self.write(|renderer, out| renderer.start(out, info))
    }

    /// What was counted from `last` to `now`; from `first` if cumulative. It is
    /// partial unless `event` says that the time of an interval is over.
    pub(super) fn interval(
        &mut self,
        first: &Snapshot,
        last: &Snapshot,
        now: &Snapshot,
        event: &Events,
    ) -> Result<()> {
        let partial = event.reports == 0;
        let missed = std::mem::take(&mut self.waiting) - u64::from(!partial);
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

    fn write(
        &mut self,
        render: impl FnOnce(&mut dyn Renderer, &mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        let mut bytes = Vec::new();
        render(self.renderer.as_mut(), &mut bytes)?;
        self.sink
            .send(bytes)
            .map_err(|Full| anyhow!("nobody reads {}", self.target))
    }
}
