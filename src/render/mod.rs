// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reports: a run and its intervals in, bytes out.
//!
//! Renderers only write what they are given. They reach no kernel and print
//! nothing by themselves; a report arrives at `out` in a single write, and
//! flushing is up to the caller.

use std::io::{self, Write};

use crate::model::report;
use crate::model::snapshot::Interval;

pub mod check;
pub mod diff;
pub mod hooks;
pub mod json;
#[cfg(test)]
mod json_tests;
mod notes;
pub mod screen;
pub mod show;
pub mod summary;
pub mod terminal;
#[cfg(test)]
mod testing;
pub mod text;
pub mod units;

pub use diff::Diff;
pub use json::Json;
pub use screen::Screen;
pub use show::Show;
pub use summary::Summary;
pub use text::Text;

pub use crate::model::report::Kind;
pub use crate::model::run::{ClockInfo, HookStatus, RunInfo};

/// One report.
pub type Report<'a> = report::Report<&'a Interval>;

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
