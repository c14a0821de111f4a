// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The commands that README, docs/ab.md and `--help` show, run in a guest as they
//! stand; a comparison with the commands before it.

use std::process::Command;

use testlab::compare::has_state;
use testlab::documented::{in_help, in_markdown, of_netstacklat};
use testlab::{Ns, Undo, prepare, sh};

const README: &str = include_str!("../../../README.md");
const GUIDE: &str = include_str!("../../../docs/ab.md");

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
         stub jq 'cat >/dev/null'
         stub iperf3 'sleep 1'
         stub ethtool 'exit 0'
         ip -n right link set lo up",
        "rm /usr/bin/sudo /usr/bin/jq /usr/bin/iperf3 /usr/bin/ethtool
         ip netns exec right iptables -F; ip netns exec right iptables -X",
    );
    (directory, undo)
}

/// Runs the commands as they stand. Those that go on for ever are ended as by
/// Ctrl-C.
fn run_all(name: &str, commands: &[String], least: usize) {
    let (directory, _undo) = kitchen(name);
    recordings(&directory);
    let mut count = 0;
    for command in commands {
        if command.contains("...") || command.contains(" compare") || command.contains("setcap") {
            continue;
        }
        // A first report and more; under Ctrl-C it ends well.
        let (code, text) = run(
            &directory,
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
        count += 1;
    }
    assert!(count >= least, "{name}: {count} commands");
}

/// The files that commands of `diff` name.
fn recordings(directory: &str) {
    for name in ["base", "new", "1", "2", "3", "4", "5", "6"] {
        record(directory, name, name);
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
            assert!(!has_state(), "{command}");
            compared += 1;
        }
    }
    assert!(compared >= least, "{compared} comparisons");
}

/// The comparison of README, and of docs/ab.md: the same.
#[test]
fn comparison_of_the_readme() {
    let readme = in_markdown(README);
    // What is before needs another host, or runs for ever.
    let from = readme
        .iter()
        .position(|command| command.starts_with("{ echo '*filter'"));
    let readme = &readme[from.expect("the rules")..];
    let guide = in_markdown(GUIDE);
    let whole = |command: &String| command.split_whitespace().collect::<Vec<_>>().join(" ");
    let guide: Vec<String> = guide.iter().map(whole).collect();
    for command in readme.iter().filter(|command| command.contains("compare")) {
        assert!(guide.contains(&whole(command)), "{command} in {guide:?}");
    }
    comparisons_run("readme", readme, 1);
}

#[test]
fn comparisons_of_the_help() {
    let help = sh("netstacklat compare --help");
    comparisons_run("help", &in_help(&help), 3);
}

#[test]
fn commands_of_readme_and_guide() {
    let commands = of_netstacklat([in_markdown(README), in_markdown(GUIDE)].concat());
    run_all("commands", &commands, 8);
}

#[test]
fn commands_of_the_help() {
    let mut commands = in_help(&sh("netstacklat --help"));
    for sub in ["record", "diff", "undo"] {
        commands.extend(in_help(&sh(&format!("netstacklat {sub} --help"))));
    }
    run_all("helped", &commands, 15);
}
