// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Waits: for time to pass, for a command to end. Meanwhile it follows the
//! clock, watches the load, passes on what commands print, and notices signals
//! within one turn of its loop. It never writes to what can block.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use nix::sys::signal::Signal;

use crate::experiment::guardian::{ANSWER_TIMEOUT, Guardian, GuardianConfig};
use crate::experiment::journal::Journal;
use crate::experiment::progress::Progress;
use crate::experiment::protocol::{Ended, Reply, Request, Role};
use crate::experiment::recover;
use crate::experiment::state::State;
use crate::model::snapshot::{Interval, Snapshot};
use crate::process::shell::GRACE;
use crate::runtime::event_loop::{EventLoop, Events, Source};
use crate::runtime::messages::Messages;

/// How often to look where nothing wakes us.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long the load has to show that it does not end at once.
const LOAD_TRIAL: Duration = Duration::from_millis(200);

/// What measures while the host goes from one side to the other.
pub trait Measure {
    /// All that has been counted so far.
    ///
    /// # Errors
    ///
    /// If the kernel refuses it.
    fn snapshot(&mut self) -> Result<Snapshot>;

    /// The wall clock may have been set.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell its clock state.
    fn clock_changed(&mut self) -> Result<()>;
}

/// Why a comparison ends before its last round.
#[derive(Debug)]
pub enum StopReason {
    /// This signal asked for it.
    Signal(Signal),
    /// It cannot go on.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for StopReason {
    fn from(error: E) -> StopReason {
        StopReason::Failed(error.into())
    }
}

/// What a comparison needs to be made.
pub struct Resources<'m> {
    /// Those of [`EventLoop::uninterruptible`].
    pub events: &'m mut EventLoop,
    /// What measures.
    pub measure: &'m mut dyn Measure,
    /// The clock that it has to look at when this is ready.
    pub clock: Source,
    /// What runs the commands.
    pub guardian: Guardian,
    /// How to start another when that is dead.
    pub guardian_config: GuardianConfig,
    /// Where the state is kept.
    pub journal: &'m Journal,
    /// What is to be undone: nothing yet.
    pub state: State,
    /// Where to say things.
    pub messages: Messages,
    /// How far it is.
    pub progress: Progress,
}

/// Where a comparison waits.
pub struct Supervisor<'m> {
    resources: Resources<'m>,
    /// The guardian has replied, or is dead.
    guardian_replies: Source,
    signal: Option<Signal>,
    error: Option<anyhow::Error>,
    guardian_died: bool,
    /// By [`Role`]: ended, and not yet asked for.
    ended: [Option<Ended>; Role::ALL.len()],
    /// The load that was started.
    load: Option<String>,
    /// The stop command that runs.
    running_stop_command: Option<String>,
}

impl<'m> Supervisor<'m> {
    /// # Errors
    ///
    /// If epoll_ctl(2) fails.
    pub fn new(resources: Resources<'m>) -> Result<Supervisor<'m>> {
        let socket = resources.guardian.socket();
        let replies = resources.events.watch(socket, "the guardian process")?;
        Ok(Supervisor {
            resources,
            guardian_replies: replies,
            signal: None,
            error: None,
            guardian_died: false,
            ended: Default::default(),
            load: None,
            running_stop_command: None,
        })
    }

    /// Where to say things.
    pub fn messages(&self) -> &Messages {
        &self.resources.messages
    }

    /// How far it is.
    pub fn progress(&mut self) -> &mut Progress {
        &mut self.resources.progress
    }

    /// What is to be undone now.
    pub fn pending_undo(&self) -> Option<&str> {
        self.resources.state.undo.as_deref()
    }

    /// Measures for so long.
    ///
    /// # Errors
    ///
    /// Why it did not, or not any longer.
    pub fn measure(&mut self, time: Duration) -> Result<Interval, StopReason> {
        let first = self.resources.measure.snapshot()?;
        self.pause(time)?;
        let last = self.resources.measure.snapshot()?;
        Ok(last.since(&first))
    }

    /// Notes what is done next, and what undoes it. On disk before it is so.
    ///
    /// # Errors
    ///
    /// If it cannot be written: then it must not be done.
    pub fn begin_step(&mut self, step: String, undo: Option<String>) -> Result<()> {
        let mut state = self.resources.state.clone();
        state.step = step;
        state.undo = undo;
        self.resources.journal.write(&state)?;
        self.resources.state = state;
        Ok(())
    }

    /// Marks the change as undone, even if the journal cannot be written.
    pub fn mark_undone(&mut self) {
        self.resources.state.undo = None;
    }

    /// Whether to go on.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&mut self) -> Result<(), StopReason> {
        if let Some(signal) = self.signal {
            return Err(StopReason::Signal(signal));
        }
        if let Some(error) = self.error.take() {
            return Err(StopReason::Failed(error));
        }
        if self.guardian_died {
            let pid = self.resources.guardian.pid();
            return Err(StopReason::Failed(anyhow!(
                "the guardian process {pid}, which runs the commands, was killed or stopped"
            )));
        }
        if let Some(ended) = &self.ended[Role::Load as usize]
            && let Some(command) = &self.load
        {
            return Err(StopReason::Failed(anyhow!(
                "the load has ended before the comparison ({ended}): {command}{}",
                ended.last_lines
            )));
        }
        Ok(())
    }

    /// Waits for so long.
    ///
    /// # Errors
    ///
    /// Why it did not wait any longer.
    pub fn pause(&mut self, time: Duration) -> Result<(), StopReason> {
        self.check()?;
        self.resources.events.set_deadline(time)?;
        loop {
            let events = self.wait_for_events();
            self.check()?;
            if events.deadline {
                return Ok(());
            }
        }
    }

    /// Runs a start command to its end.
    ///
    /// # Errors
    ///
    /// If it fails, or the comparison is to end: then it has been ended, too.
    pub fn start_command(&mut self, command: &str) -> Result<(), StopReason> {
        self.check()?;
        let began = Instant::now();
        self.request_command(Role::Start, command, None);
        let mut stopping = None;
        let ended = loop {
            if let Some(ended) = self.ended[Role::Start as usize].take() {
                break Some(ended);
            }
            if self.guardian_died {
                break None;
            }
            if stopping.is_none()
                && let Err(end) = self.check()
            {
                stopping = Some(end);
                self.send_request(&Request::End(Role::Start));
                let ended = self.wait_for_command(Role::Start, GRACE + ANSWER_TIMEOUT);
                // One that does not even answer this will undo nothing.
                self.guardian_died |= ended.is_none();
                break ended;
            }
            self.wait_for_events();
        };
        self.resources.progress.add_command_time(began.elapsed());
        if let Some(end) = stopping {
            return Err(end);
        }
        match ended {
            Some(ended) if ended.success() => Ok(()),
            Some(ended) => Err(anyhow!(
                "a start command failed ({ended}): {command}{}",
                ended.last_lines
            )
            .into()),
            None => self.check(),
        }
    }

    /// Runs the stop command that is [`Supervisor::pending_undo`] to its end,
    /// whatever else happens, but for no longer than its limit.
    ///
    /// # Errors
    ///
    /// What went wrong with it.
    pub fn stop_command(&mut self) -> Result<()> {
        let Some(command) = self.resources.state.undo.clone() else {
            return Ok(());
        };
        let began = Instant::now();
        let limit = self.resources.state.stop_limit;
        self.running_stop_command = Some(command.clone());
        self.request_command(Role::Stop, &command, Some(limit));
        let ended = self.wait_for_command(Role::Stop, limit + GRACE + ANSWER_TIMEOUT);
        let ended = match ended {
            Some(ended) => Ok(Some(ended)),
            None => self.replace_guardian(),
        };
        self.running_stop_command = None;
        self.resources.progress.add_command_time(began.elapsed());
        match ended? {
            Some(ended) if !ended.success() => Err(anyhow!("{ended}{}", ended.last_lines)),
            _ => Ok(()),
        }
    }

    /// The guardian is dead or does not answer: ends what it has left, and undoes
    /// by another one.
    fn replace_guardian(&mut self) -> Result<Option<Ended>> {
        self.resources.guardian.kill();
        self.guardian_died = true;
        let Resources {
            messages,
            journal,
            state,
            guardian_config: config,
            ..
        } = &mut self.resources;
        if state.undo.is_some() {
            messages.print("netstacklat: the guardian process is gone: undoing by another one.\n");
        }
        recover::restore(journal, state, config, &mut |text| messages.print(text))
    }

    /// Starts the load, and waits a moment to see that it does not end at once.
    ///
    /// # Errors
    ///
    /// If it has ended, or the comparison is to end.
    pub fn start_load(&mut self, command: &str) -> Result<(), StopReason> {
        self.check()?;
        self.load = Some(command.into());
        self.request_command(Role::Load, command, None);
        self.pause(LOAD_TRIAL)
    }

    /// Ends the load, if there is one, and whatever a dead guardian has left.
    ///
    /// # Errors
    ///
    /// If something still runs.
    pub fn end_load(&mut self) -> Result<()> {
        let runs = self.load.take().is_some() && self.ended[Role::Load as usize].is_none();
        if runs {
            self.send_request(&Request::End(Role::Load));
        }
        let answered = runs
            && self
                .wait_for_command(Role::Load, GRACE + ANSWER_TIMEOUT)
                .is_some();
        let still_runs = (runs && !answered) || self.guardian_died;
        // Where something could not be undone, it is left to `undo`.
        if still_runs && self.resources.state.undo.is_none() {
            self.replace_guardian()?;
        }
        Ok(())
    }

    /// Lets the guardian go: what has been undone needs none, and what could
    /// not be undone is answered by the journal.
    pub fn dismiss_guardian(&mut self) {
        self.resources.guardian.leave();
    }

    fn request_command(&mut self, role: Role, command: &str, limit: Option<Duration>) {
        self.ended[role as usize] = None;
        self.send_request(&Request::Run {
            role,
            command: command.into(),
            limit,
        });
    }

    fn send_request(&mut self, request: &Request) {
        if self.resources.guardian.ask(request).is_err() {
            self.guardian_died = true;
        }
    }

    /// `None`: the guardian does not tell, for so long.
    fn wait_for_command(&mut self, role: Role, timeout: Duration) -> Option<Ended> {
        let deadline = Instant::now() + timeout;
        loop {
            if let Some(ended) = self.ended[role as usize].take() {
                return Some(ended);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if self.guardian_died || left.is_zero() {
                return None;
            }
            // Without a timer a turn might have no end.
            match self.resources.events.set_deadline(left) {
                Ok(()) => drop(self.wait_for_events()),
                Err(_) => std::thread::sleep(POLL_INTERVAL),
            }
        }
    }

    /// What has happened by the time something has.
    fn wait_for_events(&mut self) -> Events {
        let events = self.resources.events.wait().unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            // What has to be waited for is, all the same.
            std::thread::sleep(POLL_INTERVAL);
            Events::default()
        });
        if let Some(signal) = events.signal.and_then(|n| Signal::try_from(n).ok()) {
            self.handle_signal(signal);
        }
        if events.is_ready(self.resources.clock)
            && let Err(error) = self.resources.measure.clock_changed()
        {
            self.error.get_or_insert(error);
        }
        if events.is_ready(self.guardian_replies) {
            let (replies, state) = self.resources.guardian.replies();
            for reply in replies {
                self.handle_reply(reply);
            }
            if state.is_err() {
                self.guardian_died = true;
            }
        }
        if events.reports > 0 {
            self.resources.progress.draw();
        }
        events
    }

    fn handle_reply(&mut self, reply: Reply) {
        let state = &mut self.resources.state;
        match reply {
            Reply::Started(_, group) => {
                state.running.push(group);
                // If it cannot be noted, it runs all the same.
                let _ = self.resources.journal.write(state);
            }
            Reply::Printed(_, text) => self.resources.messages.print(&text),
            Reply::Ended(role, ended) => {
                // On disk with the next step.
                state.running.retain(|group| group.what != role.name());
                self.ended[role as usize] = Some(ended);
            }
        }
    }

    fn handle_signal(&mut self, signal: Signal) {
        let first = self.signal.is_none();
        self.signal.get_or_insert(signal);
        if let Some(command) = &self.running_stop_command {
            self.resources.messages.print(&format!(
                "netstacklat: {signal}: undoing first: {command}\n"
            ));
        } else if first {
            self.resources
                .messages
                .print(&format!("netstacklat: {signal}: ending\n"));
        }
    }
}
