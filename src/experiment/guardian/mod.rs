// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The guardian: a second process, which runs a comparison's commands, and
//! undoes its change when the comparison dies.
//!
//! It is started before any BPF object, socket or run file is opened, and
//! holds none of them. So nothing of ours stays in the kernel through it, and
//! it is small, which keeps the OOM killer away. It learns of the comparison's
//! death from the socket between the two: the kernel closes that at once. (A
//! pidfd tells it only when the process is gone, and to detach the BPF programs
//! takes the kernel seconds before that.)

pub mod process;

use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::experiment::journal::Journal;
use crate::experiment::lock::Lock;
use crate::experiment::protocol::{Channel, Closed, Reply, Request};

/// The program that is running, also when its file has been replaced.
pub const THIS_PROGRAM: &str = "/proc/self/exe";

/// The comparison's side of it. When it is dropped without [`Guardian::leave`],
/// as in a panic, the guardian undoes what is to be undone, and the drop waits
/// for that.
#[derive(Debug)]
pub struct Guardian {
    child: Child,
    channel: Option<Channel>,
}

impl Guardian {
    /// Starts `program`, a netstacklat, as guardian of the comparison whose
    /// `journal` and `lock` it will hold.
    ///
    /// # Errors
    ///
    /// If the kernel refuses a process or a descriptor.
    pub fn start(program: &Path, journal: &Journal, lock: Option<&Lock>) -> Result<Guardian> {
        let (ours, theirs) = UnixStream::pair().context("making sockets for the guardian")?;
        let owned = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(Stdio::from);
        let lock = match lock {
            Some(lock) => owned(lock.as_fd()),
            None => File::open("/dev/null").map(Stdio::from),
        };
        let mut command = Command::new(program);
        command
            .args(["guardian", "--journal"])
            .arg(journal.path())
            // Out of reach of Ctrl-C, but in our session: sudo(8) knows the
            // terminal on which a password was given.
            .process_group(0)
            // The three descriptors that it needs; all others are closed.
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(owned(journal.directory()).context("copying a descriptor")?)
            .stderr(lock.context("copying a descriptor")?);
        let child = command.spawn().context("starting the guardian process")?;
        let channel = Channel::new(ours).context("setting up a socket")?;
        Ok(Guardian {
            child,
            channel: Some(channel),
        })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// To wait for its replies.
    pub fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(AsFd::as_fd)
    }

    /// Asks for something.
    ///
    /// # Errors
    ///
    /// If it is dead.
    pub fn ask(&mut self, request: &Request) -> Result<(), Closed> {
        match &mut self.channel {
            Some(channel) => channel.send(request),
            None => Err(Closed),
        }
    }

    /// What it has replied by now, and whether it lives.
    pub fn replies(&mut self) -> (Vec<Reply>, Result<(), Closed>) {
        let Some(channel) = &mut self.channel else {
            return (Vec::new(), Err(Closed));
        };
        let (replies, mut state) = channel.receive();
        state = state.and_then(|()| channel.flush());
        if state.is_err() {
            self.channel = None;
        }
        (replies, state)
    }

    /// Has it end without undoing anything.
    pub fn leave(&mut self) {
        if let Some(mut channel) = self.channel.take() {
            let _ = channel.send(&Request::Leave);
        }
        let _ = self.child.wait();
    }

    /// Makes sure that it does nothing any more: what is to be done is done by
    /// us.
    pub fn kill(&mut self) {
        self.channel = None;
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Guardian {
    fn drop(&mut self) {
        self.channel = None;
        let _ = self.child.wait();
    }
}
