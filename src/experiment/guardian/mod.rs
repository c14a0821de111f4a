// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The guardian: a second process, which runs a comparison's commands and
//! undoes its change if the comparison dies.
//!
//! It is started before any BPF object, socket or run file is opened, and it
//! holds none of them. So it keeps nothing of ours in the kernel, and it stays
//! small, which makes it an unlikely victim of the OOM killer. It learns of the
//! comparison's death from the socket between the two, which the kernel closes
//! at once. (A pidfd becomes readable only when the process is gone, and the
//! kernel first spends seconds detaching the BPF programs.)

mod commands;
mod log;
pub(crate) mod process;

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::experiment::journal::Journal;
use crate::experiment::lock::Lock;
use crate::experiment::protocol::{Channel, Closed, Ended, Reply, Request, Role};
use crate::process::rlimits::Limits;
use crate::process::shell::GRACE;

/// This program, even if its file has been replaced.
pub(crate) const THIS_PROGRAM: &str = "/proc/self/exe";
/// The name that ps(1) shows. `pkill -f netstacklat` does not match it.
const NAME: &str = "undo-guardian";
/// How long the guardian may take to answer after it has ended and killed a
/// command, or to end itself. After that it counts as dead.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How to start a guardian.
#[derive(Clone, Debug)]
pub struct GuardianConfig {
    /// The netstacklat program to run.
    pub program: PathBuf,
    /// The resource limits that commands get.
    pub limits: Limits,
    /// The directory and environment of commands, if they are not ours.
    pub command_env: Option<CommandEnv>,
}

/// The directory and environment of commands.
#[derive(Clone, Debug)]
pub struct CommandEnv {
    /// The working directory.
    pub directory: OsString,
    /// The complete environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// The comparison's handle of its guardian. If it is dropped without a call of
/// `leave`, as in a panic, the guardian undoes the change, and the drop waits
/// for that.
#[derive(Debug)]
pub struct Guardian {
    child: Child,
    channel: Option<Channel>,
}

impl Guardian {
    /// Starts the guardian. It holds the locks of the `journal` and of the
    /// comparison (`lock`).
    ///
    /// # Errors
    ///
    /// If the process cannot be started.
    pub fn start(
        config: &GuardianConfig,
        journal: &Journal,
        lock: Option<&Lock>,
    ) -> Result<Guardian> {
        let (ours, theirs) = UnixStream::pair().context("making sockets for the guardian")?;
        let owned = |fd: BorrowedFd<'_>| fd.try_clone_to_owned().map(Stdio::from);
        let lock = match lock {
            Some(lock) => owned(lock.as_fd()),
            None => File::open("/dev/null").map(Stdio::from),
        };
        let mut command = Command::new(&config.program);
        command
            .arg0(NAME)
            .arg("guardian")
            // A process group of its own keeps Ctrl-C away. It stays in our
            // session: sudo(8) remembers the terminal on which a password was
            // given.
            .process_group(0)
            // Pass three descriptors as standard input, output and error. The
            // guardian closes all others.
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(owned(journal.directory()).context("copying a descriptor")?)
            .stderr(lock.context("copying a descriptor")?);
        let mut what = "starting the guardian process".to_owned();
        if let Some(env) = &config.command_env {
            command.current_dir(&env.directory).env_clear();
            command.envs(env.environment.iter().map(|(name, value)| (name, value)));
            what += &format!(" in {}", env.directory.display());
        }
        let limits = config.limits.clone();
        let restore = move || limits.restore();
        // SAFETY: between fork and exec the closure only makes system calls on
        // values that it owns. It allocates no memory and takes no lock.
        unsafe { command.pre_exec(restore) };
        let child = command.spawn().context(what)?;
        let channel = Channel::new(ours).context("setting up a socket")?;
        Ok(Guardian {
            child,
            channel: Some(channel),
        })
    }

    /// The guardian's PID.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The socket to poll for replies.
    pub(crate) fn socket(&self) -> Option<BorrowedFd<'_>> {
        self.channel.as_ref().map(AsFd::as_fd)
    }

    /// Sends a request.
    ///
    /// # Errors
    ///
    /// If the guardian is dead.
    pub(crate) fn ask(&mut self, request: &Request) -> Result<(), Closed> {
        match &mut self.channel {
            Some(channel) => channel.send(request),
            None => Err(Closed),
        }
    }

    /// Returns the replies so far, and whether the guardian lives.
    pub(crate) fn replies(&mut self) -> (Vec<Reply>, Result<(), Closed>) {
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

    /// Runs a command until it ends or `limit` is over, and passes its other
    /// replies to `replied`. The command goes on if we die.
    ///
    /// # Errors
    ///
    /// If the guardian is killed or does not answer.
    pub(crate) fn run(
        &mut self,
        role: Role,
        command: &str,
        limit: Duration,
        replied: &mut dyn FnMut(Reply),
    ) -> Result<Ended> {
        let dead = || anyhow!("the guardian process, which runs the commands, was killed");
        let request = Request::Run {
            role,
            command: command.into(),
            limit: Some(limit),
        };
        self.ask(&request).map_err(|Closed| dead())?;
        let deadline = Instant::now() + limit + GRACE + ANSWER_TIMEOUT;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                self.kill();
                bail!("the guardian process, which runs the commands, did not answer");
            }
            if let Some(socket) = self.socket() {
                let mut fds = [PollFd::new(socket, PollFlags::POLLIN)];
                let ms = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
                // Ignore EINTR: the signal is for us, and the command goes on.
                let _ = poll(&mut fds, PollTimeout::from(ms));
            }
            let (replies, state) = self.replies();
            for reply in replies {
                match reply {
                    Reply::Ended(ended, how) if ended == role => return Ok(how),
                    reply => replied(reply),
                }
            }
            state.map_err(|Closed| dead())?;
        }
    }

    /// Ends the guardian without undoing anything. If it does not end, for
    /// example because of SIGSTOP, it is killed.
    pub(crate) fn leave(&mut self) {
        if let Some(mut channel) = self.channel.take() {
            let _ = channel.send(&Request::Leave);
        }
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(None) => std::thread::sleep(POLL_INTERVAL),
                _ => return,
            }
        }
        self.kill();
    }

    /// Kills the guardian, so that this process can undo the change without a
    /// conflict.
    pub(crate) fn kill(&mut self) {
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
