// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The tool without a privilege: what it refuses, and what works all the same.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

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
        "\nproblem  privileges             missing privileges: CAP_BPF and CAP_PERFMON\n",
        "\n         Remedy: run as root (sudo netstacklat ...)",
        "\nunknown  tracing                not tried\n",
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
    let documented = include_str!("../../docs/json.md");
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
    let documented = include_str!("../../docs/troubleshooting.md");
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
