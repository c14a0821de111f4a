// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Process groups of commands. They may outlive netstacklat, and a later
//! process identifies and ends them.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::process::stat::Stat;

/// How often to look for processes of a group while waiting for its end.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A command's process group. The session and the shell's start time
/// distinguish it from a later group with the same id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What the command is for, as messages name it.
    pub(crate) what: String,
    /// The group's id, which is the PID of its shell.
    pub(crate) pid: u32,
    /// The session. A process that leaves the session also leaves the group.
    session: u32,
    /// The shell's start time in clock ticks since boot.
    began: u64,
}

impl Group {
    /// The group of our child `pid`, which must not have been reaped.
    ///
    /// # Errors
    ///
    /// If /proc/PID/stat cannot be read.
    pub fn of(what: &str, pid: u32) -> Result<Group> {
        let stat = Stat::read(pid).ok().flatten();
        let stat = stat.with_context(|| format!("reading /proc/{pid}/stat"))?;
        Ok(Group {
            what: what.into(),
            pid,
            session: stat.session,
            began: stat.began,
        })
    }

    /// Whether any process of the group runs. The shell may have ended before
    /// the processes that it started.
    ///
    /// # Errors
    ///
    /// If /proc cannot be read.
    pub(crate) fn is_running(&self) -> Result<bool> {
        for entry in std::fs::read_dir("/proc").context("reading /proc")? {
            let name = entry.context("reading /proc")?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // Skip a process that has ended since the directory was read.
            let Some(stat) = Stat::read(pid).ok().flatten() else {
                continue;
            };
            // A PID is not reused while a process group still has that id.
            // Another process with this PID therefore means that the group is
            // gone.
            if pid == self.pid && stat.began != self.began {
                return Ok(false);
            }
            if self.includes(&stat) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn includes(&self, stat: &Stat) -> bool {
        let same = (stat.group, stat.session) == (self.pid, self.session);
        same && stat.began >= self.began && !stat.ended
    }

    /// Sends SIGTERM to the group, waits for `grace`, and kills what still
    /// runs.
    ///
    /// # Errors
    ///
    /// If a process of the group still runs, or cannot be signalled.
    pub(crate) fn terminate(&self, grace: Duration) -> Result<()> {
        for (signal, timeout) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, grace)] {
            // A stopped process handles SIGTERM only after SIGCONT.
            for signal in [signal, Signal::SIGCONT] {
                match self.is_running()?.then(|| self.signal(signal)) {
                    None | Some(Ok(()) | Err(Errno::ESRCH)) => {}
                    Some(Err(error)) => {
                        return Err(error).with_context(|| format!("sending {signal} to {self}"));
                    }
                }
            }
            if self.wait_for_end(timeout)? {
                return Ok(());
            }
        }
        bail!("{self} did not end after SIGKILL")
    }

    /// Waits until the group has ended, for `timeout` at most. Returns whether
    /// it has ended.
    ///
    /// # Errors
    ///
    /// If /proc cannot be read.
    pub(crate) fn wait_for_end(&self, timeout: Duration) -> Result<bool> {
        let deadline = Instant::now() + timeout;
        while self.is_running()? {
            if Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(POLL_INTERVAL);
        }
        Ok(true)
    }

    fn signal(&self, signal: Signal) -> nix::Result<()> {
        let group = i32::try_from(self.pid).map_err(|_| Errno::ESRCH)?;
        // killpg(2) with 0 means our own group, and kill(2) with -1 means all
        // processes.
        match group {
            ..=1 => Err(Errno::ESRCH),
            group => killpg(Pid::from_raw(group), signal),
        }
    }
}

impl std::fmt::Display for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, process group {}", self.what, self.pid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_group_with_the_same_id_is_not_taken_for_it() {
        let group = |session, began| Group {
            what: "the load".into(),
            pid: 900,
            session,
            began,
        };
        let stat = Stat {
            ended: false,
            exiting: false,
            group: 900,
            session: 800,
            began: 4711,
        };
        assert!(group(800, 4711).includes(&stat) && group(800, 4000).includes(&stat));
        assert!(!group(801, 4711).includes(&stat) && !group(800, 4712).includes(&stat));
        // The PID belongs to a living process with another start time.
        let us = Group::of("us", std::process::id()).unwrap();
        let other = Group {
            began: us.began - 1,
            ..us.clone()
        };
        assert!(!other.is_running().unwrap());
        // Group 1 must not be signalled: kill(2) with -1 means all processes.
        let everybody = Group { pid: 1, ..us };
        assert_eq!(everybody.signal(Signal::SIGKILL), Err(Errno::ESRCH));
    }
}
