// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is shown of comparisons. Expected texts are written by hand.

use proptest::prelude::*;
use serde_json::Value;

use crate::analysis::testing::*;
use crate::analysis::{Analysis, Input, analyse};
use crate::model::comparison::Arm;
use crate::model::skips::SkipReason;
use crate::render::{Diff, Screen};
use crate::runfile::{Content, RunFile};

fn found(input: &Input, limits: &[&str]) -> Analysis {
    let limits: Vec<_> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
    analyse(input, &limits)
}

fn page(input: &Input, limits: &[&str], screen: &Screen, histograms: bool) -> String {
    let analysis = &found(input, limits);
    let mut out = Vec::new();
    let diff = Diff { input, analysis };
    diff.text(&mut out, screen, histograms).unwrap();
    String::from_utf8(out).unwrap()
}

fn text(input: &Input, limits: &[&str]) -> String {
    page(input, limits, &Screen::new(80, false), false)
}

fn json(input: &Input, limits: &[&str]) -> Value {
    let analysis = &found(input, limits);
    let mut out = Vec::new();
    Diff { input, analysis }.json(&mut out).unwrap();
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    serde_json::from_slice(&out).unwrap()
}

/// tcp-start's p50: 3 us with A, by e^0.2 and e^0.3 slower with B by turns;
/// ip-start's 1 us with A, with B by 2 % more or less.
fn rules() -> RunFile {
    comparison(6, |name, quantile, arm, round| {
        let sign = if round % 2 == 0 { 1.0 } else { -1.0 };
        let (base, shift) = match name {
            "ip-start" => (1000.0, 0.02 * sign),
            "tcp-start" => (3000.0, 0.25 + 0.05 * sign),
            _ => return None,
        };
        let shift = if arm == Arm::B { shift } else { 0.0 };
        (quantile == 0).then(|| base * f64::exp(shift))
    })
}

/// ip-start: error 0.02 * sqrt(6/5) / sqrt(6) = 0.0089443; t(0.975, 5) =
/// 2.570582 of them are 0.022992, 2.33 %, and t(0.9875, 5) = 3.163381 of them,
/// for two questions, 0.028294: less than its bucket from 992 to 1024, 3.23 %.
/// Mean of 1 us and 1 us. tcp-start as in the tests of the analysis.
#[test]
fn a_comparison() {
    let expected = "\
A none: 6 rounds, 36.0s measured; box, Linux 6.12.0
B 25k-rules: 6 rounds, 36.0s measured; box, Linux 6.12.0
caution: too few samples for p99, which takes 3000 in each period: 0 of 6 rounds
  have them

hook                             A       B   change     95% interval     verdict
ip-start             p50    1.00us  1.00us    0.00%   -2.27% ..  +2.33%  ~
                     p99         -       -        -
tcp-start            p50    3.00us  3.85us   +28.4%   +21.2% ..  +36.0%  slower
                     p99         -       -        -
idle: tcp-do-rcv tcp-data-queue tcp-socket-enqueued tcp-socket-read udp-start
  udp-queue-rcv udp-socket-enqueued udp-socket-read

TCP: p50 slower, first seen at tcp-start: between ip-start and it lie netfilter
  (connection tracking included), routing and reassembly. It was not found at
  ip-start. The p99 could not be judged.
~: no change found, which does not mean that there is none: to be found, it
  would have had to be about ip-start p50 3.23%
slower, faster: p50 and p99 only; the chance that any one of them is wrong is at
  most 5%

limit: tcp-start:p50>+10% passed: +28.4%, with 95% confidence above +22.7%
";
    let file = rules();
    let input = Input::Comparison(&file);
    assert_eq!(text(&input, &["tcp-start:p50>+10%"]), expected);
}

#[test]
fn a_verdict_is_tempered_and_coloured() {
    let mut file = rules();
    if let Content::Comparison { b, .. } = &mut file.content {
        stats(b, "tcp-start")
            .skips
            .add(SkipReason::NO_TIMESTAMP, 2000);
    }
    let input = Input::Comparison(&file);
    let plain = text(&input, &["tcp-start:p50>+10%", "udp-start:p50>+10%"]);
    for told in [
        "caution: not measured at tcp-start: A 0 of 100000 (0%), B 2000 of 102000 (1.96%)\n",
        "  +21.2% ..  +36.0%  slower?\n",
        "\n?: a caution above may be the cause\n",
        "\nlimit: udp-start:p50>+10% cannot be judged: it is idle\n",
    ] {
        assert!(plain.contains(told), "{told}\n{plain}");
    }
    let limits = ["tcp-start:p50>+10%", "udp-start:p50>+10%"];
    let coloured = page(&input, &limits, &Screen::new(80, true), true);
    assert!(
        coloured.contains("  \x1b[31mslower?\x1b[0m\n"),
        "{coloured}"
    );
    let plain = page(&input, &limits, &Screen::new(80, false), true);
    assert!(!plain.contains('\x1b'));
    assert_eq!(anstream::adapter::strip_str(&coloured).to_string(), plain);
}

/// 3000 ns lie in the bucket (2944, 3072], 4000 ns in (3968, 4096]: of 1000
/// samples there the p50 is in its middle, the p90 at nine tenths, and there are
/// too few above the p99. 4032 / 3008 is 1.340, 4083.2 / 3059.2 is 1.335.
#[test]
fn one_recording_a_side_shows_differences_and_says_no_more() {
    let sides = [
        [recording("base.nsl", &[("udp-start", 3000, 1000)])],
        [recording("new.nsl", &[("udp-start", 4000, 1000)])],
    ];
    let input = Input::Recordings {
        names: ["base", "new"],
        sides: [&sides[0], &sides[1]],
    };
    let expected = "\
A base: 1 recording, 30.0s; box, Linux 6.12.0
B new: 1 recording, 30.0s; box, Linux 6.12.0
caution: no intervals and no verdicts: recordings of A: 1, of B: 1. It takes 3 a
  side to know how much recordings differ by themselves: record more, or use
  `netstacklat compare`
caution: too few samples for p99, which takes 3000 in each recording: 0 of 1
  recordings of A and 0 of 1 of B have them

hook                             A       B   change
udp-start            p50    3.01us  4.03us   +34.0%
                     p90    3.06us  4.08us   +33.5%
                     p99         -       -        -
idle: ip-start tcp-start tcp-do-rcv tcp-data-queue tcp-socket-enqueued
  tcp-socket-read udp-queue-rcv udp-socket-enqueued udp-socket-read

Nothing could be judged: see the cautions.
";
    assert_eq!(text(&input, &[]), expected);
}

#[test]
fn nothing_measured_is_said() {
    let file = comparison(6, |_, _, _, _| None);
    let page = text(&Input::Comparison(&file), &["any:p99>+1%"]);
    assert!(page.contains("Nothing was measured: "), "{page}");
    assert!(
        page.contains("cannot be judged: no hook could be\n"),
        "{page}"
    );
    let same = comparison(6, |name, quantile, arm, round| {
        (name == "udp-start").then(|| 3000.0 * (1.0 + 0.01 * noise(name, quantile, arm, round)))
    });
    let page = text(&Input::Comparison(&same), &[]);
    assert!(page.contains("\n\nNo difference was found.\n~: "), "{page}");
}

/// A: 60 of 3 us, 20 of 6 us, 20 over range. B: 30 and 120 of 50, none between.
/// Bars of 47 columns for the largest share, 80 %: 0.6 of A are 35, 0.2 of B 12.
#[test]
fn histograms_lie_one_over_the_other() {
    let mut a = recording("a", &[("udp-start", 3000, 60), ("udp-start", 6000, 20)]);
    if let Content::Recording(all) = &mut a.content {
        stats(all, "udp-start")
            .skips
            .add(SkipReason::OVER_RANGE, 20);
    }
    let b = recording("b", &[("udp-start", 3000, 30), ("udp-start", 10_000, 120)]);
    let input = Input::Recordings {
        names: ["a", "b"],
        sides: [&[a], &[b]],
    };
    let page = page(&input, &[], &Screen::new(80, false), true);
    let bar = |both: usize, a: usize, b: usize| {
        let bar = "@".repeat(both) + &"A".repeat(a) + &"B".repeat(b);
        format!("|{bar:47}|")
    };
    let expected = format!(
        "
histograms: @ both sides, A only A, B only B; in percent of each side's
  latencies

udp-start: past routing and netfilter, at UDP
                      A      B
(2.05us, 4.10us]  60.0%  20.0% {}
(4.10us, 8.19us]  20.0%     0% {}
(8.19us, 16.4us]     0%  80.0% {}
(17.2s, ...)      20.0%     0% {}

",
        bar(12, 23, 0),
        bar(0, 12, 0),
        bar(0, 0, 47),
        bar(0, 12, 0),
    );
    assert!(page.contains(&expected), "{page}");
}

#[test]
fn names_do_not_reach_the_terminal_unchecked() {
    let file = recording("a", &[("udp-start", 3000, 60)]);
    let name = format!("\x1b[2J\u{202e}{}", "x".repeat(200));
    let sides = [std::slice::from_ref(&file); 2];
    let input = Input::Recordings {
        names: [&name, "b"],
        sides,
    };
    let page = text(&input, &[]);
    assert!(!page.contains(['\x1b', '\u{202e}']), "{page}");
    assert!(page.starts_with("A \u{fffd}[2J\u{fffd}xxx"), "{page}");
    assert_eq!(json(&input, &[])["a"]["name"], name);
}

#[test]
fn json_says_the_same() {
    let file = rules();
    let limits = [
        "tcp-start:p50>+10%",
        "tcp-start:p50>+9us",
        "tcp-start:p99>1ms",
    ];
    let object = json(&Input::Comparison(&file), &limits);
    let number = |value: &Value| value.as_f64().unwrap();
    assert_eq!(
        (&object["schema"], &object["kind"]),
        (&1.into(), &"diff".into())
    );
    assert_eq!(object["unit"], "round");
    assert_eq!(object["units_used"], serde_json::json!([6, 6]));
    assert_eq!(object["rounds_planned"], 6);
    assert_eq!(object["b"]["name"], "25k-rules");
    assert_eq!(object["b"]["duration_ns"], 36_000_000_000u64);
    assert_eq!(object["cautions"][0]["code"], "too-few-samples");
    let hooks = object["hooks"].as_array().unwrap();
    assert_eq!(hooks.len(), 10);
    assert_eq!(
        (&hooks[1]["hook"], &hooks[1]["count"][1]),
        (&"tcp-start".into(), &100_000.into())
    );
    let p50 = &hooks[1]["quantiles"]["p50"];
    assert_eq!(
        (&p50["verdict"], &p50["tempered"]),
        (&"slower".into(), &false.into())
    );
    assert!((number(&p50["change_percent"]) - 28.402_541).abs() < 1e-5);
    assert!((number(&p50["interval_percent"][0]) - 21.230).abs() < 1e-3);
    assert_eq!(p50["degrees_of_freedom"], 5.0);
    assert!(hooks[1]["quantiles"]["p99"]["a_ns"].is_null());
    assert_eq!(hooks[0]["quantiles"]["p50"]["verdict"], "not-found");
    let onset = &object["onsets"][0];
    assert_eq!(
        (&onset["path"], &onset["first"]),
        (&"tcp".into(), &"tcp-start".into())
    );
    assert_eq!(onset["not_at"], "ip-start");
    let outcome = |n: usize| &object["limits"][n]["outcome"];
    assert_eq!(outcome(0), "passed");
    assert_eq!(outcome(1), "not-passed");
    assert_eq!(outcome(2), "cannot-be-judged");
    assert!((number(&object["limits"][1]["found_ns"]) - 856.892).abs() < 1e-2);
    assert_eq!(object["limits"][2]["reason"], "too-few-samples");
    assert_eq!(object["limits"][0]["together"], 2);
}

proptest! {
    #[test]
    fn lines_fit_whatever_was_found(
        rounds in 0u64..9,
        values in prop::collection::vec(prop::option::of(0.5..2e10), 40..41),
        width in 60usize..=120,
        name in "\\PC{0,80}",
        flaw in "\\PC{0,200}",
    ) {
        let mut file = comparison(rounds, |name, quantile, arm, round| {
            let place = hook(name).index() * 11 + quantile * 5 + arm as usize * 3 + round as usize;
            values[place % 40]
        });
        file.info.comparison.as_mut().unwrap().a.name = name;
        file.flaws.push(flaw);
        let page = page(
            &Input::Comparison(&file),
            &["any:p50>+10%", "tcp-start:p99>5us"],
            &Screen::new(width, false),
            true,
        );
        for line in page.lines() {
            // The table is made for 80 columns, and is not cut.
            prop_assert!(line.chars().count() <= width.max(80), "{line}");
        }
    }
}
