// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Run files, written and read back: whole ones, and those that a crash, a full
//! disk or somebody else has left.

use std::io::Cursor;
use std::path::Path;

use netstacklat::runfile::{Content, RunFile, Tally};

/// Written by hand, after docs/json.md: a run of one interval.
const FIXTURE: &str = include_str!("fixtures/run.jsonl");

fn read(bytes: &[u8]) -> anyhow::Result<RunFile> {
    RunFile::read_from(Cursor::new(bytes), Path::new("some.nsl"))
}

fn recording(file: &RunFile) -> &Tally {
    match &file.content {
        Content::Recording(tally) => tally,
        Content::Comparison { .. } => panic!("a comparison"),
    }
}

fn hook(name: &str) -> netstacklat::model::hooks::Hook {
    netstacklat::model::hooks::Hook::find(name).expect("a hook")
}

#[test]
fn the_documented_lines_are_read() {
    let file = read(FIXTURE.as_bytes()).unwrap();
    assert_eq!(file.flaws, Vec::<String>::new());
    assert!(file.complete);
    assert_eq!((file.runs, file.info.host.as_str()), (1, "box"));
    let tally = recording(&file);
    assert_eq!((tally.intervals, tally.duration_ns), (1, 10_000_000_000));
    let tcp = tally.hook(hook("tcp-start")).unwrap();
    assert_eq!(
        (tcp.histogram.count(), tcp.histogram.sum_ns()),
        (100, 380_000)
    );
    assert_eq!((tcp.skips.total(), tcp.skips.lost()), (20, 13));
    assert_eq!(tally.hook(hook("udp-start")).unwrap().missed, 3);
    assert!(tally.hook(hook("udp-queue-rcv")).is_none());
}
