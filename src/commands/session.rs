// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What all commands that measure begin and end with.

use std::time::Duration;

use anyhow::{Result, anyhow};

use crate::capture::Capture;
use crate::capture::bpf_stats::BpfStats;
use crate::capture::plan::decide;
use crate::cli::{SelectArgs, Size};
use crate::error::UsageError;
use crate::host::environment;
use crate::host::facts::HostFacts;
use crate::host::packets::Packets;
use crate::host::start_error::StartError;
use crate::model::hooks::Hook;
use crate::model::run::{ClockInfo, HookStatus, RunInfo};
use crate::runfile::writer::Readers;
use crate::runtime::messages::Messages;

/// Attaches, and tells what is measured from now on.
///
/// # Errors
///
/// If nothing can be measured here.
pub(super) fn start(
    select: &SelectArgs,
    interval: Option<Duration>,
    bpf_stats: bool,
    messages: &Messages,
) -> Result<(Capture, RunInfo)> {
    let facts = HostFacts::probe()?;
    on_terminal("attaching...", messages);
    let mut capture = attach(&facts, select, bpf_stats).map_err(with_hint)?;
    capture.warn_to(messages.clone());
    let info = run_info(&facts, &capture, interval, select);
    Ok((capture, info))
}

/// Who may read a run file of these packets.
pub(super) fn readers_of(select: &SelectArgs) -> Readers {
    if select.shows_private_data() {
        Readers::OwnerOnly
    } else {
        Readers::AsUsual
    }
}

/// Detaches.
pub(super) fn stop(capture: Capture, messages: &Messages) {
    on_terminal("detaching...", messages);
    drop(capture);
}

/// For whoever waits at a prompt while the kernel takes its seconds. Scripts that
/// read standard error need not skip it.
fn on_terminal(text: &str, messages: &Messages) {
    if messages.is_terminal() {
        messages.print(&format!("netstacklat: {text}\n"));
    }
}

fn attach(facts: &HostFacts, select: &SelectArgs, bpf_stats: bool) -> Result<Capture> {
    // The user's mistakes first.
    let packets = Packets::resolve(&select.packets())?;
    refuse_what_no_packet_has(select)?;
    let plan = decide(facts, select.wanted_hooks())?;
    let plan = plan.sampled(select.sampling()).staged(select.notes());
    let limits = select.slow_limits();
    let mut plan = match select.notes() {
        Some(_) => plan.showing_slow(&limits, select.slowest(), select.redact),
        None => plan,
    };
    plan.lay_out_stages();
    for limit in &limits {
        if let Some(hook) = limit.hook.filter(|hook| !hook.is_of_packets()) {
            return Err(UsageError(format!(
                "--slower-than {limit} cannot be used: {hook} measures the time of CPUs, and no \
                 packet can be slow there; name another hook"
            ))
            .into());
        }
        let off = limit.hook.map(|hook| &plan.hooks[hook.index()]);
        if let Some(off) = off.filter(|verdict| !verdict.measures()) {
            let why = off.reason().unwrap_or_else(|| "it is not selected".into());
            return Err(UsageError(format!(
                "--slower-than {limit} cannot be used: {} is not measured ({why}); name another \
                 hook, or select it with -e",
                off.hook
            ))
            .into());
        }
    }
    if let (Some(stages), Some(groups)) = (&plan.stages, select.grouping()) {
        let memory = stages.memory_by_group(plan.layout.cpus, groups.max_groups);
        return Err(UsageError(format!(
            "{} cannot be used with --by: {} groups would take up to {} of kernel memory for \
             a histogram of each stage, group and CPU; use a filter instead of --by",
            if limits.is_empty() {
                "--stages"
            } else {
                "--slower-than, which takes --stages,"
            },
            groups.max_groups,
            Size(memory)
        ))
        .into());
    }
    // Before all else: what has been attached takes seconds to detach.
    let statistics = bpf_stats.then(BpfStats::enable).transpose()?;
    Capture::start_for(plan, packets, select.grouping(), statistics)
}

/// Options for packets, where nothing else is to be measured.
fn refuse_what_no_packet_has(select: &SelectArgs) -> Result<()> {
    let by = select.grouping().is_some_and(|by| !by.is_by_cpu_only());
    let option = match (by, select.sampling().is_on()) {
        (true, _) => "--by",
        (false, true) => "--sample",
        (false, false) => return Ok(()),
    };
    let wanted = select.wanted_hooks();
    if wanted.iter().any(Hook::is_of_packets) {
        return Ok(());
    }
    let hooks: Vec<_> = wanted.iter().map(Hook::name).collect();
    Err(UsageError(format!(
        "{option} cannot be used with {}: these measure the time of CPUs, not packets; leave \
         out {option}, or select other hooks with -e",
        hooks.join(", ")
    ))
    .into())
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
        selection: select.selection(),
        facts: environment::read(),
        comparison: None,
        hooks: verdicts.collect(),
    }
}
