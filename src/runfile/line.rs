// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One line of a run file: what kind it is, and what is wrong with it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::error::Category;

use crate::model::histogram::Resolution;
use crate::model::report::Report;
use crate::model::run::RunInfo;
use crate::schema::format::SCHEMA;
use crate::schema::report::ReportLine;
use crate::schema::start::StartLine;
use crate::text::one_line;

/// What a line can be.
pub(super) enum Line {
    Start(Box<Start>),
    /// And what was left out of it because this version does not know it.
    Report(Box<Report>, Vec<String>),
    /// A kind that this version does not know.
    Other(String),
}

/// Why a line is of no use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// No whole JSON: cut off, or something else altogether.
    Broken(String),
    /// JSON, but not what docs/json.md says.
    Wrong(String),
    /// Of a format that is newer than this version.
    Newer(u64),
}

/// A start line.
pub(super) struct Start {
    pub(super) info: RunInfo,
    /// Hooks that this version does not know.
    pub(super) unknown_hooks: Vec<String>,
}

#[derive(Deserialize)]
struct Opening<'a> {
    schema: u64,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

impl From<serde_json::Error> for Damage {
    /// A cut line is never whole JSON, so damage by a crash and damage of
    /// other kinds can be told apart.
    fn from(error: serde_json::Error) -> Damage {
        // It may quote the file.
        let text = one_line(&error.to_string(), 160);
        match error.classify() {
            Category::Data => Damage::Wrong(text),
            Category::Eof | Category::Syntax | Category::Io => Damage::Broken(text),
        }
    }
}

fn wrong(text: impl Into<String>) -> Damage {
    Damage::Wrong(text.into())
}

impl Line {
    /// Reads a line of a run with this resolution; a start line needs none.
    pub(super) fn read(bytes: &[u8], resolution: Option<Resolution>) -> Result<Line, Damage> {
        let opening: Opening = serde_json::from_slice(bytes)?;
        if opening.schema > SCHEMA {
            return Err(Damage::Newer(opening.schema));
        }
        // 1: the same lines, without the fields that have a default.
        if opening.schema == 0 {
            return Err(wrong("there is no such schema"));
        }
        match &*opening.kind {
            "start" => {
                let line: StartLine = serde_json::from_slice(bytes)?;
                let (info, unknown_hooks) = line.checked().map_err(wrong)?;
                Ok(Line::Start(Box::new(Start {
                    info,
                    unknown_hooks,
                })))
            }
            "interval" | "total" => {
                let resolution = resolution.ok_or_else(|| wrong("no start line is before it"))?;
                let line: ReportLine = serde_json::from_slice(bytes)?;
                let (report, unknown) = line.checked(resolution).map_err(wrong)?;
                Ok(Line::Report(Box::new(report), unknown))
            }
            other => Ok(Line::Other(one_line(other, 64))),
        }
    }
}
