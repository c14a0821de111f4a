// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is in a run file, as one object.

use schemars::JsonSchema;
use serde::Serialize;

use crate::schema::format::SCHEMA;
use crate::schema::report::ReportLine;
use crate::schema::start::StartLine;

/// What `netstacklat show --json` read.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Show")]
pub struct ShowLine<'a> {
    /// Number of this format.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u64,
    /// `show`.
    #[schemars(extend("const" = "show"))]
    pub kind: &'static str,
    /// Version of netstacklat that read the file.
    pub version: &'static str,
    /// The file's path.
    pub file: String,
    /// The first start line of the file.
    pub start: StartLine,
    /// Start lines: more than one if the file was added to.
    pub runs: u64,
    /// Whether the last run has its total.
    pub complete: bool,
    /// What was left out because recording ended early, in words.
    pub excluded: &'a [String],
    /// What is wrong with the file, in words.
    pub problems: &'a [String],
    /// Complete rounds of a comparison. Null of a recording.
    pub rounds: Option<usize>,
    /// The keys of the groups in `totals`, in their order: those of `--by`, otherwise those that were recorded.
    pub by: &'a [String],
    /// The sum of all intervals, as a `total` line without the hooks that `-e` leaves out. Of a comparison, one for each side.
    pub totals: Vec<ReportLine>,
}
