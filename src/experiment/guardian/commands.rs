// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The commands that the guardian runs: their output, and their time limits.

use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;

use crate::experiment::protocol::Role;
use crate::process::output::Output;
use crate::process::shell::{GRACE, Running};

/// The pipes that commands write to, by role. They stay open as long as the
/// guardian lives, because processes that a start command left running go on
/// writing.
pub(super) struct Outputs(pub(super) [Output; Role::ALL.len()]);

impl Outputs {
    pub(super) fn open() -> Result<Outputs> {
        Ok(Outputs([Output::open()?, Output::open()?, Output::open()?]))
    }

    pub(super) fn of(&mut self, role: Role) -> &mut Output {
        &mut self.0[role as usize]
    }
}

pub(super) struct Command {
    pub(super) role: Role,
    pub(super) running: Running,
    pub(super) limit: Option<Duration>,
    pub(super) began: Instant,
    /// The command has been asked to end, and is killed at this time.
    pub(super) kill_at: Option<Instant>,
    pub(super) took_too_long: bool,
}

impl Command {
    pub(super) fn ask_to_end(&mut self, grace: Duration) {
        if self.kill_at.is_none() {
            self.running.signal(Signal::SIGTERM);
            // A stopped process handles SIGTERM only after SIGCONT.
            self.running.signal(Signal::SIGCONT);
            self.kill_at = Some(Instant::now() + grace);
        }
    }

    pub(super) fn enforce_limits(&mut self, now: Instant) {
        if self.kill_at.is_some_and(|at| now >= at) {
            self.running.signal(Signal::SIGKILL);
            // Once is enough. SIGCHLD tells of its end.
            self.kill_at = Some(now + GRACE);
        } else if self.limit.is_some_and(|limit| now >= self.began + limit) {
            self.took_too_long = true;
            self.ask_to_end(GRACE);
        }
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        let limit = self.limit.map(|limit| self.began + limit);
        self.kill_at.or(limit)
    }
}
