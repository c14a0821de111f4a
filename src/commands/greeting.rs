// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What commands that measure say when they begin: how much is measured, until
//! when, and what is off. A line each, for standard error.

use std::path::Path;
use std::time::Duration;

use crate::capture::Capture;
use crate::cli::{LiveArgs, RecordArgs, Size};
use crate::experiment::runner::planned_duration;
use crate::model::comparison::Comparison;
use crate::model::hooks::Hook;
use crate::render::terminal;
use crate::render::units::count;

/// A histogram takes about ten rows.
const ROWS_OF_A_HISTOGRAM: usize = 10;

/// Of the live view.
pub(super) fn live(capture: &Capture, args: &LiveArgs) -> String {
    let reports = &args.reports;
    let next = match (reports.interval(), reports.duration) {
        (Some(interval), _) => format!("first report in {} (Ctrl-C: total)", human(interval)),
        (None, Some(duration)) => format!("one report in {}", human(duration)),
        (None, None) => "one report at the end".into(),
    };
    let on = capture.plan().enabled().len();
    let mut text = line(&format!("measuring at {}, {next}", hooks(on)));
    text += &shortcomings(capture);
    if reports.bpf_stats {
        text += &line(
            "BPF run-time statistics are on until netstacklat ends: each run of every BPF program \
             on this host takes some 20 ns longer",
        );
    }
    let rows = on * ROWS_OF_A_HISTOGRAM;
    let chosen = reports.summary || reports.histograms || args.out.json;
    if !chosen && terminal::rows().is_some_and(|screen| rows > screen) {
        text += &line(
            "the histograms do not fit on this screen: --summary prints one line per hook, -e \
             selects hooks",
        );
    }
    text
}

/// Of `record`.
pub(super) fn record(capture: &Capture, args: &RecordArgs) -> String {
    let until = match (args.command.first(), args.duration) {
        (Some(command), _) => format!("while {} runs", command.display()),
        (None, Some(duration)) => format!("for {}", human(duration)),
        (None, None) => "until Ctrl-C".into(),
    };
    let hooks = hooks(capture.plan().enabled().len());
    let file = args.output.display();
    line(&format!("recording at {hooks} into {file} {until}")) + &shortcomings(capture)
}

/// Of `compare`: what it will do comes later.
pub(super) fn compare(capture: &Capture) -> String {
    let hooks = hooks(capture.plan().enabled().len());
    line(&format!("measuring at {hooks}")) + &shortcomings(capture)
}

/// Of `compare`, what will be done.
pub(super) fn plan(comparison: &Comparison, path: &Path) -> String {
    let mut text = format!(
        "netstacklat: comparing {} (A) with {} (B): {}{} rounds of 4 periods of {}, about {} and \
         your commands; seed {}; writing {}\n",
        comparison.a.name,
        comparison.b.name,
        if comparison.auto_rounds {
            "at most "
        } else {
            ""
        },
        comparison.rounds,
        human(comparison.period),
        human(planned_duration(comparison)),
        comparison.seed,
        path.display(),
    );
    if comparison.is_toggled() {
        text += &format!(
            "netstacklat: no stop commands: each start command has to undo the other; that of {} \
             runs last.\n",
            comparison.a.name
        );
    }
    text
}

/// What the user wanted and does not get.
fn shortcomings(capture: &Capture) -> String {
    let plan = capture.plan();
    let mut text = String::new();
    if let Some(why) = &plan.clock_reason {
        text += &line(&format!("the clock is not the kernel's own: {why}"));
    }
    if plan.sampling.is_on() {
        let n = plan.sampling.one_in();
        text += &line(&format!(
            "measuring 1 in {n} packets (--sample): counts with ~ are multiplied by {n}"
        ));
    }
    for verdict in plan.hooks.iter().filter(|verdict| verdict.wanted) {
        if let Some(reason) = verdict.reason() {
            let off = if verdict.functions.is_empty() {
                " is off"
            } else {
                ""
            };
            text += &line(&format!("{}{off}: {reason}", verdict.hook));
        }
    }
    for sentence in plan.renewals.sentences() {
        text += &line(&sentence);
    }
    for absent in capture.packets().absent() {
        text += &line(&format!(
            "there is no {absent} now; it is measured when it appears"
        ));
    }
    if let Some(spot) = capture.packets().blind_spots() {
        text += &line(&spot);
    }
    let names = |hooks: Vec<Hook>| {
        let names: Vec<_> = hooks.into_iter().map(Hook::name).collect();
        names.join(", ")
    };
    if let Some((options, hooks)) = plan.filter.not_applied(plan.enabled()) {
        text += &line(&format!(
            "{} does not apply at {}, where the socket is not known yet: these hooks also measure \
             packets that it would leave out",
            options.join(" and "),
            names(hooks)
        ));
    }
    if let Some((options, hooks)) = plan.filter.applied_to_connections(plan.enabled()) {
        text += &line(&format!(
            "{} needs the socket, which at {} only packets of established connections have: other \
             packets there count as owner-unknown",
            options.join(" and "),
            names(hooks)
        ));
    }
    let no_packets = plan.enabled().iter().filter(|hook| !hook.is_of_packets());
    let no_packets: Vec<Hook> = no_packets.collect();
    if plan.filter.is_on() && !no_packets.is_empty() {
        text += &line(&format!(
            "filters do not apply at {}, which measure the time of CPUs, not packets",
            names(no_packets)
        ));
    }
    if plan.filter.min_queue > 0 {
        text += &line("--min-queue-length applies at reads only; other hooks ignore it");
    }
    if let Some(grouping) = &plan.grouping {
        let keys: Vec<_> = grouping.keys.iter().map(|key| key.name()).collect();
        let keys = keys.join(" and ");
        text += &line(&if plan.groups.is_some() {
            format!(
                "grouping by {keys}: at most {}, {} of kernel memory",
                count(grouping.max_groups.into(), "group"),
                Size(grouping.memory)
            )
        } else {
            format!("grouping by {keys}")
        });
    }
    text
}

fn line(text: &str) -> String {
    format!("netstacklat: {text}.\n")
}

fn hooks(n: usize) -> String {
    count(n as u64, "hook")
}

/// As users write it: `10s`, `1m 30s`.
pub(super) fn human(duration: Duration) -> String {
    humantime::format_duration(duration).to_string()
}
