// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The command line, as far as it goes without a kernel that allows tracing:
//! usage errors, help, listings. They need no privilege.

#[path = "cli/help.rs"]
mod help;
#[path = "cli/lists.rs"]
mod lists;
#[path = "cli/unprivileged.rs"]
mod unprivileged;

use std::process::{Command, Output, Stdio};

use netstacklat::model::hooks::Hook;

fn netstacklat(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_netstacklat"))
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs")
}

/// Bad usage: exit code 2, nothing on stdout, and these words on stderr.
fn refused(args: &[&str], words: &[&str]) {
    let output = netstacklat(args);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{args:?}: {stderr}");
    assert!(output.stdout.is_empty(), "{args:?} wrote to stdout");
    for word in words {
        assert!(stderr.contains(word), "{args:?}: no {word:?} in: {stderr}");
    }
}

fn stdout(args: &[&str]) -> String {
    let output = netstacklat(args);
    assert_eq!(output.status.code(), Some(0), "{args:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn bad_intervals_are_named_with_the_fix() {
    for value in ["ten", "1e3", "+5", "-5", "inf", "1,5", "", "5 parsecs"] {
        refused(&["-r", value], &[value, "write 10, 0.5, 500ms or 1m30s"]);
    }
    for value in ["0", "0.001", "9ms"] {
        refused(&["-r", value], &[value, "10ms at least"]);
    }
    refused(&["--report-interval", "25h"], &["25h", "24h at most"]);
    refused(&["-r"], &["a value is required"]);
    refused(&["--duration", "0"], &["longer than zero"]);
    refused(&["--duration", "300000000000y"], &["--duration"]);
    refused(&["--duration", "400days"], &["365days at most"]);
    refused(&["--count", "0"], &["'0'"]);
}

#[test]
fn owners_of_packets_are_written_like_this() {
    refused(&["--comm", ""], &["--comm", "/proc/PID/comm"]);
    let long = "containerd-shim-runc-v2";
    refused(&["--comm", long], &[long, "write 'containerd-shim'"]);
    for option in ["--container", "--pod"] {
        refused(&[option, "web,"], &[option, "write a name"]);
        refused(&[option, "a b"], &["'a b'", "'web-*'"]);
    }
    refused(&["--by", "containr"], &["did you mean 'container'?"]);
    refused(
        &["--by", "colour"],
        &["interface, netns, cgroup, container, pod, process"],
    );
}

#[test]
fn an_interval_without_r_gets_the_hint() {
    refused(&["10"], &["every 10 seconds", "netstacklat -r 10"]);
    refused(&["live", "0.5"], &["netstacklat -r 0.5"]);
    refused(&["500ms"], &["every 500ms", "netstacklat -r 500ms"]);
    refused(&["frobnicate"], &["frobnicate"]);
}

#[test]
fn recordings_need_a_file_and_one_end() {
    refused(&["record"], &["--output <FILE>"]);
    refused(
        &["record", "-o", "x.nsl", "--duration", "5", "--", "true"],
        &["--duration", "cannot be used with", "COMMAND"],
    );
    refused(
        &["record", "-o", "x.nsl", "--duration", "ten"],
        &["ten", "write 10, 0.5, 500ms or 1m30s"],
    );
    refused(&["record", "-o", "-"], &["netstacklat --json -r 1"]);
    refused(&["record", "-o", "/"], &["/ is a directory"]);
}

#[test]
fn comparisons_need_something_to_change() {
    refused(&["compare"], &["--b-start <CMD>"]);
    refused(&["compare", "--b-stop", "true"], &["--b-start <CMD>"]);
    let with = |args: &[&'static str]| [&["compare", "--b-start", "true"], args].concat();
    refused(&with(&["--a-stop", "true"]), &["--a-start <CMD>"]);
    refused(&with(&["--rounds", "9"]), &["'9'", "10..=1000"]);
    refused(&with(&["--period", "0"]), &["longer than zero"]);
    refused(&with(&["--fail-if", "tcp-start>1"]), &["'tcp-start:p99'"]);
    refused(
        &with(&["--a-name", "x", "--b-name", "x"]),
        &["both sides are called 'x'"],
    );
    let no_hooks: Vec<_> = Hook::all().map(Hook::name).collect();
    let no_hooks = no_hooks.join(",");
    refused(
        &["compare", "--b-start", "true", "-d", &no_hooks],
        &["turn every hook off"],
    );
}

#[test]
fn headers_are_checked() {
    refused(&["--port", "70000"], &["--port", "no port 70000", "65535"]);
    refused(&["--local-port", "90-80"], &["--local-port", "80-90"]);
    refused(&["--remote-port", "http"], &["--remote-port", "not a port"]);
    refused(&["--ip", "10.0.0.5/8"], &["--ip", "10.0.0.0/8"]);
    refused(&["--ip", "example.org"], &["--ip", "192.0.2.0/24"]);
    refused(&["--rx-queue", "1024"], &["--rx-queue", "0 to 1023"]);
    refused(&["--by", "colour"], &["--by", "local-port"]);
}

#[test]
fn hooks_are_checked() {
    refused(
        &["-e", "tcp-strat"],
        &["tcp-strat", "did you mean 'tcp-start'?"],
    );
    refused(&["-d", "udp_recv"], &["did you mean 'udp_rcv'?"]);
    refused(&["-e", "tcp-start,"], &["''"]);
    refused(&["-e", "ligth"], &["ligth", "did you mean 'light'?"]);
    refused(&["-e", "sctp*"], &["sctp*", "matches no hook"]);
    refused(&["show", "x", "-e", "sctp*"], &["matches no hook"]);
    refused(
        &["-e", "tcp-start", "-d", "udp-start"],
        &["--hooks", "cannot be used with", "--exclude-hooks"],
    );
    let all: Vec<_> = Hook::all().map(Hook::name).collect();
    refused(&["-d", &all.join(",")], &["turn every hook off"]);
    refused(&["-e", "udp*", "--tcp"], &["no hook is left", "--tcp"]);
}

#[test]
fn shares_of_packets_are_checked() {
    for value in [
        "0", "1/0", "2/3", "x", "16", "1/65537", "1/16/2", "", "-1/2",
    ] {
        let option = format!("--sample={value}");
        let how = "write 1/N, with N from 2 to 65536";
        refused(&[&option], &[&format!("'{value}'"), "--sample", how]);
        refused(&["record", "-o", "x.nsl", &option], &[how]);
        refused(&["compare", "--aa", &option], &[how]);
    }
    refused(&["--sample", "1/1"], &["leave --sample out"]);
    refused(&["--sample"], &["a value is required"]);
}

#[test]
fn forms_of_output_exclude_each_other() {
    refused(&["--json", "--summary"], &["--json", "--summary"]);
    refused(&["--json", "--histograms"], &["--json", "--histograms"]);
    refused(
        &["--summary", "--histograms"],
        &["--summary", "--histograms"],
    );
    refused(&["--color", "blue"], &["blue", "auto, always, never"]);
}

#[test]
fn a_command_to_record_without_dashes_gets_the_hint() {
    refused(
        &["record", "-o", "x.nsl", "ls", "-l", "my file"],
        &[
            "unexpected argument 'ls'",
            "netstacklat record -o x.nsl -- ls -l 'my file'",
            "Usage: netstacklat record",
        ],
    );
    refused(
        &["record", "-o", "x.nsl", "10"],
        &["after 10 seconds: --duration 10"],
    );
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = stdout(&["--version"]);
    assert!(version.starts_with(concat!("netstacklat ", env!("CARGO_PKG_VERSION"))));
}
