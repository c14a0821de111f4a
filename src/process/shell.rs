// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The user's commands, run by `/bin/sh -c`, each in a process group of its
//! own: Ctrl-C at the terminal is for netstacklat, and what a command has
//! started can be ended with it.

use std::fmt;
use std::os::unix::process::{CommandExt as _, parent_id};
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::{Signal, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::process::output::Output;

/// How long a command may take to end when it is asked to.
pub const GRACE: Duration = Duration::from_secs(5);

/// How a command has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exit {
    /// By itself, with this exit code.
    Code(i32),
    /// By the signal of this number.
    Signal(i32),
    /// Not at all: the signal of this number has stopped it, mostly because it
    /// wants to ask something at the terminal, which it cannot in the
    /// background.
    Stopped(i32),
}

impl Exit {
    /// Exit code 0.
    pub fn success(self) -> bool {
        self == Exit::Code(0)
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Exit::Code(127) => f.write_str("exit code 127: not found"),
            Exit::Code(126) => f.write_str("exit code 126: cannot be run"),
            Exit::Code(code) => write!(f, "exit code {code}"),
            Exit::Signal(number) => write!(f, "ended by {}", signal_name(number)),
            Exit::Stopped(number) => {
                write!(f, "stopped by {}", signal_name(number))?;
                match Signal::try_from(number) {
                    Ok(Signal::SIGTTIN | Signal::SIGTTOU) => {
                        f.write_str(": it wants to ask at the terminal")
                    }
                    _ => Ok(()),
                }
            }
        }
    }
}

/// `SIGTERM`; real-time signals have numbers only.
fn signal_name(signal: i32) -> String {
    match Signal::try_from(signal) {
        Ok(signal) => signal.to_string(),
        Err(_) => format!("signal {signal}"),
    }
}

/// Whether a command outlives netstacklat when that is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnParentDeath {
    /// The shell gets SIGTERM; what it has started gets nothing.
    Terminate,
    /// It comes to its end.
    KeepRunning,
}

/// A command that has been started and not yet waited for.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
}

/// Starts `command`. What it says goes to `output`; it has nothing to read. One
/// that outlives us also holds the end of the pipe that we read from: else it
/// would die at the first word that it says after us.
///
/// # Errors
///
/// If there is no shell, or no room for a process.
pub fn start(command: &str, output: &Output, on_parent_death: OnParentDeath) -> Result<Running> {
    let mut shell = Command::new("/bin/sh");
    shell.args(["-c", command]);
    shell.process_group(0).stdin(Stdio::null());
    let to = || output.writer().try_clone().map(Stdio::from);
    shell.stdout(to()?).stderr(to()?);
    let us = std::process::id();
    let reader = output.reader().try_clone_to_owned()?;
    let prepare = move || {
        if on_parent_death == OnParentDeath::KeepRunning {
            fcntl(&reader, FcntlArg::F_SETFD(FdFlag::empty()))?;
            return Ok(());
        }
        set_pdeathsig(Signal::SIGTERM)?;
        // If we have died before that.
        if parent_id() == us {
            Ok(())
        } else {
            Err(Errno::ESRCH.into())
        }
    };
    // SAFETY: between fork and exec it makes system calls on values of its own,
    // and nothing else: no memory is allocated, no lock is taken.
    unsafe { shell.pre_exec(prepare) };
    let child = shell.spawn().context("starting /bin/sh")?;
    let pid = Pid::from_raw(child.id() as i32);
    Ok(Running { pid })
}

impl Running {
    /// The process, and its group.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// How it has ended, or that it is stopped; `None`: it runs. It stays a
    /// zombie, so that its process group cannot be another's.
    ///
    /// # Errors
    ///
    /// If waitid(2) fails.
    pub fn poll_exit(&self) -> Result<Option<Exit>> {
        let flags = WaitPidFlag::WEXITED
            | WaitPidFlag::WSTOPPED
            | WaitPidFlag::WNOHANG
            | WaitPidFlag::WNOWAIT;
        let status = waitid(Id::Pid(self.pid), flags).context("asking for a command's end")?;
        Ok(match status {
            WaitStatus::Exited(_, code) => Some(Exit::Code(code)),
            WaitStatus::Signaled(_, signal, _) => Some(Exit::Signal(signal as i32)),
            WaitStatus::Stopped(_, signal) => Some(Exit::Stopped(signal as i32)),
            _ => None,
        })
    }

    /// A signal to the command and all that it has started.
    pub fn signal(&self, signal: Signal) {
        // ESRCH: nobody is left, which is as well.
        let _ = killpg(self.pid, signal);
    }

    /// Forgets a command that has ended. What it has left running goes on.
    pub fn reap(self) {
        let _ = waitid(Id::Pid(self.pid), WaitPidFlag::WEXITED);
    }

    /// Ends a command and all that it has started, with SIGKILL.
    pub fn kill(self) {
        self.signal(Signal::SIGKILL);
        self.reap();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &str) -> Exit {
        let output = Output::open().unwrap();
        let running = start(command, &output, OnParentDeath::KeepRunning).unwrap();
        let ended = loop {
            match running.poll_exit().unwrap() {
                Some(exit) => break exit,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        running.reap();
        ended
    }

    #[test]
    fn ends_are_told_apart() {
        assert_eq!(run("true"), Exit::Code(0));
        assert_eq!(run("exit 7"), Exit::Code(7));
        assert_eq!(run("kill -KILL $$"), Exit::Signal(9));
        let missing = run("nowhere-to-be-found");
        assert!(missing.to_string().contains("not found"), "{missing}");
    }
}
