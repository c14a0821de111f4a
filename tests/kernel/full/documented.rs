// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The comparisons that README, docs/ab.md and `--help` show, run in a guest as
//! they stand: with the commands before them, one after the other.

use std::process::Command;

use testlab::compare::has_state;
use testlab::documented::{in_help, in_markdown};
use testlab::{Ns, Undo, prepare, sh};

/// Runs a command as a user would, in a namespace with a network card.
fn run(directory: &str, command: &str) -> (Option<i32>, String) {
    println!("$ {command}");
    let mut bash = Command::new("bash");
    bash.args(["-c", command]).current_dir(directory);
    let output = Ns::Right.run(|| bash.output().expect("bash is in the guest"));
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    println!("{text}");
    (output.status.code(), text.into_owned())
}

/// Rules of the namespace, without their counters.
fn rules() -> String {
    sh("ip netns exec right iptables-save | grep '^-A' || true")
}

fn comparisons_run(name: &str, commands: Vec<String>, least: usize) {
    prepare();
    let directory = format!("/tmp/documented-{name}");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir(&directory).expect("an empty directory");
    // The guest has no sudo.
    let _sudo = Undo::after(
        "printf '#!/bin/sh\nexec \"$@\"\n' >/usr/bin/sudo; chmod +x /usr/bin/sudo
         ip -n right link set lo up",
        "rm /usr/bin/sudo; ip netns exec right iptables -F; ip netns exec right iptables -X",
    );
    let mut compared = 0;
    for command in commands {
        if !command.contains("netstacklat") {
            let (code, text) = run(&directory, &command);
            assert_eq!(code, Some(0), "{command}: {text}");
        } else if command.contains("netstacklat compare") && !command.contains("...") {
            let before = rules();
            let (code, text) = run(&directory, &command);
            // 1: no traffic, and a limit that cannot be judged.
            let idle = code == Some(1) && text.contains("not judged");
            assert!(code == Some(0) || idle, "{command}: {code:?} {text}");
            assert_eq!(rules(), before, "{command}");
            assert!(!has_state(), "{command}");
            compared += 1;
        }
    }
    assert!(compared >= least, "{compared} comparisons");
}

/// The comparison of README, and of docs/ab.md: the same.
#[test]
fn in_the_readme() {
    let readme = in_markdown(include_str!("../../../README.md"));
    // What is before needs another host, or runs for ever.
    let from = readme
        .iter()
        .position(|command| command.starts_with("{ echo '*filter'"));
    let readme = &readme[from.expect("the rules")..];
    let guide = in_markdown(include_str!("../../../docs/ab.md"));
    let whole = |command: &String| command.split_whitespace().collect::<Vec<_>>().join(" ");
    let guide: Vec<String> = guide.iter().map(whole).collect();
    for command in readme.iter().filter(|command| command.contains("compare")) {
        assert!(guide.contains(&whole(command)), "{command} in {guide:?}");
    }
    comparisons_run("readme", readme.to_vec(), 1);
}

#[test]
fn in_the_help() {
    let help = sh("netstacklat compare --help");
    comparisons_run("help", in_help(&help), 3);
}
