// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Allows one comparison at a time in a network namespace: two would disturb
//! each other.
//!
//! The lock is a Unix socket with an abstract name, unix(7). Such a name
//! belongs to a network namespace, disappears with the last process that holds
//! the socket, and the socket tells the owner's PID and user. No stale lock
//! file can be left.

use std::io::ErrorKind;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixListener};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::socket::sockopt::PeerCredentials;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, getsockopt, socket};

use crate::process::stat::Stat;

const NAME: &str = "netstacklat-compare";
/// How long to wait for a comparison that is ending. The kernel needs seconds
/// to detach its programs, and its guardian may be undoing a change.
const ENDING_TIMEOUT: Duration = Duration::from_secs(30);
/// How long to wait if the owner of the lock is unknown.
const UNKNOWN_OWNER_TIMEOUT: Duration = Duration::from_secs(2);
const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// Held as long as this, or a copy of its descriptor, is open.
#[derive(Debug)]
pub struct Lock {
    socket: UnixListener,
}

/// The process that holds the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Owner {
    pid: i32,
    uid: u32,
}

impl Lock {
    /// Takes the lock. Waits for a comparison that is ending, and tells so by
    /// `print`.
    ///
    /// # Errors
    ///
    /// If another comparison runs. The error names its process and user.
    pub(crate) fn take(print: impl Fn(&str)) -> Result<Lock> {
        Lock::take_named(NAME, ENDING_TIMEOUT, print)
    }

    fn take_named(name: &str, timeout: Duration, print: impl Fn(&str)) -> Result<Lock> {
        let address = SocketAddr::from_abstract_name(name)?;
        let began = Instant::now();
        let mut announced = false;
        loop {
            match UnixListener::bind_addr(&address) {
                Ok(socket) => return Ok(Lock { socket }),
                Err(error) if error.kind() == ErrorKind::AddrInUse => {}
                Err(error) => return Err(error).context("taking the lock of comparisons"),
            }
            let waited = began.elapsed();
            match owner(name)? {
                Some(owner @ Owner { pid, uid }) if !owner.is_ending() => bail!(
                    "another comparison is running in this network namespace: process {pid} of \
                     user {uid}. Wait for its end, or, as root, use --force"
                ),
                Some(Owner { pid, uid }) if waited > timeout => bail!(
                    "the comparison of process {pid} (user {uid}) has been ending for {}: see \
                     netstacklat undo --list",
                    humantime::format_duration(timeout)
                ),
                Some(Owner { pid, uid }) if !announced => {
                    announced = true;
                    print(&format!(
                        "netstacklat: waiting for the comparison of process {pid} (user {uid}) to \
                         end.\n"
                    ));
                }
                Some(_) => {}
                None if waited > timeout.min(UNKNOWN_OWNER_TIMEOUT) => bail!(
                    "another process holds the lock of comparisons, the socket @{name} in this \
                     network namespace (/proc/net/unix), and does not answer. End it, or, as root, \
                     use --force"
                ),
                // The lock has just been released, or is about to be taken.
                None => {}
            }
            std::thread::sleep(POLL_INTERVAL);
        }
    }
}

impl AsFd for Lock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// The process that called listen(2): the comparison, not its guardian. `None`
/// if nobody listens, or if too many connections wait already.
fn owner(name: &str) -> Result<Option<Owner>> {
    let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None);
    let socket = socket.context("making a socket")?;
    let address = UnixAddr::new_abstract(name.as_bytes()).context("naming a socket")?;
    if connect(socket.as_raw_fd(), &address).is_err() {
        return Ok(None);
    }
    let credentials = getsockopt(&socket, PeerCredentials);
    Ok(credentials.ok().map(|credentials| Owner {
        pid: credentials.pid(),
        uid: credentials.uid(),
    }))
}

impl Owner {
    /// Whether the process has ended or is exiting. Its guardian then holds the
    /// lock.
    fn is_ending(self) -> bool {
        match u32::try_from(self.pid) {
            // 0 means a process in a PID namespace that we do not see.
            Err(_) | Ok(0) => false,
            Ok(pid) => match Stat::read(pid) {
                Ok(stat) => stat.is_none_or(|stat| stat.exiting),
                Err(_) => false,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use nix::sys::socket::{Backlog, bind, listen};

    use super::*;

    fn name(what: &str) -> String {
        format!("netstacklat-test-{what}-{}", std::process::id())
    }

    #[test]
    fn an_error_names_the_owner_of_the_lock() {
        let name = name("lock");
        let short = Duration::from_millis(1);
        let first = Lock::take_named(&name, short, |_| {}).expect("nobody has it");
        let refused = Lock::take_named(&name, short, |_| {}).expect_err("it is taken");
        let (pid, uid) = (std::process::id(), nix::unistd::geteuid());
        let owner = format!("process {pid} of user {uid}");
        assert!(format!("{refused:#}").contains(&owner), "{refused:#}");
        // A copy of the descriptor holds the lock too.
        let other = first.as_fd().try_clone_to_owned().expect("a descriptor");
        drop(first);
        Lock::take_named(&name, short, |_| {}).expect_err("it is held");
        drop(other);
        Lock::take_named(&name, short, |_| {}).expect("given back");
    }

    /// A process that binds the name and does not listen, or does not accept,
    /// does not make others wait for ever.
    #[test]
    fn a_lock_whose_owner_does_not_answer_is_reported() {
        let name = name("silent");
        let address = UnixAddr::new_abstract(name.as_bytes()).expect("a name");
        let make = || {
            let flags = SockFlag::SOCK_NONBLOCK;
            socket(AddressFamily::Unix, SockType::Stream, flags, None).expect("a socket")
        };
        let holder = make();
        bind(holder.as_raw_fd(), &address).expect("it is free");
        let refused = |name: &str| {
            let taken = Lock::take_named(name, Duration::from_millis(1), |_| {});
            format!("{:#}", taken.expect_err("it is taken"))
        };
        let error = refused(&name);
        assert!(error.contains("does not answer"), "{error}");
        assert!(error.contains(&format!("@{name}")), "{error}");
        listen(&holder, Backlog::new(1).expect("a number")).expect("it is bound");
        let waiting: Vec<_> = (0..4).map(|_| make()).collect();
        let full = waiting
            .iter()
            .filter(|socket| connect(socket.as_raw_fd(), &address).is_err());
        assert!(full.count() > 0);
        let error = refused(&name);
        assert!(error.contains("does not answer"), "{error}");
    }
}
