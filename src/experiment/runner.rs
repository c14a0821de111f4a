// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Goes through the rounds of a comparison: which command runs when, and what
//! undoes it.

use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::experiment::journal::Journal;
use crate::experiment::supervisor::{StopReason, Supervisor};
use crate::model::comparison::{Arm, Comparison, Place};
use crate::model::snapshot::Interval;
use crate::stats::rounds::{orders, orders_of_looks};

/// How a comparison has ended.
#[derive(Debug)]
pub struct Ending {
    /// Rounds of which all four periods were measured.
    pub rounds: u64,
    /// Why there are no more rounds. `None` if all were made. A failure has
    /// been printed already.
    pub cut_short: Option<StopReason>,
    /// What is left on the host, and how to undo it.
    pub left_behind: Option<anyhow::Error>,
}

/// Receives each measured period, and returns a message about it, if any.
pub type OnPeriod<'a> = dyn FnMut(Place, &Interval) -> Result<Option<String>> + 'a;

/// A comparison that is running.
pub struct Runner<'a, 'm> {
    comparison: &'a Comparison,
    supervisor: Supervisor<'m>,
    journal: &'a Journal,
    left_behind: Option<anyhow::Error>,
    /// The failure that ends the comparison has been printed.
    failure_reported: bool,
}

/// How long a comparison takes without its commands.
pub(crate) fn planned_duration(comparison: &Comparison) -> Duration {
    let periods = 4 * u32::try_from(comparison.rounds).unwrap_or(u32::MAX);
    (comparison.settle + comparison.period).saturating_mul(periods)
}

impl<'a, 'm> Runner<'a, 'm> {
    /// Prepares the rounds. Nothing is done to the host yet.
    pub fn new(
        comparison: &'a Comparison,
        supervisor: Supervisor<'m>,
        journal: &'a Journal,
    ) -> Runner<'a, 'm> {
        Runner {
            comparison,
            supervisor,
            journal,
            left_behind: None,
            failure_reported: false,
        }
    }

    /// Prints once why the comparison ends. It does so before anything is
    /// undone, because undoing may take long or fail too.
    fn report_failure(&mut self, end: &StopReason) {
        if let StopReason::Failed(error) = end
            && !std::mem::replace(&mut self.failure_reported, true)
        {
            let text = format!("netstacklat: {error:#}\n");
            self.supervisor.messages().print(&text);
        }
    }

    /// Makes all rounds, or as many as it can, and passes each period to
    /// `on_period` after its change was undone. When this returns, the host is
    /// restored unless [`Ending::left_behind`] is set. `load_started` is the
    /// result of starting the load, if there is one. `is_answered` is called
    /// after each round: are the results clear enough to stop?
    ///
    /// If this panics, the guardian undoes the change: it is dropped without a
    /// farewell message.
    pub fn run(
        mut self,
        load_started: Result<(), StopReason>,
        on_period: &mut OnPeriod<'_>,
        is_answered: &mut dyn FnMut(u64) -> bool,
    ) -> Ending {
        let mut rounds = 0;
        let mut result = load_started;
        let orders = if self.comparison.auto_rounds {
            orders_of_looks(self.comparison.seed)
        } else {
            orders(self.comparison.rounds as usize, self.comparison.seed)
        };
        for (order, round) in orders.into_iter().zip(1..) {
            for arm in order {
                result = result.and_then(|()| self.run_period(arm, round, on_period));
            }
            if let Err(end) = &result {
                self.report_failure(end);
                break;
            }
            rounds = round;
            if is_answered(round) {
                break;
            }
        }
        // If both sides have start commands and no stop commands, A's start
        // command undoes the last period.
        if let Err(end) = self.restore_host("the end")
            && result.is_ok()
        {
            result = Err(end);
        }
        self.supervisor.progress().finish();
        if let Err(error) = self.supervisor.end_load()
            && self.left_behind.is_none()
        {
            self.left_behind =
                Some(error.context("some processes that the comparison started have not ended"));
        }
        if self.left_behind.is_none()
            && let Err(error) = self.journal.remove_state()
        {
            self.left_behind = Some(
                error.context("nothing is left to undo, but its journal could not be removed"),
            );
        }
        self.supervisor.dismiss_guardian();
        Ending {
            rounds,
            cut_short: result.err(),
            left_behind: self.left_behind.take(),
        }
    }

    fn run_period(
        &mut self,
        arm: Arm,
        round: u64,
        on_period: &mut OnPeriod<'_>,
    ) -> Result<(), StopReason> {
        let side = self.comparison.side(arm);
        let rounds = self.comparison.rounds;
        let name = format!("round {round} of {rounds}: {}", side.name);
        self.supervisor.progress().set_current_step(name.clone());
        let measured = self.measure_side(arm, &name);
        if let Err(end) = &measured {
            self.report_failure(end);
        }
        let undone = if measured.is_ok() && self.comparison.is_toggled() {
            // The other side's start command undoes it.
            Ok(())
        } else {
            self.restore_host(&name)
        };
        let interval = measured?;
        undone?;
        self.supervisor.progress().period_done();
        let place = Place {
            arm,
            round: Some(round),
        };
        if let Some(text) = on_period(place, &interval)? {
            self.supervisor.messages().print(&text);
        }
        Ok(())
    }

    /// Changes the host to a side and measures it there.
    fn measure_side(&mut self, arm: Arm, name: &str) -> Result<Interval, StopReason> {
        self.supervisor.check()?;
        let undo = self.comparison.undo_of(arm).map(str::to_owned);
        if let Some(start) = &self.comparison.side(arm).start {
            let step = format!("{name}: start command: {start}");
            self.supervisor.begin_step(step, undo.clone())?;
            self.supervisor.start_command(start)?;
        }
        self.supervisor
            .begin_step(format!("{name}: settling"), undo.clone())?;
        self.supervisor.pause(self.comparison.settle)?;
        self.supervisor
            .begin_step(format!("{name}: measuring"), undo)?;
        self.supervisor.measure(self.comparison.period)
    }

    /// Runs the stop command, if one is due.
    fn restore_host(&mut self, name: &str) -> Result<(), StopReason> {
        let Some(stop) = self.supervisor.pending_undo().map(str::to_owned) else {
            return Ok(());
        };
        if self.left_behind.is_some() {
            return Ok(());
        }
        // If the journal cannot be written, the stop command runs all the same.
        let step = format!("{name}: stop command: {stop}");
        let noted = self.supervisor.begin_step(step, Some(stop.clone()));
        if let Err(error) = self.supervisor.stop_command() {
            let path = self.journal.path().display();
            self.left_behind = Some(anyhow!(
                "not undone: the stop command failed: {error:#}\n  The command: {stop}\n  To run it \
                 again: netstacklat undo. To give it up: netstacklat undo --forget. (Journal: \
                 {path})"
            ));
            return Err(StopReason::Failed(anyhow!("a stop command failed")));
        }
        self.supervisor.mark_undone();
        noted?;
        self.supervisor
            .begin_step(format!("{name}: undone"), None)?;
        Ok(())
    }
}
