// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The live view: a report per interval, the total at the end.

use std::fs::File;
use std::io::{self, ErrorKind};

use anyhow::{Context as _, Result};

use crate::capture::Capture;
use crate::cli::LiveArgs;
use crate::commands::greeting;
use crate::commands::report_loop::Reports;
use crate::commands::session::{start, stop};
use crate::commands::stop_condition::StopCondition;
use crate::model::snapshot::Snapshot;
use crate::render::terminal;
use crate::render::{Json, Renderer, Summary, Text};
use crate::runtime::event_loop::{EventLoop, Source};
use crate::runtime::messages::Messages;
use crate::runtime::sink::stdout;

/// Measures until it is told to stop, or until nobody reads the output.
///
/// # Errors
///
/// If nothing can be measured here, or the output cannot be written.
pub fn run(args: &LiveArgs, messages: &Messages) -> Result<()> {
    let interval = args.reports.interval();
    let (mut capture, info) = start(&args.measured(), interval, args.reports.bpf_stats, messages)?;
    // What comes after the greeting is in the first report, and a signal
    // after it ends with one.
    let first = capture.snapshot()?;
    let condition = StopCondition::new(interval, args.reports.duration, args.reports.count);
    let mut events = EventLoop::new(interval, condition.after)?;
    let host = events.watch(capture.watched(), "the clock and interfaces")?;
    let mut reports = Reports::new(
        renderer(args),
        stdout().context("copying standard output")?,
        "standard output",
        args.reports.cumulative,
        &events,
    )?;
    messages.print(&greeting::live(&capture, args));
    reports.start(&info)?;
    let reported = until_the_end(
        &mut reports,
        &mut capture,
        first,
        &mut events,
        host,
        condition,
        args,
    );
    // While the last report is being written: some kernels take seconds for it.
    stop(capture, messages);
    match reported.and_then(|()| reports.close(&mut events)) {
        Err(error) if is_broken_pipe(&error) => Ok(()),
        other => other.map(drop),
    }
}

/// Whoever read the output has gone: the normal end of `netstacklat | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let error = error.downcast_ref::<io::Error>();
    error.is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}

/// Reports until a signal, the end of the time, or a closed output.
fn until_the_end(
    reports: &mut Reports<File>,
    capture: &mut Capture,
    first: Snapshot,
    events: &mut EventLoop,
    host: Source,
    condition: StopCondition,
    args: &LiveArgs,
) -> Result<()> {
    let interval = args.reports.interval();
    let mut last = first.clone();
    loop {
        let event = events.wait()?;
        reports.check()?;
        if event.is_ready(host) {
            capture.host_changed()?;
        }
        if event.output_closed {
            return Ok(());
        }
        let over = event.stop || event.deadline;
        if !reports.is_due(&event, over, &condition) {
            continue;
        }
        let now = capture.snapshot()?;
        if event.reports > 0 || interval.is_some() {
            reports.interval(&first, &last, &now, &event)?;
        }
        last = now;
        if over || condition.reached(reports.seq(), reports.missed_intervals()) {
            // On a screen, do not repeat the only report as the total.
            let printed = interval.is_some() && (reports.seq() == 1 || args.reports.cumulative);
            if printed && !event.stop && !args.out.json {
                return Ok(());
            }
            return reports.total(&first, &last);
        }
    }
}

fn renderer(args: &LiveArgs) -> Box<dyn Renderer> {
    let screen = terminal::screen(args.out.color);
    let listing = args.select.listing();
    if args.out.json {
        Box::new(Json)
    } else if args.reports.summary {
        Box::new(Summary::new(screen).listing(listing))
    } else {
        Box::new(Text::new(screen).listing(listing))
    }
}
