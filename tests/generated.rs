// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The files that are made from the sources are what the sources say.
#![allow(unreachable_pub, reason = "also modules of examples/generated")]

#[path = "../examples/generated/exporter.rs"]
mod exporter;
#[path = "../examples/generated/man.rs"]
mod man;
#[path = "../examples/generated/monitoring/mod.rs"]
mod monitoring;
#[path = "../examples/generated/schema.rs"]
mod schema;

use std::collections::BTreeSet;
use std::path::Path;

const REMEDY: &str = "run `make generated`, and commit what it changes";

/// The files of this directory are up to date.
fn are_current(directory: &str, files: &[(String, String)]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    for (name, text) in files {
        let found = std::fs::read_to_string(path.join(name));
        let found = found.unwrap_or_else(|e| panic!("{directory}/{name}: {e}: {REMEDY}"));
        let mut lines = (1..).zip(text.lines().zip(found.lines()));
        let differs = lines.find(|(_, (generated, found))| generated != found);
        if let Some((number, (generated, found))) = differs {
            panic!(
                "{directory}/{name} is stale: {REMEDY}\n\
                 line {number} is  {found}\n\
                 and would be {generated}"
            );
        }
        assert!(found == *text, "{directory}/{name} is stale: {REMEDY}");
    }
}

/// The same, and there is no other with this extension.
fn holds(directory: &str, extension: &str, files: &[(String, String)]) {
    are_current(directory, files);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(directory);
    let generated: BTreeSet<_> = files.iter().map(|(name, _)| name.clone()).collect();
    let found = std::fs::read_dir(&path).expect("the directory is in the repository");
    let found = found.map(|entry| entry.expect("an entry").path());
    let found = found.filter(|path| path.extension().is_some_and(|e| e == extension));
    let found: BTreeSet<_> = found
        .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
        .collect();
    assert_eq!(found, generated, "remove what is no longer generated");
}

#[test]
fn man_pages() {
    holds("docs/man", "1", &man::pages().expect("pages"));
}

#[test]
fn configurations_for_ebpf_exporter() {
    let configurations = exporter::configurations().expect("configurations");
    holds("exporter", "yaml", &configurations);
}

#[test]
fn rules_and_dashboard() {
    are_current("exporter", &monitoring::rules());
    are_current("exporter", &monitoring::dashboard());
}

#[test]
fn schema_of_the_json_lines() {
    holds("docs/schema", "json", &schema::schemas().expect("a schema"));
}

/// What is no line of ours is refused: a field more, less or of another type, a
/// number below zero, a kind that does not exist.
#[test]
fn lines_are_held_against_the_schema() {
    let line = include_str!("fixtures/run.jsonl").lines().nth(1).unwrap();
    testlab::schema::assert_valid(line);
    for (is, said) in [
        ("\"seq\":1,", "\"seq\":1,\"colour\":\"red\","),
        ("\"seq\":1,", ""),
        ("\"seq\":1,", "\"seq\":\"1\","),
        ("\"seq\":1,", "\"seq\":-1,"),
        ("\"missed\":3", "\"missed\":3,\"mist\":3"),
        ("[2944,3072,60]", "[2944,3072]"),
        ("\"p99.9\":null", "\"p999\":null"),
        ("\"schema\":2", "\"schema\":1"),
        ("\"kind\":\"interval\"", "\"kind\":\"intervals\""),
    ] {
        let other = line.replacen(is, said, 1);
        assert_ne!(line, other, "{is}");
        let refused = std::panic::catch_unwind(|| testlab::schema::assert_valid(&other));
        assert!(refused.is_err(), "{other}");
    }
}

/// Every object and field of the schema is in the tables of docs/json.md, and
/// nothing else is.
#[test]
fn tables_of_the_json_lines() {
    are_current("docs", &schema::pages().expect("tables"));
}
