// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Runs the user's commands by `/bin/sh -c`, each in a process group of its
//! own. So Ctrl-C at the terminal reaches only netstacklat, and a command can
//! be ended together with the processes that it started.

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

/// How long a command may take to end after SIGTERM.
pub(crate) const GRACE: Duration = Duration::from_secs(5);

/// How a command has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Exit {
    /// It exited with this code.
    Code(i32),
    /// This signal killed it.
    Signal(i32),
    /// It has not ended: this signal has stopped it. Usually it wants to read
    /// from the terminal, which a background process group cannot do.
    Stopped(i32),
}

impl Exit {
    /// Whether the exit code is 0.
    pub(crate) fn success(self) -> bool {
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
                    Ok(Signal::SIGTTIN | Signal::SIGTTOU) => f.write_str(": it needs the terminal"),
                    _ => Ok(()),
                }
            }
        }
    }
}

/// The signal's name, such as `SIGTERM`. Real-time signals have only numbers.
fn signal_name(signal: i32) -> String {
    match Signal::try_from(signal) {
        Ok(signal) => signal.to_string(),
        Err(_) => format!("signal {signal}"),
    }
}

/// What happens to a command when the process that started it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnParentDeath {
    /// The shell gets SIGTERM. The processes that it started get no signal.
    Terminate,
    /// The command runs to its end.
    KeepRunning,
}

/// A command that was started and not yet reaped.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
}

/// Starts `command` with its output going to `output` and with nothing to read
/// on standard input. A command that outlives us also holds the read end of the
/// pipe: without it, SIGPIPE would kill the command when it prints after our
/// death.
///
/// # Errors
///
/// If /bin/sh cannot be started.
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
        // The parent may have died before prctl(2) took effect.
        if parent_id() == us {
            Ok(())
        } else {
            Err(Errno::ESRCH.into())
        }
    };
    // SAFETY: between fork and exec the closure only makes system calls on
    // values that it owns. It allocates no memory and takes no lock.
    unsafe { shell.pre_exec(prepare) };
    let child = shell.spawn().context("starting /bin/sh")?;
    let pid = Pid::from_raw(child.id() as i32);
    Ok(Running { pid })
}

impl Running {
    /// The shell's PID, which is also the id of its process group.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// How it has ended, or that it is stopped. `None` while it runs. It stays
    /// a zombie until it is reaped, so its process group id is not reused.
    ///
    /// # Errors
    ///
    /// If waitid(2) fails.
    pub(crate) fn poll_exit(&self) -> Result<Option<Exit>> {
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

    /// Sends a signal to the command and to all processes of its group.
    pub(crate) fn signal(&self, signal: Signal) {
        // Ignore ESRCH: no process of the group is left.
        let _ = killpg(self.pid, signal);
    }

    /// Reaps a command that has ended. Processes that it left running go on.
    pub fn reap(self) {
        let _ = waitid(Id::Pid(self.pid), WaitPidFlag::WEXITED);
    }

    /// Kills the command and all processes of its group, and reaps it.
    pub(crate) fn kill(self) {
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
    fn kinds_of_exit_are_distinguished() {
        assert_eq!(run("true"), Exit::Code(0));
        assert_eq!(run("exit 7"), Exit::Code(7));
        assert_eq!(run("kill -KILL $$"), Exit::Signal(9));
        let missing = run("nowhere-to-be-found");
        assert!(missing.to_string().contains("not found"), "{missing}");
    }
}
