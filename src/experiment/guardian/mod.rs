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

/// The program that is running, also when its file has been replaced.
pub const THIS_PROGRAM: &str = "/proc/self/exe";
/// What it is called by ps(1): `pkill -f netstacklat` does not match it.
const NAME: &str = "undo-guardian";
/// How long the guardian may take to end a command that has been asked to end
/// and then killed, to tell us, or to end itself. Above this it is dead to us.
pub(super) const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// How a guardian is started.
#[derive(Clone, Debug)]
pub struct GuardianConfig {
    /// A netstacklat.
    pub program: PathBuf,
    /// The limits that commands are to find.
    pub limits: Limits,
    /// Where commands run, if not where we do.
    pub command_env: Option<CommandEnv>,
}

/// Where commands run.
#[derive(Clone, Debug)]
pub struct CommandEnv {
    /// The current directory.
    pub directory: OsString,
    /// All of the environment.
    pub environment: Vec<(OsString, OsString)>,
}

/// The comparison's side of it. When it is dropped without [`Guardian::leave`],
/// as in a panic, the guardian undoes what is to be undone, and the drop waits
/// for that.
#[derive(Debug)]
pub struct Guardian {
    child: Child,
    channel: Option<Channel>,
}

impl Guardian {
    /// Starts it. It will hold the `journal` and the `lock` of the comparison.
    ///
    /// # Errors
    ///
    /// If the kernel refuses a process or a descriptor.
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
            // Out of reach of Ctrl-C, but in our session: sudo(8) knows the
            // terminal on which a password was given.
            .process_group(0)
            // The three descriptors that it needs; it closes all others.
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
        // SAFETY: between fork and exec it makes system calls on values of its
        // own, and nothing else: no memory is allocated, no lock is taken.
        unsafe { command.pre_exec(restore) };
        let child = command.spawn().context(what)?;
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

    /// Runs a command to its end, but for no longer than `limit`; hands what it
    /// replies meanwhile to `replied`. It goes on without us if we die.
    ///
    /// # Errors
    ///
    /// If the guardian is killed, or does not answer.
    pub fn run(
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
                // A signal is for us; the command goes on.
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

    /// Has it end without undoing anything. One that does not (SIGSTOP) is
    /// killed.
    pub fn leave(&mut self) {
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
