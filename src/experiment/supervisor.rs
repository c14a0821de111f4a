// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Waits: for time to pass, for a command to end. Meanwhile it follows the
//! clock, watches the load, passes on what commands print, and notices signals
//! within one turn of its loop. It never writes to what can block.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use nix::sys::signal::Signal;

use crate::experiment::guardian::{Guardian, LATE, Start};
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
const LOOK: Duration = Duration::from_millis(10);
/// How long the load has to show that it does not end at once.
const LOAD_TRIED: Duration = Duration::from_millis(200);

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
pub enum End {
    /// This signal asked for it.
    Signal(Signal),
    /// It cannot go on.
    Failed(anyhow::Error),
}

impl<E: Into<anyhow::Error>> From<E> for End {
    fn from(error: E) -> End {
        End::Failed(error.into())
    }
}

/// What a comparison needs to be made.
pub struct Means<'m> {
    /// Those of [`EventLoop::for_undoing`].
    pub events: &'m mut EventLoop,
    /// What measures.
    pub measure: &'m mut dyn Measure,
    /// The clock that it has to look at when this is ready.
    pub clock: Source,
    /// What runs the commands.
    pub guardian: Guardian,
    /// How to start another when that is dead.
    pub start: Start,
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
    means: Means<'m>,
    /// The guardian has replied, or is dead.
    replies: Source,
    signal: Option<Signal>,
    trouble: Option<anyhow::Error>,
    guardian_died: bool,
    /// By [`Role`]: ended, and not yet asked for.
    ended: [Option<Ended>; Role::ALL.len()],
    /// The load that was started.
    load: Option<String>,
    /// The stop command that runs.
    undoing: Option<String>,
}

impl<'m> Supervisor<'m> {
    /// # Errors
    ///
    /// If epoll_ctl(2) fails.
    pub fn new(means: Means<'m>) -> Result<Supervisor<'m>> {
        let socket = means.guardian.socket();
        let replies = means.events.watch(socket, "the guardian process")?;
        Ok(Supervisor {
            means,
            replies,
            signal: None,
            trouble: None,
            guardian_died: false,
            ended: Default::default(),
            load: None,
            undoing: None,
        })
    }

    /// Where to say things.
    pub fn messages(&self) -> &Messages {
        &self.means.messages
    }

    /// How far it is.
    pub fn progress(&mut self) -> &mut Progress {
        &mut self.means.progress
    }

    /// What is to be undone now.
    pub fn pending(&self) -> Option<&str> {
        self.means.state.undo.as_deref()
    }

    /// Measures for so long.
    ///
    /// # Errors
    ///
    /// Why it did not, or not any longer.
    pub fn measure(&mut self, time: Duration) -> Result<Interval, End> {
        let first = self.means.measure.snapshot()?;
        self.pause(time)?;
        let last = self.means.measure.snapshot()?;
        Ok(last.since(&first))
    }

    /// Notes what is done next, and what undoes it. On disk before it is so.
    ///
    /// # Errors
    ///
    /// If it cannot be written: then it must not be done.
    pub fn begin_step(&mut self, step: String, undo: Option<String>) -> Result<()> {
        let mut state = self.means.state.clone();
        state.step = step;
        state.undo = undo;
        self.means.journal.write(&state)?;
        self.means.state = state;
        Ok(())
    }

    /// Marks the change as undone, even if the journal cannot be written.
    pub fn undone(&mut self) {
        self.means.state.undo = None;
    }

    /// Whether to go on.
    ///
    /// # Errors
    ///
    /// Why not.
    pub fn check(&mut self) -> Result<(), End> {
        if let Some(signal) = self.signal {
            return Err(End::Signal(signal));
        }
        if let Some(error) = self.trouble.take() {
            return Err(End::Failed(error));
        }
        if self.guardian_died {
            let pid = self.means.guardian.pid();
            return Err(End::Failed(anyhow!(
                "the guardian process {pid}, which runs the commands, was killed or stopped"
            )));
        }
        if let Some(ended) = &self.ended[Role::Load as usize]
            && let Some(command) = &self.load
        {
            return Err(End::Failed(anyhow!(
                "the load has ended before the comparison ({ended}): {command}{}",
                ended.last_words
            )));
        }
        Ok(())
    }

    /// Waits for so long.
    ///
    /// # Errors
    ///
    /// Why it did not wait any longer.
    pub fn pause(&mut self, time: Duration) -> Result<(), End> {
        self.check()?;
        self.means.events.set_deadline(time)?;
        loop {
            let events = self.turn();
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
    pub fn start_command(&mut self, command: &str) -> Result<(), End> {
        self.check()?;
        let began = Instant::now();
        self.run(Role::Start, command, None);
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
                self.ask(&Request::End(Role::Start));
                let ended = self.until_ended(Role::Start, GRACE + LATE);
                // One that does not even answer this will undo nothing.
                self.guardian_died |= ended.is_none();
                break ended;
            }
            self.turn();
        };
        self.means.progress.command_took(began.elapsed());
        if let Some(end) = stopping {
            return Err(end);
        }
        match ended {
            Some(ended) if ended.success() => Ok(()),
            Some(ended) => Err(anyhow!(
                "a start command failed ({ended}): {command}{}",
                ended.last_words
            )
            .into()),
            None => self.check(),
        }
    }

    /// Runs the stop command that is [`Supervisor::pending`] to its end,
    /// whatever else happens, but for no longer than its limit.
    ///
    /// # Errors
    ///
    /// What went wrong with it.
    pub fn stop_command(&mut self) -> Result<()> {
        let Some(command) = self.means.state.undo.clone() else {
            return Ok(());
        };
        let began = Instant::now();
        let limit = self.means.state.stop_limit;
        self.undoing = Some(command.clone());
        self.run(Role::Stop, &command, Some(limit));
        let ended = self.until_ended(Role::Stop, limit + GRACE + LATE);
        let ended = match ended {
            Some(ended) => Ok(Some(ended)),
            None => self.without_guardian(),
        };
        self.undoing = None;
        self.means.progress.command_took(began.elapsed());
        match ended? {
            Some(ended) if !ended.success() => Err(anyhow!("{ended}{}", ended.last_words)),
            _ => Ok(()),
        }
    }

    /// The guardian is dead or does not answer: ends what it has left, and undoes
    /// by another one.
    fn without_guardian(&mut self) -> Result<Option<Ended>> {
        self.means.guardian.kill();
        self.guardian_died = true;
        let Means {
            messages,
            journal,
            state,
            start,
            ..
        } = &mut self.means;
        if state.undo.is_some() {
            messages.say("netstacklat: the guardian process is gone: undoing by another one.\n");
        }
        recover::restore(journal, state, start, &mut |text| messages.say(text))
    }

    /// Starts the load, and waits a moment to see that it does not end at once.
    ///
    /// # Errors
    ///
    /// If it has ended, or the comparison is to end.
    pub fn start_load(&mut self, command: &str) -> Result<(), End> {
        self.check()?;
        self.load = Some(command.into());
        self.run(Role::Load, command, None);
        self.pause(LOAD_TRIED)
    }

    /// Ends the load, if there is one, and whatever a dead guardian has left.
    ///
    /// # Errors
    ///
    /// If something still runs.
    pub fn end_load(&mut self) -> Result<()> {
        let runs = self.load.take().is_some() && self.ended[Role::Load as usize].is_none();
        if runs {
            self.ask(&Request::End(Role::Load));
        }
        let told = runs && self.until_ended(Role::Load, GRACE + LATE).is_some();
        let still_runs = (runs && !told) || self.guardian_died;
        // Where something could not be undone, it is left to `undo`.
        if still_runs && self.means.state.undo.is_none() {
            self.without_guardian()?;
        }
        Ok(())
    }

    /// Lets the guardian go: what has been undone needs none, and what could
    /// not be undone is told by the journal.
    pub fn dismiss_guardian(&mut self) {
        self.means.guardian.leave();
    }

    fn run(&mut self, role: Role, command: &str, limit: Option<Duration>) {
        self.ended[role as usize] = None;
        self.ask(&Request::Run {
            role,
            command: command.into(),
            limit,
        });
    }

    fn ask(&mut self, request: &Request) {
        if self.means.guardian.ask(request).is_err() {
            self.guardian_died = true;
        }
    }

    /// `None`: the guardian does not tell, for so long.
    fn until_ended(&mut self, role: Role, patience: Duration) -> Option<Ended> {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(ended) = self.ended[role as usize].take() {
                return Some(ended);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if self.guardian_died || left.is_zero() {
                return None;
            }
            // Without a timer a turn might have no end.
            match self.means.events.set_deadline(left) {
                Ok(()) => drop(self.turn()),
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    /// What has happened by the time something has.
    fn turn(&mut self) -> Events {
        let events = self.means.events.wait().unwrap_or_else(|error| {
            self.trouble.get_or_insert(error);
            // What has to be waited for is, all the same.
            std::thread::sleep(LOOK);
            Events::default()
        });
        if let Some(signal) = events.signal.and_then(|n| Signal::try_from(n).ok()) {
            self.signalled(signal);
        }
        if events.is_ready(self.means.clock)
            && let Err(error) = self.means.measure.clock_changed()
        {
            self.trouble.get_or_insert(error);
        }
        if events.is_ready(self.replies) {
            let (replies, state) = self.means.guardian.replies();
            for reply in replies {
                self.replied(reply);
            }
            if state.is_err() {
                self.guardian_died = true;
            }
        }
        if events.reports > 0 {
            self.means.progress.tick();
        }
        events
    }

    fn replied(&mut self, reply: Reply) {
        let state = &mut self.means.state;
        match reply {
            Reply::Started(_, group) => {
                state.running.push(group);
                // If it cannot be noted, it runs all the same.
                let _ = self.means.journal.write(state);
            }
            Reply::Printed(_, text) => self.means.messages.say(&text),
            Reply::Ended(role, ended) => {
                // On disk with the next step.
                state.running.retain(|group| group.what != role.name());
                self.ended[role as usize] = Some(ended);
            }
        }
    }

    fn signalled(&mut self, signal: Signal) {
        let first = self.signal.is_none();
        self.signal.get_or_insert(signal);
        if let Some(command) = &self.undoing {
            self.means.messages.say(&format!(
                "netstacklat: {signal}: undoing first: {command}\n"
            ));
        } else if first {
            self.means
                .messages
                .say(&format!("netstacklat: {signal}: ending\n"));
        }
    }
}
