// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The rounds of a comparison: what is done when, and what is owed to the host
//! at each moment.

use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::model::comparison::{Arm, Comparison, Place, Side};
use crate::model::snapshot::Interval;
use crate::stats::rounds::orders;
use crate::trial::process::Group;
use crate::trial::shell::{Bond, Running};
use crate::trial::stage::{End, Stage};
use crate::trial::state::{State, Store};

/// How a comparison has ended.
#[derive(Debug)]
pub struct Ending {
    /// Rounds of which all four periods were measured.
    pub rounds: u64,
    /// Why there are no more; `None`: all were made.
    pub cut_short: Option<End>,
    /// What is left on the host, and how to undo it.
    pub left_behind: Option<anyhow::Error>,
}

/// Takes each period, and returns what is to be said about it.
pub type Keep<'a> = dyn FnMut(Place, &Interval) -> Result<Option<String>> + 'a;

/// A comparison that is being made.
pub struct Trial<'a, 'm> {
    comparison: &'a Comparison,
    stop_limit: Duration,
    stage: Stage<'m>,
    store: &'a Store,
    state: State,
    left_behind: Option<anyhow::Error>,
}

/// How long it takes without its commands.
pub fn planned(comparison: &Comparison) -> Duration {
    let periods = 4 * u32::try_from(comparison.rounds).unwrap_or(u32::MAX);
    (comparison.settle + comparison.period).saturating_mul(periods)
}

impl<'a, 'm> Trial<'a, 'm> {
    /// Before anything is done to the host.
    pub fn new(
        comparison: &'a Comparison,
        stop_limit: Duration,
        stage: Stage<'m>,
        store: &'a Store,
        state: State,
    ) -> Trial<'a, 'm> {
        Trial {
            comparison,
            stop_limit,
            stage,
            store,
            state,
            left_behind: None,
        }
    }

    /// Makes all rounds, or as many as it can; hands each period to `keep` when
    /// it has been undone. The host is as it was when this returns, unless it
    /// says otherwise.
    pub fn run(mut self, keep: &mut Keep<'_>) -> Ending {
        let mut rounds = 0;
        let mut made = self.load();
        let orders = orders(self.comparison.rounds as usize, self.comparison.seed);
        for (order, round) in orders.into_iter().zip(1..) {
            for arm in order {
                made = made.and_then(|()| self.period(arm, round, keep));
            }
            if made.is_err() {
                break;
            }
            rounds = round;
        }
        self.stage.progress.finish();
        self.stage.end_load();
        if self.left_behind.is_none()
            && let Err(error) = self.store.clear()
        {
            self.left_behind = Some(error.context("nothing is left to undo, but"));
        }
        Ending {
            rounds,
            cut_short: made.err(),
            left_behind: self.left_behind.take(),
        }
    }

    fn load(&mut self) -> Result<(), End> {
        let Some(command) = &self.comparison.load else {
            return Ok(());
        };
        let Trial {
            stage,
            state,
            store,
            ..
        } = self;
        stage.start_load(command, |running| note(store, state, "the load", running))
    }

    fn period(&mut self, arm: Arm, round: u64, keep: &mut Keep<'_>) -> Result<(), End> {
        let side = self.comparison.side(arm);
        let rounds = self.comparison.rounds;
        let place = format!("round {round} of {rounds}: {}", side.name);
        self.stage.progress.now_in(place.clone());
        let measured = self.measured(side, &place);
        let undone = self.undo(&place);
        let interval = measured?;
        undone?;
        self.stage.progress.period_done();
        let place = Place {
            arm,
            round: Some(round),
        };
        if let Some(text) = keep(place, &interval)? {
            self.stage.progress.say(&text);
        }
        Ok(())
    }

    /// Brings the host to a side and measures it there.
    fn measured(&mut self, side: &Side, place: &str) -> Result<Interval, End> {
        self.stage.check()?;
        if let Some(start) = &side.start {
            let undo = side.stop.clone();
            self.step(format!("{place}: start command: {start}"), undo)?;
            let Trial {
                stage,
                state,
                store,
                ..
            } = self;
            stage.start_command(start, |running| {
                note(store, state, "a start command", running)
            })?;
        }
        self.step(format!("{place}: settling"), self.state.undo.clone())?;
        self.stage.pause(self.comparison.settle)?;
        self.step(format!("{place}: measuring"), self.state.undo.clone())?;
        let first = self.stage.snapshot()?;
        self.stage.pause(self.comparison.period)?;
        let last = self.stage.snapshot()?;
        Ok(last.since(&first))
    }

    /// On disk before it is so; and what is not on disk is not done.
    fn step(&mut self, step: String, undo: Option<String>) -> Result<()> {
        let mut state = self.state.clone();
        state.step = step;
        state.undo = undo;
        // The load goes on; another command has ended.
        let load = usize::from(self.comparison.load.is_some());
        state.running.truncate(load);
        self.store.write(&state)?;
        self.state = state;
        Ok(())
    }

    /// Back to how the host was.
    fn undo(&mut self, place: &str) -> Result<(), End> {
        let Some(stop) = self.state.undo.clone() else {
            return Ok(());
        };
        // If it cannot be written, it is done all the same.
        let told = self.step(format!("{place}: stop command: {stop}"), Some(stop.clone()));
        let Trial {
            stage,
            state,
            store,
            stop_limit,
            ..
        } = self;
        let stopped = stage.stop_command(&stop, *stop_limit, |running| {
            note(store, state, "a stop command", running)
        });
        if let Err(error) = stopped {
            self.left_behind = Some(error.context(left_behind(&stop, self.store)));
            return Err(End::Failed(anyhow!("a stop command failed")));
        }
        self.state.undo = None;
        told?;
        self.step(format!("{place}: undone"), None)?;
        Ok(())
    }
}

fn left_behind(stop: &str, store: &Store) -> String {
    format!(
        "this has not been undone, as the stop command failed: {stop}\n  \
         To undo it: netstacklat compare --undo (runs it again), or by hand and remove {}\n  \
         The stop command",
        store.file().display()
    )
}

/// Notes a command, for when we cannot end it. One that has ended by now need
/// not be.
fn note(store: &Store, state: &mut State, what: &str, running: &Running) -> Result<()> {
    if let Ok(group) = Group::of(what, running.pid()) {
        state.running.push(group);
        store.write(state)?;
    }
    Ok(())
}

/// A panic undoes, too.
impl Drop for Trial<'_, '_> {
    fn drop(&mut self) {
        if self.left_behind.is_some() || !std::thread::panicking() {
            return;
        }
        self.stage.end_load();
        let Some(stop) = &self.state.undo else {
            let _ = self.store.clear();
            return;
        };
        let running = self.stage.shell.start(stop, None, Bond::OutlivesUs);
        let exit = running.ok().and_then(|it| it.wait(self.stop_limit));
        if exit.is_some_and(|exit| exit.success()) {
            let _ = self.store.clear();
        } else {
            let text = left_behind(stop, self.store);
            self.stage
                .progress
                .say(&format!("netstacklat: {text} failed\n"));
        }
    }
}
