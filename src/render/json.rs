// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reports as JSON lines, for programs and for run files.
//!
//! `docs/json.md` says what each field means and what readers may rely on.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use serde::{Serialize, Serializer};

use crate::model::comparison::{Comparison, Side};
use crate::model::hooks::Hook;
use crate::model::quantile::{Estimate, REPORTED};
use crate::model::snapshot::{Cost, HookStats};
use crate::render::notes::tx_stamped;
use crate::render::screen::timestamp;
use crate::render::{HookVerdict, Kind, Renderer, Report, RunInfo};

/// Number of the format: changes when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// One object per line: first the run, then a line per report.
///
/// Integers are u64 and may exceed 2^53, sums soonest: read them as 64 bits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Json;

/// The line that says what a run is.
#[derive(Serialize)]
struct Start<'a> {
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
struct Line {
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

impl<'a> From<&'a HookVerdict> for StartHook<'a> {
    fn from(verdict: &'a HookVerdict) -> StartHook<'a> {
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
            clock_steps: interval.clock_steps,
            clock_updates: interval.clock_updates,
            arm: report.place.map(|place| place.arm.name()),
            round: report.place.and_then(|place| place.round),
            tx_stamped: tx_stamped(report),
            cost: interval.total_cost().map(LineCost::from),
            hooks: interval
                .hooks()
                .map(|(hook, stats)| LineHook {
                    cost: interval.clock_cost.map(|_| stats.cost.into()),
                    ..LineHook::from((hook, stats))
                })
                .collect(),
        }
    }
}

impl From<(Hook, &HookStats)> for LineHook {
    fn from((hook, stats): (Hook, &HookStats)) -> LineHook {
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;
    use crate::model::comparison::{Arm, Place};
    use crate::model::histogram::Resolution;
    use crate::model::skips::SkipReason;
    use crate::render::ClockInfo;
    use crate::render::testing::*;

    fn line(report: &Report) -> Value {
        let line = rendered(Json, report);
        assert!(line.ends_with('\n') && line.lines().count() == 1);
        serde_json::from_str(&line).unwrap()
    }

    fn run_info() -> RunInfo {
        RunInfo {
            version: "0.1.0".into(),
            host: "box".into(),
            kernel: "6.12.0".into(),
            arch: "x86_64".into(),
            possible_cpus: 8,
            interval: Some(Duration::from_secs(10)),
            resolution: Resolution::FINE,
            clock: ClockInfo {
                source: "update_vsyscall".into(),
                tai_offset_s: 37,
            },
            name: None,
            filters: BTreeMap::new(),
            facts: BTreeMap::from([("governor".into(), "performance".into())]),
            comparison: None,
            hooks: vec![
                HookVerdict {
                    hook: hook("tcp-start"),
                    functions: vec!["tcp_v4_rcv".into(), "tcp_v6_rcv".into()],
                    reason: None,
                },
                HookVerdict {
                    hook: hook("udp-start"),
                    functions: vec!["udp_rcv".into()],
                    reason: Some("no udpv6_rcv in this kernel".into()),
                },
                HookVerdict {
                    hook: hook("udp-queue-rcv"),
                    functions: Vec::new(),
                    reason: Some("not enabled".into()),
                },
            ],
        }
    }

    /// The fixture is written by hand, after docs/json.md.
    #[test]
    fn a_run_is_the_documented_lines() {
        let mut run = Run::new(&["tcp-start", "udp-start"]);
        run.samples("tcp-start", 3000, 60);
        run.samples("tcp-start", 5000, 40);
        run.samples_over_range("tcp-start", 1);
        run.skips("tcp-start", SkipReason::NO_TIMESTAMP, 12);
        run.skips("tcp-start", reason("peek"), 7);
        run.skips("ip-start", SkipReason::TX_TIMESTAMP, 5);
        run.missed("udp-start", 3);
        let interval = run.interval();
        let mut out = Vec::new();
        Json.start(&mut out, &run_info()).unwrap();
        Json.report(&mut out, &report(&interval)).unwrap();
        let total = Report {
            kind: Kind::Total,
            ..report(&interval)
        };
        Json.report(&mut out, &total).unwrap();
        let fixture = include_str!("../../tests/fixtures/run.jsonl");
        let out = String::from_utf8(out).unwrap();
        for (line, expected) in out.lines().zip(fixture.lines()) {
            assert_eq!(line, expected);
        }
        assert_eq!(out, fixture);
    }

    #[test]
    fn a_comparison_is_the_documented_lines() {
        let side = |name: &str, command: Option<&str>| Side {
            name: name.into(),
            start: command.map(|command| command.into()),
            stop: None,
        };
        let run_info = RunInfo {
            interval: None,
            comparison: Some(Comparison {
                a: side("none", None),
                b: side("rules", Some("iptables-restore rules")),
                load: Some("./load \"fast\"".into()),
                rounds: 10,
                period: Duration::from_secs(3),
                settle: Duration::from_millis(500),
                seed: u64::MAX,
            }),
            hooks: Vec::new(),
            ..run_info()
        };
        let mut run = Run::new(&["udp-start"]);
        run.samples("udp-start", 3000, 2);
        let interval = run.interval();
        let place = |arm, round| Some(Place { arm, round });
        let mut out = Vec::new();
        Json.start(&mut out, &run_info).unwrap();
        let of_b = Report {
            place: place(Arm::B, Some(7)),
            ..report(&interval)
        };
        Json.report(&mut out, &of_b).unwrap();
        let total = Report {
            kind: Kind::Total,
            place: place(Arm::A, None),
            ..report(&interval)
        };
        Json.report(&mut out, &total).unwrap();
        let out = String::from_utf8(out).unwrap();
        assert_eq!(out, include_str!("../../tests/fixtures/comparison.jsonl"));
    }

    #[test]
    fn what_is_unknown_is_null() {
        let run_info = RunInfo {
            interval: None,
            ..run_info()
        };
        let mut out = Vec::new();
        Json.start(&mut out, &run_info).unwrap();
        let start: Value = serde_json::from_slice(&out).unwrap();
        assert!(start["interval_ns"].is_null());

        let mut run = Run::new(&["udp-start"]);
        run.samples_over_range("udp-start", 1000);
        let line = line(&report(&run.interval()));
        let hook = &line["hooks"][0];
        assert_eq!(hook["count"], 0);
        assert!(hook["max_le_ns"].is_null() && hook["quantiles_ns"]["p50"].is_null());
        assert_eq!(hook["skipped"]["over-range"], 1000);
    }

    #[test]
    fn lines_open_with_the_schema() {
        let interval = Run::new(&["udp-start"]).interval();
        let line = rendered(Json, &report(&interval));
        assert!(line.starts_with("{\"schema\":1,\"kind\":\"interval\",\"seq\":1,"));
    }

    proptest! {
        #[test]
        fn counts_are_the_sums_of_their_buckets(run in runs()) {
            let interval = run.interval();
            let report = run.report(&interval);
            let line = line(&report);
            let hooks = line["hooks"].as_array().unwrap();
            prop_assert_eq!(hooks.len(), interval.enabled.len());
            prop_assert_eq!(line["duration_ns"].as_u64(), Some(interval.duration_ns));
            for ((hook, stats), shown) in interval.hooks().zip(hooks) {
                prop_assert_eq!(shown["hook"].as_str(), Some(hook.name()));
                let buckets = shown["buckets"].as_array().unwrap();
                let number = |bucket: &Value, i: usize| bucket[i].as_u64().unwrap();
                let count: u64 = buckets.iter().map(|b| number(b, 2)).sum();
                prop_assert_eq!(shown["count"].as_u64(), Some(count));
                prop_assert_eq!(count, stats.histogram.count());
                prop_assert_eq!(shown["sum_ns"].as_u64(), Some(stats.histogram.sum_ns()));
                prop_assert!(buckets.iter().all(|b| number(b, 0) < number(b, 1) && number(b, 2) > 0));
                prop_assert!(buckets.windows(2).all(|w| number(&w[0], 1) <= number(&w[1], 0)));
                let highest = buckets.last().map(|b| number(b, 1));
                prop_assert_eq!(shown["max_le_ns"].as_u64(), highest);
                let skipped = shown["skipped"].as_object().unwrap();
                let total: u64 = skipped.values().map(|n| n.as_u64().unwrap()).sum();
                prop_assert_eq!(total, stats.skips.total());
                prop_assert!(skipped.values().all(|n| n.as_u64() > Some(0)));
                let quantiles = shown["quantiles_ns"].as_object().unwrap();
                prop_assert_eq!(quantiles.len(), REPORTED.len());
            }
        }
    }
}
