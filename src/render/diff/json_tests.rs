// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The JSON of comparisons has the figures of the text, not rounded.

use serde_json::Value;

use super::tests::{found, json, rules};
use crate::analysis::Input;
use crate::model::hooks::HOOK_COUNT;
use crate::render::Diff;

#[test]
fn json_says_the_same() {
    let file = rules();
    let limits = [
        "tcp-start:p50>+10%",
        "tcp-start:p50>+9us",
        "tcp-start:p99>1ms",
    ];
    let input = Input::Comparison(&file);
    let object = json(&input, &limits);
    let number = |value: &Value| value.as_f64().unwrap();
    assert_eq!(
        (&object["schema"], &object["kind"]),
        (&2.into(), &"diff".into())
    );
    assert_eq!(object["unit"], "round");
    assert_eq!(object["units_used"], serde_json::json!({"a": 10, "b": 10}));
    assert_eq!(object["rounds_planned"], 10);
    assert_eq!(object["questions"], 4);
    assert_eq!(object["b"]["name"], "25k-rules");
    assert_eq!(object["b"]["duration_ns"], 60_000_000_000u64);
    assert_eq!(object["warnings"][0]["code"], "too-few-samples");
    let hooks = object["hooks"].as_array().unwrap();
    assert_eq!(hooks.len(), HOOK_COUNT);
    let tcp_start = hooks
        .iter()
        .find(|hook| hook["hook"] == "tcp-start")
        .unwrap();
    assert_eq!(
        (&tcp_start["hook"], &tcp_start["count"]["b"]),
        (&"tcp-start".into(), &8000.into())
    );
    let p50 = &tcp_start["quantities"]["p50"];
    assert_eq!(
        (&p50["verdict"], &p50["in_doubt"]),
        (&"slower".into(), &false.into())
    );
    let change = number(&p50["change_percent"]);
    assert!((change - 28.4).abs() < 2.0, "{change}");
    assert!(number(&p50["interval_percent"][0]) < change);
    assert_eq!(p50["degrees_of_freedom"], 8.0);
    let rounds = p50["by_round"].as_array().unwrap();
    let numbers: Vec<u64> = rounds
        .iter()
        .map(|of| of["round"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (1..=10).collect::<Vec<_>>());
    assert!(rounds[9]["change_percent"].is_f64());
    assert!((number(&p50["p_value"]) - 2.0 / 252.0).abs() < 1e-9);
    assert!(tcp_start["quantities"]["p99"]["a_ns"].is_null());
    assert_eq!(hooks[0]["quantities"]["p50"]["verdict"], "not-found");
    let onset = &object["onsets"][0];
    assert_eq!(
        (&onset["path"], &onset["first"]),
        (&"tcp".into(), &"tcp-start".into())
    );
    assert_eq!(onset["not_at"], "ip-start");
    let outcome = |n: usize| &object["limits"][n]["outcome"];
    assert_eq!(outcome(0), "exceeded");
    assert_eq!(outcome(1), "within");
    assert_eq!(outcome(2), "cannot-be-judged");
    assert_eq!(object["limits"][2]["reason"], "too-few-samples");
    assert_eq!(object["limits"][0]["together"], 2);
    // Histograms are there when they are asked for.
    assert!(tcp_start.get("buckets").is_none());
    let analysis = &found(&input, &[]);
    let mut out = Vec::new();
    let diff = Diff {
        input: &input,
        analysis,
    };
    diff.json(&mut out, true).unwrap();
    testlab::schema::assert_valid(std::str::from_utf8(&out).unwrap());
    let object: Value = serde_json::from_slice(&out).unwrap();
    let mut hooks = object["hooks"].as_array().unwrap().iter();
    let tcp_start = hooks.find(|hook| hook["hook"] == "tcp-start").unwrap();
    let buckets = tcp_start["buckets"]["b"].as_array().unwrap();
    let counts = buckets.iter().map(|bucket| bucket[2].as_u64().unwrap());
    assert_eq!(counts.sum::<u64>(), 8000);
}
