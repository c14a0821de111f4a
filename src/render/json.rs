// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reports as JSON lines, for programs and for run files.
//!
//! `docs/json.md` says what each field means and what readers may rely on.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::model::comparison::{Comparison, Side};
use crate::model::counters::{Cost, HookCounters};
use crate::model::hooks::Hook;
use crate::model::quantile::{Estimate, REPORTED};

use crate::model::run::{HookStatus, RunInfo};
use crate::render::screen::timestamp;
use crate::render::{Kind, Renderer, Report};

/// Number of the format: changes when a field changes its meaning or goes.
pub const SCHEMA: u32 = 2;

/// One object per line: first the run, then a line per report.
///
/// Integers are u64 and may exceed 2^53, sums soonest: read them as 64 bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

/// The line that says what a run is.
#[derive(Serialize)]
pub(super) struct Start<'a> {
    schema: u32,
    kind: &'static str,
    version: &'a str,
    host: &'a str,
    kernel: &'a str,
    arch: &'a str,
    possible_cpus: usize,
    interval_ns: Option<u64>,
    sub_buckets: u32,
    clock_source: &'a str,
    tai_offset_s: i64,
    name: Option<&'a str>,
    filters: &'a BTreeMap<String, String>,
    facts: &'a BTreeMap<String, String>,
    comparison: Option<StartComparison<'a>>,
    hooks: Vec<StartHook<'a>>,
}

#[derive(Serialize)]
struct StartComparison<'a> {
    a: StartSide<'a>,
    b: StartSide<'a>,
    load: Option<&'a str>,
    rounds: u64,
    auto_rounds: bool,
    period_ns: u64,
    settle_ns: u64,
    seed: u64,
}

#[derive(Serialize)]
struct StartSide<'a> {
    name: &'a str,
    start: Option<&'a str>,
    stop: Option<&'a str>,
}

#[derive(Serialize)]
struct StartHook<'a> {
    hook: &'static str,
    functions: &'a [String],
    attached: bool,
    reason: Option<&'a str>,
}

/// The line of an interval, and of the total.
#[derive(Serialize)]
pub(super) struct Line {
    schema: u32,
    kind: &'static str,
    seq: u64,
    partial: bool,
    cumulative: bool,
    start: String,
    end: String,
    duration_ns: u64,
    missed_intervals: u64,
    clock_steps: u64,
    clock_updates: Option<u64>,
    arm: Option<&'static str>,
    round: Option<u64>,
    tx_stamped: u64,
    cost: Option<LineCost>,
    hooks: Vec<LineHook>,
}

#[derive(Serialize)]
struct LineHook {
    hook: &'static str,
    group: Option<&'static str>,
    count: u64,
    sum_ns: u64,
    buckets: Vec<[u64; 3]>,
    max_le_ns: Option<u64>,
    #[serde(serialize_with = "as_map")]
    quantiles_ns: Vec<(String, Option<u64>)>,
    #[serde(serialize_with = "as_map")]
    skipped: Vec<(&'static str, u64)>,
    missed: u64,
    cost: Option<LineCost>,
}

#[derive(Serialize)]
struct LineCost {
    runs: u64,
    time_ns: u64,
}

impl From<Cost> for LineCost {
    fn from(Cost { runs, time_ns }: Cost) -> LineCost {
        LineCost { runs, time_ns }
    }
}

impl<'a> From<&'a RunInfo> for Start<'a> {
    fn from(run: &'a RunInfo) -> Start<'a> {
        Start {
            schema: SCHEMA,
            kind: "start",
            version: &run.version,
            host: &run.host,
            kernel: &run.kernel,
            arch: &run.arch,
            possible_cpus: run.possible_cpus,
            interval_ns: run.interval.map(nanoseconds),
            sub_buckets: run.resolution.sub_buckets(),
            clock_source: &run.clock.source,
            tai_offset_s: run.clock.tai_offset_s,
            name: run.name.as_deref(),
            filters: &run.filters,
            facts: &run.facts,
            comparison: run.comparison.as_ref().map(StartComparison::from),
            hooks: run.hooks.iter().map(StartHook::from).collect(),
        }
    }
}

impl<'a> From<&'a Comparison> for StartComparison<'a> {
    fn from(comparison: &'a Comparison) -> StartComparison<'a> {
        StartComparison {
            a: StartSide::from(&comparison.a),
            b: StartSide::from(&comparison.b),
            load: comparison.load.as_deref(),
            rounds: comparison.rounds,
            auto_rounds: comparison.auto_rounds,
            period_ns: nanoseconds(comparison.period),
            settle_ns: nanoseconds(comparison.settle),
            seed: comparison.seed,
        }
    }
}

impl<'a> From<&'a Side> for StartSide<'a> {
    fn from(side: &'a Side) -> StartSide<'a> {
        StartSide {
            name: &side.name,
            start: side.start.as_deref(),
            stop: side.stop.as_deref(),
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

impl<'a> From<&'a HookStatus> for StartHook<'a> {
    fn from(verdict: &'a HookStatus) -> StartHook<'a> {
        StartHook {
            hook: verdict.hook.name(),
            functions: &verdict.functions,
            attached: verdict.attached(),
            reason: verdict.reason.as_deref(),
        }
    }
}

impl From<&Report<'_>> for Line {
    fn from(report: &Report) -> Line {
        let interval = report.interval;
        Line {
            schema: SCHEMA,
            kind: match report.kind {
                Kind::Interval => "interval",
                Kind::Total => "total",
            },
            seq: report.seq,
            partial: report.partial,
            cumulative: report.since_start(),
            start: rfc3339(interval.start),
            end: rfc3339(interval.end),
            duration_ns: interval.duration_ns,
            missed_intervals: report.missed_intervals,
            clock_steps: interval.counters.clock_steps,
            clock_updates: interval.counters.clock_updates,
            arm: report.place.map(|place| place.arm.name()),
            round: report.place.and_then(|place| place.round),
            tx_stamped: interval.counters.tx_timestamped(),
            cost: interval.counters.total_cost().map(LineCost::from),
            hooks: interval
                .counters
                .hooks()
                .map(|(hook, stats)| LineHook {
                    cost: interval.counters.clock_cost.map(|_| stats.cost.into()),
                    ..LineHook::from((hook, stats))
                })
                .collect(),
        }
    }
}

impl From<(Hook, &HookCounters)> for LineHook {
    fn from((hook, stats): (Hook, &HookCounters)) -> LineHook {
        let histogram = &stats.histogram;
        let buckets = histogram.buckets();
        let quantiles = REPORTED.into_iter().map(|quantile| {
            let ns = match stats.quantile(quantile) {
                Some(Estimate::Ns(ns)) => Some(ns),
                Some(Estimate::OverRange) | None => None,
            };
            (quantile.name(), ns)
        });
        let skipped = stats.skips.iter();
        LineHook {
            hook: hook.name(),
            group: None,
            count: histogram.count(),
            sum_ns: histogram.sum_ns(),
            buckets: buckets.map(|b| [b.lo_ns, b.hi_ns, b.count]).collect(),
            max_le_ns: histogram.max_le_ns(),
            quantiles_ns: quantiles.collect(),
            skipped: skipped.map(|(r, count)| (r.name(), count)).collect(),
            missed: stats.missed,
            cost: None,
        }
    }
}

impl Renderer for Json {
    /// Writes the start line.
    fn start(&mut self, out: &mut dyn Write, run: &RunInfo) -> io::Result<()> {
        write_line(out, &Start::from(run))
    }

    fn report(&mut self, out: &mut dyn Write, report: &Report) -> io::Result<()> {
        write_line(out, &Line::from(report))
    }
}

pub(super) fn write_line(out: &mut dyn Write, line: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    out.write_all(&bytes)
}

/// UTC with all nine digits, so that lines sort as text.
fn rfc3339(time: SystemTime) -> String {
    format!("{:.9}", timestamp(time))
}

/// Pairs as an object that keeps their order.
fn as_map<K: Serialize, V: Serialize, S: Serializer>(
    pairs: &[(K, V)],
    serializer: S,
) -> Result<S::Ok, S::Error> {
    serializer.collect_map(pairs.iter().map(|(key, value)| (key, value)))
}
