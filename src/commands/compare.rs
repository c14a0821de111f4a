// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `compare`: two states of this host in turns, and what differs.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, anyhow};

use crate::analysis::limit::Limit;
use crate::capture::Capture;
use crate::cli::{BadUsage, CompareArgs};
use crate::commands::diff;
use crate::commands::measurement::{human, shortcomings, start};
use crate::commands::periods::Periods;
use crate::event_loop::{EventLoop, let_signals_kill};
use crate::model::comparison::{Comparison, Place, Side};
use crate::model::hooks::{Hook, HookSet};
use crate::model::run::{HookVerdict, RunInfo};
use crate::model::snapshot::{HookStats, Interval, Snapshot};
use crate::runfile::RunFile;
use crate::runfile::writer::Writer;
use crate::trial::progress::{Progress, TICK};
use crate::trial::shell::Shell;
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
    limits_are_of(args.selection.hooks(), &args.findings.fail_if)?;
    let store = store()?;
    undo::nothing_is_left(&store)?;
    // All that can be in the way is found out before the host is changed.
    let path = args.output.clone().unwrap_or_else(default_path);
    let state = State::here(&path)?;
    store.write(&state)?;
    let writer = create(&path)?;
    let shell = Shell::new();
    let (capture, info) = start(&args.selection, None, false)?;
    limits_can_be_judged(&info, &args.findings.fail_if)?;
    let trial = Prepared {
        args,
        comparison: &comparison,
        store: &store,
        state: &state,
        path: &path,
    };
    trial.run(capture, info, writer, shell)
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

/// What is not measured on demand cannot be judged: said now, not after the
/// last round.
fn limits_are_of(wanted: HookSet, limits: &[Limit]) -> Result<()> {
    let off = limits.iter().filter_map(|limit| limit.hook);
    match off.into_iter().find(|&hook| !wanted.contains(hook)) {
        None => Ok(()),
        Some(hook) => {
            let text = format!("--fail-if of {hook}, which -e or -d leave out");
            Err(BadUsage(text).into())
        }
    }
}

/// Nor can what this kernel does not let us measure.
fn limits_can_be_judged(info: &RunInfo, limits: &[Limit]) -> Result<()> {
    let judged = |hook: Hook| limits.iter().any(|limit| limit.hook == Some(hook));
    let off = |verdict: &&HookVerdict| !verdict.attached() && judged(verdict.hook);
    match info.hooks.iter().find(off) {
        None => Ok(()),
        Some(HookVerdict { hook, reason, .. }) => {
            let reason = reason.as_deref().unwrap_or("not attached");
            Err(anyhow!("--fail-if of {hook}, which is off here: {reason}"))
        }
    }
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

/// A file of its own, that can be read again at the end.
fn create(path: &Path) -> Result<Writer> {
    let name = path.display();
    let bad_usage = |text: String| Err(BadUsage(text).into());
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() && !there.is_dir() => {
            bad_usage(format!("{name} is no file, and it is read at the end"))
        }
        Ok(there) if there.is_file() && there.len() > 0 => bad_usage(format!(
            "{name} is there already, and not empty: name another file"
        )),
        _ => Writer::create(path, false),
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

/// All that is known before the host is changed.
struct Prepared<'a> {
    args: &'a CompareArgs,
    comparison: &'a Comparison,
    store: &'a Store,
    state: &'a State,
    path: &'a Path,
}

impl Prepared<'_> {
    fn run(
        &self,
        mut capture: Capture,
        mut info: RunInfo,
        writer: Writer,
        shell: Shell,
    ) -> Result<u8> {
        let comparison = self.comparison;
        info.comparison = Some(comparison.clone());
        say(&greeting(&info, comparison, self.path));
        say(&shortcomings(capture.plan()));
        let mut periods = Periods::new(writer);
        periods.start(&info)?;
        let progress = Progress::new(4 * self.args.rounds, planned(comparison));
        let tick = progress.shown().then_some(TICK);
        let events = EventLoop::for_undoing(tick, capture.clock().timers())?;
        events.ignore_output();
        let stage = Stage::new(events, Some(&mut capture), shell, progress)?;
        let limit = self.args.stop_timeout;
        let trial = Trial::new(comparison, limit, stage, self.store, self.state.clone());
        let mut silence = Silence::default();
        let mut ending = trial.run(&mut |place, interval| {
            periods.period(place, interval)?;
            let name = &comparison.side(place.arm).name;
            Ok(silence.look_at(name, place, interval))
        });
        let_signals_kill()?;
        if let Err(error) = periods.finish() {
            ending.cut_short.get_or_insert(End::Failed(error));
        }
        // Shown before `capture` is dropped: some kernels take seconds to detach.
        conclude(self.args, self.path, ending)
    }
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

/// Says early where nothing will come of it, once for each side.
#[derive(Default)]
struct Silence {
    told: [bool; 2],
}

impl Silence {
    fn look_at(&mut self, name: &str, place: Place, interval: &Interval) -> Option<String> {
        let silent = |(_, stats): (Hook, &HookStats)| {
            stats.histogram.count() == 0 && stats.skips.total() == 0
        };
        let told = &mut self.told[place.arm as usize];
        if *told || !interval.hooks().all(silent) {
            return None;
        }
        *told = true;
        Some(format!(
            "netstacklat: no packet passed in a period of {name}: without traffic there is nothing \
             to compare (--load makes some).\n"
        ))
    }
}

/// Shows what came of it, as far as it came; the exit code.
fn conclude(args: &CompareArgs, path: &Path, ending: Ending) -> Result<u8> {
    let shown = match ending.rounds {
        0 => None,
        _ => Some(show(args, path)),
    };
    let rounds = format!(
        "{} of {} rounds are in {}",
        ending.rounds,
        args.rounds,
        path.display()
    );
    let without_stop =
        |start: &Option<String>, stop: &Option<String>| start.is_some() && stop.is_none();
    let host = match without_stop(&args.a_start, &args.a_stop)
        || without_stop(&args.b_start, &args.b_stop)
    {
        true => "what has no stop command has not been undone",
        false => "the host is as it was",
    };
    if let Some(error) = ending.left_behind {
        return Err(error.context(rounds));
    }
    match ending.cut_short {
        None => shown.unwrap_or(Ok(0)),
        Some(End::Failed(error)) => {
            if let Some(Err(error)) = shown {
                say(&format!("netstacklat: {error:#}\n"));
            }
            Err(error.context(format!("{host}; {rounds}")))
        }
        Some(End::Signal(signal)) => {
            if let Some(Err(error)) = shown {
                say(&format!("netstacklat: {error:#}\n"));
            }
            say(&format!(
                "netstacklat: ended by {signal}; {host}; {rounds}\n"
            ));
            Ok(128 + signal as u8)
        }
    }
}

/// What `netstacklat diff` says of the file.
fn show(args: &CompareArgs, path: &Path) -> Result<u8> {
    let file = RunFile::read(path)?;
    diff::conclude(vec![(String::new(), file)], &args.findings)
}
