// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The self-test of a host: the facts, and a trial. If nothing prevents it, all
//! programs are loaded and attached as for a measurement, and datagrams over
//! loopback must appear in the histograms.

mod evaluate;
pub(crate) mod timestamp_probe;

use anyhow::Result;

use crate::capture::Capture;
use crate::capture::clock;
use crate::capture::plan::{Plan, decide, plan};
use crate::capture::timestamping::TimestampingSocket;
use crate::check::timestamp_probe::Loopback;
use crate::host::facts::HostFacts;
use crate::host::start_error::{StartError, StartErrorKind};
use crate::model::check::{CheckItem, CheckOutcome, Status};
use crate::model::hooks::{Hook, HookSet};
use crate::model::skips::SkipReason;
use crate::model::snapshot::Interval;

/// The number of datagrams of the self-test.
const DATAGRAMS: u64 = 10;
const OTHERS: &str = "other-timestamping";
const SELF_TEST: &str = "self-test";

/// The result of the self-test.
pub(crate) struct HostCheck {
    /// The facts before the trial.
    pub facts: HostFacts,
    /// The findings, most important first.
    pub findings: Vec<CheckItem>,
    /// The state of each hook, in path order. Empty if it is unknown.
    pub hooks: Vec<CheckItem>,
    pub outcome: CheckOutcome,
    /// Dropped last: some kernels take seconds to detach.
    _capture: Option<Capture>,
}

impl HostCheck {
    /// Reads the facts and tries to measure.
    ///
    /// # Errors
    ///
    /// Only if uname(2) fails.
    pub(crate) fn take() -> Result<HostCheck> {
        let mut facts = HostFacts::probe()?;
        facts.look_into_namespaces();
        let mut found = evaluate::findings(&facts);
        let loopback = Loopback::open();
        // Before our own socket turns timestamping on.
        let others = timestamping_by_others(&loopback);
        let capture = decide(&facts, HookSet::ALL)
            .map_err(anyhow::Error::from)
            .and_then(|plan| Capture::start(plan, None));
        let (capture, hooks) = match capture {
            Ok(capture) => {
                let hooks = evaluate::hooks(capture.plan(), true);
                let programs = capture.plan().programs.len();
                let attached = format!("{programs} programs loaded and attached");
                found.add(CheckItem::ok("tracing", attached));
                found.add(clock_offset(capture.plan()));
                found.add(others);
                found.add(timestamps(&loopback));
                found.add(self_test(&capture, &loopback));
                (Some(capture), hooks)
            }
            Err(error) => {
                let start_error = start_error_of(&error);
                let tried = match start_error.kind {
                    StartErrorKind::Timestamping => "not fully tried",
                    _ => "not tried",
                };
                found.add(start_error.check_item());
                found.add(CheckItem::new(
                    Status::Unknown,
                    "tracing",
                    tried,
                    "whether the kernel allows it is known when the other problems are fixed",
                ));
                let planned = facts.btf.as_ref().ok();
                let planned = planned.and_then(|btf| plan(&facts, btf, HookSet::ALL).ok());
                if let Some(plan) = &planned {
                    found.add(clock_offset(plan));
                }
                found.add(others);
                // This needs no privileges, so it is tried in any case.
                found.add(match TimestampingSocket::open() {
                    Ok(_held) => timestamps(&loopback),
                    Err(start_error) => start_error.check_item(),
                });
                let hooks = planned.map(|plan| evaluate::hooks(&plan, false));
                (None, hooks.unwrap_or_default())
            }
        };
        let findings = found.into_vec();
        Ok(HostCheck {
            outcome: outcome(&findings, &hooks, capture.is_some()),
            facts,
            findings,
            hooks,
            _capture: capture,
        })
    }
}

/// A problem among the findings prevents all hooks from measuring.
fn outcome(findings: &[CheckItem], hooks: &[CheckItem], measures: bool) -> CheckOutcome {
    let problem = |finding: &CheckItem| finding.state == Status::Problem;
    if !measures || findings.iter().any(problem) {
        CheckOutcome::NotUsable
    } else if hooks.iter().any(problem) {
        CheckOutcome::HooksMissing
    } else {
        CheckOutcome::Usable
    }
}

fn start_error_of(error: &anyhow::Error) -> StartError {
    let known = error.downcast_ref::<StartError>().cloned();
    known.unwrap_or_else(|| {
        StartError::new(
            StartErrorKind::Rejected,
            format!("{error:#}"),
            "unknown to netstacklat",
            "please report this",
        )
    })
}

/// The TAI offset in user space, which the fallback clock uses.
fn clock_offset(plan: &Plan) -> CheckItem {
    let offset = match clock::tai_offset_now_s() {
        Ok(offset) => format!("TAI offset {offset} s"),
        Err(error) => format!("TAI offset unknown: {error:#}"),
    };
    let found = format!("from {}, {offset}", plan.clock.name());
    match &plan.clock_reason {
        None => CheckItem::ok("clock", found),
        Some(why) => CheckItem::new(
            Status::Warning,
            "clock",
            found,
            format!(
                "no program runs at the kernel's clock updates ({why}): after a clock step, packets \
                 count as clock-step until netstacklat has seen the step, up to a second"
            ),
        ),
    }
}

fn timestamping_by_others(loopback: &Result<Loopback>) -> CheckItem {
    let seen = match loopback {
        Ok(loopback) => loopback.exchange().map_err(|error| format!("{error:#}")),
        Err(error) => Err(format!("{error:#}")),
    };
    match seen {
        Ok(false) => CheckItem::ok(
            OTHERS,
            "none: RX timestamping is off unless netstacklat runs",
        ),
        Ok(true) => CheckItem::new(
            Status::Ok,
            OTHERS,
            "RX timestamping is on already",
            "another socket on this host asked for it (a time server, a capture, another \
             netstacklat): netstacklat adds no cost for it, and it stays on afterwards",
        ),
        Err(why) => unseen(OTHERS, why),
    }
}

/// A finding that could not be made because datagrams over loopback do not arrive.
fn unseen(subject: &'static str, why: String) -> CheckItem {
    CheckItem::new(
        Status::Unknown,
        subject,
        why,
        "the test needs datagrams over loopback, which do not arrive here",
    )
    .remedy("ip link set lo up, and allow UDP over loopback in the firewall")
}

/// Whether datagrams have a timestamp while a socket of ours asks for it.
fn timestamps(loopback: &Result<Loopback>) -> CheckItem {
    let subject = StartErrorKind::Timestamping.subject();
    let seen = match loopback {
        Ok(loopback) => loopback.until_timestamped(),
        Err(error) => return unseen(subject, format!("{error:#}")),
    };
    match seen {
        Ok(true) => CheckItem::ok(subject, "packets have one while a socket asks for it"),
        Ok(false) => timestamp_probe::no_timestamps().check_item(),
        Err(error) => unseen(subject, format!("{error:#}")),
    }
}

/// Datagrams over loopback pass all hooks on the path of their protocol. Each must
/// measure them. The finding names the hooks that are not tried.
fn self_test(capture: &Capture, loopback: &Result<Loopback>) -> CheckItem {
    let passed = match send(capture, loopback) {
        Ok(passed) => passed,
        Err(error) => return unseen(SELF_TEST, format!("{error:#}")),
    };
    let tried = |hook: Hook| is_passed(capture.plan(), hook);
    let silent = passed
        .counters
        .hooks()
        .filter(|(hook, stats)| tried(*hook) && stats.histogram.count() == 0);
    let mut stepped = true;
    let mut named = Vec::new();
    for (hook, stats) in silent {
        stepped &= stats.skips.get(SkipReason::CLOCK_STEP) > 0;
        let reasons = stats.skips.iter();
        let reasons: Vec<_> = reasons.map(|(r, n)| format!("{} {n}", r.name())).collect();
        named.push(if reasons.is_empty() {
            hook.name().to_owned()
        } else {
            format!("{hook} ({})", reasons.join(" "))
        });
    }
    let found = format!("not measured at {}", named.join(" "));
    if named.is_empty() {
        let found = format!("{DATAGRAMS} datagrams over loopback were measured");
        let untried = passed.counters.enabled.iter().filter(|hook| !tried(*hook));
        let untried: Vec<_> = untried.map(Hook::name).collect();
        let meaning = (!untried.is_empty()).then(|| format!("not tried: {}", untried.join(", ")));
        CheckItem {
            meaning,
            ..CheckItem::ok(SELF_TEST, found)
        }
    } else if stepped {
        let meaning = "the wall clock was set back: packets are not measured until it has \
                       caught up, at most 17.2 s";
        CheckItem::new(Status::Warning, SELF_TEST, found, meaning).remedy("wait, and check again")
    } else {
        let meaning = format!("{DATAGRAMS} datagrams over loopback passed these hooks");
        CheckItem::new(Status::Problem, SELF_TEST, found, meaning)
            .remedy("please report this with the output of netstacklat check --json")
    }
}

/// Sends the datagrams and returns what was counted.
fn send(capture: &Capture, loopback: &Result<Loopback>) -> Result<Interval> {
    let first = capture.snapshot()?;
    let loopback = loopback.as_ref().map_err(|e| anyhow::anyhow!("{e:#}"))?;
    for _ in 0..DATAGRAMS {
        loopback.exchange()?;
    }
    Ok(capture.snapshot()?.since(&first))
}

/// Whether a hook is fully attached and on the path of a datagram over loopback.
fn is_passed(plan: &Plan, hook: Hook) -> bool {
    let whole = plan.hooks[hook.index()].missing.is_empty();
    whole && Loopback::protocol().path().any(|on_path| on_path == hook)
}
