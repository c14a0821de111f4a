// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is in a run file, as one JSON object.
//!
//! `docs/json.md` says what each field means.

use std::io::{self, Write};

use serde::Serialize;

use crate::render::json::{Line, SCHEMA, Start, write_line};
use crate::render::show::contents::{Part, Show};

#[derive(Serialize)]
struct Object<'a> {
    schema: u32,
    kind: &'static str,
    version: &'static str,
    file: String,
    start: Start<'a>,
    runs: u64,
    complete: bool,
    excluded: &'a [String],
    problems: &'a [String],
    rounds: Option<usize>,
    totals: Vec<Line>,
}

pub(super) fn write(out: &mut dyn Write, show: &Show) -> io::Result<()> {
    let file = show.file;
    let total = |part: Part| Line::from(&part.report());
    let object = Object {
        schema: SCHEMA,
        kind: "show",
        version: crate::VERSION,
        file: file.path.display().to_string(),
        start: Start::from(&file.info),
        runs: file.runs,
        complete: file.complete,
        excluded: &file.excluded,
        problems: &file.problems,
        rounds: show.rounds(),
        totals: show.parts().into_iter().map(total).collect(),
    };
    write_line(out, &object)
}
