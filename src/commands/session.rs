// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What all commands that measure begin with.

use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::capture::Capture;
use crate::capture::bpf_stats::BpfStats;
use crate::capture::plan::{Plan, decide};
use crate::cli::SelectArgs;
use crate::host::environment;
use crate::host::facts::HostFacts;
use crate::host::start_error::StartError;
use crate::model::run::{ClockInfo, HookStatus, RunInfo};

/// Attaches, and tells what is measured from now on.
///
/// # Errors
///
/// If nothing can be measured here.
pub(super) fn start(
    select: &SelectArgs,
    interval: Option<Duration>,
    bpf_stats: bool,
) -> Result<(Capture, RunInfo)> {
    let facts = HostFacts::probe()?;
    let capture = attach(&facts, select, bpf_stats).map_err(with_hint)?;
    let info = run_info(&facts, &capture, interval, select);
    Ok((capture, info))
}

fn attach(facts: &HostFacts, select: &SelectArgs, bpf_stats: bool) -> Result<Capture> {
    let plan = decide(facts, select.wanted_hooks())?;
    // Before all else: what has been attached takes seconds to detach.
    let statistics = bpf_stats.then(BpfStats::enable).transpose()?;
    Capture::start(plan, statistics)
}

/// Where to read more, if it is a refusal and no accident.
fn with_hint(error: anyhow::Error) -> anyhow::Error {
    if error.is::<StartError>() {
        anyhow!("{error:#}\n  More: netstacklat check, and troubleshooting.md in its documentation")
    } else {
        error
    }
}

fn run_info(
    host: &HostFacts,
    capture: &Capture,
    interval: Option<Duration>,
    select: &SelectArgs,
) -> RunInfo {
    let verdicts = capture.plan().hooks.iter().map(|verdict| HookStatus {
        hook: verdict.hook,
        functions: if verdict.wanted {
            verdict.functions.iter().map(|&name| name.into()).collect()
        } else {
            Vec::new()
        },
        reason: verdict.reason(),
    });
    RunInfo {
        version: crate::VERSION.into(),
        host: host.host.clone(),
        kernel: host.kernel.clone(),
        arch: host.arch.clone(),
        possible_cpus: host.cpus(),
        interval,
        resolution: capture.plan().resolution,
        clock: ClockInfo {
            source: capture.clock().source().name().into(),
            tai_offset_s: capture.tai_offset_s(),
        },
        name: None,
        filters: select.selection(),
        facts: environment::read(),
        comparison: None,
        hooks: verdicts.collect(),
    }
}

/// What the user wanted and does not get, for standard error.
pub(super) fn shortcomings(plan: &Plan) -> String {
    let mut text = String::new();
    if let Some(why) = &plan.clock_reason {
        text += &format!("netstacklat: the clock is not the kernel's own: {why}.\n");
    }
    for verdict in plan.hooks.iter().filter(|verdict| verdict.wanted) {
        if let Some(reason) = verdict.reason() {
            let what = if verdict.functions.is_empty() {
                " is off"
            } else {
                ""
            };
            text += &format!("netstacklat: {}{what}: {reason}.\n", verdict.hook);
        }
    }
    text
}

/// `1 hook`, `10 hooks`.
pub(super) fn hooks(n: usize) -> String {
    format!("{n} hook{}", if n == 1 { "" } else { "s" })
}

/// What is on for as long as we measure, and what time is taken from.
pub(super) fn timestamping(info: &RunInfo) -> String {
    format!(
        "RX timestamping is on for the whole host; clock from {}, TAI offset {} s",
        info.clock.source, info.clock.tai_offset_s
    )
}

/// As users write it: `10s`, `1m 30s`.
pub(super) fn human(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
