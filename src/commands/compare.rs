// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `compare`: two states of this host in turns, and what differs.

use std::cell::RefCell;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result};
use nix::unistd::geteuid;

use crate::analysis::outlook::is_answered;
use crate::analysis::{By, Input, analyse};
use crate::capture::Capture;
use crate::cli::{CompareArgs, Period, Rounds, UndoArgs};
use crate::commands::compare_writer::CompareWriter;
use crate::commands::diff;
use crate::commands::greeting::{self, human, plan};
use crate::commands::session::{readers_of, start, stop};
use crate::commands::undo::{self, show_logs};
use crate::error::UsageError;
use crate::experiment::auto_period;
use crate::experiment::checks;
use crate::experiment::first_round::{FirstRound, counts};
use crate::experiment::guardian::{Guardian, GuardianConfig, THIS_PROGRAM};
use crate::experiment::journal::Journal;
use crate::experiment::journal_dirs;
use crate::experiment::lock::Lock;
use crate::experiment::progress::{Progress, REDRAW_INTERVAL};
use crate::experiment::recover;
use crate::experiment::runner::{Ending, Runner, planned_duration};
use crate::experiment::state::State;
use crate::experiment::supervisor::{Resources, StopReason, Supervisor};
use crate::model::comparison::{Comparison, Side};
use crate::model::run::RunInfo;
use crate::process::rlimits::Limits;
use crate::runfile::writer::{Readers, Writer};
use crate::runfile::{Content, RunFile};
use crate::runtime::event_loop::{EventLoop, end_at_next_signal, end_requested};
use crate::runtime::messages::Messages;
use crate::runtime::sink::{STALL_TIMEOUT, Sink, stdout};
use crate::stats::looks::LOOKS;

/// Makes the rounds, says what differs, and leaves the host as it was.
///
/// # Errors
///
/// If it cannot be made, or not all of it, or something could not be undone.
pub fn run(args: &CompareArgs, messages: &Messages) -> Result<u8> {
    if args.undo {
        let args = UndoArgs {
            stop_timeout: Some(args.stop_timeout),
            ..UndoArgs::default()
        };
        return undo::run(&args, messages).map(|()| 0);
    }
    let comparison = comparison(args)?;
    checks::sides_can_be_undone(&comparison)?;
    if args.period == Period::Auto {
        checks::has_time(&comparison, args.max_duration)?;
    }
    checks::limits_are_of(args.select.wanted_hooks(), &args.findings.fail_if)?;
    if args.force && !geteuid().is_root() {
        return Err(UsageError("--force is for root only".into()).into());
    }
    let lock = if args.force {
        None
    } else {
        Some(Lock::take(|text| messages.print(text))?)
    };
    let left = recover::find()?;
    show_logs(&left, messages);
    recover::refuse_leftovers(&left)?;
    // What is left in other network namespaces is not ours to lock.
    drop(left);
    // All that can be in the way is found out before the host is changed.
    let path = args.output.clone().unwrap_or_else(default_path);
    let state = State::here(&path, args.stop_timeout)?;
    let journal = Journal::create(&journal_dirs::for_new_journal())
        .context("keeping what is to be undone")?;
    journal.write(&state)?;
    // Before any BPF object, socket or file is opened.
    let config = GuardianConfig {
        program: THIS_PROGRAM.into(),
        limits: Limits::current(),
        command_env: None,
    };
    let guardian = Guardian::start(&config, &journal, lock.as_ref())?;
    let writer = create(&path, readers_of(&args.select))?;
    let (capture, info) = start(&args.select, None, false, messages)?;
    checks::limits_can_be_judged(&info, &args.findings.fail_if)?;
    let prepared = Prepared {
        args,
        comparison: &comparison,
        journal: &journal,
        path: &path,
        messages,
    };
    prepared.run(capture, info, writer, guardian, config, state)
}

fn comparison(args: &CompareArgs) -> Result<Comparison> {
    if args.a_name == args.b_name {
        let text = format!("both sides are called '{}': give them names", args.a_name);
        return Err(UsageError(text).into());
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
        rounds: args.rounds.most().into(),
        auto_rounds: args.rounds == Rounds::Auto,
        period: match args.period {
            Period::Fixed(period) => period,
            // Until the packet rate is known.
            Period::Auto => auto_period::SHORTEST,
        },
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

/// A file of its own, that can be read again at the end.
fn create(path: &Path, readers: Readers) -> Result<Writer> {
    let name = path.display();
    let bad_usage = |text: String| Err(UsageError(text).into());
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() && !there.is_dir() => {
            bad_usage(format!("{name} is no file, and it is read at the end"))
        }
        Ok(there) if there.is_file() && there.len() > 0 => bad_usage(format!(
            "{name} is there already, and not empty: name another file"
        )),
        _ => Writer::create(path, false, readers),
    }
}

/// All that is known before the host is changed.
struct Prepared<'a> {
    args: &'a CompareArgs,
    comparison: &'a Comparison,
    journal: &'a Journal,
    path: &'a Path,
    messages: &'a Messages,
}

impl Prepared<'_> {
    fn run(
        &self,
        mut capture: Capture,
        mut info: RunInfo,
        writer: Writer,
        guardian: Guardian,
        config: GuardianConfig,
        state: State,
    ) -> Result<u8> {
        let (mut comparison, messages) = (self.comparison.clone(), self.messages);
        messages.print(&greeting::compare(&capture));
        let tick = messages.is_terminal().then_some(REDRAW_INTERVAL);
        let mut events = EventLoop::uninterruptible(tick)?;
        let host = events.watch(capture.watched(), "the clock and interfaces")?;
        events.ignore_output();
        let mut periods = CompareWriter::new(writer, &events, comparison.auto_rounds)?;
        let mut supervisor = Supervisor::new(Resources {
            events: &mut events,
            measure: &mut capture,
            host,
            guardian,
            guardian_config: config,
            journal: self.journal,
            state,
            messages: messages.clone(),
            progress: Progress::new(messages.clone(), 4 * self.args.rounds.most()),
        })?;
        let mut begun = match &comparison.load {
            Some(load) => supervisor.start_load(load),
            None => Ok(()),
        };
        if begun.is_ok() && self.args.period == Period::Auto {
            begun = self.choose_period(&mut supervisor, &mut comparison);
        }
        info.comparison = Some(comparison.clone());
        messages.print(&plan(&comparison, self.path));
        periods.start(&info)?;
        supervisor
            .progress()
            .set_planned(planned_duration(&comparison));
        let runner = Runner::new(&comparison, supervisor, self.journal);
        let mut first_round = FirstRound::default();
        // Both write and read what has been measured.
        let periods = RefCell::new(periods);
        let mut ending = runner.run(
            begun,
            &mut |place, interval| {
                periods.borrow_mut().period(place, interval)?;
                Ok(first_round.look_at(&comparison, place, interval))
            },
            &mut |round| {
                let look = |(rounds, _): &(usize, f64)| *rounds as u64 == round;
                comparison.auto_rounds
                    && LOOKS.iter().any(look)
                    && self.is_answered(periods.borrow().so_far())
            },
        );
        let periods = periods.into_inner();
        if let Err(error) = periods.finish(&mut events) {
            messages.print(&format!("netstacklat: {error:#}\n"));
            ending.cut_short.get_or_insert(StopReason::Failed(error));
        }
        end_at_next_signal()?;
        let out = Sink::new(
            stdout().context("copying standard output")?,
            usize::MAX,
            None,
        )?;
        let code = self.conclude(ending, &out);
        // While that is being written: some kernels take seconds to detach.
        stop(capture, messages);
        out.close(end_requested().then_some(STALL_TIMEOUT));
        code
    }

    /// For a p99 at the hook with the most packets, within `--max-duration`.
    fn choose_period(
        &self,
        supervisor: &mut Supervisor<'_>,
        comparison: &mut Comparison,
    ) -> Result<(), StopReason> {
        let tried = human(auto_period::RATE_MEASURED);
        let print = |text: String| self.messages.print(&format!("netstacklat: {text}\n"));
        print(format!(
            "--period auto: measuring the packet rate for {tried}"
        ));
        let counts = counts(&supervisor.measure(auto_period::RATE_MEASURED)?);
        let most = counts.iter().map(|&(_, count)| count).max().unwrap_or(0);
        let periods = 4 * self.args.rounds.most();
        let longest = self.args.max_duration / periods;
        let chosen = auto_period::choose(most, longest.saturating_sub(comparison.settle));
        comparison.period = chosen.period;
        if let Some(wanted) = chosen.wanted {
            print(format!(
                "a p99 needs --period {}: that is more than --max-duration {} has time for",
                human(wanted).replace(' ', ""),
                human(self.args.max_duration)
            ));
        }
        Ok(())
    }

    /// Whether the answer is known from what has been written by now.
    fn is_answered(&self, lines: &[u8]) -> bool {
        let Ok(file) = RunFile::read_from(lines, self.path) else {
            return false;
        };
        let analysis = analyse(&Input::Comparison(&file), &self.args.findings.fail_if);
        is_answered(&analysis, self.args.precision)
    }

    /// Says what came of it, as far as it came; the exit code.
    fn conclude(&self, ending: Ending, out: &Sink<File>) -> Result<u8> {
        let print = |text: &str| self.messages.print(&format!("netstacklat: {text}\n"));
        let file = RunFile::read(self.path);
        let rounds = file.as_ref().map_or(0, rounds_in);
        let result = match file {
            Ok(file) if rounds > 0 => {
                let keys = file.info.selection.by.clone();
                let by = By {
                    keys: &keys,
                    top: self.args.select.listing().top,
                };
                let found = diff::find(vec![(String::new(), file)], &self.args.findings, by);
                found.map(|found| {
                    // Ignore that there is no room: the queue has no bound.
                    let _ = out.send(found.text);
                    found.code
                })
            }
            // Why not is said below.
            Ok(_) => Ok(1),
            // Without a whole round the file was removed.
            Err(_) if ending.rounds == 0 => Ok(1),
            Err(error) => Err(error.context("the run file cannot be read back")),
        };
        let rounds = match rounds {
            0 => "no round was completed".into(),
            n => format!(
                "{n} of {} rounds are in {}",
                self.args.rounds.most(),
                self.path.display()
            ),
        };
        // The cause of a failure has been said before anything was undone.
        let code = match &ending.cut_short {
            None => None,
            Some(StopReason::Failed(_)) => Some(1),
            Some(StopReason::Signal(signal)) => {
                print(&format!("ended by {signal}"));
                Some(128 + *signal as u8)
            }
        };
        match (code, ending.left_behind) {
            (None, None) => result,
            (code, left_behind) => {
                if let Err(error) = result {
                    print(&format!("{error:#}"));
                }
                match left_behind {
                    None => {
                        print(&format!("the host is as it was; {rounds}"));
                        Ok(code.unwrap_or(1))
                    }
                    // Whatever ended it, something is left.
                    Some(error) => {
                        print(&format!("{error:#}\n  {rounds}"));
                        Ok(1)
                    }
                }
            }
        }
    }
}

/// Whole rounds in a file.
fn rounds_in(file: &RunFile) -> usize {
    match &file.content {
        Content::Comparison { periods, .. } => periods.len() / 4,
        Content::Recording(_) => 0,
    }
}
