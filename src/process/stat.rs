// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The state of a process, from /proc/PID/stat: proc_pid_stat(5).

use std::io::{self, ErrorKind};

/// The fields that netstacklat uses.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    /// The process is a zombie or dead.
    pub(crate) ended: bool,
    /// The process has ended, or is exiting. The kernel may need seconds to
    /// close the files of an exiting process.
    pub(crate) exiting: bool,
    pub(crate) group: u32,
    pub(crate) session: u32,
    /// The start time in clock ticks since boot.
    pub(crate) began: u64,
}

impl Stat {
    /// Reads the state of `pid`. `None` if there is no such process.
    ///
    /// # Errors
    ///
    /// If /proc/PID/stat cannot be read or has another format.
    pub(crate) fn read(pid: u32) -> io::Result<Option<Stat>> {
        let path = format!("/proc/{pid}/stat");
        match std::fs::read_to_string(&path) {
            Ok(text) => match Stat::parse(&text) {
                Some(stat) => Ok(Some(stat)),
                None => Err(io::Error::new(ErrorKind::InvalidData, path)),
            },
            // ESRCH: the process ended while its file was read.
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) if error.raw_os_error() == Some(nix::libc::ESRCH) => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn parse(text: &str) -> Option<Stat> {
        /// `PF_EXITING` in `include/linux/sched.h`: the process is exiting.
        const PF_EXITING: u64 = 4;
        // The process name may contain anything, even parentheses.
        let (_, rest) = text.rsplit_once(") ")?;
        // The first field after the name is number 3.
        let fields: Vec<&str> = rest.split(' ').collect();
        let field = |number: usize| fields.get(number - 3);
        let ended = matches!(*field(3)?, "Z" | "X");
        let flags: u64 = field(9)?.parse().ok()?;
        Some(Stat {
            ended,
            exiting: ended || flags & PF_EXITING != 0,
            group: field(5)?.parse().ok()?,
            session: field(6)?.parse().ok()?,
            began: field(22)?.parse().ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line of Linux 6.12 with another process name.
    const STAT: &str = "915 (a) b) S 1 900 800 34816 915 4194304 100 0 0 0 0 0 0 0 20 0 1 0 4711 \
                        2543616 200 18446744073709551615 1 1 0 0 0 0 0 4096 0 0 0 0 17 1 0 0 0 0 0";

    #[test]
    fn fields_are_found_after_any_process_name() {
        let stat = Stat {
            ended: false,
            exiting: false,
            group: 900,
            session: 800,
            began: 4711,
        };
        assert_eq!(Stat::parse(STAT), Some(stat));
        let zombie = Stat::parse(&STAT.replace(" S ", " Z ")).unwrap();
        assert!(zombie.ended && zombie.exiting);
        let exiting = Stat::parse(&STAT.replace(" 4194304 ", " 4194308 ")).unwrap();
        assert!(!exiting.ended && exiting.exiting);
        for cut in ["", "915 (a", "915 (a) S", "915 (a) S 1 900 800 34816"] {
            assert_eq!(Stat::parse(cut), None, "{cut}");
        }
    }

    #[test]
    fn an_unused_pid_gives_none() {
        assert!(Stat::read(std::process::id()).unwrap().is_some());
        // Above PID_MAX_LIMIT, the largest PID that the kernel uses.
        assert_eq!(Stat::read(5_000_000).unwrap(), None);
    }
}
