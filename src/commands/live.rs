// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The live view: a report per interval, the total at the end.

use std::fs::File;
use std::io::{self, ErrorKind};

use anyhow::{Context as _, Result};

use crate::capture::Capture;
use crate::capture::plan::Plan;
use crate::cli::LiveArgs;
use crate::commands::report_loop::Reports;
use crate::commands::session::{hooks, human, shortcomings, start, timestamping};
use crate::commands::stop_condition::StopCondition;
use crate::model::run::RunInfo;
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
    let (capture, info) = start(&args.select, interval, args.reports.bpf_stats)?;
    // What comes after the greeting is in the first report, and a signal
    // after it ends with one.
    let first = capture.snapshot()?;
    let condition = StopCondition::new(interval, args.reports.duration, args.reports.count);
    let mut events = EventLoop::new(interval, condition.after)?;
    let clock = events.watch(capture.clock().timers(), "the clock")?;
    let mut reports = Reports::new(
        renderer(args),
        stdout().context("copying standard output")?,
        "standard output",
        args.reports.cumulative,
        &events,
    )?;
    if !args.out.json {
        messages.print(&greeting(&info, capture.plan(), args));
    }
    reports.start(&info)?;
    let reported = until_the_end(
        &mut reports,
        capture,
        first,
        &mut events,
        clock,
        condition,
        args,
    );
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

/// Reports until a signal, the end of the time, or a closed output; then
/// detaches, which some kernels take seconds for, while the last report is being
/// written.
fn until_the_end(
    reports: &mut Reports<File>,
    mut capture: Capture,
    first: Snapshot,
    events: &mut EventLoop,
    clock: Source,
    condition: StopCondition,
    args: &LiveArgs,
) -> Result<()> {
    let interval = args.reports.interval();
    let mut last = first.clone();
    loop {
        let event = events.wait()?;
        reports.check()?;
        if event.is_ready(clock) {
            capture.clock_changed()?;
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
            let said = interval.is_some() && (reports.seq() == 1 || args.reports.cumulative);
            if said && !event.stop && !args.out.json {
                return Ok(());
            }
            return reports.total(&first, &last);
        }
    }
}

fn renderer(args: &LiveArgs) -> Box<dyn Renderer> {
    let screen = terminal::screen(args.out.color);
    if args.out.json {
        Box::new(Json)
    } else if args.reports.summary {
        Box::new(Summary::new(screen))
    } else {
        Box::new(Text::new(screen))
    }
}

/// Said once on standard error: what is on, what is not, and what comes next.
fn greeting(info: &RunInfo, plan: &Plan, args: &LiveArgs) -> String {
    let on = plan.enabled().len();
    let next = match (info.interval, args.reports.duration) {
        (Some(interval), _) => format!("a report every {}", human(interval)),
        (None, Some(duration)) => format!("one report in {}", human(duration)),
        (None, None) => "one report at the end".into(),
    };
    let mut text = format!(
        "netstacklat: {} attached; {}; {next}.\n",
        hooks(on),
        timestamping(info)
    );
    text += &shortcomings(plan);
    if args.reports.bpf_stats {
        text += "netstacklat: BPF run-time statistics are on until it ends: every run of every BPF \
                 program on this host takes some 20 ns longer.\n";
    }
    // A histogram takes a good ten rows.
    if !args.reports.summary && terminal::rows().is_some_and(|rows| on * 10 > rows) {
        text += "netstacklat: more hooks than fit a screen: --summary shows one line each, \
                 -e selects.\n";
    }
    text
}
