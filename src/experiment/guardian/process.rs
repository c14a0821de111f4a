// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The guardian process.

use std::fs::File;
use std::io::Read as _;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::unistd::{dup2_stderr, dup2_stdin, dup2_stdout};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::experiment::guardian::commands::{Command, Outputs};
use crate::experiment::guardian::log::Log;
use crate::experiment::journal::Journal;
use crate::experiment::protocol::{Channel, EndReason, Ended, Reply, Request, Role};
use crate::process::group::Group;
use crate::process::shell::{self, Exit, GRACE, OnParentDeath};

/// How long commands may take to end after the comparison has died.
const ORPHAN_GRACE: Duration = Duration::from_secs(1);
/// How many bytes may wait for a comparison that does not read, for example
/// because of SIGSTOP. Output of commands above this is dropped.
const MAX_UNSENT: usize = 1 << 20;
/// The process name. `pkill netstacklat` does not match it.
const NAME: &std::ffi::CStr = c"undo-guardian";

/// Serves the comparison until it sends [`Request::Leave`] or dies. If it dies,
/// undoes its change.
///
/// Standard input is the socket to the comparison, standard output the
/// journal's directory, standard error the lock. So no descriptor has to be
/// made from a number, which would be unsafe.
///
/// # Errors
///
/// If a comparison did not start it, or if a system call fails.
pub(crate) fn run() -> Result<()> {
    close_inherited_descriptors();
    let own = |fd: std::io::Result<OwnedFd>| fd.context("copying a descriptor");
    let socket = own(std::io::stdin().as_fd().try_clone_to_owned())?;
    let directory = own(std::io::stdout().as_fd().try_clone_to_owned())?;
    let lock = own(std::io::stderr().as_fd().try_clone_to_owned())?;
    let nowhere = File::options().read(true).write(true).open("/dev/null")?;
    dup2_stdin(&nowhere)?;
    dup2_stdout(&nowhere)?;
    dup2_stderr(&nowhere)?;
    // Ignore an error: the name is only for people.
    let _ = nix::sys::prctl::set_name(NAME);
    // Install handlers that do nothing. SIG_IGN would be inherited by commands.
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))?;
    }
    let (children, wake) = UnixStream::pair()?;
    children.set_nonblocking(true)?;
    signal_hook::low_level::pipe::register(SIGCHLD, wake)?;
    let journal = Journal::inherited(directory)?;
    // If the journal already says what to undo, as for `netstacklat undo`, it
    // is undone even if the parent dies before its first request.
    let pending = journal.read()?.is_some_and(|state| state.undo.is_some());
    let mut guard = Guard {
        journal,
        channel: Some(Channel::new(UnixStream::from(socket))?),
        outputs: Outputs::open()?,
        commands: Vec::new(),
        undone: !pending,
        stop_attempted: false,
        orphan: false,
        log: None,
    };
    guard.serve(&children)?;
    drop(lock);
    Ok(())
}

/// Closes descriptors that our parent inherited from a shell (`exec 9>lock;
/// flock 9`). The guardian may outlive both and must not hold them.
fn close_inherited_descriptors() {
    // SAFETY: this process has just started: nothing in it owns a descriptor
    // but the three that stay open.
    unsafe { nix::libc::syscall(nix::libc::SYS_close_range, 3, u32::MAX, 0) };
}

struct Guard {
    journal: Journal,
    /// `None` if the comparison is dead.
    channel: Option<Channel>,
    outputs: Outputs,
    commands: Vec<Command>,
    /// No start command has run since the last successful stop command. The
    /// journal cannot tell: it is written before a start command runs.
    undone: bool,
    /// The stop command has been run since the comparison died, or was running
    /// then.
    stop_attempted: bool,
    /// The comparison is dead, and its commands have been asked to end.
    orphan: bool,
    /// `None` if the comparison lives, or if the log could not be opened.
    log: Option<Log>,
}

impl Guard {
    fn serve(&mut self, mut children: &UnixStream) -> Result<()> {
        loop {
            self.wait(children);
            let _ = children.read(&mut [0; 64]);
            if self.channel.is_some() && !self.take_requests() {
                return Ok(());
            }
            self.check_commands();
            if self.channel.is_none() && self.finish_orphaned()? {
                return Ok(());
            }
        }
    }

    /// Waits until something happens.
    fn wait(&self, children: &UnixStream) {
        let mut fds = vec![PollFd::new(children.as_fd(), PollFlags::POLLIN)];
        if let Some(channel) = &self.channel {
            let mut flags = PollFlags::POLLIN;
            flags.set(PollFlags::POLLOUT, channel.waiting() > 0);
            fds.push(PollFd::new(channel.as_fd(), flags));
        }
        for output in &self.outputs.0 {
            fds.push(PollFd::new(output.reader(), PollFlags::POLLIN));
        }
        let next = self
            .commands
            .iter()
            .filter_map(Command::next_deadline)
            .min();
        let timeout = match next {
            None => PollTimeout::NONE,
            Some(next) => {
                let left = next.saturating_duration_since(Instant::now());
                // Round up, so that the wait does not end before the deadline.
                let ms = u16::try_from(left.as_millis() + 1).unwrap_or(u16::MAX);
                PollTimeout::from(ms)
            }
        };
        // Ignore EINTR: the caller looks at everything after each wait.
        let _ = poll(&mut fds, timeout);
    }

    /// Handles the comparison's requests. Returns `false` after
    /// [`Request::Leave`].
    fn take_requests(&mut self) -> bool {
        let Some(channel) = &mut self.channel else {
            return true;
        };
        let (requests, state) = channel.receive::<Request>();
        if state.is_err() || channel.flush().is_err() {
            self.channel = None;
        }
        for request in requests {
            match request {
                // The comparison has died meanwhile: start nothing but a stop
                // command.
                Request::Run { role, .. } if self.channel.is_none() && role != Role::Stop => {}
                Request::Run {
                    role,
                    command,
                    limit,
                } => self.start(role, &command, limit),
                Request::End(role) => {
                    for command in self.commands.iter_mut().filter(|it| it.role == role) {
                        command.ask_to_end(GRACE);
                    }
                }
                Request::Leave => return false,
            }
        }
        true
    }

    fn start(&mut self, role: Role, command: &str, limit: Option<Duration>) {
        if role == Role::Start {
            self.undone = false;
        }
        let on_parent_death = match role {
            Role::Load | Role::Start => OnParentDeath::Terminate,
            Role::Stop => OnParentDeath::KeepRunning,
        };
        let output = self.outputs.of(role);
        output.clear_last_lines();
        match shell::start(command, output, on_parent_death) {
            Ok(running) => {
                if let Ok(group) = Group::of(role.name(), running.pid()) {
                    self.reply(&Reply::Started(role, group));
                }
                self.commands.push(Command {
                    role,
                    running,
                    limit,
                    began: Instant::now(),
                    kill_at: None,
                    took_too_long: false,
                });
            }
            Err(error) => {
                let ended = Ended {
                    reason: EndReason::NotRun(format!("{error:#}")),
                    last_lines: String::new(),
                };
                self.report_end(role, ended);
            }
        }
    }

    fn reply(&mut self, reply: &Reply) {
        if let Some(channel) = &mut self.channel {
            let spare = matches!(reply, Reply::Printed(..));
            if spare && channel.waiting() > MAX_UNSENT {
                return;
            }
            if channel.send(reply).is_err() {
                self.channel = None;
            }
        }
    }

    fn forward_output(&mut self, role: Role, text: String) {
        // The output of the load is shown only when it fails.
        if text.is_empty() || role == Role::Load {
            return;
        }
        if let Some(log) = &mut self.log {
            log.write(&text);
        }
        self.reply(&Reply::Printed(role, text));
    }

    fn check_commands(&mut self) {
        for role in Role::ALL {
            let text = self.outputs.of(role).read_lines();
            self.forward_output(role, text);
        }
        let now = Instant::now();
        for mut command in std::mem::take(&mut self.commands) {
            match command.running.poll_exit() {
                Ok(None) => {
                    command.enforce_limits(now);
                    self.commands.push(command);
                }
                Ok(Some(Exit::Stopped(_))) if command.kill_at.is_some() => {
                    command.enforce_limits(now);
                    self.commands.push(command);
                }
                Ok(Some(exit)) => self.collect(command, EndReason::Exit(exit)),
                Err(error) => self.collect(command, EndReason::NotRun(format!("{error:#}"))),
            }
        }
    }

    /// Handles a command that has ended or was stopped.
    fn collect(&mut self, command: Command, reason: EndReason) {
        let succeeded = matches!(reason, EndReason::Exit(exit) if exit.success());
        if succeeded && command.kill_at.is_none() {
            // Processes that it left running go on.
            command.running.reap();
        } else {
            command.running.kill();
        }
        let text = self.outputs.of(command.role).read_rest();
        self.forward_output(command.role, text);
        let reason = match command.limit {
            Some(limit) if command.took_too_long => EndReason::TookLongerThan(limit),
            _ => reason,
        };
        let ended = Ended {
            reason,
            last_lines: self.outputs.of(command.role).last_lines(),
        };
        self.report_end(command.role, ended);
    }

    fn report_end(&mut self, role: Role, ended: Ended) {
        if role == Role::Stop {
            self.undone = ended.success();
        }
        if role == Role::Stop
            && let Some(log) = &mut self.log
        {
            log.write_always(&if ended.success() {
                "The stop command has succeeded.\n".into()
            } else {
                format!("The stop command failed: {ended}.\n")
            });
        }
        self.reply(&Reply::Ended(role, ended));
    }

    /// After the comparison has died: ends its commands, then undoes its
    /// change. Returns whether all is done.
    fn finish_orphaned(&mut self) -> Result<bool> {
        if !self.orphan {
            self.orphan = true;
            // Ignore an error: a full disk must not keep the stop command from
            // running.
            self.log = Log::open(&self.journal).ok();
            for command in &mut self.commands {
                if command.role == Role::Stop {
                    // The comparison had started it. It is not run twice.
                    self.stop_attempted = true;
                } else {
                    command.ask_to_end(ORPHAN_GRACE);
                }
            }
        }
        if !self.commands.is_empty() {
            return Ok(false);
        }
        let state = self.journal.read()?;
        let undo = state.and_then(|state| Some((state.undo.clone()?, state)));
        match undo {
            Some((command, state)) if !self.undone && !self.stop_attempted => {
                self.stop_attempted = true;
                self.write_log(&format!(
                    "The comparison (process {}, {}) was killed. Its last step was:\n  {}\n\
                     Its guardian runs the stop command:\n  {command}\n",
                    state.pid, state.run_file, state.step
                ));
                self.start(Role::Stop, &command, Some(state.stop_limit));
                Ok(false)
            }
            // The stop command failed.
            Some(_) if !self.undone => Ok(true),
            Some(_) => {
                self.journal.remove_state()?;
                Ok(true)
            }
            None => {
                // Nothing was to be undone, so the next command has nothing to
                // show.
                self.journal.remove()?;
                Ok(true)
            }
        }
    }

    fn write_log(&mut self, text: &str) {
        if let Some(log) = &mut self.log {
            log.write(text);
        }
    }
}
