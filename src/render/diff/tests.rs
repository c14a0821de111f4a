// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tests of the text of comparisons. Expected texts are written by hand.

use proptest::prelude::*;
use serde_json::Value;

use crate::analysis::{Analysis, Input, analyse};
use crate::model::comparison::Arm;
use crate::model::hooks::Hook;
use crate::model::side::PerSide;
use crate::model::skips::SkipReason;
use crate::render::{Diff, Screen};
use crate::runfile::{Content, RunFile};
use crate::test_support::*;

pub(super) fn found(input: &Input, limits: &[&str]) -> Analysis {
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

pub(super) fn text(input: &Input, limits: &[&str]) -> String {
    page(input, limits, &Screen::new(80, false), false)
}

pub(super) fn json(input: &Input, limits: &[&str]) -> Value {
    let analysis = &found(input, limits);
    let mut out = Vec::new();
    Diff { input, analysis }.json(&mut out, false).unwrap();
    assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    testlab::schema::assert_valid(std::str::from_utf8(&out).unwrap());
    serde_json::from_slice(&out).unwrap()
}

/// tcp-start's median: 3 us with A, by a quarter slower with B; ip-start's 1 us
/// with both; either varies by 1 %. 400 packets a period: no p99.
pub(super) fn rules() -> RunFile {
    comparison(10, |name, arm, round| {
        let (base, shift) = match (name, arm) {
            ("ip-start", _) => (1000.0, 0.0),
            ("tcp-start", Arm::A) => (3000.0, 0.0),
            ("tcp-start", Arm::B) => (3000.0, 0.25),
            _ => return None,
        };
        let ns = base * f64::exp(shift + 0.01 * noise(name, arm, round));
        Some(At {
            count: 400,
            ..at(ns)
        })
    })
}

/// Where packets came, of which none was in the sample, it is not idle.
#[test]
fn packets_that_were_not_in_the_sample_are_no_idle_hook() {
    let side = |path: &str| {
        let mut file = recording(path, &[("udp-start", 3000, 20)]);
        let Content::Recording(totals) = &mut file.content else {
            panic!("a recording");
        };
        let skips = &mut stats(totals, "udp-queue-rcv").skips;
        skips.add(SkipReason::SAMPLED_OUT, 300);
        [file]
    };
    let sides = [side("a.nsl"), side("b.nsl")];
    let input = Input::Recordings {
        names: PerSide { a: "a", b: "b" },
        sides: PerSide {
            a: &sides[0],
            b: &sides[1],
        },
    };
    let page = text(&input, &[]);
    assert!(
        page.contains("\nnone in the sample: udp-queue-rcv\n"),
        "{page}"
    );
    let idle = idle(&["udp-start", "udp-queue-rcv"]);
    assert!(page.contains(&format!("\n{idle}")), "{page}");
}

/// The line of the hooks that had no packets: all of the table but these.
fn idle(measured: &[&str]) -> String {
    let names = Hook::all().map(Hook::name);
    let mut text = "idle:".to_owned();
    let mut width = text.len();
    for name in names.filter(|name| !measured.contains(name)) {
        if width + 1 + name.len() > 80 {
            text += "\n ";
            width = 1;
        }
        text += &format!(" {name}");
        width += 1 + name.len();
    }
    text + "\n"
}

/// The lines and their order. Figures are those of the tests of the analysis.
#[test]
fn a_comparison() {
    let file = rules();
    let input = Input::Comparison(&file);
    let page = text(&input, &["tcp-start:p50>+10%", "tcp-start:p50>3ms"]);
    let mut lines = page.lines();
    for expected in [
        "A none: 10 rounds, 60.0s measured; box, Linux 6.12.0",
        "B 25k-rules: 10 rounds, 60.0s measured; box, Linux 6.12.0",
        "warning: p99 is not judged: it needs 3000 packets in each period; there were 400",
        "  (--period 27s)",
        "",
        "hook                             A       B   change     95% interval     verdict",
    ] {
        assert_eq!(lines.next(), Some(expected), "{page}");
    }
    let table: Vec<&str> = lines.by_ref().take(4).collect();
    for (line, (begin, end)) in table.iter().zip([
        ("ip-start             p50    ", "  ~"),
        ("                     p90    ", "  ~"),
        ("tcp-start            p50    3.0", "  slower"),
        ("                     p90    ", "  slower"),
    ]) {
        assert!(line.starts_with(begin) && line.ends_with(end), "{page}");
        assert!(line.chars().count() <= 80, "{page}");
    }
    let rest: Vec<&str> = lines.collect();
    let rest = rest.join("\n");
    for expected in [
        format!("{}\n", idle(&["ip-start", "tcp-start"])).as_str(),
        "\nTCP: p50 and p90 slower, first seen at tcp-start. Between ip-start and\n  \
         tcp-start: netfilter (connection tracking included) and routing. No change\n  \
         seen at ip-start. Not judged: p99 and tail.\n",
        "\n~: no change seen. The smallest change this run could see: ip-start p50 ",
        "\nverdicts: 4 questions, 10 rounds (a verdict needs 8); the chance that any\n  \
         verdict is wrong is at most 5%\n",
        "\n\nlimit exceeded: tcp-start p50 changed +28",
        "(limit +10%); above +",
        "\nok: tcp-start p50 of B is 3.8",
        "(2 limits judged together)",
    ] {
        assert!(rest.contains(expected), "{expected}\n{page}");
    }
}

#[test]
fn a_verdict_can_be_in_doubt_and_is_coloured() {
    let mut file = rules();
    if let Content::Comparison { b, .. } = &mut file.content {
        stats(b, "tcp-start")
            .skips
            .add(SkipReason::NO_TIMESTAMP, 200);
    }
    let input = Input::Comparison(&file);
    let limits = ["tcp-start:p50>+10%", "udp-start:p50>+10%"];
    let plain = text(&input, &limits);
    for told in [
        "warning: not measured at tcp-start: A 0 of 8000 (0%), B 200 of 8200 (2.44%)\n",
        "  slower?\n",
        "\n?: a warning above may be the cause\n",
        "\nnot judged: udp-start p50 (limit +10%): it is idle\n",
    ] {
        assert!(plain.contains(told), "{told}\n{plain}");
    }
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
        names: PerSide {
            a: "base",
            b: "new",
        },
        sides: PerSide {
            a: &sides[0],
            b: &sides[1],
        },
    };
    let expected = format!(
        "\
A base: 1 recording, 30.0s; box, Linux 6.12.0
B new: 1 recording, 30.0s; box, Linux 6.12.0
warning: no intervals and no verdicts: 1 recording of A, 1 of B. Record 5 of
  each, alternating, or use netstacklat compare
warning: p99 is not judged: it needs 3000 packets in each recording; there were
  1000 (record 4 times as long)

hook                             A       B   change
udp-start            p50    3.01us  4.03us   +34.0%
                     p90    3.06us  4.08us   +33.5%
{}
No verdicts: too few recordings to know how much they vary.
",
        idle(&["udp-start"])
    );
    assert_eq!(text(&input, &[]), expected);
}

#[test]
fn nothing_measured_is_said() {
    let file = comparison(10, |_, _, _| None);
    let page = text(&Input::Comparison(&file), &["any:p99>+1%"]);
    assert!(page.contains("Nothing was measured: "), "{page}");
    assert!(
        page.contains("not judged: any hook p99 (limit +1%): no hook could be judged\n"),
        "{page}"
    );
    let same = comparison(10, |name, arm, round| {
        (name == "udp-start").then(|| at(3000.0 * (1.0 + 0.01 * noise(name, arm, round))))
    });
    let page = text(&Input::Comparison(&same), &[]);
    assert!(page.contains("\n\nNo change seen.\n~: "), "{page}");
}

/// A change smaller than a bucket is shown as such.
#[test]
fn a_change_smaller_than_a_bucket_is_shown() {
    let file = comparison(10, |name, arm, round| {
        let shift = if arm == Arm::B { 1.03 } else { 1.0 };
        let ns = 3000.0 * shift * (1.0 + 0.0005 * noise(name, arm, round));
        (name == "udp-start").then(|| at(ns))
    });
    let page = text(&Input::Comparison(&file), &[]);
    let told = "\nChange smaller than a histogram bucket: udp-start p50 (4.35%)";
    assert!(page.contains(told), "{page}");
    assert!(!page.contains("No change seen.\n"), "{page}");
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
        names: PerSide { a: "a", b: "b" },
        sides: PerSide { a: &[a], b: &[b] },
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
    let sides = PerSide::both(std::slice::from_ref(&file));
    let input = Input::Recordings {
        names: PerSide { a: &name, b: "b" },
        sides,
    };
    let page = text(&input, &[]);
    assert!(!page.contains(['\x1b', '\u{202e}']), "{page}");
    assert!(page.starts_with("A \u{fffd}[2J\u{fffd}xxx"), "{page}");
    assert_eq!(json(&input, &[])["a"]["name"], name);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn lines_fit_whatever_was_found(
        rounds in 0u64..12,
        values in prop::collection::vec(prop::option::of((0.5..2e10, 0u32..400)), 40..41),
        width in 60usize..=120,
        name in "\\PC{0,80}",
        problem in "\\PC{0,200}",
    ) {
        let mut file = comparison(rounds, |name, arm, round| {
            let place = hook(name).index() * 11 + arm as usize * 3 + round as usize;
            let (ns, count) = values[place % 40]?;
            Some(At { count, ..at(ns) })
        });
        file.info.comparison.as_mut().unwrap().a.name = name;
        file.problems.push(problem);
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
