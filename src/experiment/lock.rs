// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One comparison at a time in a network namespace: two would measure each
//! other.
//!
//! The lock is a socket with an abstract name (unix(7)): such names belong to a
//! network namespace, go with the last process that holds the socket, and tell
//! whose it is. No file can be left over.

use std::io::ErrorKind;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener, UnixStream};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow};
use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

const NAME: &str = "netstacklat-compare";
/// How long to wait for a comparison that is ending: to detach takes the kernel
/// seconds, and a guardian may be at work.
const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

/// Held as long as it, or a descriptor of it, is open.
#[derive(Debug)]
pub struct Lock {
    socket: UnixListener,
}

/// Who holds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    pid: i32,
    uid: u32,
}

impl Lock {
    /// Takes it. Waits for a comparison that is ending, and says so by `say`.
    ///
    /// # Errors
    ///
    /// If another comparison runs: whose.
    pub fn take(say: impl Fn(&str)) -> Result<Lock> {
        Lock::take_named(NAME, PATIENCE, say)
    }

    fn take_named(name: &str, patience: Duration, say: impl Fn(&str)) -> Result<Lock> {
        let address = SocketAddr::from_abstract_name(name)?;
        let deadline = Instant::now() + patience;
        let mut told = false;
        loop {
            match UnixListener::bind_addr(&address) {
                Ok(socket) => return Ok(Lock { socket }),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(error).context("taking the lock of comparisons"),
            }
            // `None`: it has just been given back.
            if let Some(owner) = owner(&address) {
                let Owner { pid, uid } = owner;
                if !owner.is_ending() {
                    return Err(anyhow!(
                        "another comparison is running in this network namespace: process {pid} of \
                         user {uid}. Wait for its end, or, as root, use --force"
                    ));
                }
                if Instant::now() > deadline {
                    return Err(anyhow!(
                        "the comparison of process {pid} (user {uid}) has been ending for {}: see \
                         netstacklat undo --list",
                        humantime::format_duration(patience)
                    ));
                }
                if !told {
                    told = true;
                    say(&format!(
                        "netstacklat: waiting for the comparison of process {pid} (user {uid}) to \
                         end.\n"
                    ));
                }
            }
            std::thread::sleep(LOOK);
        }
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The process that began to listen: the comparison, not its guardian.
fn owner(address: &SocketAddr) -> Option<Owner> {
    let socket = UnixStream::connect_addr(address).ok()?;
    let credentials = getsockopt(&socket, PeerCredentials).ok()?;
    Some(Owner {
        pid: credentials.pid(),
        uid: credentials.uid(),
    })
}

impl Owner {
    /// The process has ended or is exiting; its guardian holds the lock.
    fn is_ending(self) -> bool {
        // 0: in a pid namespace that we do not see.
        if self.pid <= 0 {
            return false;
        }
        match std::fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => is_exiting(&stat),
            Err(error) => error.kind() == ErrorKind::NotFound,
        }
    }
}

/// By proc_pid_stat(5).
fn is_exiting(stat: &str) -> bool {
    /// `include/linux/sched.h`: the process is being shut down.
    const PF_EXITING: u64 = 4;
    // The name may hold anything, parentheses too.
    let Some((_, rest)) = stat.rsplit_once(") ") else {
        return false;
    };
    let fields: Vec<&str> = rest.split(' ').collect();
    // Fields 3 and 9.
    let ended = matches!(fields.first(), Some(&("Z" | "X")));
    let flags = fields.get(6).and_then(|flags| flags.parse::<u64>().ok());
    ended || flags.is_some_and(|flags| flags & PF_EXITING != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(what: &str) -> String {
        format!("netstacklat-test-{what}-{}", std::process::id())
    }

    #[test]
    fn a_second_is_told_whose_the_first_is() {
        let name = name("lock");
        let short = Duration::from_millis(1);
        let first = Lock::take_named(&name, short, |_| {}).expect("nobody has it");
        let refused = Lock::take_named(&name, short, |_| {}).expect_err("it is taken");
        let (pid, uid) = (std::process::id(), nix::unistd::geteuid());
        let told = format!("process {pid} of user {uid}");
        assert!(format!("{refused:#}").contains(&told), "{refused:#}");
        // Whoever has another descriptor of it holds it.
        let other = first.as_fd().try_clone_to_owned().expect("a descriptor");
        drop(first);
        Lock::take_named(&name, short, |_| {}).expect_err("it is held");
        drop(other);
        Lock::take_named(&name, short, |_| {}).expect("given back");
    }

    #[test]
    fn what_is_exiting_is_seen() {
        let stat = |state, flags| format!("7 (a) b) {state} 1 7 7 0 -1 {flags} 0 0");
        assert!(!is_exiting(&stat("S", 0x40_0000)));
        assert!(is_exiting(&stat("Z", 0)));
        assert!(is_exiting(&stat("R", 0x40_0004)));
        assert!(!is_exiting(""));
    }
}
