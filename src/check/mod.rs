// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What this host offers: the facts, and what comes of trying. Where nothing
//! is in the way, all programs are loaded and attached, as for a measurement,
//! and datagrams to oneself must appear in the histograms.

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

/// Datagrams of the self-test.
const DATAGRAMS: u64 = 10;
const OTHERS: &str = "other-timestamping";
const SELF_TEST: &str = "self-test";

/// What was found.
pub(crate) struct HostCheck {
    /// The facts that it began with.
    pub facts: HostFacts,
    /// What was looked at, in the order in which it matters.
    pub findings: Vec<CheckItem>,
    /// How each hook stands, in path order; none where that cannot be told.
    pub hooks: Vec<CheckItem>,
    /// What it comes to.
    pub outcome: CheckOutcome,
    /// Dropped last: some kernels take seconds to detach.
    _capture: Option<Capture>,
}

impl HostCheck {
    /// Looks at this host, and tries.
    ///
    /// # Errors
    ///
    /// If the kernel does not even tell its name.
    pub(crate) fn take() -> Result<HostCheck> {
        let facts = HostFacts::probe()?;
        let mut found = evaluate::standing(&facts);
        // Before our own socket has packets stamped.
        let loopback = Loopback::open();
        let others = stamping_by_others(&loopback);
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
                found.add(stamps(&loopback));
                found.add(self_test(&capture, &loopback));
                (Some(capture), hooks)
            }
            Err(error) => {
                let start_error = start_error_of(&error);
                let tried = match start_error.kind {
                    StartErrorKind::Stamping => "not tried to the end",
                    _ => "not tried",
                };
                found.add(start_error.check_item());
                found.add(CheckItem::new(
                    Status::Unknown,
                    "tracing",
                    tried,
                    "whether this host allows it shows when nothing else is in the way",
                ));
                let planned = facts.btf.as_ref().ok();
                let planned = planned.and_then(|btf| plan(&facts, btf, HookSet::ALL).ok());
                if let Some(plan) = &planned {
                    found.add(clock_offset(plan));
                }
                found.add(others);
                // Needs no privilege: tried also where nothing else can be.
                found.add(match TimestampingSocket::open() {
                    Ok(_held) => stamps(&loopback),
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

/// Whatever is in the way of all hooks is a problem among the findings.
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
            "something that netstacklat does not know",
            "please report this",
        )
    })
}

/// The offset as user space sees it, which is what the TAI path works with.
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
                "no program runs at the kernel's clock updates here ({why}): after a change of \
                 the clock, packets count as clock-step until netstacklat has seen it, up to a \
                 second"
            ),
        ),
    }
}

fn stamping_by_others(loopback: &Result<Loopback>) -> CheckItem {
    let seen = match loopback {
        Ok(loopback) => loopback.exchange().map_err(|error| format!("{error:#}")),
        Err(error) => Err(format!("{error:#}")),
    };
    match seen {
        Ok(false) => CheckItem::ok(
            OTHERS,
            "none: packets are not stamped while nobody measures",
        ),
        Ok(true) => CheckItem::new(
            Status::Ok,
            OTHERS,
            "packets are stamped already",
            "another socket of this host asked for it (a time server, a capture, another \
             netstacklat): stamping costs nothing more, and stays on afterwards",
        ),
        Err(why) => unseen(OTHERS, why),
    }
}

fn unseen(subject: &'static str, why: String) -> CheckItem {
    CheckItem::new(
        Status::Unknown,
        subject,
        why,
        "it is seen with datagrams to oneself, which do not arrive here",
    )
    .remedy("ip link set lo up, and let a firewall pass UDP over loopback")
}

/// Whether datagrams come with a stamp, now that a socket of ours asks.
fn stamps(loopback: &Result<Loopback>) -> CheckItem {
    let subject = StartErrorKind::Stamping.subject();
    let seen = match loopback {
        Ok(loopback) => loopback.until_stamped(),
        Err(error) => return unseen(subject, format!("{error:#}")),
    };
    match seen {
        Ok(true) => CheckItem::ok(subject, "arrive once a socket asks for them"),
        Ok(false) => timestamp_probe::none_arrives().check_item(),
        Err(error) => unseen(subject, format!("{error:#}")),
    }
}

/// Datagrams to oneself pass all hooks of their protocol's path: they must be
/// measured there. The other hooks are named.
fn self_test(capture: &Capture, loopback: &Result<Loopback>) -> CheckItem {
    let passed = match pass(capture, loopback) {
        Ok(passed) => passed,
        Err(error) => return unseen(SELF_TEST, format!("{error:#}")),
    };
    let tried = |hook: Hook| on_the_way(capture.plan(), hook);
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
        let meaning = "the wall clock was set back: packets are not measured until it is again \
                       what it was, 17.2 s at most";
        CheckItem::new(Status::Warning, SELF_TEST, found, meaning).remedy("wait, and check again")
    } else {
        let meaning = format!("{DATAGRAMS} datagrams over loopback passed there");
        CheckItem::new(Status::Problem, SELF_TEST, found, meaning)
            .remedy("please report this with the output of netstacklat check --json")
    }
}

/// What is counted of datagrams to oneself.
fn pass(capture: &Capture, loopback: &Result<Loopback>) -> Result<Interval> {
    let first = capture.snapshot()?;
    let loopback = loopback.as_ref().map_err(|e| anyhow::anyhow!("{e:#}"))?;
    for _ in 0..DATAGRAMS {
        loopback.exchange()?;
    }
    Ok(capture.snapshot()?.since(&first))
}

/// Whether a datagram over loopback is measured there, IPv4 or IPv6.
fn on_the_way(plan: &Plan, hook: Hook) -> bool {
    let whole = plan.hooks[hook.index()].missing.is_empty();
    whole && Loopback::protocol().path().any(|on_path| on_path == hook)
}
