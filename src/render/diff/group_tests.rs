// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tests of what is shown of groups. Expected texts are written by hand.

use serde_json::{Value, json};

use crate::analysis::{Analysis, By, Input, analyse_by};
use crate::model::comparison::Arm;
use crate::model::group::Group;
use crate::model::side::PerSide;
use crate::render::{Diff, Screen};
use crate::runfile::RunFile;
use crate::test_support::*;

fn process(name: &str) -> Group {
    group([("process", name)])
}

fn found(input: &Input, top: usize, limits: &[&str]) -> Analysis {
    let limits: Vec<_> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
    let keys = &["process".to_owned()];
    analyse_by(input, &limits, Some(By { keys, top }))
}

fn text(input: &Input, analysis: &Analysis) -> String {
    let mut out = Vec::new();
    let diff = Diff { input, analysis };
    diff.text(&mut out, &Screen::new(80, false), false).unwrap();
    let page = String::from_utf8(out).unwrap();
    assert_fits(&page, 80);
    page
}

fn json_of(input: &Input, analysis: &Analysis) -> Value {
    let mut out = Vec::new();
    Diff { input, analysis }.json(&mut out, false).unwrap();
    testlab::schema::assert_valid(std::str::from_utf8(&out).unwrap());
    serde_json::from_slice(&out).unwrap()
}

/// Four processes, of which one reads later, and one has few packets. The process is
/// known from udp-queue-rcv on.
fn one_reads_later() -> RunFile {
    let names = ["web(1)", "dns(2)", "log(3)", "few(4)"];
    let groups = names.map(|name| Some(process(name)));
    comparison_of(10, &groups, |place, name, arm, round| {
        let base = match name {
            "udp-queue-rcv" => 2000.0,
            "udp-socket-read" => 9000.0,
            _ => return None,
        };
        let is_later = place == 1 && arm == Arm::B && name == "udp-socket-read";
        let slower = if is_later { 0.5 } else { 0.0 };
        let noise = 0.01 * noise(name, arm, round * 5 + place as u64);
        Some(At {
            count: [900, 200, 100, 5][place],
            ..at(base * f64::exp(slower + noise))
        })
    })
}

#[test]
fn a_group_that_changed_has_a_table() {
    let file = one_reads_later();
    let input = Input::Comparison(&file);
    let analysis = found(&input, 10, &["udp-socket-read:p50>+10%"]);
    let page = text(&input, &analysis);
    let groups = page.split_once("\n\nby process: ").expect("groups").1;
    let mut lines = groups.lines();
    for (begin, end) in [
        ("1 of 4 groups changed", ""),
        ("process dns(2)", ""),
        ("udp-queue-rcv        p50    2.0", "  ~"),
        ("udp-socket-read      p50    8.9", "  slower"),
        (
            "UDP: p50 slower, first seen at udp-socket-read (it begins there or earlier).",
            "",
        ),
    ] {
        let line = lines.next().unwrap_or_default();
        assert!(
            line.starts_with(begin) && line.ends_with(end),
            "{begin}\n{page}"
        );
    }
    for words in [
        "\nno change seen: process web(1); process log(3)\n",
        "\nnot judged, too few packets: process few(4)\n",
        "\nlimit exceeded: process dns(2): udp-socket-read p50 changed +6",
        "\nnot judged: udp-socket-read:p50>+10% was NOT checked for process few(4): too few\n",
    ] {
        assert!(groups.contains(words), "{words}\n{page}");
    }
    assert!(!groups.contains("only in"), "{page}");
    // One group has changed: the page does not end with the contrary.
    assert!(!page.contains("No change seen."), "{page}");
}

#[test]
fn groups_of_recordings_without_verdicts_are_all_shown() {
    let of = |samples: &[(&str, u64, u64)]| {
        let groups: Vec<Group> = samples.iter().map(|(name, ..)| process(name)).collect();
        let samples: Vec<_> = groups
            .iter()
            .zip(samples)
            .map(|(group, (_, ns, count))| (group, "udp-start", *ns, *count))
            .collect();
        grouped_recording("some.nsl", &samples)
    };
    let a = [of(&[
        ("web(1)", 3000, 500),
        ("dns(2)", 3000, 100),
        ("gone(3)", 3000, 1),
        ("x(4)", 3000, 2),
    ])];
    let b = [of(&[
        ("web(1)", 3000, 500),
        ("dns(2)", 9000, 100),
        ("new(5)", 3000, 9),
        ("x(4)", 3000, 2),
    ])];
    let input = Input::Recordings {
        names: PerSide { a: "old", b: "new" },
        sides: PerSide { a: &a, b: &b },
    };
    let analysis = found(&input, 2, &[]);
    let page = text(&input, &analysis);
    let groups = page.split_once("\n\nby process: ").expect("groups").1;
    // 3000 is at rank 50 of 100 in (2944, 3072]: 3.01us; 9000 in (8704, 9216]: 8.96us.
    let expected = "\
2 groups, not judged
process dns(2)
udp-start            p50    3.01us  8.96us    +198%
process web(1)
udp-start            p50    3.01us  3.01us    0.00%
                     p90    3.06us  3.06us    0.00%
only in A: process gone (1 packet)
only in B: process new (9 packets)
not compared: 1 group with fewer packets (--top 3 compares all)
";
    assert!(groups.starts_with(expected), "{page}");

    let found = json_of(&input, &analysis);
    assert_eq!(found["by"], json!(["process"]));
    assert_eq!(found["groups"][0]["group"], json!({"process": "web(1)"}));
    assert_eq!(found["groups"][1]["packets"], json!({"a": 100, "b": 100}));
    assert_eq!(
        found["groups_only"],
        json!({
            "a": [{"group": {"process": "gone"}, "packets": 1}],
            "b": [{"group": {"process": "new"}, "packets": 9}],
        })
    );
    assert_eq!(found["groups_left_out"], 1);
    let hooks = found["groups"][1]["hooks"].as_array().unwrap();
    let hook = hooks
        .iter()
        .find(|hook| hook["hook"] == "udp-start")
        .unwrap();
    let change = hook["quantities"]["p50"]["change_percent"]
        .as_f64()
        .unwrap();
    assert!((change - 197.9).abs() < 0.1, "{change}");
}

#[test]
fn limits_of_groups_name_them_in_json() {
    let file = one_reads_later();
    let input = Input::Comparison(&file);
    let limits = ["udp-socket-read:p50>+10%"];
    let found = json_of(&input, &found(&input, 10, &limits));
    let limits = found["limits"].as_array().unwrap();
    let outcomes: Vec<_> = limits
        .iter()
        .map(|limit| (limit["group"].clone(), limit["outcome"].as_str().unwrap()))
        .collect();
    let of = |name: &str| json!({"process": name});
    assert_eq!(
        outcomes,
        [
            (Value::Null, "within"),
            (of("web(1)"), "within"),
            (of("dns(2)"), "exceeded"),
            (of("log(3)"), "within"),
        ]
    );
    assert_eq!(
        found["limits_not_judged"][0]["groups"],
        json!([of("few(4)")])
    );
}
