// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The commands that documents and `--help` show, run in a guest as they stand; a
//! comparison with the commands before it. (`tests/documented.rs` checks that each
//! block of a document is run here, or is marked as one that cannot be run.)

use std::process::Command;

use testlab::compare::journals_exist;
use testlab::documented::{Block, DOCUMENTS, README, blocks, in_help};
use testlab::{Ns, Undo, prepare, sh};

/// What docs/json.md shows the output of jq for.
const RUN: &str = include_str!("../../fixtures/run.jsonl");

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

/// Everything that commands need, and the guest does not have.
fn kitchen(name: &str) -> (String, Undo) {
    prepare();
    let directory = format!("/tmp/documented-{name}");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir(&directory).expect("an empty directory");
    let undo = Undo::after(
        "stub() { printf '#!/bin/sh\n%s\n' \"$2\" >/usr/bin/$1; chmod +x /usr/bin/$1; }
         stub sudo 'exec \"$@\"'
         stub iperf3 'sleep 1'
         stub ethtool 'exit 0'
         ip -n right link set lo up",
        "rm /usr/bin/sudo /usr/bin/iperf3 /usr/bin/ethtool
         ip netns exec right iptables -F; ip netns exec right iptables -X",
    );
    (directory, undo)
}

/// Runs a command as it stands. One that goes on for ever is ended as by Ctrl-C.
fn run_one(directory: &str, command: &str) -> String {
    // A first report and more; under Ctrl-C it ends well.
    let (code, text) = run(
        directory,
        &format!(
            "timeout --signal INT --preserve-status 70 bash -c '{}'",
            command.replace('\'', "'\\''")
        ),
    );
    let unjudged = code == Some(1) && text.contains("not judged");
    // Of a pipeline the shell says how it was ended.
    let piped = code == Some(130) && command.contains('|');
    let fine = code == Some(0) || unjudged || piped;
    assert!(fine, "{command}: {code:?} {text}");
    text
}

fn run_all(name: &str, commands: &[String], least: usize) {
    let (directory, _undo) = kitchen(name);
    recordings(&directory);
    let mut count = 0;
    for command in commands {
        if command.contains("...") || command.contains(" compare") {
            continue;
        }
        run_one(&directory, command);
        count += 1;
    }
    assert!(count >= least, "{name}: {count} commands");
}

/// The files that commands name.
fn recordings(directory: &str) {
    let whole: String = RUN
        .lines()
        .cycle()
        .take(50)
        .flat_map(|line| [line, "\n"])
        .collect();
    std::fs::write(format!("{directory}/damaged.nsl"), whole).expect("a file");
    std::fs::write(format!("{directory}/run.jsonl"), RUN).expect("a file");
    for name in ["base", "new", "1", "2", "3", "4", "5", "6"] {
        record(directory, name, name);
    }
    for name in ["services", "before", "after"] {
        let command = format!(
            "netstacklat record -e udp-start -o {name}.nsl --name {name} --by process \
             --duration 10ms"
        );
        let (code, text) = run(directory, &command);
        assert_eq!(code, Some(0), "{text}");
    }
    for kernel in ["6.1", "6.12"] {
        for day in ["mon", "tue", "wed", "thu", "fri"] {
            // That of Monday is made by the command that is shown.
            if (kernel, day) != ("6.1", "mon") {
                record(directory, &format!("{kernel}-{day}"), kernel);
            }
        }
    }
    let (code, text) = run(
        directory,
        "netstacklat compare --aa --period 20ms --settle 20ms -o compare.nsl",
    );
    assert_eq!(code, Some(0), "{text}");
    // The commands of `record` make them anew.
    run(directory, "mv base.nsl keep; mv new.nsl keep.new");
}

fn record(directory: &str, file: &str, name: &str) {
    let command =
        format!("netstacklat record -e udp-start -o {file}.nsl --name {name} --duration 10ms");
    let (code, text) = run(directory, &command);
    assert_eq!(code, Some(0), "{text}");
}

fn comparisons_run(name: &str, commands: &[String], least: usize) {
    let (directory, _undo) = kitchen(name);
    let mut compared = 0;
    for command in commands {
        if !command.contains("netstacklat") {
            let (code, text) = run(&directory, command);
            assert_eq!(code, Some(0), "{command}: {text}");
        } else if command.contains("netstacklat compare") && !command.contains("...") {
            let before = rules();
            let (code, text) = run(&directory, command);
            // 1: no traffic, and a limit that cannot be judged.
            let idle = code == Some(1) && text.contains("not judged");
            assert!(code == Some(0) || idle, "{command}: {code:?} {text}");
            assert_eq!(rules(), before, "{command}");
            assert!(!journals_exist(), "{command}");
            compared += 1;
        }
    }
    assert!(compared >= least, "{compared} comparisons");
}

/// The blocks of all documents that are to be run.
fn documented() -> Vec<(String, Block)> {
    let of = |(path, text): &(&'static str, &'static str)| {
        let blocks = blocks(text).into_iter().filter(Block::is_run);
        let path = *path;
        blocks.map(move |block| (format!("{path}:{}", block.line), block))
    };
    DOCUMENTS.iter().flat_map(of).collect()
}

/// The commands of a block that compares, in one line each.
fn comparison(block: &Block) -> Option<Vec<String>> {
    let commands = block.commands();
    let compares = commands.iter().any(|command| command.contains(" compare "));
    let whole = |command: &String| command.split_whitespace().collect::<Vec<_>>().join(" ");
    compares.then(|| commands.iter().map(whole).collect())
}

/// The comparison of README, and of docs/ab.md: the same.
#[test]
fn comparison_of_the_readme() {
    let readme = blocks(README);
    let readme = readme.iter().find(|block| comparison(block).is_some());
    let readme = readme.expect("a comparison");
    for (place, block) in documented() {
        if let Some(commands) = comparison(&block) {
            assert_eq!(Some(commands), comparison(readme), "{place}");
        }
    }
    comparisons_run("readme", &readme.commands(), 1);
}

#[test]
fn comparisons_of_the_help() {
    let help = sh("netstacklat compare --help");
    comparisons_run("help", &in_help(&help), 3);
}

#[test]
fn commands_of_documents() {
    let (directory, _undo) = kitchen("commands");
    recordings(&directory);
    let mut count = 0;
    for (place, block) in documented() {
        if comparison(&block).is_some() {
            continue;
        }
        println!("{place}");
        let commands = block.commands();
        count += commands.len();
        let texts = commands.iter().map(|command| run_one(&directory, command));
        let text: String = texts.collect();
        // Of a file that is always the same; other output has times in it.
        if commands.iter().all(|command| command.contains("run.jsonl")) {
            assert_eq!(text, block.output(), "{place}");
        }
    }
    assert!(count >= 12, "{count} commands");
}

#[test]
fn commands_of_the_help() {
    let mut commands = in_help(&sh("netstacklat --help"));
    for sub in ["record", "show", "diff", "undo"] {
        commands.extend(in_help(&sh(&format!("netstacklat {sub} --help"))));
    }
    run_all("helped", &commands, 15);
}
