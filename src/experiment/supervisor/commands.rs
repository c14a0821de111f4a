// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Has the guardian run the commands of a comparison, and waits for their ends.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::{LOAD_TRIAL, POLL_INTERVAL, Resources, StopReason, Supervisor};
use crate::experiment::guardian::ANSWER_TIMEOUT;
use crate::experiment::protocol::{Ended, Request, Role};
use crate::experiment::recover;
use crate::process::shell::GRACE;

impl Supervisor<'_> {
    /// Runs a start command to its end.
    ///
    /// # Errors
    ///
    /// If it fails, or if the comparison must end. The command has then been
    /// ended.
    pub(crate) fn start_command(&mut self, command: &str) -> Result<(), StopReason> {
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
                // A guardian that does not answer this request will not undo
                // anything either.
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

    /// Runs the stop command ([`Supervisor::pending_undo`]) until it ends or
    /// its limit is over. Nothing else interrupts it.
    ///
    /// # Errors
    ///
    /// If the stop command failed or could not be run.
    pub(crate) fn stop_command(&mut self) -> Result<()> {
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

    /// Kills a guardian that does not answer, ends the processes that it left,
    /// and undoes the change with another guardian.
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
            messages.print(
                "netstacklat: the guardian process has died: another one undoes the change.\n",
            );
        }
        recover::restore(journal, state, config, &mut |text| messages.print(text))
    }

    /// Starts the load, and waits a moment to see that it does not end at once.
    ///
    /// # Errors
    ///
    /// If the load has ended, or the comparison must end.
    pub fn start_load(&mut self, command: &str) -> Result<(), StopReason> {
        self.check()?;
        self.load = Some(command.into());
        self.request_command(Role::Load, command, None);
        self.pause(LOAD_TRIAL)
    }

    /// Ends the load, if there is one, and the processes that a dead guardian
    /// left.
    ///
    /// # Errors
    ///
    /// If a process still runs.
    pub(crate) fn end_load(&mut self) -> Result<()> {
        let runs = self.load.take().is_some() && self.ended[Role::Load as usize].is_none();
        if runs {
            self.send_request(&Request::End(Role::Load));
        }
        let answered = runs
            && self
                .wait_for_command(Role::Load, GRACE + ANSWER_TIMEOUT)
                .is_some();
        let still_runs = (runs && !answered) || self.guardian_died;
        // If a change could not be undone, leave the rest to `netstacklat
        // undo`.
        if still_runs && self.resources.state.undo.is_none() {
            self.replace_guardian()?;
        }
        Ok(())
    }

    /// Ends the guardian. It is not needed any more: the change is undone, or
    /// the journal says that it is not.
    pub(crate) fn dismiss_guardian(&mut self) {
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

    /// Waits until the guardian tells that a command has ended. `None` if it
    /// does not tell within `timeout`.
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
            // Without a timer the wait for events might have no end.
            match self.resources.events.set_deadline(left) {
                Ok(()) => drop(self.wait_for_events()),
                Err(_) => std::thread::sleep(POLL_INTERVAL),
            }
        }
    }
}
