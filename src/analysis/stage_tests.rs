// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Comparisons with stages: the change is in its stage and in no other.

use crate::analysis::{Analysis, Input, Verdict, analyse};
use crate::model::comparison::Arm;
use crate::model::hook_counters::HookCounters;
use crate::model::quantity::Quantity;
use crate::model::skips::SkipReason;
use crate::model::stage::Cause;
use crate::render::{Diff, Screen};
use crate::runfile::{Content, RunFile};
use crate::test_support::*;

const STAGES: [(&str, &str); 2] = [("ip-start", "udp-start"), ("udp-start", "udp-socket-read")];

/// Netfilter takes 3 us, and 40 % longer with B; the wait for the reader 200 us. So the
/// age at the read does not show it.
fn netfilter() -> RunFile {
    let file = comparison(12, |name, arm, round| {
        let ns = match (name, arm) {
            ("ip-start", _) => 1000.0,
            ("udp-start", Arm::A) => 4000.0,
            ("udp-start", Arm::B) => 5200.0,
            ("udp-socket-read", _) => 204_000.0,
            _ => return None,
        };
        Some(at(ns * (1.0 + 0.02 * noise(name, arm, round))))
    });
    staged(file, &STAGES, |from, _, arm, round| {
        let ns = match (from, arm) {
            ("ip-start", Arm::A) => 3000.0,
            ("ip-start", Arm::B) => 4200.0,
            _ => 200_000.0,
        };
        Some(at(ns * (1.0 + 0.02 * noise(from, arm, round))))
    })
}

/// The same, after `change` of what B has counted at the read.
fn netfilter_with(change: impl FnOnce(&mut HookCounters)) -> RunFile {
    let mut file = netfilter();
    let Content::Comparison { b, .. } = &mut file.content else {
        panic!("a comparison");
    };
    change(stats(b, "udp-socket-read"));
    file
}

fn verdicts(analysis: &Analysis, quantity: Quantity) -> Vec<(String, Option<Verdict>)> {
    let with_samples = analysis.of_all().filter(|result| result.has_samples());
    with_samples
        .map(|result| (result.name(), result.row(quantity).verdict))
        .collect()
}

/// With stages, ages are judged where packets come in and where they are read.
#[test]
fn a_change_is_in_its_stage() {
    let file = netfilter();
    let analysis = analyse(&Input::Comparison(&file), &[]);
    let same = Some(Verdict::NotFound);
    let expected = [
        ("ip-start", same),
        ("udp-start", None),
        ("udp-socket-read", same),
        ("ip-start -> udp-start", Some(Verdict::Slower)),
        ("udp-start -> udp-socket-read", same),
    ];
    let expected = expected.map(|(name, verdict)| (name.to_owned(), verdict));
    assert_eq!(verdicts(&analysis, Quantity::P50), expected);
    // Four quantities of two ages and two stages.
    assert_eq!(analysis.family.questions, 4 * 4);
    // An age that is not judged has its interval all the same.
    let age = analysis.hooks[hook("udp-start").index()].row(Quantity::P50);
    assert!(age.shift.is_some_and(|shift| shift.interval().0 > 0.0));
    assert!(analysis.onsets.is_empty());
    // Limits are of ages, and do not become more.
    let limits = ["any:p50>+10%".parse().unwrap()];
    let limited = analyse(&Input::Comparison(&file), &limits);
    assert_eq!(limited.limits.len(), 3);
    assert!(limited.limits.iter().all(|limit| limit.hook.is_some()));
}

#[test]
fn the_sentence_names_the_stage() {
    let file = netfilter();
    let input = &Input::Comparison(&file);
    let analysis = &analyse(input, &[]);
    let diff = Diff { input, analysis };
    let mut out = Vec::new();
    diff.text(&mut out, &Screen::new(80, false), false).unwrap();
    let text = String::from_utf8(out).unwrap();
    let table = "\nip-start -> udp-start: netfilter, routing\n                     p50    ";
    assert!(text.contains(table), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("UDP: slower in: netfilter, routing (p50 +1.1"),
        "{text}"
    );
    let rest = "). No change seen in: socket lookup; enqueuing; waiting for the reader.";
    assert!(words.contains(rest), "{text}");
    let mut out = Vec::new();
    diff.json(&mut out, false).unwrap();
    let line = std::str::from_utf8(&out).unwrap();
    testlab::schema::assert_valid(line);
    let json: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(json["stages"][0]["meaning"], "netfilter, routing");
    assert_eq!(json["stages"][0]["quantities"]["p50"]["verdict"], "slower");
    assert_eq!(json["stages"][1]["from"], "udp-start");
}

/// Rare stages are left out, by the packets of both sides; and where a side has
/// measured none, all is as without stages.
#[test]
fn stages_need_packets_on_both_sides() {
    let base = || {
        comparison(12, |name, arm, round| {
            let ns = if name == "ip-start" { 1000.0 } else { 4000.0 };
            let live = name == "ip-start" || name == "udp-start";
            live.then(|| at(ns * (1.0 + 0.02 * noise(name, arm, round))))
        })
    };
    let of = |few: u32, sides: &'static [Arm]| {
        let stages = [("ip-start", "udp-start")];
        let file = staged(base(), &stages, |_, _, arm, _| {
            let count = few;
            sides.contains(&arm).then(|| At {
                count,
                ..at(3000.0)
            })
        });
        let analysis = analyse(&Input::Comparison(&file), &[]);
        let left_out = analysis.stages_left_out.len();
        (analysis.stages.len(), left_out, analysis.family.questions)
    };
    assert_eq!(of(4000, &Arm::BOTH), (1, 0, 3 * 4));
    // 39 of 4000 are less than 1 %.
    assert_eq!(of(39, &Arm::BOTH), (0, 1, 2 * 4));
    assert_eq!(of(4000, &[Arm::B]), (0, 0, 2 * 4));
}

/// 0.2 % of the notes are lost: the p99 stands, the tail may be too short.
#[test]
fn lost_notes_make_the_slowest_doubtful() {
    let file = netfilter_with(|read| {
        let lost = read.histogram.count() / 500;
        read.stageless.add(Cause::NOTE_LOST, lost);
    });
    let analysis = analyse(&Input::Comparison(&file), &[]);
    let codes = analysis.warnings.iter().map(|warning| warning.code());
    assert_eq!(codes.filter(|code| *code == "lost-notes").count(), 1);
    let doubtful = |name: &str, quantity| {
        let mut results = analysis.of_all();
        let result = results.find(|result| result.name() == name).unwrap();
        result.row(quantity).in_doubt
    };
    let stage = "udp-start -> udp-socket-read";
    assert!(!doubtful(stage, Quantity::P99) && doubtful(stage, Quantity::Tail));
    // The age at the read needs no note.
    assert!(!doubtful("udp-socket-read", Quantity::Tail));
    assert!(!doubtful("ip-start -> udp-start", Quantity::Tail));
}

/// TCP has stages; UDP's packets share their timestamps, and have none.
#[test]
fn a_path_without_stages_is_judged_by_ages() {
    let file = comparison(12, |name, arm, round| {
        let ns = match (name, arm) {
            ("ip-start", _) => 1000.0,
            ("udp-start" | "tcp-start", Arm::A) => 4000.0,
            ("udp-start" | "tcp-start", Arm::B) => 5200.0,
            ("udp-socket-read" | "tcp-socket-read", _) => 204_000.0,
            _ => return None,
        };
        Some(at(ns * (1.0 + 0.01 * noise(name, arm, round))))
    });
    let file = staged(file, &[("ip-start", "tcp-start")], |_, _, arm, round| {
        let ns = if arm == Arm::A { 3000.0 } else { 4200.0 };
        Some(at(ns * (1.0 + 0.01 * noise("stage", arm, round))))
    });
    let analysis = analyse(&Input::Comparison(&file), &[]);
    let verdict = |name: &str| {
        let mut results = analysis.of_all();
        let result = results.find(|result| result.name() == name).unwrap();
        result.row(Quantity::P50).verdict
    };
    let slower = Some(Verdict::Slower);
    assert_eq!(verdict("ip-start -> tcp-start"), slower);
    assert_eq!(verdict("tcp-start"), None);
    assert_eq!(verdict("udp-start"), slower);
    // No stage leads to TCP's read, so its age is all that there is.
    assert_eq!(verdict("tcp-socket-read"), Some(Verdict::NotFound));
    let paths: Vec<_> = analysis
        .onsets
        .iter()
        .map(|onset| onset.path.name())
        .collect();
    assert!(!paths.is_empty() && paths.iter().all(|path| *path == "UDP"));
}

/// What took longer than is measured has no stage: the slowest packets may be those.
#[test]
fn packets_over_range_make_the_slowest_doubtful() {
    let file = netfilter_with(|read| {
        let over = read.histogram.count() / 200;
        read.skips.add(SkipReason::OVER_RANGE, over);
    });
    let analysis = analyse(&Input::Comparison(&file), &[]);
    let stage = analysis.stages.last().unwrap();
    assert_eq!(stage.name(), "udp-start -> udp-socket-read");
    assert!(stage.row(Quantity::Tail).in_doubt && !stage.row(Quantity::P99).in_doubt);
}
