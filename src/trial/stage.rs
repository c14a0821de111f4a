// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Waiting: for time to pass, for a command to end. Whatever is waited for,
//! the clock is followed, the load watched, what commands say shown, and
//! signals noticed.

use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use nix::sys::signal::Signal;

use crate::event_loop::{EventLoop, Events};
use crate::model::snapshot::Snapshot;
use crate::trial::output::Output;
use crate::trial::progress::Progress;
use crate::trial::shell::{Bond, Exit, GRACE, Running, Shell};

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

/// Where a comparison waits.
pub struct Stage<'m> {
    events: EventLoop,
    measure: Option<&'m mut dyn Measure>,
    /// For commands.
    pub shell: Shell,
    output: Output,
    load: Option<Load>,
    /// For what is to be said.
    pub progress: Progress,
    signal: Option<Signal>,
    trouble: Option<anyhow::Error>,
    /// The stop command that runs.
    undoing: Option<String>,
}

struct Load {
    running: Running,
    command: String,
    output: Output,
    ended: Option<Exit>,
}

impl<'m> Stage<'m> {
    /// `events` are those of [`EventLoop::for_undoing`].
    ///
    /// # Errors
    ///
    /// If the kernel refuses a pipe.
    pub fn new(
        events: EventLoop,
        measure: Option<&'m mut dyn Measure>,
        shell: Shell,
        progress: Progress,
    ) -> Result<Stage<'m>> {
        let output = Output::open()?;
        events.watch_output(output.reader())?;
        Ok(Stage {
            events,
            measure,
            shell,
            output,
            load: None,
            progress,
            signal: None,
            trouble: None,
            undoing: None,
        })
    }

    /// All that has been counted so far.
    ///
    /// # Errors
    ///
    /// If it cannot be told.
    pub fn snapshot(&mut self) -> Result<Snapshot> {
        match &mut self.measure {
            Some(measure) => measure.snapshot(),
            None => Err(anyhow!("nothing is measured")),
        }
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
        if let Some(load) = &mut self.load
            && let Some(exit) = load.ended
        {
            load.output.take_all();
            return Err(End::Failed(anyhow!(
                "the load has ended before the comparison ({exit}): {}{}",
                load.command,
                load.output.last_words()
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
        self.events.set_deadline(time)?;
        loop {
            let events = self.turn();
            self.check()?;
            if events.deadline {
                return Ok(());
            }
        }
    }

    /// Runs a start command to its end; `begun` is told its process.
    ///
    /// # Errors
    ///
    /// If it fails, or the comparison is to end: then it has been ended, too.
    pub fn start_command(
        &mut self,
        command: &str,
        begun: impl FnOnce(&Running) -> Result<()>,
    ) -> Result<(), End> {
        self.check()?;
        let time = Instant::now();
        self.output.forget();
        let running = self
            .shell
            .start(command, Some(self.output.writer()), Bond::DiesWithUs)?;
        let ended = match begun(&running) {
            Ok(()) => self.attend(&running),
            Err(error) => Err(error.into()),
        };
        let succeeded = matches!(ended, Ok(exit) if exit.success());
        match succeeded {
            true => running.leave(),
            false => running.end(GRACE),
        }
        self.show(true);
        self.progress.command_took(time.elapsed());
        match ended {
            Ok(_) if succeeded => Ok(()),
            Ok(exit) => {
                let words = self.output.last_words();
                Err(anyhow!("a start command failed ({exit}): {command}{words}").into())
            }
            Err(end) => Err(end),
        }
    }

    fn attend(&mut self, running: &Running) -> Result<Exit, End> {
        loop {
            self.turn();
            if let Some(exit) = running.ended()? {
                return Ok(exit);
            }
            self.check()?;
        }
    }

    /// Runs a stop command to its end, whatever else happens, but for no longer
    /// than `limit`.
    ///
    /// # Errors
    ///
    /// What went wrong with it.
    pub fn stop_command(
        &mut self,
        command: &str,
        limit: Duration,
        begun: impl FnOnce(&Running) -> Result<()>,
    ) -> Result<()> {
        let time = Instant::now();
        self.output.forget();
        let output = Some(self.output.writer());
        let running = self.shell.start(command, output, Bond::OutlivesUs)?;
        self.undoing = Some(command.into());
        // If it cannot be noted, it runs all the same.
        let _ = begun(&running);
        let ended = loop {
            let left = limit.saturating_sub(time.elapsed());
            if left.is_zero() {
                break Ok(None);
            }
            // Without a timer a turn might have no end.
            match self.events.set_deadline(left) {
                Ok(()) => drop(self.turn()),
                Err(_) => std::thread::sleep(LOOK),
            }
            match running.ended() {
                Ok(None) => {}
                ended => break ended,
            }
        };
        self.undoing = None;
        let failed = match ended {
            Ok(Some(exit)) if exit.success() => None,
            Ok(Some(exit)) => Some(exit.to_string()),
            Ok(None) => Some(format!(
                "did not end within {} and was killed",
                humantime::format_duration(limit)
            )),
            Err(error) => Some(format!("{error:#}")),
        };
        match failed {
            None => running.leave(),
            Some(_) => running.end(GRACE),
        }
        self.show(true);
        self.progress.command_took(time.elapsed());
        match failed {
            Some(why) => Err(anyhow!("{why}{}", self.output.last_words())),
            None => Ok(()),
        }
    }

    /// Starts the load, and waits a moment to see that it does not end at once;
    /// `begun` is told its process.
    ///
    /// # Errors
    ///
    /// If it has ended, or the comparison is to end.
    pub fn start_load(
        &mut self,
        command: &str,
        begun: impl FnOnce(&Running) -> Result<()>,
    ) -> Result<(), End> {
        self.check()?;
        let output = Output::open()?;
        self.events.watch_output(output.reader())?;
        let running = self
            .shell
            .start(command, Some(output.writer()), Bond::DiesWithUs)?;
        let told = begun(&running);
        self.load = Some(Load {
            running,
            command: command.into(),
            output,
            ended: None,
        });
        told?;
        self.pause(LOAD_TRIED)
    }

    /// Ends the load, if there is one.
    pub fn end_load(&mut self) {
        if let Some(load) = self.load.take() {
            load.running.end(GRACE);
        }
    }

    /// What has happened by the time something has.
    fn turn(&mut self) -> Events {
        let events = self.events.wait().unwrap_or_else(|error| {
            self.trouble.get_or_insert(error);
            // What has to be waited for is, all the same.
            std::thread::sleep(LOOK);
            Events::default()
        });
        if let Some(signal) = events.signal.and_then(|n| Signal::try_from(n).ok()) {
            self.signalled(signal);
        }
        if events.clock
            && let Some(measure) = &mut self.measure
            && let Err(error) = measure.clock_changed()
        {
            self.trouble.get_or_insert(error);
        }
        if events.said {
            self.show(false);
        }
        if events.child
            && let Some(load) = &mut self.load
        {
            load.ended = load.running.ended().ok().flatten();
        }
        if events.reports > 0 {
            self.progress.tick();
        }
        events
    }

    fn signalled(&mut self, signal: Signal) {
        let first = self.signal.is_none();
        self.signal.get_or_insert(signal);
        if let Some(command) = &self.undoing {
            self.progress.say(&format!(
                "netstacklat: {signal}: undoing first: {command}\n"
            ));
        } else if first {
            self.progress
                .say(&format!("netstacklat: {signal}: ending\n"));
        }
    }

    /// Shows what commands have said, with `all` also a line without end. What
    /// the load says is kept for when it fails.
    fn show(&mut self, all: bool) {
        let text = match all {
            true => self.output.take_all(),
            false => self.output.take(),
        };
        if !text.is_empty() {
            self.progress.say(&text);
        }
        if let Some(load) = &mut self.load {
            load.output.take();
        }
    }
}

/// Whatever has gone wrong, a panic too.
impl Drop for Stage<'_> {
    fn drop(&mut self) {
        self.end_load();
    }
}
