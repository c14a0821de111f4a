// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Waits for time to pass or for a command to end, and meanwhile handles all
//! other events: clock changes, the end of the load, output of commands, and
//! signals. It never writes to anything that can block.

mod commands;

use std::time::Duration;

use anyhow::{Result, anyhow};
use nix::sys::signal::Signal;

use crate::experiment::guardian::{Guardian, GuardianConfig};
use crate::experiment::journal::Journal;
use crate::experiment::progress::Progress;
use crate::experiment::protocol::{Ended, Reply, Role};
use crate::experiment::state::State;
use crate::model::snapshot::{Interval, Snapshot};
use crate::runtime::event_loop::{EventLoop, Events, Source};
use crate::runtime::messages::Messages;

/// How long to sleep where no event can wake us.
const POLL_INTERVAL: Duration = Duration::from_millis(10);
/// How long to watch the load after its start, to see that it does not fail at
/// once.
const LOAD_TRIAL: Duration = Duration::from_millis(200);

/// Takes the measurements of a comparison.
pub trait Measure {
    /// Reads all that has been counted so far.
    ///
    /// # Errors
    ///
    /// If the BPF maps cannot be read.
    fn snapshot(&mut self) -> Result<Snapshot>;

    /// Called when the wall clock may have been set.
    ///
    /// # Errors
    ///
    /// If the kernel's clock state cannot be read.
    fn host_changed(&mut self) -> Result<()>;
}

/// Why a comparison ends before its last round.
#[derive(Debug)]
pub enum StopReason {
    /// This signal asked for the end.
    Signal(Signal),
    /// It failed.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for StopReason {
    fn from(error: E) -> StopReason {
        StopReason::Failed(error.into())
    }
}

/// What a comparison works with.
pub struct Resources<'m> {
    /// A loop made by [`EventLoop::uninterruptible`].
    pub events: &'m mut EventLoop,
    /// Takes the measurements.
    pub measure: &'m mut dyn Measure,
    /// The event source of the clock: when it is ready, `measure` must look at
    /// the clock.
    pub host: Source,
    /// The process that runs the commands.
    pub guardian: Guardian,
    /// How to start another guardian if that one dies.
    pub guardian_config: GuardianConfig,
    /// Where the state is stored.
    pub journal: &'m Journal,
    /// What is to be undone: nothing yet.
    pub state: State,
    /// Prints messages.
    pub messages: Messages,
    /// Draws the progress line.
    pub progress: Progress,
}

/// Waits and handles events for a comparison.
pub struct Supervisor<'m> {
    resources: Resources<'m>,
    /// The event source of the guardian: it has replied or died.
    guardian_replies: Source,
    signal: Option<Signal>,
    error: Option<anyhow::Error>,
    guardian_died: bool,
    /// How the command of each [`Role`] has ended, until that is handled.
    ended: [Option<Ended>; Role::ALL.len()],
    /// The load that was started.
    load: Option<String>,
    /// The stop command, while it runs.
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

    pub(crate) fn messages(&self) -> &Messages {
        &self.resources.messages
    }

    pub(crate) fn progress(&mut self) -> &mut Progress {
        &mut self.resources.progress
    }

    /// The command that undoes the last change. `None` if nothing is to be
    /// undone.
    pub(crate) fn pending_undo(&self) -> Option<&str> {
        self.resources.state.undo.as_deref()
    }

    /// Measures for `time`.
    ///
    /// # Errors
    ///
    /// If the measurement fails or the comparison must end.
    pub(crate) fn measure(&mut self, time: Duration) -> Result<Interval, StopReason> {
        let first = self.resources.measure.snapshot()?;
        self.pause(time)?;
        let last = self.resources.measure.snapshot()?;
        Ok(last.since(&first))
    }

    /// Writes to the journal what is done next and what undoes it. It is on
    /// disk when this returns.
    ///
    /// # Errors
    ///
    /// If the journal cannot be written. The step must then not be done.
    pub(crate) fn begin_step(&mut self, step: String, undo: Option<String>) -> Result<()> {
        let mut state = self.resources.state.clone();
        state.step = step;
        state.undo = undo;
        self.resources.journal.write(&state)?;
        self.resources.state = state;
        Ok(())
    }

    /// Marks the change as undone in memory, even if the journal cannot be
    /// written.
    pub(crate) fn mark_undone(&mut self) {
        self.resources.state.undo = None;
    }

    /// Checks whether the comparison can go on.
    ///
    /// # Errors
    ///
    /// Why it must end.
    pub(crate) fn check(&mut self) -> Result<(), StopReason> {
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
                "the load ended before the comparison ({ended}): {command}{}",
                ended.last_lines
            )));
        }
        Ok(())
    }

    /// Waits for `time`.
    ///
    /// # Errors
    ///
    /// If the comparison must end.
    pub(crate) fn pause(&mut self, time: Duration) -> Result<(), StopReason> {
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

    /// Waits for events and handles all but the deadline.
    fn wait_for_events(&mut self) -> Events {
        let events = self.resources.events.wait().unwrap_or_else(|error| {
            self.error.get_or_insert(error);
            // Do not fail here: the caller may have to wait for a stop command.
            std::thread::sleep(POLL_INTERVAL);
            Events::default()
        });
        if let Some(signal) = events.signal.and_then(|n| Signal::try_from(n).ok()) {
            self.handle_signal(signal);
        }
        if events.is_ready(self.resources.host)
            && let Err(error) = self.resources.measure.host_changed()
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
                // The next step writes this to disk.
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
