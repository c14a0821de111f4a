// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Run files, written and read back: whole ones, and those that a crash, a full
//! disk or somebody else has left.

#[path = "runfile/damaged.rs"]
mod damaged;
#[path = "runfile/large.rs"]
mod large;
#[path = "runfile/lines.rs"]
mod lines;
#[path = "runfile/round_trip.rs"]
mod round_trip;
#[path = "runfile/writing.rs"]
mod writing;

use std::path::Path;

use netstacklat::model::hooks::Hook;
use netstacklat::runfile::{Content, RunFile, Totals};

/// Written by hand, after docs/json.md: a run of one interval.
const FIXTURE: &str = include_str!("fixtures/run.jsonl");

fn read(bytes: impl AsRef<[u8]>) -> anyhow::Result<RunFile> {
    RunFile::read_from(bytes.as_ref(), Path::new("some.nsl"))
}

/// What reading it ends with, which must be an error that says all of `words`.
fn refused(bytes: impl AsRef<[u8]>, words: &[&str]) {
    let error = format!("{:#}", read(bytes).expect_err("it is refused"));
    for word in words.iter().chain(&["some.nsl"]) {
        assert!(error.contains(word), "no {word:?} in: {error}");
    }
}

fn recording(file: &RunFile) -> &Totals {
    match &file.content {
        Content::Recording(totals) => totals,
        Content::Comparison { .. } => panic!("a comparison"),
    }
}

fn hook(name: &str) -> Hook {
    Hook::find(name).expect("a hook")
}
