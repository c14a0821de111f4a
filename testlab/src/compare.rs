// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Runs `netstacklat compare` as a child process, with commands that write to a
//! log.

use std::panic::AssertUnwindSafe;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::sleep;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::lines::{Line, Report, Start};
use crate::schema::assert_valid;
use crate::tool::wait_for_exit;
use crate::{PATIENCE, prepare, sh, wait_until};

/// The directory of root's journals.
pub const PLACE: &str = "/run/netstacklat";

/// Whether a comparison is running, or has left something to undo.
pub fn journals_exist() -> bool {
    std::fs::read_dir(PLACE).is_ok_and(|mut entries| entries.next().is_some())
}

/// A directory for the log and the run file of one test.
pub struct Workdir(PathBuf);

impl Workdir {
    pub fn new(name: &str) -> Workdir {
        let path = PathBuf::from(format!("/tmp/compare-{name}"));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).expect("an empty directory");
        assert!(!journals_exist(), "left by another test");
        Workdir(path)
    }

    /// The words that the commands have logged.
    pub fn log(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.0.join("log")).unwrap_or_default();
        text.split_whitespace().map(str::to_owned).collect()
    }

    /// Waits until the last word of the log is `word`.
    pub fn wait_for_log(&self, word: &str) {
        let logged = || self.log().last().is_some_and(|last| last == word);
        wait_until(PATIENCE, word, logged);
    }

    /// The run file's lines.
    pub fn lines(&self) -> Vec<Line> {
        let text = std::fs::read_to_string(self.0.join("run.nsl")).expect("a run file");
        text.lines().for_each(assert_valid);
        let lines = text.lines().map(serde_json::from_str);
        lines.collect::<Result<_, _>>().expect("whole lines")
    }

    pub fn has_run_file(&self) -> bool {
        self.0.join("run.nsl").exists()
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Starts a comparison in the directory.
    pub fn compare(&self, args: &[&str]) -> Comparison {
        self.compare_with(&[], args)
    }

    /// Like `compare`, with the kernel functions in `hidden` hidden from it.
    pub fn compare_hiding(&self, hidden: &str, args: &[&str]) -> Comparison {
        self.compare_with(&[("NETSTACKLAT_TEST_HIDE", hidden)], args)
    }

    /// Like `compare`, with additional environment variables.
    pub fn compare_with(&self, environment: &[(&str, &str)], args: &[&str]) -> Comparison {
        prepare();
        let mut command = Command::new("netstacklat");
        command.arg("compare").args(args).current_dir(&self.0);
        command.envs(environment.iter().copied());
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Comparison(command.spawn().expect("netstacklat is in the guest"))
    }
}

impl Drop for Workdir {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// A running comparison.
pub struct Comparison(Child);

/// The exit code and the output of a command.
#[derive(Debug)]
pub struct Ended {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Comparison {
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// The guardian, which runs its commands.
    pub fn guardian(&self) -> Pid {
        let children = format!("/proc/{0}/task/{0}/children", self.pid());
        let children = std::fs::read_to_string(children).expect("it runs");
        let pid = children.split_whitespace().next().expect("a guardian");
        Pid::from_raw(pid.parse().expect("a number"))
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id() as i32), signal).expect("it runs");
    }

    /// Waits until the journal says that it is at `step`.
    pub fn wait_for_step(&self, step: &str) {
        wait_until(PATIENCE, step, || self.is_at(step));
    }

    /// Whether the journal says that it is at `step`.
    pub fn is_at(&self, step: &str) -> bool {
        let file = format!("{PLACE}/compare-{}/state.json", self.pid());
        let state = std::fs::read_to_string(file).unwrap_or_default();
        let state: serde_json::Value = serde_json::from_str(&state).unwrap_or_default();
        state["step"].as_str().is_some_and(|now| now.contains(step))
    }

    /// Kills the comparison and its guardian, so that nobody undoes the change.
    pub fn kill_with_guardian(self) {
        let guardian = self.guardian();
        kill(guardian, Signal::SIGSTOP).expect("it runs");
        self.signal(Signal::SIGKILL);
        kill(guardian, Signal::SIGKILL).expect("it runs");
        assert_eq!(self.wait().code, None);
        wait_for_lock_release();
    }

    /// Waits until it has made so many rounds and ends, and calls `send` again and again
    /// meanwhile.
    pub fn wait_under_traffic(self, rounds: u64, send: impl Fn() + Sync) -> Ended {
        let over = AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    send();
                    sleep(Duration::from_millis(4));
                }
            });
            // Also if it does not end in time: the other thread must end.
            let ended = std::panic::catch_unwind(AssertUnwindSafe(|| {
                for round in 1..=rounds {
                    self.wait_for_step(&format!("round {round} "));
                }
                self.wait()
            }));
            over.store(true, Ordering::Relaxed);
            ended.expect("in time")
        })
    }

    pub fn wait(mut self) -> Ended {
        let status = wait_for_exit(&mut self.0);
        let read = |pipe: Option<&mut dyn std::io::Read>| {
            let mut text = String::new();
            let pipe = pipe.expect("piped");
            pipe.read_to_string(&mut text).expect("UTF-8");
            text
        };
        Ended {
            code: status.code(),
            stdout: read(self.0.stdout.as_mut().map(|pipe| pipe as _)),
            stderr: read(self.0.stderr.as_mut().map(|pipe| pipe as _)),
        }
    }
}

/// Waits until no process makes or undoes a comparison.
pub fn wait_for_lock_release() {
    wait_until(PATIENCE, "the lock is given back", || {
        sh("grep -c @netstacklat-compare /proc/net/unix || true").trim() == "0"
    });
}

/// A failed test leaves no netstacklat to disturb the next, nor its state.
impl Drop for Comparison {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
        if std::thread::panicking() {
            // The guest has no pkill.
            sh("for comm in /proc/[0-9]*/comm; do
                    if grep -qs undo-guardian $comm; then kill -KILL $(basename ${comm%/comm}); fi
                done
                rm -rf /run/netstacklat");
        }
    }
}

impl Ended {
    /// Asserts that standard error contains all of `words`.
    pub fn assert_says(&self, words: &[&str]) {
        for word in words {
            assert!(
                self.stderr.contains(word),
                "no {word:?} in: {}",
                self.stderr
            );
        }
    }
}

/// The lines of a run file by their kind.
pub fn by_kind(lines: Vec<Line>) -> (Start, Vec<Report>, Vec<Report>) {
    let (mut starts, mut periods, mut totals) = (Vec::new(), Vec::new(), Vec::new());
    for line in lines {
        match line {
            Line::Start(start) => starts.push(start),
            Line::Interval(report) => periods.push(report),
            Line::Total(report) => totals.push(report),
        }
    }
    assert_eq!(starts.len(), 1);
    (starts.remove(0), periods, totals)
}
