// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! One line of a run file: read, and each number looked at.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;

use serde::Deserialize;
use serde_json::error::Category;

use crate::model::comparison::{Arm, Comparison, Place, Side};
use crate::model::counters::{Cost, Counters, HookCounters};
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hooks::Hook;
use crate::model::report::{Kind, Report};
use crate::model::run::{ClockInfo, HookStatus, RunInfo};
use crate::model::skips::{SkipReason, Skips};
use crate::model::snapshot::Interval;
use crate::render::json::SCHEMA;
use crate::runfile::text::{List, Named, Text};
use crate::text::clean;

/// What a line can be.
pub(super) enum Line {
    Start(Box<Start>),
    /// And what was left out of it because this version does not know it.
    Report(Box<Report>, Vec<String>),
    /// A kind that this version does not know.
    Other(String),
}

/// Why a line is of no use.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Damage {
    /// No whole JSON: cut off, or something else altogether.
    Broken(String),
    /// JSON, but not what docs/json.md says.
    Wrong(String),
    /// Of a format that is newer than this version.
    Newer(u64),
}

/// A start line.
pub(super) struct Start {
    pub(super) info: RunInfo,
    /// Hooks that this version does not know.
    pub(super) unknown_hooks: Vec<String>,
}

/// Names of hosts, kernels, hooks and the like.
type Short = Text<256>;
/// Shell commands and reasons.
type Long = Text<4096>;
/// More than there will ever be of hooks, functions, reasons and facts.
const MANY: usize = 256;
/// Buckets of the finest resolution that there is.
const BUCKETS: usize = 8192;

#[derive(Deserialize)]
struct Opening<'a> {
    schema: u64,
    #[serde(borrow)]
    kind: Cow<'a, str>,
}

#[derive(Deserialize)]
struct StartLine {
    version: Short,
    host: Short,
    kernel: Short,
    arch: Short,
    possible_cpus: usize,
    interval_ns: Option<u64>,
    sub_buckets: u32,
    clock_source: Short,
    tai_offset_s: i64,
    name: Option<Short>,
    #[serde(default)]
    filters: Named<Short, MANY>,
    #[serde(default)]
    facts: Named<Short, MANY>,
    comparison: Option<ComparisonField>,
    hooks: List<StartHook, MANY>,
}

#[derive(Deserialize)]
struct StartHook {
    hook: Short,
    functions: List<Short, MANY>,
    reason: Option<Long>,
}

#[derive(Deserialize)]
struct ComparisonField {
    a: SideField,
    b: SideField,
    load: Option<Long>,
    rounds: u64,
    #[serde(default)]
    auto_rounds: bool,
    period_ns: u64,
    settle_ns: u64,
    seed: u64,
}

#[derive(Deserialize)]
struct SideField {
    name: Short,
    start: Option<Long>,
    stop: Option<Long>,
}

#[derive(Deserialize)]
struct ReportLine {
    start: Short,
    end: Short,
    seq: u64,
    partial: bool,
    cumulative: bool,
    duration_ns: u64,
    missed_intervals: u64,
    clock_steps: u64,
    clock_updates: Option<u64>,
    arm: Option<Short>,
    round: Option<u64>,
    tx_stamped: u64,
    cost: Option<CostField>,
    hooks: List<ReportHook, MANY>,
}

#[derive(Deserialize)]
struct ReportHook {
    hook: Short,
    group: Option<Short>,
    count: u64,
    sum_ns: u64,
    buckets: List<[u64; 3], BUCKETS>,
    skipped: Named<u64, MANY>,
    missed: u64,
    cost: Option<CostField>,
}

#[derive(Deserialize)]
struct CostField {
    runs: u64,
    time_ns: u64,
}

impl From<CostField> for Cost {
    fn from(CostField { runs, time_ns }: CostField) -> Cost {
        Cost { runs, time_ns }
    }
}

impl From<serde_json::Error> for Damage {
    /// A cut line is never whole JSON, so damage by a crash and damage of
    /// other kinds can be told apart.
    fn from(error: serde_json::Error) -> Damage {
        // It may quote the file.
        let text = clean(&error.to_string(), 160);
        match error.classify() {
            Category::Data => Damage::Wrong(text),
            Category::Eof | Category::Syntax | Category::Io => Damage::Broken(text),
        }
    }
}

fn wrong(text: impl Into<String>) -> Damage {
    Damage::Wrong(text.into())
}

impl Line {
    /// Reads a line of a run with this resolution; a start line needs none.
    pub(super) fn read(bytes: &[u8], resolution: Option<Resolution>) -> Result<Line, Damage> {
        let opening: Opening = serde_json::from_slice(bytes)?;
        if opening.schema > u64::from(SCHEMA) {
            return Err(Damage::Newer(opening.schema));
        }
        // 1: the same lines.
        if opening.schema == 0 {
            return Err(wrong("there is no such schema"));
        }
        let report = |kind| {
            let resolution = resolution.ok_or_else(|| wrong("no start line is before it"))?;
            let line: ReportLine = serde_json::from_slice(bytes)?;
            let (report, unknown) = line.checked(kind, resolution)?;
            Ok(Line::Report(Box::new(report), unknown))
        };
        match &*opening.kind {
            "start" => {
                let line: StartLine = serde_json::from_slice(bytes)?;
                line.checked().map(|start| Line::Start(Box::new(start)))
            }
            "interval" => report(Kind::Interval),
            "total" => report(Kind::Total),
            other => Ok(Line::Other(clean(other, 64))),
        }
    }
}

impl StartLine {
    fn checked(self) -> Result<Start, Damage> {
        let sub_buckets = self.sub_buckets;
        let resolution = sub_buckets
            .is_power_of_two()
            .then(|| Resolution::new(sub_buckets.ilog2()))
            .flatten()
            .ok_or_else(|| wrong(format!("sub_buckets cannot be {sub_buckets}")))?;
        let mut unknown_hooks = Vec::new();
        let mut hooks: Vec<HookStatus> = Vec::new();
        for verdict in self.hooks.0 {
            match Hook::all().find(|hook| hook.name() == verdict.hook.0) {
                None => unknown_hooks.push(verdict.hook.0),
                Some(hook) if hooks.iter().any(|other| other.hook == hook) => {
                    return Err(wrong(format!("{hook} is there twice")));
                }
                Some(hook) => hooks.push(HookStatus {
                    hook,
                    functions: verdict.functions.0.into_iter().map(|name| name.0).collect(),
                    reason: verdict.reason.map(|reason| reason.0),
                }),
            }
        }
        let texts = |named: Named<Short, MANY>| {
            let pairs = named.0.into_iter();
            pairs.map(|(name, text)| (name, text.0)).collect()
        };
        let info = RunInfo {
            version: self.version.0,
            host: self.host.0,
            kernel: self.kernel.0,
            arch: self.arch.0,
            possible_cpus: self.possible_cpus,
            interval: self.interval_ns.map(Duration::from_nanos),
            resolution,
            clock: ClockInfo {
                source: self.clock_source.0,
                tai_offset_s: self.tai_offset_s,
            },
            name: self.name.map(|name| name.0),
            filters: texts(self.filters),
            facts: texts(self.facts),
            comparison: self.comparison.map(Comparison::from),
            hooks,
        };
        Ok(Start {
            info,
            unknown_hooks,
        })
    }
}

impl From<ComparisonField> for Comparison {
    fn from(field: ComparisonField) -> Comparison {
        let side = |side: SideField| Side {
            name: side.name.0,
            start: side.start.map(|command| command.0),
            stop: side.stop.map(|command| command.0),
        };
        Comparison {
            a: side(field.a),
            b: side(field.b),
            load: field.load.map(|command| command.0),
            rounds: field.rounds,
            auto_rounds: field.auto_rounds,
            period: Duration::from_nanos(field.period_ns),
            settle: Duration::from_nanos(field.settle_ns),
            seed: field.seed,
        }
    }
}

impl ReportLine {
    /// The report, and what was left out of it because this version does not
    /// know it.
    fn checked(self, kind: Kind, resolution: Resolution) -> Result<(Report, Vec<String>), Damage> {
        let place = match (self.arm, self.round) {
            (None, None) => None,
            (None, Some(_)) => return Err(wrong("it has a round and no arm")),
            (Some(arm), round) => {
                let arm = Arm::find(&arm.0).ok_or_else(|| wrong("arm is neither a nor b"))?;
                Some(Place { arm, round })
            }
        };
        let mut unknown = Vec::new();
        let mut hooks: BTreeMap<Hook, HookCounters> = BTreeMap::new();
        for line in self.hooks.0 {
            let Some(hook) = Hook::named(&line.hook.0) else {
                unknown.push(format!("hook {}", line.hook.0));
                continue;
            };
            if line.group.is_some() {
                unknown.push("counts of groups".into());
                continue;
            }
            let counters = line
                .checked(resolution, &mut unknown)
                .map_err(|what| wrong(format!("{hook}: {what}")))?;
            if hooks.insert(hook, counters).is_some() {
                return Err(wrong(format!("{hook} is there twice")));
            }
        }
        let enabled = hooks.keys().copied().collect();
        let mut counters = Counters::of(enabled, |hook| {
            let found = hooks.remove(&hook);
            found.unwrap_or_else(|| HookCounters::new(resolution))
        });
        counters.clock_steps = self.clock_steps;
        counters.clock_updates = self.clock_updates;
        // What is not the hooks': of the clock, and of hooks that are off.
        counters.clock_cost = self.cost.map(|total| {
            let hooks = counters.hooks().map(|(_, counters)| counters.cost);
            hooks.fold(Cost::from(total), |rest, cost| rest - cost)
        });
        let seen_at = Hook::of_tx_timestamps();
        if counters.measured(seen_at).is_none() {
            let skips = &mut counters.hook_mut(seen_at).skips;
            skips.add(SkipReason::TX_TIMESTAMP, self.tx_stamped);
        }
        let report = Report {
            kind,
            seq: self.seq,
            partial: self.partial,
            missed_intervals: self.missed_intervals,
            cumulative: self.cumulative,
            place,
            interval: Interval {
                start: time(&self.start)?,
                end: time(&self.end)?,
                duration_ns: self.duration_ns,
                counters,
            },
        };
        Ok((report, unknown))
    }
}

fn time(text: &Short) -> Result<SystemTime, Damage> {
    let time: Result<Timestamp, _> = text.0.parse();
    let time = time.map_err(|_| wrong(format!("'{}' is no time (RFC 3339)", text.0)))?;
    Ok(time.into())
}

impl ReportHook {
    /// All its counts together stay within 64 bits.
    fn checked(
        self,
        resolution: Resolution,
        unknown: &mut Vec<String>,
    ) -> Result<HookCounters, String> {
        const TOO_MANY: &str = "counts beyond 64 bits";
        let mut histogram = Histogram::new(resolution);
        let mut counted: u64 = 0;
        let mut end = 0;
        for [lo, hi, count] in self.buckets.0 {
            counted = counted.checked_add(count).ok_or(TOO_MANY)?;
            if lo < end || histogram.add_bucket(lo, hi, count).is_none() {
                return Err(format!("no bucket ({lo}, {hi}] belongs there"));
            }
            end = hi;
        }
        if counted != self.count {
            let count = self.count;
            return Err(format!("count is {count}, its buckets hold {counted}"));
        }
        // The programs may be at work while they are read, so that the sum
        // need not be that of the buckets.
        histogram.add_sum(self.sum_ns);
        let mut skips = Skips::default();
        let mut runs = counted.checked_add(self.missed).ok_or(TOO_MANY)?;
        for (name, count) in self.skipped.0 {
            runs = runs.checked_add(count).ok_or(TOO_MANY)?;
            match SkipReason::find(&name) {
                Some(reason) => skips.add(reason, count),
                None => unknown.push(format!("reason {name}")),
            }
        }
        Ok(HookCounters {
            histogram,
            skips,
            missed: self.missed,
            cost: self.cost.map(Cost::from).unwrap_or_default(),
        })
    }
}
