// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `-l`: the hooks and the sets of hooks, for people and for programs.

use std::process::Command;

use netstacklat::model::hooks::{Hook, Protocol, programs};

use super::stdout;

#[test]
fn the_list_names_every_hook_and_function() {
    for args in [&["-l"][..], &["--list-probes"], &["live", "--list-hooks"]] {
        let list = stdout(args);
        for hook in Hook::all() {
            assert!(list.contains(hook.name()) && list.contains(hook.meaning()));
        }
        for program in programs() {
            assert!(list.contains(program.function), "{}", program.function);
        }
        assert!(list.lines().all(|line| line.len() <= 80), "{list}");
    }
}

#[test]
fn the_list_has_the_selected_hooks_alone() {
    let list = stdout(&["-l", "-e", "UDP*"]);
    let (hooks, _) = list.split_once("\nsets:\n").expect("sets");
    for hook in Hook::all() {
        let names_it = hooks.lines().any(|line| line.starts_with(hook.name()));
        let is_udp = hook.protocol() == Protocol::find("UDP");
        assert_eq!(names_it, is_udp, "{hook}: {list}");
    }
}

#[test]
fn the_list_for_programs_says_the_same() {
    let text = stdout(&["-l", "--json"]);
    assert_eq!(text.matches('\n').count(), 1);
    testlab::schema::assert_valid(&text);
    let list: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(list["kind"], "hooks");
    let hooks = list["hooks"].as_array().expect("an array");
    assert_eq!(hooks.len(), Hook::all().len());
    for (hook, listed) in Hook::all().zip(hooks) {
        assert_eq!(listed["hook"], hook.name());
        assert_eq!(listed["meaning"], hook.meaning());
        let functions = listed["programs"].as_array().expect("an array");
        for (program, listed) in hook.programs().zip(functions) {
            assert_eq!(listed["function"], program.function);
            assert_eq!(listed["attach"], program.attach);
        }
    }
    let sets = list["sets"].as_array().expect("an array");
    for set in sets {
        // What it says can be selected, and is the set.
        let name = set["set"].as_str().expect("a name");
        let selected = stdout(&["-l", "--json", "-e", name]);
        let selected: serde_json::Value = serde_json::from_str(&selected).expect("JSON");
        let selected = selected["hooks"].as_array().expect("an array").iter();
        let names: Vec<_> = selected.map(|hook| hook["hook"].clone()).collect();
        assert_eq!(serde_json::json!(names), set["hooks"], "{name}");
    }
    assert!(sets.len() >= 3);
    let documented = include_str!("../../docs/json.md");
    for field in ["fallback", "programs", "sets"] {
        assert!(documented.contains(&format!("`{field}`")), "{field}");
    }
}

/// `netstacklat -l | head -0`: a closed pipe is no error.
#[test]
fn a_closed_pipe_ends_the_list_quietly() {
    let script = format!(
        "{} -l | true; echo ${{PIPESTATUS[0]}}",
        env!("CARGO_BIN_EXE_netstacklat")
    );
    let output = Command::new("bash")
        .args(["-c", &script])
        .output()
        .expect("bash runs");
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "0");
    assert!(output.stderr.is_empty());
}
