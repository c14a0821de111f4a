// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The command that `record` runs: its exit codes, and the forwarding of
//! signals.

use std::ffi::OsString;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use netstacklat::process::command::{Command, Running, start_error_code};
use netstacklat::runtime::event_loop::EventLoop;
use nix::libc::SIGTERM;

/// All event loops of a process receive its signals, so only one test may run
/// at a time.
static ONE_TEST_AT_A_TIME: Mutex<()> = Mutex::new(());

fn one_test_at_a_time() -> MutexGuard<'static, ()> {
    ONE_TEST_AT_A_TIME
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
}

fn start(words: &[&str]) -> std::io::Result<Running> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    Command::new(&words).start()
}

fn events() -> EventLoop {
    EventLoop::uninterruptible(None).expect("events")
}

#[test]
fn exit_codes_are_those_of_a_shell() {
    let _alone = one_test_at_a_time();
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

/// A shell that has set `traps` and then runs until it is killed.
fn shell_with_traps(traps: &str, name: &str) -> Running {
    let ready = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_file(&ready);
    let script = format!(
        "{traps}; touch '{}'; while :; do sleep 0.05; done",
        ready.display()
    );
    let running = start(&["sh", "-c", &script]).expect("there is a shell");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !ready.exists() {
        assert!(Instant::now() < deadline, "the shell does not start");
        std::thread::sleep(Duration::from_millis(1));
    }
    running
}

#[test]
fn a_signal_is_forwarded_and_a_second_kills() {
    let _alone = one_test_at_a_time();
    let mut listening = events();
    let mut polite = shell_with_traps("trap 'exit 5' TERM", "command-polite");
    polite.forward_signal(SIGTERM);
    assert_eq!(polite.wait_for_end(&mut listening).expect("a child"), 5);

    let mut deaf = shell_with_traps("trap '' TERM", "command-deaf");
    deaf.forward_signal(SIGTERM);
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(deaf.exit_code().expect("a child"), None);
    deaf.forward_signal(SIGTERM);
    assert_eq!(deaf.wait_for_end(&mut listening).expect("a child"), 137);
}
