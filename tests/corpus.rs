// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The inputs that fuzzing has kept (`make fuzz`), once each.
#![allow(unreachable_pub, reason = "also a module of fuzz/")]

#[path = "corpus/inputs.rs"]
mod inputs;

use std::fs;
use std::path::Path;

fn each(target: &str, check: fn(&[u8])) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target);
    let mut seen = 0;
    for input in fs::read_dir(&corpus).expect("the corpus is in the repository") {
        let path = input.expect("a file").path();
        println!("{}", path.display());
        check(&fs::read(&path).expect("it can be read"));
        seen += 1;
    }
    assert!(seen > 10, "{}: {seen} inputs", corpus.display());
}

#[test]
fn run_files() {
    each("runfile", inputs::runfile);
}

#[test]
fn durations() {
    each("duration", inputs::duration);
}

#[test]
fn limits() {
    each("limit", inputs::limit);
}
