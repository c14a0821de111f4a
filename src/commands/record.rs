// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `record`: a report a second into a run file, for a time or while a command
//! runs.

use std::time::Duration;

use anyhow::Result;

use crate::capture::Capture;
use crate::cli::RecordArgs;
use crate::commands::greeting;
use crate::commands::report_loop::Reports;
use crate::commands::session::{readers_of, start, stop};
use crate::commands::stop_condition::StopCondition;
use crate::model::listing::known_groups;
use crate::model::skips::SkipReason;
use crate::model::snapshot::{Interval, Snapshot};
use crate::process::command::{Command, Running, start_error_code};
use crate::render::Json;
use crate::render::units::{count, packets};
use crate::runfile::writer::Writer;
use crate::runtime::event_loop::{EventLoop, Source};
use crate::runtime::messages::Messages;

const INTERVAL: Duration = Duration::from_secs(1);

const SUCCESS: u8 = 0;
const FAILURE: u8 = 1;
/// The same beside a command, which can end with 1 itself.
const FAILURE_BESIDE_A_COMMAND: u8 = 125;

/// Records until the time is over, the command has ended, or a signal asks for
/// the end. The exit code.
///
/// # Errors
///
/// If nothing can be measured here, or nothing can be written to the file. With
/// a command that is told at once, and is exit code 125.
pub fn run(args: &RecordArgs, messages: &Messages) -> Result<u8> {
    let command = (!args.command.is_empty()).then(|| Command::new(&args.command));
    match record(args, command.as_ref(), messages) {
        Err(error) if command.is_some() => {
            messages.print(&format!("netstacklat: {error:#}\n"));
            Ok(FAILURE_BESIDE_A_COMMAND)
        }
        done => done,
    }
}

fn record(args: &RecordArgs, command: Option<&Command>, messages: &Messages) -> Result<u8> {
    let print = |text: &str| messages.print(&format!("netstacklat: {text}\n"));
    // Before all else: where nothing can be written, nothing is attached.
    let readers = readers_of(&args.select);
    let writer = Writer::create(&args.output, args.append, readers)?;
    writer.takes(&args.select.selection())?;
    let (mut capture, mut info) = start(&args.select, Some(INTERVAL), false, messages)?;
    info.name = args.name.clone();
    let condition = StopCondition::new(Some(INTERVAL), args.duration, None);
    let mut events = match command {
        None => EventLoop::new(Some(INTERVAL), condition.after)?,
        // What a signal means is for the command to say.
        Some(_) => EventLoop::uninterruptible(Some(INTERVAL))?,
    };
    let host = events.watch(capture.watched(), "the clock and interfaces")?;
    events.ignore_output();
    let file = args.output.display().to_string();
    let mut reports = Reports::new(Box::new(Json), writer, &file, false, &events)?;
    messages.print(&greeting::record(&capture, args));
    let first = capture.snapshot()?;
    reports.start(&info)?;
    let mut running = match command.map(|command| (command.start(), command)) {
        None => None,
        Some((Ok(running), _)) => Some(running),
        Some((Err(error), command)) => {
            print(&format!("cannot run {}: {error}", command.name()));
            reports.close(&mut events)?.discard();
            return Ok(start_error_code(&error));
        }
    };
    let recorded = until_the_end(
        &mut reports,
        &mut capture,
        first,
        &mut events,
        host,
        condition,
        running.as_mut(),
    );
    let intervals = reports.seq();
    let finished = recorded.and_then(|total| {
        reports.close(&mut events)?.finish()?;
        Ok(total)
    });
    // Told before what some kernels take seconds for: detaching.
    let failed = match &finished {
        Ok(total) => {
            print(&summary(&file, intervals, total));
            None
        }
        Err(error) => {
            print(&format!(
                "{error:#}; nothing more is recorded, and what was before is in {file}"
            ));
            Some(match command {
                None => FAILURE,
                Some(_) => FAILURE_BESIDE_A_COMMAND,
            })
        }
    };
    stop(capture, messages);
    // If recording failed, that is not the command's fault: it goes on.
    let code = match &mut running {
        None => SUCCESS,
        Some(running) => running.wait_for_end(&mut events)?,
    };
    Ok(failed.unwrap_or(code))
}

/// Writes an interval a second, and the total; which is also returned.
fn until_the_end(
    reports: &mut Reports<Writer>,
    capture: &mut Capture,
    first: Snapshot,
    events: &mut EventLoop,
    host: Source,
    condition: StopCondition,
    mut running: Option<&mut Running>,
) -> Result<Interval> {
    let mut last = first.clone();
    loop {
        let event = events.wait()?;
        reports.check()?;
        if event.is_ready(host) {
            capture.host_changed()?;
        }
        let over = match &mut running {
            None => event.stop || event.deadline,
            Some(running) => {
                if let Some(signal) = event.signal {
                    running.forward_signal(signal);
                }
                running.exit_code()?.is_some()
            }
        };
        if !reports.is_due(&event, over, &condition) {
            continue;
        }
        let now = capture.snapshot()?;
        reports.interval(&first, &last, &now, &event)?;
        last = now;
        if over || condition.reached(reports.seq(), reports.missed_intervals()) {
            reports.total(&first, &last)?;
            return Ok(last.since(&first));
        }
    }
}

/// What the file holds now.
fn summary(file: &str, intervals: u64, total: &Interval) -> String {
    let intervals = count(intervals, "interval");
    let counts = total
        .counters
        .hooks()
        .map(|(hook, stats)| (stats.histogram.count(), hook));
    // Of equals the hook that a packet meets first.
    let most = counts.max_by_key(|&(count, hook)| (count, std::cmp::Reverse(hook)));
    let packets = match most {
        Some((samples, hook)) if samples > 0 => {
            let sampling = total.counters.sampling;
            let of = if sampling.is_on() {
                format!(" ({samples} of them measured)")
            } else {
                String::new()
            };
            format!("{} packets at {hook}{of}", packets(samples, sampling))
        }
        _ => {
            let hooks = total.counters.hooks();
            let left_out = hooks.map(|(_, stats)| stats.skips.get(SkipReason::SAMPLED_OUT));
            match left_out.max() {
                Some(packets) if packets > 0 => {
                    format!("none of {packets} packets was in the sample")
                }
                _ => "no packet at any hook".into(),
            }
        }
    };
    // "other" is none, and hooks before the socket know none.
    let groups = match known_groups(&total.counters) {
        0 => String::new(),
        groups => format!(" in {}", count(groups as u64, "group")),
    };
    format!("{file}: {intervals} written, {packets}{groups}.")
}
