// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The commands that documents and `--help` show are commands, and links lead
//! somewhere. (A guest runs the commands: `tests/kernel/full/documented.rs`.)

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use clap::CommandFactory as _;
use netstacklat::cli::Cli;
use netstacklat::model::skips::SkipReason;
use testlab::documented::{DOCUMENTS, Kind, blocks, in_help, of_netstacklat};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

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

fn are_commands(place: &str, commands: &[String]) {
    for command in commands {
        let read = Cli::command().try_get_matches_from(words(command));
        // Help is an error that ends with 0.
        if let Err(error) = read
            && error.exit_code() != 0
        {
            panic!("{place}: {command}: {error}");
        }
    }
}

/// Markdown files below a directory; not what cargo makes.
fn documents_below(directory: &Path, found: &mut BTreeSet<String>) {
    for entry in directory.read_dir().expect("a directory") {
        let entry = entry.expect("an entry");
        let path = entry.path();
        let name = entry.file_name();
        let name = name.to_str().expect("UTF-8");
        if path.is_dir() {
            let skipped = name == "target" || name.starts_with('.');
            if !skipped {
                documents_below(&path, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "md") {
            let path = path.strip_prefix(root()).expect("below it");
            found.insert(path.to_str().expect("UTF-8").to_owned());
        }
    }
}

#[test]
fn no_document_is_missing() {
    let mut found = BTreeSet::new();
    documents_below(root(), &mut found);
    let listed: BTreeSet<_> = DOCUMENTS
        .iter()
        .map(|(path, _)| (*path).to_owned())
        .collect();
    assert_eq!(listed, found, "DOCUMENTS in testlab/src/documented.rs");
}

/// So that tests know whether to run it.
#[test]
fn each_block_says_what_it_is() {
    for (path, text) in DOCUMENTS {
        for block in blocks(text) {
            let place = format!("{path}:{}", block.line);
            assert!(block.closed, "{place}: nothing closes this block");
            let kind = block.kind.unwrap_or_else(|| {
                panic!("{place}: what is this block? CONTRIBUTING.md, \"Words\", has the names")
            });
            let commands = block.commands();
            if matches!(kind, Kind::Session | Kind::Script | Kind::Shown) {
                assert!(!commands.is_empty(), "{place}: no command");
            }
            if block.is_run() {
                let gap = commands.iter().find(|command| command.contains("..."));
                assert_eq!(gap, None, "{place}: cannot be run: mark it as illustration");
            }
            // The test of queries reads this document only.
            let has_queries = *path == "exporter/README.md";
            assert!(kind != Kind::Queries || has_queries, "{place}: not run");
        }
    }
}

/// Those that no test runs, too.
#[test]
fn commands_of_netstacklat_are_understood() {
    let mut count = 0;
    for (path, text) in DOCUMENTS {
        for block in blocks(text) {
            let commands = of_netstacklat(block.commands());
            are_commands(&format!("{path}:{}", block.line), &commands);
            count += commands.len();
        }
    }
    assert!(count >= 12, "only {count} commands");
}

#[test]
fn targets_of_make_are_there() {
    let makefile = include_str!("../Makefile");
    let mut count = 0;
    for (path, text) in DOCUMENTS {
        let commands = blocks(text).into_iter().flat_map(|block| block.commands());
        for command in commands.flat_map(|c| c.split(" && ").map(str::to_owned).collect::<Vec<_>>())
        {
            let command = command.strip_prefix("sudo ").unwrap_or(&command);
            let Some(arguments) = command.strip_prefix("make ") else {
                continue;
            };
            for target in arguments
                .split_whitespace()
                .filter(|word| !word.contains('='))
            {
                let rule = format!("\n{target}:");
                assert!(makefile.contains(&rule), "{path}: {command}: no {target}");
                count += 1;
            }
        }
    }
    assert!(count >= 8, "only {count} targets");
}

/// A heading's name in a link, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter_map(|c| match c {
        ' ' => Some('-'),
        c if c.is_alphanumeric() || "-_".contains(c) => Some(c.to_ascii_lowercase()),
        _ => None,
    });
    kept.collect()
}

/// Lines of a Markdown text that are not in a fenced block.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    text.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Where the links of a Markdown text lead, in this repository.
fn links(text: &str) -> Vec<String> {
    let joined = prose(text).collect::<Vec<_>>().join("\n");
    let ends = joined.split("](").skip(1);
    let links = ends.filter_map(|rest| rest.split_once(')'));
    let links = links.map(|(link, _)| link.to_owned());
    links.filter(|link| !link.contains("://")).collect()
}

#[test]
fn links_lead_somewhere() {
    let mut count = 0;
    for (path, text) in DOCUMENTS {
        for link in links(text) {
            let (file, heading) = link.split_once('#').unwrap_or((&link, ""));
            let here = Path::new(path);
            let target = if file.is_empty() {
                here.to_owned()
            } else {
                normal(&here.parent().expect("a directory").join(file))
            };
            assert!(root().join(&target).exists(), "{path}: {link}");
            if !heading.is_empty() {
                let text = std::fs::read_to_string(root().join(&target)).expect("a document");
                let headings = prose(&text).filter(|line| line.starts_with('#'));
                let mut anchors = headings.map(|line| anchor(line.trim_start_matches('#').trim()));
                assert!(anchors.any(|a| a == heading), "{path}: {link}");
            }
            count += 1;
        }
    }
    assert!(count >= 60, "only {count} links");
}

/// A path without `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        if part.as_os_str() == ".." {
            assert!(normal.pop(), "{} leads out", path.display());
        } else {
            normal.push(part);
        }
    }
    normal
}

/// Newcomers are led by paths: those in these documents are there.
#[test]
fn paths_are_there() {
    const ROOMS: [&str; 10] = [
        "src/",
        "tests/",
        "testlab/",
        "tools/",
        "docs/",
        "exporter/",
        "examples/",
        "benches/",
        "scenarios/",
        "vmlinux/",
    ];
    let mut count = 0;
    for (path, text) in DOCUMENTS {
        // The others tell of what was, too.
        if !["README.md", "CONTRIBUTING.md", "docs/architecture.md"].contains(path) {
            continue;
        }
        let spans = prose(text).flat_map(|line| line.split('`').skip(1).step_by(2));
        let is_path = |span: &&str| {
            ROOMS.iter().any(|room| span.starts_with(room)) && !span.contains([' ', '*', '{'])
        };
        for span in spans.filter(is_path) {
            assert!(root().join(span).exists(), "{path}: {span} is not there");
            count += 1;
        }
    }
    assert!(count >= 50, "only {count} paths");
}

#[test]
fn in_help_texts() {
    let mut cli = Cli::command();
    let mut commands = in_help(&cli.render_long_help().to_string());
    for sub in cli.get_subcommands_mut() {
        commands.extend(in_help(&sub.render_long_help().to_string()));
    }
    are_commands("--help", &commands);
    assert!(commands.len() >= 15, "only {commands:?}");
}

#[test]
fn every_skip_reason_is_documented() {
    let documented = include_str!("../docs/json.md");
    for reason in SkipReason::all() {
        let name = format!("`{}`", reason.name());
        assert!(documented.contains(&name), "docs/json.md lacks {name}");
    }
}
