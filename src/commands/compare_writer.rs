// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The run file of a comparison: a line per period, and the sum of each side.

use std::io;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};

use crate::model::comparison::{Arm, Place};
use crate::model::run::RunInfo;
use crate::model::side::PerSide;
use crate::model::snapshot::Interval;
use crate::render::{Json, Kind, Renderer as _, Report};
use crate::runfile::writer::Writer;
use crate::runtime::event_loop::EventLoop;
use crate::runtime::sink::{Full, Sink};

/// Bytes that may wait for a disk that hangs: some thousand periods.
const CAPACITY: usize = 64 << 20;

const PERIODS_OF_A_ROUND: u64 = 4;

/// What has been written so far, or is on its way.
pub(super) struct CompareWriter {
    sink: Sink<Writer>,
    seq: u64,
    sums: PerSide<Option<Interval>>,
    /// The lines, where somebody looks at them before the end.
    so_far: Option<Vec<u8>>,
}

impl CompareWriter {
    /// Into `writer`; keeps the lines for [`CompareWriter::so_far`] if it is to.
    ///
    /// # Errors
    ///
    /// If there is no room for a thread.
    pub(super) fn new(
        writer: Writer,
        events: &EventLoop,
        keep_lines: bool,
    ) -> Result<CompareWriter> {
        let sink = Sink::new(writer, CAPACITY, Some(events.waker()));
        Ok(CompareWriter {
            sink: sink.context("starting a thread that writes")?,
            seq: 0,
            sums: PerSide::default(),
            so_far: keep_lines.then(Vec::new),
        })
    }

    /// Writes the first line.
    pub(super) fn start(&mut self, info: &RunInfo) -> Result<()> {
        self.line(|bytes| Json.start(bytes, info))
    }

    /// Writes a period.
    pub(super) fn period(&mut self, place: Place, interval: &Interval) -> Result<()> {
        self.seq += 1;
        self.report(Kind::Interval, place, interval)?;
        match &mut self.sums[place.arm] {
            Some(sum) => *sum += interval,
            none => *none = Some(interval.clone()),
        }
        Ok(())
    }

    /// What the file has, or will have when the disk has taken it.
    pub(super) fn so_far(&self) -> &[u8] {
        self.so_far.as_deref().unwrap_or_default()
    }

    /// Writes what each side has come to, and waits until all is on disk; once
    /// a signal has asked for the end, only as long as something is taken. A
    /// file without a whole round is removed: nobody could use it.
    pub(super) fn finish(mut self, events: &mut EventLoop) -> Result<()> {
        self.check()?;
        for arm in Arm::BOTH {
            if let Some(sum) = self.sums[arm].take() {
                self.report(Kind::Total, Place { arm, round: None }, &sum)?;
            }
        }
        events.drain(|| self.sink.pending_with_wakeups())?;
        self.check()?;
        match self.sink.close(Some(Duration::ZERO)) {
            Some(writer) if self.seq < PERIODS_OF_A_ROUND => {
                writer.discard();
                Ok(())
            }
            Some(writer) => writer.finish(),
            None => Err(anyhow!("writing the run file: the disk takes nothing")),
        }
    }

    fn report(&mut self, kind: Kind, place: Place, interval: &Interval) -> Result<()> {
        let report = Report {
            kind,
            seq: self.seq,
            partial: false,
            missed_intervals: 0,
            cumulative: false,
            place: Some(place),
            interval,
        };
        self.line(|bytes| Json.report(bytes, &report))
    }

    fn line(&mut self, render: impl FnOnce(&mut Vec<u8>) -> io::Result<()>) -> Result<()> {
        self.check()?;
        let mut bytes = Vec::new();
        render(&mut bytes)?;
        if let Some(so_far) = &mut self.so_far {
            so_far.extend_from_slice(&bytes);
        }
        self.sink
            .send(bytes)
            .map_err(|Full| anyhow!("writing the run file: the disk takes nothing"))
    }

    fn check(&self) -> Result<()> {
        match self.sink.take_error() {
            None => Ok(()),
            Some(error) => Err(error).context("writing the run file"),
        }
    }
}
