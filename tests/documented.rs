// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The commands that documents and `--help` show are commands. (Those of
//! comparisons are also run, in a guest: `tests/kernel/full/documented.rs`.)

use std::process::Command;

use clap::CommandFactory as _;
use netstacklat::cli::Cli;
use testlab::documented::{in_help, in_markdown, of_netstacklat};

/// The words that a shell makes of a command of netstacklat.
fn words(command: &str) -> Vec<String> {
    let script = format!(
        "sudo() {{ \"$@\"; }}; jq() {{ cat; }}; \
         netstacklat() {{ printf '%s\\0' netstacklat \"$@\"; }}; {command}"
    );
    let output = Command::new("bash").args(["-c", &script]).output();
    let output = output.expect("bash");
    assert!(output.status.success(), "{command}: {output:?}");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let words = text.split_terminator('\0');
    words.map(str::to_owned).collect()
}

fn are_commands(place: &str, commands: &[String], least: usize) {
    assert!(commands.len() >= least, "{place}: only {commands:?}");
    for command in commands {
        let read = Cli::command().try_get_matches_from(words(command));
        if let Err(error) = read {
            panic!("{place}: {command}: {error}");
        }
    }
}

#[test]
fn in_documents() {
    for (place, text, least) in [
        ("README.md", include_str!("../README.md"), 5),
        ("docs/ab.md", include_str!("../docs/ab.md"), 6),
        (
            "troubleshooting",
            include_str!("../docs/troubleshooting.md"),
            1,
        ),
        ("run-file", include_str!("../docs/run-file.md"), 0),
        ("exporter", include_str!("../exporter/README.md"), 0),
    ] {
        are_commands(place, &of_netstacklat(in_markdown(text)), least);
    }
}

#[test]
fn in_help_texts() {
    let mut cli = Cli::command();
    let mut commands = in_help(&cli.render_long_help().to_string());
    for sub in cli.get_subcommands_mut() {
        commands.extend(in_help(&sub.render_long_help().to_string()));
    }
    are_commands("--help", &commands, 15);
}
