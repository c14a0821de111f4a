// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What this host offers: the facts, and what comes of trying. Where nothing
//! is in the way, all programs are loaded and attached, as for a measurement,
//! and datagrams to oneself must appear in the histograms.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::capture::Capture;
use crate::capture::clock;
use crate::capture::judge;
use crate::capture::loopback::Loopback;
use crate::capture::plan::{ClockSource, Plan, decide, plan};
use crate::capture::preflight::Facts;
use crate::capture::refusal::{Obstacle, Refusal};
use crate::capture::timestamping::StampingSocket;
use crate::model::finding::{Finding, Outcome, State};
use crate::model::hooks::{Hook, HookSet};

/// How long the kernel may take to switch stamping on.
const SWITCHED_ON: Duration = Duration::from_secs(2);
/// Datagrams of the self-test.
const DATAGRAMS: u64 = 10;
const OTHERS: &str = "other-stamping";
const SELF_TEST: &str = "self-test";

/// What was found.
pub struct Survey {
    /// The facts that it began with.
    pub facts: Facts,
    /// What was looked at, in the order in which it matters.
    pub findings: Vec<Finding>,
    /// How each hook stands, in path order; none where that cannot be told.
    pub hooks: Vec<Finding>,
    /// What it comes to.
    pub outcome: Outcome,
    /// Dropped last: some kernels take seconds to detach.
    _capture: Option<Capture>,
}

impl Survey {
    /// Looks at this host, and tries.
    ///
    /// # Errors
    ///
    /// If the kernel does not even tell its name, or tells nothing of the
    /// programs that it has taken.
    pub fn take() -> Result<Survey> {
        let facts = Facts::probe()?;
        let mut findings = judge::standing(&facts);
        // Before our own socket has packets stamped.
        let loopback = Loopback::open();
        let others = stamping_by_others(&loopback);
        let capture = decide(&facts, HookSet::ALL)
            .map_err(anyhow::Error::from)
            .and_then(Capture::start);
        let (capture, hooks) = match capture {
            Ok(capture) => {
                let hooks = judge::hooks(capture.plan(), true);
                findings.extend(attached(&capture));
                findings.extend([others, stamps(&loopback)]);
                findings.push(self_test(&capture, &loopback)?);
                (Some(capture), hooks)
            }
            Err(error) => {
                findings.extend(not_attached(&findings, &error));
                let planned = facts.btf.as_ref().ok();
                let planned = planned.and_then(|btf| plan(&facts, btf, HookSet::ALL).ok());
                let clock = planned.as_ref().map(|plan| clock_offset(plan.clock));
                // An obstacle may have said it already.
                let clock = clock.filter(|c| findings.iter().all(|f| f.subject != c.subject));
                findings.extend(clock);
                findings.push(others);
                // Needs no privilege: tried also where nothing else can be.
                findings.push(match StampingSocket::open() {
                    Ok(_held) => stamps(&loopback),
                    Err(refusal) => refusal.finding(),
                });
                let hooks = planned.map(|plan: Plan| judge::hooks(&plan, false));
                (None, hooks.unwrap_or_default())
            }
        };
        Ok(Survey {
            outcome: outcome(&findings, &hooks, capture.is_some()),
            facts,
            findings,
            hooks,
            _capture: capture,
        })
    }
}

/// Whatever is in the way of all hooks is a problem among the findings.
fn outcome(findings: &[Finding], hooks: &[Finding], measures: bool) -> Outcome {
    let problem = |finding: &Finding| finding.state == State::Problem;
    if !measures || findings.iter().any(problem) {
        Outcome::NotUsable
    } else if hooks.iter().any(problem) {
        Outcome::HooksMissing
    } else {
        Outcome::Usable
    }
}

fn refusal(error: &anyhow::Error) -> Refusal {
    let known = error.downcast_ref::<Refusal>().cloned();
    known.unwrap_or_else(|| {
        Refusal::new(
            Obstacle::Rejected,
            format!("{error:#}"),
            "something that netstacklat does not know",
            "please report this",
        )
    })
}

/// A refusal that no finding tells yet, or that nothing was tried.
fn not_attached(findings: &[Finding], error: &anyhow::Error) -> Vec<Finding> {
    let refusal = refusal(error);
    let mut added = Vec::new();
    if findings.iter().all(|finding| *finding != refusal.finding()) {
        added.push(refusal.finding());
    }
    if added.iter().all(|finding| finding.subject != "tracing") {
        added.push(Finding::new(
            State::Unknown,
            "tracing",
            "not tried",
            "whether this host allows it shows when nothing else is in the way",
        ));
    }
    added
}

fn attached(capture: &Capture) -> Vec<Finding> {
    let plan = capture.plan();
    let programs = plan.programs.len();
    let mut findings = vec![Finding::ok(
        "tracing",
        format!("{programs} programs loaded and attached"),
    )];
    let clock = capture.clock().source();
    findings.push(match clock {
        ClockSource::UpdateVsyscall => Finding::ok(
            "clock",
            format!(
                "from update_vsyscall, TAI offset {} s",
                capture.tai_offset_s()
            ),
        ),
        ClockSource::TaiOffset => clock_offset(clock),
    });
    findings
}

/// The offset as user space sees it, which is what the TAI path works with.
fn clock_offset(source: ClockSource) -> Finding {
    let offset = match clock::tai_offset_now_s() {
        Ok(offset) => format!("TAI offset {offset} s"),
        Err(error) => format!("TAI offset unknown: {error:#}"),
    };
    let found = format!("from {}, {offset}", source.name());
    match source {
        ClockSource::UpdateVsyscall => Finding::ok("clock", found),
        ClockSource::TaiOffset => Finding::new(
            State::Warning,
            "clock",
            found,
            "no program runs at the kernel's clock updates here: after a change of the clock, \
             packets count as clock-step until netstacklat has seen it, up to a second",
        ),
    }
}

fn stamping_by_others(loopback: &Result<Loopback>) -> Finding {
    let seen = match loopback {
        Ok(loopback) => loopback.exchange().map_err(|error| format!("{error:#}")),
        Err(error) => Err(format!("{error:#}")),
    };
    match seen {
        Ok(false) => Finding::ok(
            OTHERS,
            "none: packets are not stamped while nobody measures",
        ),
        Ok(true) => Finding::new(
            State::Ok,
            OTHERS,
            "packets are stamped already",
            "another socket of this host asked for it (a time server, a capture, another \
             netstacklat): stamping costs nothing more, and stays on afterwards",
        ),
        Err(why) => unseen(OTHERS, why),
    }
}

fn unseen(subject: &'static str, why: String) -> Finding {
    Finding::new(
        State::Unknown,
        subject,
        why,
        "it is seen with datagrams to oneself, which do not arrive here",
    )
    .remedy("ip link set lo up, and let a firewall pass UDP over loopback")
}

/// Whether datagrams come with a stamp, now that a socket of ours asks.
fn stamps(loopback: &Result<Loopback>) -> Finding {
    let subject = Obstacle::Stamping.subject();
    let loopback = match loopback {
        Ok(loopback) => loopback,
        Err(error) => return unseen(subject, format!("{error:#}")),
    };
    let asked = Instant::now();
    loop {
        match loopback.exchange() {
            Ok(true) => return Finding::ok(subject, "arrive once a socket asks for them"),
            Err(error) => return unseen(subject, format!("{error:#}")),
            Ok(false) if asked.elapsed() < SWITCHED_ON => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Ok(false) => {
                return Refusal::new(
                    Obstacle::Stamping,
                    format!("none within {SWITCHED_ON:?} of asking"),
                    "the kernel does not stamp packets although a socket asks for it",
                    "please report this with the output of netstacklat check --json",
                )
                .finding();
            }
        }
    }
}

/// Datagrams to oneself pass all hooks of UDP, and IP: they must be measured.
fn self_test(capture: &Capture, loopback: &Result<Loopback>) -> Result<Finding> {
    let first = capture.snapshot()?;
    if let Err(error) = exchange_all(loopback) {
        return Ok(unseen(SELF_TEST, format!("{error:#}")));
    }
    let passed = capture.snapshot()?.since(&first);
    let silent: Vec<_> = passed
        .hooks()
        .filter(|(hook, stats)| on_the_way(capture.plan(), *hook) && stats.histogram.count() == 0)
        .map(|(hook, _)| hook.name())
        .collect();
    Ok(if silent.is_empty() {
        Finding::ok(
            SELF_TEST,
            format!("{DATAGRAMS} datagrams over loopback were measured"),
        )
    } else {
        Finding::new(
            State::Problem,
            SELF_TEST,
            format!("not measured at {}", silent.join(" ")),
            format!("{DATAGRAMS} datagrams over loopback passed there"),
        )
        .remedy("please report this with the output of netstacklat check --json")
    })
}

/// Whether a datagram over loopback is measured there, IPv4 or IPv6.
fn on_the_way(plan: &Plan, hook: Hook) -> bool {
    let whole = plan.verdicts[hook.index()].missing.is_empty();
    whole && (hook == Hook::IP_START || hook.name().starts_with("udp-"))
}

fn exchange_all(loopback: &Result<Loopback>) -> Result<()> {
    let loopback = loopback.as_ref().map_err(|e| anyhow::anyhow!("{e:#}"))?;
    for _ in 0..DATAGRAMS {
        loopback.exchange()?;
    }
    Ok(())
}
