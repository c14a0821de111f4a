// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Shows reports, checks, run files and comparisons as text or JSON.
//!
//! A renderer gets data and an output. It asks the kernel nothing, writes each
//! report in a single write, and does not flush.

use std::io::{self, Write};

use crate::model::report;
use crate::model::run::RunInfo;
use crate::model::snapshot::Interval;

pub(crate) mod check;
pub(crate) mod diff;
mod groups;
pub(crate) mod hooks;
pub mod json;
#[cfg(test)]
mod json_tests;
mod notes;
pub(crate) mod screen;
pub(crate) mod show;
mod slow;
mod stages;
pub(crate) mod summary;
mod table;
pub(crate) mod terminal;
pub(crate) mod text;
pub(crate) mod units;
mod wrap;

pub(crate) use diff::Diff;
pub use json::Json;
pub(crate) use screen::Screen;
pub(crate) use show::Show;
pub(crate) use summary::Summary;
pub(crate) use text::Text;

pub use crate::model::report::Kind;

/// One report.
pub type Report<'a> = report::Report<&'a Interval>;

/// An output format of reports.
pub trait Renderer {
    /// Writes what comes before the first report, if the format has such a thing.
    ///
    /// # Errors
    ///
    /// The errors of `out`.
    fn start(&mut self, out: &mut dyn Write, run: &RunInfo) -> io::Result<()>;

    /// Writes one report in a single write.
    ///
    /// # Errors
    ///
    /// The errors of `out`.
    fn report(&mut self, out: &mut dyn Write, report: &Report) -> io::Result<()>;
}
