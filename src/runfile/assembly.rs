// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Puts the lines of a run file together: recordings are added up, the periods
//! of a comparison are kept by round.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::model::comparison::{Arm, Place};
use crate::model::counters::Counters;
use crate::model::histogram::Resolution;
use crate::model::hooks::Hook;
use crate::model::report::{Kind, Report};
use crate::model::run::RunInfo;
use crate::model::sampling::Sampling;
use crate::model::side::PerSide;
use crate::model::snapshot::Interval;
use crate::runfile::line::{Line, Start};
use crate::runfile::{Content, Period, RunFile, Totals};

/// More rounds than `compare` can be asked for, and what memory has to hold.
const MOST_ROUNDS: u64 = 10_000;
/// Problems that are told, and what is excluded; more would not be read.
const MOST_PROBLEMS: usize = 20;
const TOO_MUCH: &str = "sums beyond 64 bits";
/// Periods of a round.
const PERIODS: usize = 4;

/// What has been read so far.
pub(super) struct Assembly {
    info: RunInfo,
    began: Option<SystemTime>,
    runs: u64,
    excluded: Vec<String>,
    problems: Vec<String>,
    /// Of each side; recordings have the first only.
    sums: PerSide<Option<Totals>>,
    periods: Vec<Period>,
    round: Round,
    run: Run,
}

/// What the present run has said so far.
struct Run {
    resolution: Resolution,
    lines: u64,
    sums: PerSide<Option<Totals>>,
    totals: PerSide<Option<Totals>>,
    /// The last line of a run with `--cumulative`.
    cumulative: Option<Totals>,
    stalled: u64,
}

/// The round that is being read.
#[derive(Default)]
struct Round {
    number: u64,
    periods: Vec<Period>,
    cut: bool,
}

impl Run {
    fn new(resolution: Resolution) -> Run {
        Run {
            resolution,
            lines: 0,
            sums: PerSide::default(),
            totals: PerSide::default(),
            cumulative: None,
            stalled: 0,
        }
    }
}

fn note(texts: &mut Vec<String>, text: String) {
    if texts.len() < MOST_PROBLEMS && !texts.contains(&text) {
        texts.push(text);
    }
}

/// A recording has the first side only.
fn side(place: Option<Place>) -> Arm {
    place.map_or(Arm::A, |place| place.arm)
}

impl Assembly {
    pub(super) fn new(start: Start) -> Assembly {
        let mut assembly = Assembly {
            run: Run::new(start.info.resolution),
            info: start.info,
            began: None,
            runs: 1,
            excluded: Vec::new(),
            problems: Vec::new(),
            sums: PerSide::default(),
            periods: Vec::new(),
            round: Round::default(),
        };
        assembly.unknown_hooks(&start.unknown_hooks);
        assembly
    }

    pub(super) fn resolution(&self) -> Resolution {
        self.run.resolution
    }

    /// Notes what is told beside the result, once.
    pub(super) fn problem(&mut self, text: String) {
        note(&mut self.problems, text);
    }

    /// Notes what an end before its time has taken away.
    pub(super) fn excluded(&mut self, text: String) {
        note(&mut self.excluded, text);
    }

    fn unknown_hooks(&mut self, names: &[String]) {
        for name in names {
            self.problem(format!("hook {name} is not known to this version"));
        }
    }

    /// # Errors
    ///
    /// Why the line cannot be where it is.
    pub(super) fn add(&mut self, line: Line) -> Result<(), String> {
        match line {
            Line::Start(start) => self.start(*start),
            Line::Report(mut report, unknown) => {
                self.sampled(&mut report)?;
                for what in unknown {
                    self.problem(format!("not known to this version: {what}"));
                }
                self.belongs_here(&report)?;
                match report.kind {
                    Kind::Interval => self.interval(*report),
                    Kind::Total => self.total(*report),
                }
            }
            Line::Other(kind) => {
                self.problem(format!(
                    "lines of kind {kind} are not known to this version"
                ));
                Ok(())
            }
        }
    }

    fn start(&mut self, start: Start) -> Result<(), String> {
        if self.info.comparison.is_some() || start.info.comparison.is_some() {
            return Err("a file with a comparison holds one run".into());
        }
        if !self.end_run()? {
            let number = self.runs;
            self.excluded(format!("its run {number} did not come to its end"));
        }
        self.runs += 1;
        if start.info.resolution != self.info.resolution {
            return Err("the run added here has other buckets (sub_buckets)".into());
        }
        let (first, added) = (&self.info.selection, &start.info.selection);
        if first.sampling() != added.sampling() {
            return Err(
                "the run added here measured another share of the packets (--sample)".into(),
            );
        }
        if first.by != added.by {
            return Err("the run added here has other groups (--by)".into());
        }
        for text in differences(&self.info, &start.info) {
            self.problem(text);
        }
        self.unknown_hooks(&start.unknown_hooks);
        Ok(())
    }

    fn interval(&mut self, report: Report) -> Result<(), String> {
        self.began.get_or_insert(report.interval.start);
        if self.run.totals[side(report.place)].is_some() {
            return Err("an interval after the total".into());
        }
        self.run.lines += 1;
        self.run.stalled += u64::from(report.interval.stalled());
        if report.cumulative {
            if report.place.is_some() || self.run.sums.a.is_some() {
                return Err("cumulative here, and not before".into());
            }
            let intervals = report.seq;
            self.run.cumulative = Some(Totals {
                intervals,
                ..Totals::of(report)
            });
            return Ok(());
        }
        if self.run.cumulative.is_some() {
            return Err("not cumulative here, but before".into());
        }
        if let Some(place) = report.place {
            self.period(place, &report)?;
        } else if report.seq != self.run.lines {
            let (expected, got) = (self.run.lines, report.seq);
            self.problem(format!(
                "interval {got} is where {expected} should be: lines are missing"
            ));
            self.run.lines = got;
        }
        let side = side(report.place);
        add(&mut self.run.sums[side], Totals::of(report))
    }

    fn total(&mut self, report: Report) -> Result<(), String> {
        let total = &mut self.run.totals[side(report.place)];
        if total.is_some() {
            return Err("a second total".into());
        }
        *total = Some(Totals::of(report));
        Ok(())
    }

    /// The start line says which share of the packets was measured; the lines of
    /// reports repeat it for those who read them alone.
    fn sampled(&self, report: &mut Report) -> Result<(), String> {
        let (sampling, said) = (
            self.info.selection.sampling(),
            &mut report.interval.counters.sampling,
        );
        if said.is_on() && *said != sampling {
            return Err("sample_one_in is not what the start line says (--sample)".into());
        }
        *said = sampling;
        Ok(())
    }

    fn belongs_here(&self, report: &Report) -> Result<(), String> {
        match (&self.info.comparison, report.place) {
            (None, Some(_)) => Err("an arm outside of a comparison".into()),
            (Some(_), None) => Err("no arm in a comparison".into()),
            _ => Ok(()),
        }
    }

    fn period(&mut self, place: Place, report: &Report) -> Result<(), String> {
        let number = place.round.ok_or("a period without its round")?;
        if number > MOST_ROUNDS {
            return Err(format!("more than {MOST_ROUNDS} rounds"));
        }
        if number < self.round.number.max(1) {
            return Err("rounds out of their order".into());
        }
        if number > self.round.number {
            self.end_round();
            self.round.number = number;
        }
        if self.round.periods.len() == PERIODS {
            return Err(format!("round {number} has more than {PERIODS} periods"));
        }
        self.round.cut |= report.partial;
        self.round.periods.push(Period {
            arm: place.arm,
            round: number,
            interval: report.interval.compact(),
        });
        Ok(())
    }

    fn end_round(&mut self) {
        let round = std::mem::take(&mut self.round);
        if round.periods.is_empty() {
            return;
        }
        let of_a = round.periods.iter().filter(|period| period.arm == Arm::A);
        if round.cut || round.periods.len() < PERIODS {
            let number = round.number;
            self.excluded(format!("round {number} was interrupted: left out"));
        } else if of_a.count() * 2 != PERIODS {
            let number = round.number;
            self.problem(format!(
                "round {number} does not have two periods of each side: left out"
            ));
        } else {
            self.periods.extend(round.periods);
        }
    }

    /// Adds the present run to what is there; whether it has come to its end.
    fn end_run(&mut self) -> Result<bool, String> {
        self.end_round();
        let run = std::mem::replace(&mut self.run, Run::new(self.info.resolution));
        if run.stalled > 0 {
            self.problem(format!(
                "in {} intervals the kernel called no program (kernel.ftrace_enabled = 0)",
                run.stalled
            ));
        }
        let sides = if self.info.comparison.is_some() { 2 } else { 1 };
        let ended = run.totals.iter().take(sides).all(Option::is_some);
        let read = run.sums.zip(run.totals);
        for (side, (sum, total)) in Arm::BOTH.into_iter().zip(read) {
            if let (Some(sum), Some(total)) = (&sum, &total)
                && !total.counted_the_same(sum)
            {
                self.problem(
                    "its total is not the sum of its intervals: lines are missing or changed"
                        .into(),
                );
            }
            // What is surest first. A cumulative run has no sum.
            let last = run.cumulative.clone();
            let intervals = last.as_ref().map(|last| last.intervals);
            if let Some(mut read) = sum.or(total).or(last) {
                read.intervals = intervals.unwrap_or(read.intervals);
                add(&mut self.sums[side], read)?;
            }
        }
        Ok(ended)
    }

    /// # Errors
    ///
    /// What exceeds 64 bits.
    pub(super) fn finish(mut self, path: &Path) -> Result<RunFile, String> {
        let complete = self.end_run()?;
        if self.sums.iter().all(Option::is_none) {
            self.problems.push("nothing was recorded in it".into());
        }
        let resolution = self.info.resolution;
        let sampling = self.info.selection.sampling();
        let PerSide { a, b } = self
            .sums
            .map(|side| side.unwrap_or_else(|| Totals::empty(resolution, sampling)));
        Ok(RunFile {
            path: path.to_owned(),
            began: self.began,
            runs: self.runs,
            complete,
            excluded: self.excluded,
            problems: self.problems,
            content: match self.info.comparison {
                None => Content::Recording(a),
                Some(_) => Content::Comparison {
                    periods: self.periods,
                    a,
                    b,
                },
            },
            info: self.info,
        })
    }
}

fn add(sum: &mut Option<Totals>, more: Totals) -> Result<(), String> {
    match sum {
        Some(sum) => sum.try_add(&more).ok_or(TOO_MUCH.into()),
        none => {
            *none = Some(more);
            Ok(())
        }
    }
}

impl Totals {
    /// Of a side that no line is of.
    fn empty(resolution: Resolution, sampling: Sampling) -> Totals {
        let mut counters = Counters::new(resolution, std::iter::empty().collect());
        counters.sampling = sampling;
        Totals {
            intervals: 0,
            missed_intervals: 0,
            interval: Interval {
                start: UNIX_EPOCH,
                end: UNIX_EPOCH,
                duration_ns: 0,
                counters,
            },
        }
    }

    /// What one line says.
    fn of(report: Report) -> Totals {
        Totals {
            intervals: 1,
            missed_intervals: report.missed_intervals,
            interval: report.interval,
        }
    }

    fn try_add(&mut self, other: &Totals) -> Option<()> {
        self.intervals = self.intervals.checked_add(other.intervals)?;
        self.missed_intervals = self.missed_intervals.checked_add(other.missed_intervals)?;
        self.interval.try_add(&other.interval)
    }

    /// The same hooks, with the same counts.
    fn counted_the_same(&self, other: &Totals) -> bool {
        let (mine, theirs) = (&self.interval.counters, &other.interval.counters);
        mine.hooks().eq(theirs.hooks())
    }
}

/// In what a run differs from the first in its file.
fn differences(first: &RunInfo, other: &RunInfo) -> Vec<String> {
    let on = |info: &RunInfo| -> Vec<Hook> {
        let on = info.hooks.iter().filter(|verdict| verdict.attached());
        on.map(|verdict| verdict.hook).collect()
    };
    let mut found = Vec::new();
    let mut tell = |what: &str, differs: bool| {
        if differs {
            found.push(format!("its runs differ in {what}"));
        }
    };
    tell("the host", first.host != other.host);
    tell("the kernel", first.kernel != other.kernel);
    tell("the architecture", first.arch != other.arch);
    tell("the name", first.name != other.name);
    tell(
        "the clock's source",
        first.clock.source != other.clock.source,
    );
    let selected = |info: &RunInfo| -> Vec<(String, Vec<String>)> {
        let options = info.selection.of_packets();
        options
            .map(|(name, values)| (name.into(), values.into()))
            .collect()
    };
    tell("the packets selected", selected(first) != selected(other));
    tell("the hooks", on(first) != on(other));
    let names = first.facts.keys().chain(other.facts.keys());
    for name in names {
        tell(name, first.facts.get(name) != other.facts.get(name));
    }
    found
}
