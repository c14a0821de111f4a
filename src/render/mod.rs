// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reports: a run and its intervals in, bytes out.
//!
//! Renderers only write what they are given. They reach no kernel and print
//! nothing by themselves; a report arrives at `out` in a single write, and
//! flushing is up to the caller.

use std::io::{self, Write};
use std::time::Duration;

use crate::model::histogram::Resolution;
use crate::model::hooks::Hook;
use crate::model::snapshot::Interval;

pub mod check;
pub mod json;
mod notes;
pub mod screen;
pub mod summary;
#[cfg(test)]
mod testing;
pub mod text;
pub mod units;

pub use json::Json;
pub use screen::Screen;
pub use summary::Summary;
pub use text::Text;

/// What a run is: known at its start, and true until its end.
#[derive(Clone, Debug)]
pub struct RunInfo {
    /// Version of netstacklat.
    pub version: String,
    /// The host's name.
    pub host: String,
    /// The kernel's release, as in `uname -r`.
    pub kernel: String,
    /// The machine, as in `uname -m`.
    pub arch: String,
    /// CPUs that the kernel may ever bring up: how many slices each map has.
    pub possible_cpus: usize,
    /// Time between reports; `None` when there is only the total.
    pub interval: Option<Duration>,
    /// How finely latencies are recorded.
    pub resolution: Resolution,
    /// The clock that stamps are compared with.
    pub clock: ClockInfo,
    /// What the user calls this run.
    pub name: Option<String>,
    /// All hooks of the tool in path order, attached or not.
    pub hooks: Vec<HookVerdict>,
}

/// Where the programs get wall-clock time from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockInfo {
    /// `update_vsyscall`, or `tai-offset` where that cannot be attached to.
    pub source: &'static str,
    /// TAI minus UTC as the kernel has it, seconds. 0: nobody told the kernel.
    pub tai_offset_s: i64,
}

/// What became of one hook.
#[derive(Clone, Debug)]
pub struct HookVerdict {
    /// The hook.
    pub hook: Hook,
    /// The kernel functions attached to; none when the hook is off.
    pub functions: Vec<&'static str>,
    /// Why the hook is off, wholly or for some functions.
    pub reason: Option<String>,
}

impl HookVerdict {
    /// Whether the hook measures at all.
    pub fn attached(&self) -> bool {
        !self.functions.is_empty()
    }
}

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
