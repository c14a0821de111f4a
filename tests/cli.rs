// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The command line, as far as it goes without a kernel that allows tracing:
//! usage errors, help, listings. They need no privilege.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use netstacklat::model::hooks::{Hook, Program, Protocol, programs};
use netstacklat::model::skips::SkipReason;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
        &["turns every hook off"],
    );
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
    refused(&["-d", &all.join(",")], &["turns every hook off"]);
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
    let documented = include_str!("../docs/json.md");
    for field in ["fallback", "programs", "sets"] {
        assert!(documented.contains(&format!("`{field}`")), "{field}");
    }
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

/// The tool without a privilege, whoever runs the tests.
fn unprivileged(args: &[&str]) -> Output {
    unprivileged_command(args)
        .output()
        .expect("the binary runs")
}

fn unprivileged_command(args: &[&str]) -> Command {
    let mut command = if nix::unistd::geteuid().is_root() {
        let mut command = Command::new("setpriv");
        command.args(["--bounding-set=-all", env!("CARGO_BIN_EXE_netstacklat")]);
        command
    } else {
        Command::new(env!("CARGO_BIN_EXE_netstacklat"))
    };
    command.args(args).stdin(Stdio::null());
    command
}

#[test]
fn check_needs_no_privilege_to_name_the_one_that_is_missing() {
    let output = unprivileged(&["check"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stderr.is_empty());
    let page = String::from_utf8(output.stdout).expect("UTF-8");
    for words in [
        "\nproblem  privileges           missing privileges: CAP_BPF and CAP_PERFMON\n",
        "\n         Remedy: run as root (sudo netstacklat ...)",
        "\nunknown  tracing              not tried\n",
        "\nNot usable, ",
    ] {
        assert!(page.contains(words), "no {words:?} in:\n{page}");
    }
    assert!(page.lines().all(|line| line.len() <= 80), "{page}");
}

#[test]
fn check_tells_programs_the_same() {
    let output = unprivileged(&["check", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let line = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(line.matches('\n').count(), 1);
    testlab::schema::assert_valid(&line);
    let check: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(check["kind"], "check");
    assert_eq!(check["outcome"], "not-usable");
    let release = nix::sys::utsname::uname().expect("uname");
    assert_eq!(check["kernel"].as_str(), release.release().to_str());
    let findings = check["findings"].as_array().expect("an array");
    let states = |subject: &str| {
        let of_it = findings.iter().filter(|f| f["subject"] == subject);
        of_it.map(|f| f["state"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(states("privileges"), ["problem"]);
    assert_eq!(states("tracing"), ["unknown"]);
    // Asked for without a privilege, and there on every host with loopback.
    assert_eq!(states("timestamps"), ["ok"]);
    let documented = include_str!("../docs/json.md");
    for finding in findings {
        let subject = finding["subject"].as_str().expect("a string");
        let cell = format!("| `{subject}` |");
        assert!(documented.contains(&cell), "docs/json.md lacks {subject}");
    }
}

/// The first words of a refusal head a section of the documentation.
#[test]
fn a_refusal_names_cause_and_remedy_and_is_documented() {
    // Not refused, it would measure for a moment, and not for ever.
    let output = unprivileged(&["--duration", "10ms"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines[0],
        "netstacklat: missing privileges: CAP_BPF and CAP_PERFMON"
    );
    assert!(lines[1].starts_with("  Cause: "), "{said}");
    assert!(lines[2].starts_with("  Remedy: "), "{said}");
    assert_eq!(
        lines[3],
        "  More: netstacklat check, and troubleshooting.md in its documentation"
    );
    let documented = include_str!("../docs/troubleshooting.md");
    assert!(documented.contains("\n### missing privileges\n"));
}

/// It says that packets are timestamped when it has seen one, tells a service
/// manager so, and a signal to end is no failure.
#[test]
fn stamps_are_held_without_a_privilege_until_a_signal() {
    let directory = std::env::temp_dir().join(format!("netstacklat-{}", std::process::id()));
    std::fs::create_dir(&directory).expect("a directory");
    let path = directory.join("notify");
    let abstract_name = format!("netstacklat-{}", std::process::id());
    let by_path = UnixDatagram::bind(&path).expect("a socket");
    let by_name = SocketAddr::from_abstract_name(&abstract_name);
    let by_name = UnixDatagram::bind_addr(&by_name.expect("a name")).expect("a socket");
    let path = path.to_str().expect("UTF-8").to_owned();
    for (manager, address, signal) in [
        (by_path, path, Signal::SIGTERM),
        (by_name, format!("@{abstract_name}"), Signal::SIGINT),
    ] {
        let patience = Some(Duration::from_secs(30));
        manager.set_read_timeout(patience).expect("a timeout");
        let mut command = unprivileged_command(&["hold-timestamps"]);
        command.env("NOTIFY_SOCKET", address);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = child.spawn().expect("the binary runs");
        let mut said = [0; 64];
        // A stopped and continued machine interrupts a call with a timeout.
        let told = loop {
            match manager.recv(&mut said) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                told => break told.map(|length| &said[..length]),
            }
        };
        let still_running = child.try_wait().expect("our child").is_none();
        kill(Pid::from_raw(child.id() as i32), signal).expect("it runs");
        let output = child.wait_with_output().expect("it ends");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(told.expect("it tells"), b"READY=1", "{stderr}");
        assert!(still_running);
        assert_eq!(output.status.code(), Some(0), "{signal}: {stderr}");
        assert!(output.stdout.is_empty());
        let first = "netstacklat: RX timestamping is on for the whole host while this runs; \
                     packets arrive with timestamps.\n";
        assert!(stderr.starts_with(first), "{stderr}");
        assert_eq!(stderr.lines().count(), 2, "{stderr}");
    }
    std::fs::remove_dir_all(&directory).expect("it is there");
}

#[test]
fn a_service_manager_that_is_not_there_is_named() {
    let mut command = unprivileged_command(&["hold-timestamps"]);
    let output = command.env("NOTIFY_SOCKET", "/nowhere/notify").output();
    let output = output.expect("the binary runs");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("netstacklat: telling the service manager"));
    assert!(stderr.contains("/nowhere/notify"), "{stderr}");
}

#[test]
fn the_version_is_that_of_the_package() {
    let version = stdout(&["--version"]);
    assert!(version.starts_with(concat!("netstacklat ", env!("CARGO_PKG_VERSION"))));
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

#[test]
fn every_skip_reason_is_documented() {
    let documented = include_str!("../docs/json.md");
    for reason in SkipReason::all() {
        let name = format!("`{}`", reason.name());
        assert!(documented.contains(&name), "docs/json.md lacks {name}");
    }
}

/// The table in the C header and the programs in the objects say the same.
#[test]
fn the_objects_hold_the_programs_of_the_table() {
    let is_primary = |program: &Program| !program.is_helper() && !program.is_fallback();
    holds_the_programs("netstacklat.bpf.o", is_primary);
    holds_the_programs("before-5.19/netstacklat.bpf.o", |program| {
        let mut of_hook = program.hook.programs();
        program.is_fallback() || (is_primary(program) && !of_hook.any(|other| other.is_fallback()))
    });
}

/// ebpf_exporter attaches all that an object holds: nothing may be in it that
/// not every kernel has which it is for.
fn holds_the_programs(object: &str, expects: impl Fn(&Program) -> bool) {
    let directory = std::path::Path::new(env!("NETSTACKLAT_EXPORTER_OBJECTS"));
    let object = std::fs::read(directory.join(object)).expect("build.rs made it");
    let has = |name: &str| {
        object
            .windows(name.len())
            .any(|bytes| bytes == name.as_bytes())
    };
    for program in programs() {
        let expected = expects(&program);
        assert_eq!(
            has(&format!("\0{}\0", program.name)),
            expected,
            "{}",
            program.name
        );
        if expected {
            assert!(has(&format!("\0{}/{}\0", program.attach, program.function)));
        }
    }
    for hook in Hook::all() {
        assert!(has(&hook.map_name()), "{}", hook.map_name());
    }
}
