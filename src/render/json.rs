// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reports as JSON lines ([`crate::schema`]), for programs and for run files.

use std::io::{self, Write};

use crate::model::run::RunInfo;
use crate::render::{Renderer, Report};
use crate::schema::format::write_line;
use crate::schema::report::ReportLine;
use crate::schema::start::StartLine;

/// One object per line: first the run, then a line per report.
///
/// Integers are u64 and may exceed 2^53, sums soonest: read them as 64 bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

impl Renderer for Json {
    /// Writes the start line.
    fn start(&mut self, out: &mut dyn Write, run: &RunInfo) -> io::Result<()> {
        write_line(out, &StartLine::from(run))
    }

    fn report(&mut self, out: &mut dyn Write, report: &Report) -> io::Result<()> {
        write_line(out, &ReportLine::from(report))
    }
}
