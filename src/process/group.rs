// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Process groups that may outlive us, found again by whoever comes later.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

/// How often a group is looked at.
const LOOK: Duration = Duration::from_millis(10);

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
        let text = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        let stat = text.ok().as_deref().and_then(Stat::read);
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
    pub fn lives(&self) -> Result<bool> {
        for entry in std::fs::read_dir("/proc").context("reading /proc")? {
            let name = entry.context("reading /proc")?.file_name();
            let Some(pid) = name.to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            // What has ended meanwhile is not there.
            let text = std::fs::read_to_string(format!("/proc/{pid}/stat"));
            let Some(stat) = text.ok().as_deref().and_then(Stat::read) else {
                continue;
            };
            // The kernel gives no number away that is a group's. So where a
            // process has it that is not the shell, the group is gone.
            if pid == self.pid && stat.began != self.began {
                return Ok(false);
            }
            if self.has(&stat) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn has(&self, stat: &Stat) -> bool {
        let same = (stat.group, stat.session) == (self.pid, self.session);
        same && stat.began >= self.began && !stat.ended
    }

    /// Asks all of it to end, waits for so long, and kills what is left.
    ///
    /// # Errors
    ///
    /// If something of it still runs.
    pub fn end(&self, grace: Duration) -> Result<()> {
        for (signal, patience) in [(Signal::SIGTERM, grace), (Signal::SIGKILL, grace)] {
            // What is stopped would not see it.
            for signal in [signal, Signal::SIGCONT] {
                match self.lives()?.then(|| self.signal(signal)) {
                    None | Some(Ok(()) | Err(Errno::ESRCH)) => {}
                    Some(Err(error)) => {
                        return Err(error).with_context(|| format!("sending {signal} to {self}"));
                    }
                }
            }
            let deadline = Instant::now() + patience;
            while Instant::now() < deadline {
                if !self.lives()? {
                    return Ok(());
                }
                std::thread::sleep(LOOK);
            }
        }
        bail!("{self} does not end, not even by SIGKILL")
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

/// What is of interest in proc_pid_stat(5).
#[derive(Debug, PartialEq, Eq)]
struct Stat {
    /// A zombie, or about to go.
    ended: bool,
    group: u32,
    session: u32,
    began: u64,
}

impl Stat {
    fn read(text: &str) -> Option<Stat> {
        // The name may hold anything, parentheses too.
        let (_, rest) = text.rsplit_once(") ")?;
        // Field 3 is the first of them.
        let fields: Vec<&str> = rest.split(' ').collect();
        let field = |number: usize| fields.get(number - 3);
        Some(Stat {
            ended: matches!(*field(3)?, "Z" | "X"),
            group: field(5)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            began: field(22)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As Linux 6.12 shows it, but for the name.
    const STAT: &str = "915 (a) b) S 1 900 800 34816 915 4194304 100 0 0 0 0 0 0 0 20 0 1 0 4711 \
                        2543616 200 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0";

    #[test]
    fn fields_are_found_whatever_the_name() {
        let stat = Stat {
            ended: false,
            group: 900,
            session: 800,
            began: 4711,
        };
        assert_eq!(Stat::read(STAT), Some(stat));
        assert!(Stat::read(&STAT.replace(" S ", " Z ")).unwrap().ended);
        for cut in ["", "915 (a", "915 (a) S", "915 (a) S 1 900 800 34816"] {
            assert_eq!(Stat::read(cut), None, "{cut}");
        }
    }

    #[test]
    fn another_group_of_the_same_number_is_not_taken_for_it() {
        let group = |session, began| Group {
            what: "the load".into(),
            pid: 900,
            session,
            began,
        };
        let stat = Stat::read(STAT).unwrap();
        assert!(group(800, 4711).has(&stat) && group(800, 4000).has(&stat));
        assert!(!group(801, 4711).has(&stat) && !group(800, 4712).has(&stat));
        // A number that a living process has, which began at another time.
        let us = Group::of("us", std::process::id()).unwrap();
        let other = Group {
            began: us.began - 1,
            ..us.clone()
        };
        assert!(!other.lives().unwrap());
        // 1 is nobody's group that could be ended: kill(2) means everybody.
        let everybody = Group { pid: 1, ..us };
        assert_eq!(everybody.signal(Signal::SIGKILL), Err(Errno::ESRCH));
    }
}
