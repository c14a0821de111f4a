// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reports: a run and its intervals in, bytes out.
//!
//! Renderers only write what they are given. They reach no kernel and print
//! nothing by themselves; a report arrives at `out` in a single write, and
//! flushing is up to the caller.

use std::io::{self, Write};

use crate::model::report;
use crate::model::run::RunInfo;
use crate::model::snapshot::Interval;

pub(crate) mod check;
pub(crate) mod diff;
pub(crate) mod hooks;
pub mod json;
#[cfg(test)]
mod json_tests;
mod notes;
pub(crate) mod screen;
pub(crate) mod show;
pub(crate) mod summary;
pub(crate) mod terminal;
#[cfg(test)]
mod testing;
pub(crate) mod text;
pub(crate) mod units;

pub(crate) use diff::Diff;
pub use json::Json;
pub(crate) use screen::Screen;
pub(crate) use show::Show;
pub(crate) use summary::Summary;
pub(crate) use text::Text;

pub use crate::model::report::Kind;

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
