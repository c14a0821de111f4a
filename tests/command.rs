// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The command that `record` runs: its exit codes, and signals that come to us.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netstacklat::process::command::{Command, Running, start_error_code};
use netstacklat::runtime::event_loop::EventLoop;
use nix::libc::SIGTERM;

/// Signals come to all event loops of a process: one test at a time.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn start(words: &[&str]) -> std::io::Result<Running> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    Command::new(&words).start()
}

fn events() -> EventLoop {
    EventLoop::uninterruptible(None).expect("events")
}

#[test]
fn exit_codes_are_those_that_a_shell_tells() {
    let _alone = alone();
    for (script, code) in [
        ("true", 0),
        ("exit 7", 7),
        ("exit 255", 255),
        ("kill -KILL $$", 137),
    ] {
        let mut events = events();
        let mut running = start(&["sh", "-c", script]).expect("there is a shell");
        let ended = running.wait_for_end(&mut events).expect("a child");
        assert_eq!(ended, code, "{script}");
    }
    for (name, code) in [("no-such-command", 127), ("/etc/passwd", 126)] {
        let error = start(&[name]).expect_err(name);
        assert_eq!(start_error_code(&error), code, "{name}: {error}");
    }
}

/// A shell that has set its traps.
fn trapping(traps: &str, name: &str) -> Running {
    let ready = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&ready);
    let script = format!(
        "{traps}; touch '{}'; while :; do sleep 0.05; done",
        ready.display()
    );
    let running = start(&["sh", "-c", &script]).expect("there is a shell");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ready.exists() {
        assert!(Instant::now() < deadline, "it does not begin");
        std::thread::sleep(Duration::from_millis(1));
    }
    running
}

#[test]
fn a_signal_is_passed_on_and_a_second_kills() {
    let _alone = alone();
    let mut listening = events();
    let mut polite = trapping("trap 'exit 5' TERM", "command-polite");
    polite.forward_signal(SIGTERM);
    assert_eq!(polite.wait_for_end(&mut listening).expect("a child"), 5);

    let mut deaf = trapping("trap '' TERM", "command-deaf");
    deaf.forward_signal(SIGTERM);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(deaf.exit_code().expect("a child"), None);
    deaf.forward_signal(SIGTERM);
    assert_eq!(deaf.wait_for_end(&mut listening).expect("a child"), 137);
}
