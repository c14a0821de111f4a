// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Process groups that may outlive us, found again by whoever comes later.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::process::stat::Stat;

/// How often a group is looked at.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A command's process group, told from another that has its number later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    /// What it is for.
    pub what: String,
    /// Its number, and that of its shell.
    pub pid: u32,
    /// The session, which no member of a group can leave without leaving that.
    session: u32,
    /// When the shell began: ticks since boot.
    began: u64,
}

impl Group {
    /// That of a child of ours, which has not been waited for.
    ///
    /// # Errors
    ///
    /// If /proc does not tell of it.
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

    /// Whether any of it runs: its shell may have ended before what that has
    /// started.
    ///
    /// # Errors
    ///
    /// If /proc cannot be read.
    pub fn is_running(&self) -> Result<bool> {
        for entry in std::fs::read_dir("/proc").context("reading /proc")? {
            let name = entry.context("reading /proc")?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // What has ended meanwhile is not there.
            let Some(stat) = Stat::read(pid).ok().flatten() else {
                continue;
            };
            // The kernel gives no number away that is a group's. So where a
            // process has it that is not the shell, the group is gone.
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

    /// Asks all of it to end, waits for so long, and kills what is left.
    ///
    /// # Errors
    ///
    /// If something of it still runs.
    pub fn terminate(&self, grace: Duration) -> Result<()> {
        for (signal, timeout) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, grace)] {
            // What is stopped would not see it.
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
        bail!("{self} does not end, not even by SIGKILL")
    }

    /// Waits for its end, for so long; whether it has ended.
    ///
    /// # Errors
    ///
    /// If /proc cannot be read.
    pub fn wait_for_end(&self, timeout: Duration) -> Result<bool> {
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
        // 0 and 1 would be ours, and everybody.
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
    fn another_group_of_the_same_number_is_not_taken_for_it() {
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
        // A number that a living process has, which began at another time.
        let us = Group::of("us", std::process::id()).unwrap();
        let other = Group {
            began: us.began - 1,
            ..us.clone()
        };
        assert!(!other.is_running().unwrap());
        // 1 is nobody's group that could be ended: kill(2) means everybody.
        let everybody = Group { pid: 1, ..us };
        assert_eq!(everybody.signal(Signal::SIGKILL), Err(Errno::ESRCH));
    }
}
