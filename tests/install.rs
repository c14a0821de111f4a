// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `make install` and `make uninstall`: what the former puts there, and nothing
//! else, the latter takes away.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// All below a directory, relative to it.
fn tree(root: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut left = vec![root.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            found.insert(path.strip_prefix(root).expect("below it").to_owned());
            if path.is_dir() {
                left.push(path);
            }
        }
    }
    found
}

fn make(root: &Path, target: &str) {
    let binary = env!("CARGO_BIN_EXE_netstacklat");
    let argument = if target == "install" {
        binary
    } else {
        "--remove"
    };
    let output = Command::new("tools/install")
        .arg(argument)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("DESTDIR", root)
        .env("PREFIX", "/opt/nsl")
        .output()
        .expect("tools/install runs");
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn uninstalling_takes_away_what_was_installed() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("install");
    let _ = std::fs::remove_dir_all(&root);
    // What others have put there: an empty directory, a file beside ours.
    let others = root.join("opt/nsl/share/zsh/site-functions");
    std::fs::create_dir_all(&others).expect("a directory");
    let doc = root.join("opt/nsl/share/doc");
    std::fs::create_dir_all(&doc).expect("a directory");
    std::fs::write(doc.join("other"), "").expect("a file");
    let before = tree(&root);

    make(&root, "install");
    let installed = tree(&root);
    for path in [
        "bin/netstacklat",
        "share/man/man1/netstacklat-compare.1",
        "share/bash-completion/completions/netstacklat",
        "share/zsh/site-functions/_netstacklat",
        "share/fish/vendor_completions.d/netstacklat.fish",
        "share/doc/netstacklat/README.md",
        "share/doc/netstacklat/docs/json.md",
        "share/netstacklat/alerts.yml",
    ] {
        let path = Path::new("opt/nsl").join(path);
        assert!(installed.contains(&path), "no {}", path.display());
    }
    let unit = "share/netstacklat/netstacklat-hold-timestamps.service";
    let unit = std::fs::read_to_string(root.join("opt/nsl").join(unit));
    assert!(unit.expect("a unit").contains("/opt/nsl/bin/netstacklat"));

    // Twice, as for an upgrade; and a file of the user's, which stays.
    make(&root, "install");
    assert_eq!(tree(&root), installed);
    let own = "opt/nsl/share/netstacklat/own.yml";
    std::fs::write(root.join(own), "").expect("a file");
    make(&root, "uninstall");
    std::fs::remove_file(root.join(own)).expect("it stays");
    std::fs::remove_dir(root.join(own).parent().expect("a directory")).expect("for its sake");
    assert_eq!(tree(&root), before);
}
