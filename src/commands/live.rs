// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The live view: a report per interval, the total at the end.

use std::io::{self, ErrorKind, Write};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::capture::Capture;
use crate::capture::plan::Plan;
use crate::cli::LiveArgs;
use crate::commands::measurement::{human, shortcomings, start};
use crate::event_loop::EventLoop;
use crate::model::snapshot::{Interval, Snapshot};
use crate::render::{Json, Kind, Renderer, Report, RunInfo, Summary, Text};
use crate::terminal;

/// Measures until it is told to stop, or until nobody reads the output.
///
/// # Errors
///
/// If nothing can be measured here, or the output cannot be written.
pub fn run(args: &LiveArgs) -> Result<()> {
    let interval = args.interval();
    let (capture, info) = start(&args.selection, interval, args.bpf_stats)?;
    // What comes after the greeting is in the first report, and a signal
    // after it ends with one.
    let first = capture.snapshot()?;
    let end = End::new(interval, args);
    let events = EventLoop::new(interval, end.after, capture.clock().timers())?;
    let mut reports = Reports::new(renderer(args), args.cumulative);
    if !args.json {
        // Nobody may be reading; that is no reason to stop.
        let _ = io::stderr().write_all(greeting(&info, capture.plan(), args).as_bytes());
    }
    reports.write(|renderer, out| renderer.start(out, &info))?;
    // Printed in full before `capture` is dropped: some kernels take seconds
    // to detach.
    match reports.until_the_end(capture, first, events, end, args) {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        other => other,
    }
}

/// Whoever read the output has gone: the normal end of `netstacklat | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// What has been reported so far, and how.
struct Reports {
    renderer: Box<dyn Renderer>,
    cumulative: bool,
    seq: u64,
    missed_intervals: u64,
}

impl Reports {
    fn new(renderer: Box<dyn Renderer>, cumulative: bool) -> Reports {
        Reports {
            renderer,
            cumulative,
            seq: 0,
            missed_intervals: 0,
        }
    }

    fn until_the_end(
        &mut self,
        mut capture: Capture,
        first: Snapshot,
        mut events: EventLoop,
        end: End,
        args: &LiveArgs,
    ) -> Result<()> {
        let interval = args.interval();
        let mut last = first.clone();
        loop {
            let event = events.wait()?;
            if event.clock {
                capture.clock_changed()?;
            }
            if event.output_closed {
                return Ok(());
            }
            let now = if event.reports > 0 || event.stop || event.deadline {
                capture.snapshot()?
            } else {
                continue;
            };
            let over = event.stop || event.deadline;
            if event.reports > 0 {
                self.interval(&first, &last, &now, event.reports - 1, false)?;
            } else if interval.is_some() {
                self.interval(&first, &last, &now, 0, true)?;
            }
            last = now;
            if over || end.reached(self.seq, self.missed_intervals) {
                // On a screen, do not repeat the only report as the total.
                let said = interval.is_some() && (self.seq == 1 || self.cumulative);
                if said && !event.stop && !args.json {
                    return Ok(());
                }
                return self.total(&first, &last);
            }
        }
    }

    fn interval(
        &mut self,
        first: &Snapshot,
        last: &Snapshot,
        now: &Snapshot,
        missed: u64,
        partial: bool,
    ) -> Result<()> {
        self.seq += 1;
        self.missed_intervals += missed;
        let from = if self.cumulative { first } else { last };
        self.report(Kind::Interval, &now.since(from), missed, partial)
    }

    fn total(&mut self, first: &Snapshot, last: &Snapshot) -> Result<()> {
        self.report(
            Kind::Total,
            &last.since(first),
            self.missed_intervals,
            false,
        )
    }

    fn report(
        &mut self,
        kind: Kind,
        interval: &Interval,
        missed: u64,
        partial: bool,
    ) -> Result<()> {
        let report = Report {
            kind,
            seq: self.seq,
            partial,
            missed_intervals: missed,
            cumulative: self.cumulative,
            place: None,
            interval,
        };
        self.write(|renderer, out| renderer.report(out, &report))
    }

    /// Every report is on its way before the next is waited for.
    fn write(
        &mut self,
        render: impl FnOnce(&mut dyn Renderer, &mut dyn Write) -> io::Result<()>,
    ) -> Result<()> {
        let mut out = io::stdout().lock();
        render(self.renderer.as_mut(), &mut out)
            .and_then(|()| out.flush())
            .context("writing to standard output")
    }
}

/// When a run ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct End {
    /// After this time.
    after: Option<Duration>,
    /// After so many reports.
    reports: Option<u64>,
    /// After so many intervals, reported or missed.
    intervals: Option<u64>,
}

impl End {
    /// A duration of whole intervals is counted, so that no sliver is left
    /// over as a partial report.
    fn new(interval: Option<Duration>, args: &LiveArgs) -> End {
        let mut end = End {
            after: args.duration,
            reports: args.count,
            intervals: None,
        };
        if let (Some(interval), Some(duration)) = (interval, args.duration) {
            let (interval, duration) = (interval.as_nanos(), duration.as_nanos());
            if duration.is_multiple_of(interval) {
                end.after = None;
                end.intervals = u64::try_from(duration / interval).ok();
            }
        }
        end
    }

    fn reached(&self, reports: u64, missed: u64) -> bool {
        self.reports.is_some_and(|limit| reports >= limit)
            || self
                .intervals
                .is_some_and(|limit| reports + missed >= limit)
    }
}

fn renderer(args: &LiveArgs) -> Box<dyn Renderer> {
    let screen = terminal::screen(args.color);
    if args.json {
        Box::new(Json)
    } else if args.summary {
        Box::new(Summary::new(screen))
    } else {
        Box::new(Text::new(screen))
    }
}

/// Said once on standard error: what is on, what is not, and what comes next.
fn greeting(info: &RunInfo, plan: &Plan, args: &LiveArgs) -> String {
    let on = plan.enabled().len();
    let next = match (info.interval, args.duration) {
        (Some(interval), _) => format!("a report every {}", human(interval)),
        (None, Some(duration)) => format!("one report in {}", human(duration)),
        (None, None) => "one report at the end".into(),
    };
    let mut text = format!(
        "netstacklat: {on} hook{} attached; RX timestamping is on for the whole host; \
         clock from {}, TAI offset {} s; {next}.\n",
        if on == 1 { "" } else { "s" },
        info.clock.source,
        info.clock.tai_offset_s
    );
    text += &shortcomings(plan);
    if args.bpf_stats {
        text += "netstacklat: BPF run-time statistics are on until it ends: every run of every BPF \
                 program on this host takes some 20 ns longer.\n";
    }
    // A histogram takes a good ten rows.
    if !args.summary && terminal::rows().is_some_and(|rows| on * 10 > rows) {
        text += "netstacklat: more hooks than fit a screen: --summary shows one line each, \
                 -e selects.\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        live: LiveArgs,
    }

    fn end(line: &str) -> End {
        let words = std::iter::once("netstacklat").chain(line.split_whitespace());
        let args = Line::try_parse_from(words).unwrap().live;
        End::new(args.interval(), &args)
    }

    #[test]
    fn whole_intervals_are_counted_others_timed() {
        let second = Duration::from_secs(1);
        assert_eq!(end("-r 1 --duration 3").intervals, Some(3));
        assert_eq!(end("-r 1 --duration 3").after, None);
        assert_eq!(end("-r 2 --duration 3").after, Some(3 * second));
        assert_eq!(end("--duration 3").after, Some(3 * second));
        assert_eq!(end("--count 3").after, None);
    }

    #[test]
    fn missed_intervals_count_against_a_duration_and_not_as_reports() {
        assert!(end("-r 1 --duration 3").reached(1, 2));
        assert!(!end("-r 1 --duration 4").reached(1, 2));
        assert!(!end("--count 3").reached(1, 2));
        assert!(end("-r 1 --duration 9 --count 2").reached(2, 0));
        assert!(!end("").reached(1000, 1000));
    }
}
