// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `compare`: two states of this host in turns, and what differs.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};

use crate::capture::Capture;
use crate::cli::{BadUsage, CompareArgs};
use crate::commands::measurement::{human, shortcomings, start};
use crate::event_loop::EventLoop;
use crate::model::comparison::{Arm, Comparison, Place, Side};
use crate::model::hooks::Hook;
use crate::model::run::RunInfo;
use crate::model::snapshot::{Interval, Snapshot};
use crate::render::{Json, Kind, Renderer as _, Report};
use crate::trial::progress::{Progress, TICK};
use crate::trial::stage::{End, Measure, Stage};
use crate::trial::state::{State, Store};
use crate::trial::turns::{Ending, Trial, planned};
use crate::trial::undo;

/// Makes the rounds, says what differs, and leaves the host as it was.
///
/// # Errors
///
/// If it cannot be made, or not all of it, or something could not be undone.
pub fn run(args: &CompareArgs) -> Result<u8> {
    let store = || Store::lock().context("keeping what has to be undone");
    if args.undo {
        say(&format!(
            "netstacklat: {}\n",
            undo::undo(&store()?, args.stop_timeout)?
        ));
        return Ok(0);
    }
    let comparison = comparison(args)?;
    let store = store()?;
    undo::nothing_is_left(&store)?;
    // All that can be in the way is found out before the host is changed.
    let path = args.output.clone().unwrap_or_else(default_path);
    let file = create(&path)?;
    let ending = measure(args, &comparison, &store, &path, file);
    if ending.is_err() {
        // It would be in the way of the next try.
        let _ = remove_if_empty(&path);
    }
    conclude(&path, ending?)
}

fn comparison(args: &CompareArgs) -> Result<Comparison> {
    if args.a_name == args.b_name {
        let text = format!("both sides are called '{}': give them names", args.a_name);
        return Err(BadUsage(text).into());
    }
    let side = |name: &String, start: &Option<String>, stop: &Option<String>| Side {
        name: name.clone(),
        start: start.clone(),
        stop: stop.clone(),
    };
    Ok(Comparison {
        a: side(&args.a_name, &args.a_start, &args.a_stop),
        b: side(&args.b_name, &args.b_start, &args.b_stop),
        load: args.load.clone(),
        rounds: args.rounds.into(),
        period: args.period,
        settle: args.settle,
        seed: args.seed.unwrap_or_else(new_seed),
    })
}

/// Another each time, and short enough to be typed.
fn new_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().as_nanos() as u64 / 1000 % 1_000_000
}

fn default_path() -> PathBuf {
    let now = jiff::Zoned::now();
    now.strftime("compare-%Y%m%d-%H%M%S.nsl").to_string().into()
}

fn create(path: &Path) -> Result<File> {
    let file = OpenOptions::new().append(true).create_new(true).open(path);
    file.with_context(|| format!("making {}", path.display()))
}

fn remove_if_empty(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path)?.len() {
        0 => std::fs::remove_file(path),
        _ => Ok(()),
    }
}

impl Measure for Capture {
    fn snapshot(&mut self) -> Result<Snapshot> {
        Capture::snapshot(self)
    }

    fn clock_changed(&mut self) -> Result<()> {
        Capture::clock_changed(self)
    }
}

fn measure(
    args: &CompareArgs,
    comparison: &Comparison,
    store: &Store,
    path: &Path,
    file: File,
) -> Result<Ending> {
    let state = State::here(path)?;
    store.write(&state)?;
    let (mut capture, mut info) = start(&args.selection, None, false).inspect_err(|_| {
        let _ = store.clear();
    })?;
    info.comparison = Some(comparison.clone());
    say(&greeting(&info, comparison, path));
    say(&shortcomings(capture.plan()));
    let progress = Progress::new(4 * args.rounds, planned(comparison));
    let tick = progress.shown().then_some(TICK);
    let events = EventLoop::for_undoing(tick, capture.clock().timers())?;
    let mut lines = Lines::new(file);
    Json.start(&mut lines.file, &info)
        .context("writing the run file")?;
    let stage = Stage::new(events, Some(&mut capture), progress)?;
    let trial = Trial::new(comparison, args.stop_timeout, stage, store, state);
    let mut ending = trial.run(&mut |place, interval| {
        lines.write(Kind::Interval, place, interval)?;
        lines.warn_if_silent(comparison, place, interval);
        Ok(())
    });
    if let Err(error) = lines.totals() {
        ending.cut_short.get_or_insert(End::Failed(error));
    }
    Ok(ending)
}

/// Nobody may be reading; that is no reason to stop.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}

/// Said before anything is done: what is on, and what will be.
fn greeting(info: &RunInfo, comparison: &Comparison, path: &Path) -> String {
    let on = info.hooks.iter().filter(|hook| hook.attached()).count();
    let mut text = format!(
        "netstacklat: {on} hook{} attached; RX timestamping is on for the whole host; clock from \
         {}, TAI offset {} s.\n\
         netstacklat: {} and {} in {} rounds of four periods, some {} and what their commands \
         take; seed {}; into {}.\n",
        if on == 1 { "" } else { "s" },
        info.clock.source,
        info.clock.tai_offset_s,
        comparison.a.name,
        comparison.b.name,
        comparison.rounds,
        human(planned(comparison)),
        comparison.seed,
        path.display(),
    );
    for side in [&comparison.a, &comparison.b] {
        if side.start.is_some() && side.stop.is_none() {
            text += &format!(
                "netstacklat: there is no stop command for {}: nothing undoes what its start \
                 command does.\n",
                side.name
            );
        }
    }
    text
}

/// The run file, a line per period, and the sums of each side.
struct Lines {
    file: File,
    seq: u64,
    sums: [Option<Interval>; 2],
    warned: [bool; 2],
}

impl Lines {
    fn new(file: File) -> Lines {
        Lines {
            file,
            seq: 0,
            sums: [None, None],
            warned: [false; 2],
        }
    }

    fn write(&mut self, kind: Kind, place: Place, interval: &Interval) -> Result<()> {
        if kind == Kind::Interval {
            self.seq += 1;
        }
        let report = Report {
            kind,
            seq: self.seq,
            partial: false,
            missed_intervals: 0,
            cumulative: false,
            place: Some(place),
            interval,
        };
        let written = Json.report(&mut self.file, &report);
        written.context("writing the run file")?;
        if kind == Kind::Interval {
            match &mut self.sums[place.arm as usize] {
                Some(sum) => sum.add(interval),
                none => *none = Some(interval.clone()),
            }
        }
        Ok(())
    }

    fn totals(&mut self) -> Result<()> {
        for arm in Arm::BOTH {
            if let Some(sum) = self.sums[arm as usize].take() {
                self.write(Kind::Total, Place { arm, round: None }, &sum)?;
            }
        }
        Ok(())
    }

    /// Early, as nothing will come of it.
    fn warn_if_silent(&mut self, comparison: &Comparison, place: Place, interval: &Interval) {
        let silent = |(_, stats): (Hook, &crate::model::snapshot::HookStats)| {
            stats.histogram.count() == 0 && stats.skips.total() == 0
        };
        if interval.hooks().all(silent) && !self.warned[place.arm as usize] {
            self.warned[place.arm as usize] = true;
            say(&format!(
                "netstacklat: no packet passed in a period of {}: there is nothing to compare \
                 without traffic (--load makes some).\n",
                comparison.side(place.arm).name
            ));
        }
    }
}

/// What came of it, as far as it came, and the exit code.
fn conclude(path: &Path, ending: Ending) -> Result<u8> {
    let mut code = 0;
    if ending.rounds > 0 {
        say(&format!(
            "netstacklat: {} rounds in {}\n",
            ending.rounds,
            path.display()
        ));
    }
    if let Some(error) = ending.left_behind {
        return Err(error);
    }
    match ending.cut_short {
        None => {}
        Some(End::Failed(error)) => return Err(error),
        Some(End::Signal(signal)) => {
            say(&format!(
                "netstacklat: ended by {signal}; the host is as it was\n"
            ));
            code = 128 + signal as u8;
        }
    }
    Ok(code)
}
