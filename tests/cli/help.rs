// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Help of commands, and completions.

use std::process::Command;

use super::{refused, stdout};

#[test]
fn help_of_a_command_is_the_same_however_it_is_asked_for() {
    for command in ["record", "compare", "undo", "show", "diff", "check"] {
        let help = stdout(&["help", command]);
        assert_eq!(help, stdout(&[command, "--help"]));
        assert!(help.contains(&format!("netstacklat {command}")), "{help}");
    }
    assert_eq!(stdout(&["help"]), stdout(&["--help"]));
    refused(&["help", "frobnicate"], &["frobnicate"]);
}

/// Each shell takes its script; and in it is all that users type, and nothing
/// else.
#[test]
fn completions_name_commands_options_and_hooks() {
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&["completions", shell]);
        for word in [
            "hold-timestamps",
            "stop-timeout",
            "cumulative",
            "light",
            "udp-start",
        ] {
            assert!(script.contains(word), "{shell}: no {word}");
        }
        assert!(!script.contains("guardian"), "{shell}");
        assert!(!script.contains("enable-probes"), "{shell}");
    }
    refused(&["completions", "tcsh"], &["tcsh", "bash, zsh, fish"]);
    // What bash makes of it, from the first letters on.
    let complete = r#"
        eval "$("$0" completions bash)"
        COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
        _netstacklat "$1" "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD-1]}"
        printf '%s\n' "${COMPREPLY[@]}""#;
    let completed = |words: &[&str]| {
        let mut bash = Command::new("bash");
        bash.args(["-c", complete, env!("CARGO_BIN_EXE_netstacklat")]);
        let output = bash.args(words).output().expect("bash runs");
        let text = String::from_utf8(output.stdout).expect("UTF-8");
        text.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(completed(&["netstacklat", "rec"]), ["record"]);
    assert_eq!(completed(&["netstacklat", "record", "--app"]), ["--append"]);
    let light = completed(&["netstacklat", "record", "-e", "li"]);
    assert_eq!(light, ["light"]);
}

#[test]
fn help_teaches_by_example() {
    for args in [&["--help"][..], &["-h"], &["live", "--help"]] {
        let help = stdout(args);
        assert!(help.contains("netstacklat -r 10"), "{help}");
        assert!(help.contains("skbs"), "{help}");
    }
}
