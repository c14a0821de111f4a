// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Usage errors of `netstacklat compare`. Each is found before anything on the host
//! is changed, so these tests need no kernel that allows tracing.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use clap::CommandFactory as _;
use netstacklat::cli::Cli;

/// A user can run only one comparison at a time, so these tests take turns.
static ALONE: Mutex<()> = Mutex::new(());

/// A directory in which commands would create a file if they ran.
struct Workdir {
    _alone: MutexGuard<'static, ()>,
    path: PathBuf,
}

impl Workdir {
    fn new(name: &str) -> Workdir {
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("compare-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir_all(&path).expect("an empty directory");
        Workdir {
            _alone: alone,
            path,
        }
    }

    /// Runs `compare`. Returns the exit code and standard error.
    fn compare(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = Command::new(env!("CARGO_BIN_EXE_netstacklat"))
            .arg("compare")
            .args(args)
            .current_dir(&self.path)
            .stdin(Stdio::null())
            .output()
            .expect("the binary runs");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        (output.status.code(), stderr)
    }

    fn refused(&self, args: &[&str], code: i32, words: &[&str]) {
        let commands = ["--b-start", "touch ran", "--b-stop", "touch ran"];
        let load = ["--load", "touch ran; sleep 7777"];
        let (ended, stderr) = self.compare(&[&commands[..], &load, args].concat());
        assert_eq!(ended, Some(code), "{args:?}: {stderr}");
        for word in words {
            assert!(stderr.contains(word), "{args:?}: no {word:?} in {stderr}");
        }
        assert!(!self.path.join("ran").exists(), "{args:?}");
        let (undone, stderr) = self.compare(&["--undo"]);
        assert_eq!(undone, Some(0), "{args:?}: {stderr}");
        assert!(stderr.contains("nothing to undo"), "{args:?}: {stderr}");
    }
}

#[test]
fn nothing_is_done_where_the_run_file_cannot_be_written() {
    let desk = Workdir::new("outputs");
    let there = desk.path.join("there");
    std::fs::write(&there, "dear diary\n").expect("ours");
    desk.refused(&["-o", "there"], 2, &["there is there already"]);
    let (_, stderr) = desk.compare(&["--b-start", "true", "-o", "there"]);
    assert!(!stderr.contains("--append"), "it has none: {stderr}");
    let text = std::fs::read_to_string(&there).expect("ours");
    assert_eq!(text, "dear diary\n");
    desk.refused(&["-o", "."], 2, &[". is a directory"]);
    desk.refused(&["-o", "/dev/null"], 2, &["/dev/null is no file"]);
    let missing = "no/such/run.nsl";
    desk.refused(&["-o", missing], 1, &[missing, "No such file"]);
}

#[test]
fn limits_are_of_hooks_that_are_measured() {
    let desk = Workdir::new("limits");
    let limit = "tcp-start:p99>+10%";
    for hooks in [["-e", "udp-start"], ["-d", "ip-start,tcp-start"]] {
        let args = [&hooks[..], &["--fail-if", limit]].concat();
        desk.refused(&args, 2, &["tcp-start", "-e or -d"]);
    }
    // These limits are accepted: the comparison fails for another reason.
    for limit in ["any:p99>+10%", "udp-start:p50>+1us"] {
        let args = ["-e", "udp-start", "--fail-if", limit, "-o", "."];
        desk.refused(&args, 2, &["is a directory"]);
    }
}

#[test]
fn sides_have_different_names() {
    let desk = Workdir::new("names");
    desk.refused(&["--a-name", "B"], 2, &["both sides are called 'B'"]);
}

#[test]
fn the_longest_duration_has_room_for_the_shortest_periods() {
    let desk = Workdir::new("duration");
    let auto = ["--period", "auto", "--rounds", "auto", "--max-duration"];
    let words = ["--max-duration 1m is too short", "10m 40s"];
    desk.refused(&[&auto[..], &["60s"]].concat(), 2, &words);
    // This is accepted: the comparison fails for another reason.
    let args = [&auto[..], &["10m40s", "-o", "."]].concat();
    desk.refused(&args, 2, &["is a directory"]);
}

/// The change of a start command must be undone. Otherwise the other side is measured
/// with it, and it stays on the host.
#[test]
fn sides_can_be_undone() {
    let desk = Workdir::new("sides");
    let lone = ["--b-start", "touch ran"];
    let mixed = [
        ["--a-start", "touch ran", "--a-stop", "true"],
        ["--b-start", "touch ran", "-o", "."],
    ];
    for args in [&lone[..], &mixed.concat()] {
        let (code, stderr) = desk.compare(args);
        assert_eq!(code, Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains("--b-start needs --b-stop"), "{stderr}");
    }
    // Each start command undoes the other: the comparison fails for another reason.
    let toggled = [lone[0], lone[1], "--a-start", "touch ran", "-o", "."];
    for args in [&toggled[..], &["--aa", "-o", "."]] {
        let (code, stderr) = desk.compare(args);
        assert_eq!(code, Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains("is a directory"), "{stderr}");
    }
    let (code, stderr) = desk.compare(&["--aa", "--b-start", "touch ran"]);
    assert_eq!(code, Some(2), "{stderr}");
    assert!(!desk.path.join("ran").exists());
}

/// A login has environment variables that sudo and cron do not have. Each must find
/// the journal of the others.
#[test]
fn the_journal_is_found_without_environment_variables() {
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let looked = |variables: &[(&str, &str)]| {
        let output = Command::new(env!("CARGO_BIN_EXE_netstacklat"))
            .args(["undo", "--list"])
            .env_clear()
            .envs(variables.iter().copied())
            .output()
            .expect("the binary runs");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert_eq!(output.status.code(), Some(0), "{stderr}");
        let found = stderr.split_once("looked in ").expect("places").1;
        found.lines().next().expect("a line").to_owned()
    };
    let cron = looked(&[]);
    assert!(cron.contains("/netstacklat"), "{cron}");
    let login = [("XDG_RUNTIME_DIR", "/tmp/session"), ("HOME", "/nowhere")];
    assert_eq!(looked(&login), cron);
    let sudo = [("SUDO_USER", "somebody"), ("SUDO_UID", "1000")];
    assert_eq!(looked(&sudo), cron);
}

/// The guardian is a part of `compare`. Users cannot start it.
#[test]
fn a_guardian_is_not_started_by_hand() {
    let desk = Workdir::new("guardian");
    let output = Command::new(env!("CARGO_BIN_EXE_netstacklat"))
        .arg("guardian")
        .current_dir(&desk.path)
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
}

/// `undo` runs no comparison, so options of a comparison are usage errors.
#[test]
fn undoing_takes_no_option_but_its_time() {
    let desk = Workdir::new("undo");
    let (code, stderr) = desk.compare(&["--undo", "--stop-timeout", "5s"]);
    assert_eq!(code, Some(0), "{stderr}");
    let cli = Cli::command();
    let compare = cli.find_subcommand("compare").expect("a subcommand");
    let options = compare.get_arguments().filter_map(|option| {
        let taken = ["undo", "stop-timeout", "color", "help"];
        let name = option.get_long().filter(|name| !taken.contains(name))?;
        let value = match name {
            "fail-if" => "any:p99>+10%",
            "hooks" | "exclude-hooks" => "udp-start",
            "by" => "process",
            "ip" => "192.0.2.1",
            "sample" => "1/16",
            "notes" => "5000",
            "slower-than" => "1ms",
            "group-memory" => "8MiB",
            "sort" => "p99",
            _ => "12",
        };
        let takes_value = option.get_action().takes_values();
        Some((format!("--{name}"), takes_value.then_some(value)))
    });
    let mut count = 0;
    for (name, value) in options {
        let args: Vec<&str> = ["--undo", &name].into_iter().chain(value).collect();
        let (code, stderr) = desk.compare(&args);
        assert_eq!(code, Some(2), "{args:?}: {stderr}");
        assert!(stderr.contains("cannot be used with"), "{args:?}: {stderr}");
        count += 1;
    }
    assert!(count >= 21, "{count} options");
}
