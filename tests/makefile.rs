// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The Makefile refuses what would do harm.

use std::fs;
use std::process::Command;

/// What `make` would do, without doing it.
fn dry_run(arguments: &[&str]) -> String {
    let output = Command::new("make")
        .args(["--no-print-directory", "--dry-run"])
        .args(arguments)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output();
    let output = output.expect("make");
    assert!(output.status.success());
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// The keys go to the script as one word, whatever is in them.
#[test]
fn keys_of_the_grouped_object_are_passed_on() {
    for (argument, keys) in [
        (&["bpf"][..], "cgroup,interface"),
        (&["bpf", "GROUP_BY=local-port,family"], "local-port,family"),
        (&["bpf", "GROUP_BY="], ""),
        (&["bpf", "GROUP_BY=cpu, family"], "cpu, family"),
    ] {
        let command = format!("tools/exporter-objects exporter '{keys}'\n");
        let would_do = dry_run(argument);
        assert!(would_do.contains(&command), "{would_do}");
    }
}

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
