// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tests of the JSON lines.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use serde_json::{Value, json};
use testlab::schema::assert_valid;

use crate::model::comparison::{Arm, Comparison, Place, Side};
use crate::model::group::Group;
use crate::model::histogram::Resolution;
use crate::model::quantile::REPORTED;
use crate::model::run::{ClockInfo, HookStatus, RunInfo};
use crate::model::selection::Selection;
use crate::model::skips::SkipReason;
use crate::render::{Json, Kind, Renderer as _, Report};
use crate::test_support::*;

fn line(report: &Report) -> Value {
    let line = rendered(Json, report);
    assert!(line.ends_with('\n') && line.lines().count() == 1);
    assert_valid(&line);
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
        selection: Selection::default(),
        facts: BTreeMap::from([("governor".into(), "performance".into())]),
        comparison: None,
        hooks: vec![
            HookStatus {
                hook: hook("tcp-start"),
                functions: vec!["tcp_v4_rcv".into(), "tcp_v6_rcv".into()],
                reason: None,
            },
            HookStatus {
                hook: hook("udp-start"),
                functions: vec!["udp_rcv".into()],
                reason: Some("no udpv6_rcv in this kernel".into()),
            },
            HookStatus {
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
    out.lines().for_each(assert_valid);
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
            auto_rounds: false,
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
    out.lines().for_each(assert_valid);
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

/// Counts are as counted; what they stand for has a field of its own.
#[test]
fn a_sample_has_its_count_and_an_estimate() {
    let mut run = Run::new(&["udp-start"]);
    run.samples("udp-start", 3000, 5);
    let all = line(&report(&run.interval()));
    for (object, field) in [
        (&all, "sample_one_in"),
        (&all["hooks"][0], "estimated_count"),
    ] {
        assert!(object.get(field).is_none(), "{object}");
    }
    run.sampled(16);
    run.skips("udp-start", SkipReason::SAMPLED_OUT, 75);
    let sampled = line(&report(&run.interval()));
    assert_eq!(sampled["sample_one_in"], 16);
    let hook = &sampled["hooks"][0];
    assert_eq!(
        (&hook["count"], &hook["estimated_count"]),
        (&json!(5), &json!(80))
    );
    assert_eq!(
        (&hook["buckets"][0][2], &hook["sum_ns"]),
        (&json!(5), &json!(15_000))
    );
    assert_eq!(hook["skipped"], json!({"sampled-out": 75}));
}

#[test]
fn groups_follow_the_hooks_of_all() {
    let mut run = Run::new(&["tcp-start", "udp-start"]);
    run.samples("udp-start", 3000, 5);
    let key = |value: &str| [("interface".into(), value.into())];
    for (group, count) in [(Group::Of(key("eth0").into()), 4), (Group::Other, 1)] {
        let counters = &mut run.end.counters;
        let counters = counters.group_mut(&group, hook("udp-start"));
        (0..count).for_each(|_| assert!(counters.histogram.record(3000)));
    }
    let line = line(&report(&run.interval()));
    let hooks = line["hooks"].as_array().unwrap();
    let shown: Vec<_> = hooks
        .iter()
        .map(|it| (it["hook"].as_str().unwrap(), &it["group"], &it["count"]))
        .collect();
    let expected = [
        ("tcp-start", &json!(null), &json!(0)),
        ("udp-start", &json!(null), &json!(5)),
        ("udp-start", &json!({"interface": "eth0"}), &json!(4)),
        ("udp-start", &json!({}), &json!(1)),
    ];
    assert_eq!(shown, expected);
}

#[test]
fn lines_open_with_the_schema() {
    let interval = Run::new(&["udp-start"]).interval();
    let line = rendered(Json, &report(&interval));
    assert!(line.starts_with("{\"schema\":2,\"kind\":\"interval\",\"seq\":1,"));
}

proptest! {
    #[test]
    fn counts_are_the_sums_of_their_buckets(run in runs()) {
        let interval = run.interval();
        let report = run.report(&interval);
        let line = line(&report);
        let hooks = line["hooks"].as_array().unwrap();
        prop_assert_eq!(hooks.len(), interval.counters.enabled.len());
        prop_assert_eq!(line["duration_ns"].as_u64(), Some(interval.duration_ns));
        for ((hook, stats), shown) in interval.counters.hooks().zip(hooks) {
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
