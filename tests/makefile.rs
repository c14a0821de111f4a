// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The Makefile refuses what would do harm.

use std::fs;
use std::process::Command;

/// libbpf's makefiles would run `rm -f` on a piece of such a path.
#[test]
fn a_path_with_a_space_is_refused() {
    let directory = std::env::temp_dir().join(format!("netstacklat {}", std::process::id()));
    fs::create_dir(&directory).expect("a directory");
    let makefile = concat!(env!("CARGO_MANIFEST_DIR"), "/Makefile");
    fs::copy(makefile, directory.join("Makefile")).expect("a copy");
    let output = Command::new("make")
        .args(["--no-print-directory", "help"])
        .current_dir(&directory)
        .output();
    fs::remove_dir_all(&directory).expect("removed");
    let output = output.expect("make");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    assert!(said.contains("contains a space"), "{said}");
}
