// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Shows a run file as one JSON object: [`crate::schema::show`].

use std::io::{self, Write};

use crate::render::show::contents::{Part, Show};
use crate::schema::format::{SCHEMA, write_line};
use crate::schema::report::ReportLine;
use crate::schema::show::ShowLine;
use crate::schema::start::StartLine;

pub(super) fn write(out: &mut dyn Write, show: &Show) -> io::Result<()> {
    let file = show.file;
    let total = |part: Part| ReportLine::from(&part.report());
    let object = ShowLine {
        schema: SCHEMA,
        kind: "show",
        version: crate::VERSION,
        file: file.path.display().to_string(),
        start: StartLine::from(&file.info),
        runs: file.runs,
        complete: file.complete,
        excluded: &file.excluded,
        problems: &file.problems,
        rounds: show.rounds(),
        by: show.by,
        totals: show.parts().into_iter().map(total).collect(),
    };
    write_line(out, &object)
}
