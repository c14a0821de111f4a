// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What is found in made-up files. The figures are worked out by hand.

use proptest::prelude::*;

use super::testing::*;
use super::*;
use crate::analysis::judge::Unjudged;
use crate::analysis::onset::Reason;
use crate::analysis::path::Path;
use crate::runfile::Content;

pub(super) fn limits(texts: &[&str]) -> Vec<Limit> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(super) fn of(file: &RunFile) -> Analysis {
    analyse(&Input::Comparison(file), &[])
}

pub(super) fn row<'a>(analysis: &'a Analysis, name: &str, place: usize) -> &'a Row {
    &analysis.hooks[hook(name).index()].rows[place]
}

/// Only the p50 of tcp-start: 3 us with A; with B more by 25 %, and by 5 % more
/// or less every other round, all as logarithms.
pub(super) fn alternating(rounds: u64, shift: f64, by: f64) -> RunFile {
    comparison(rounds, move |name, quantile, arm, round| {
        let ln = match arm {
            Arm::A => 0.0,
            Arm::B => shift + if round % 2 == 0 { by } else { -by },
        };
        (name == "tcp-start" && quantile == 0).then(|| 3000.0 * f64::exp(ln))
    })
}

/// s = sqrt(6 * 0.05^2 / 5) = 0.054772, / sqrt(6) = 0.022361; t(0.975, 5) =
/// 2.570582 from the tables: 0.25 -+ 0.057480.
#[test]
fn rounds_give_the_interval_of_their_differences() {
    let analysis = of(&alternating(6, 0.25, 0.05));
    assert_eq!(
        analysis.design,
        Design::Rounds {
            used: 6,
            planned: 6
        }
    );
    assert_eq!(analysis.names, ["none", "25k-rules"]);
    let row = row(&analysis, "tcp-start", 0);
    assert!((row.a_ns.unwrap() - 3000.0).abs() < 1e-6);
    assert!((row.b_ns.unwrap() - 3852.076).abs() < 1e-3);
    assert_eq!(row.units, [6, 6]);
    let (low, high) = row.shift.unwrap().interval_percent();
    assert!((low - 21.230).abs() < 1e-3, "{low}");
    assert!((high - 36.000).abs() < 1e-3, "{high}");
    assert_eq!(row.verdict, Some(Verdict::Slower));
    // Buckets of 128 ns from 2944 and from 3840: ln(3072/2944) is the wider.
    assert!((row.bucket_ln.unwrap() - 0.042560).abs() < 1e-6);
    assert!((row.bucket_ns.unwrap() - 128.0).abs() < 1e-9);
    // One question only: least is t(0.975, 5) standard errors.
    assert!((row.least_ln.unwrap() - 0.057480).abs() < 1e-6);
}

#[test]
fn nothing_is_claimed_below_the_width_of_a_bucket() {
    let verdict = |shift| row(&of(&alternating(6, shift, 0.001)), "tcp-start", 0).verdict;
    assert_eq!(verdict(0.0425), Some(Verdict::NotFound));
    assert_eq!(verdict(0.0427), Some(Verdict::Slower));
    assert_eq!(verdict(-0.0400), Some(Verdict::NotFound));
    assert_eq!(verdict(-0.0500), Some(Verdict::Faster));
}

#[test]
fn five_rounds_are_too_few_for_a_verdict() {
    let analysis = of(&alternating(5, 0.25, 0.05));
    let row = row(&analysis, "tcp-start", 0);
    assert!(row.shift.is_some() && row.verdict.is_none());
    assert!(codes(&analysis).contains(&"few-rounds"));
}

/// t = 0.2 / (0.18974 / sqrt(10)) = 3.33, p = 0.0088 with 9 degrees of freedom:
/// enough alone and among five (5 % / 5), not among six.
#[test]
fn many_questions_take_smaller_p_values() {
    let verdict = |others: usize| {
        let file = comparison(10, move |name, quantile, arm, round| {
            let index = hook(name).index();
            let sign = if round % 2 == 0 { 1.0 } else { -1.0 };
            let shift = match (index, quantile) {
                (0, 0) => 0.2 + 0.18 * sign,
                _ if quantile == 0 && index <= others => 0.18 * sign,
                _ => return None,
            };
            let arm = f64::from(u8::from(arm == Arm::B));
            Some(3000.0 * f64::exp(shift * arm))
        });
        row(&of(&file), "ip-start", 0).verdict
    };
    assert_eq!(verdict(0), Some(Verdict::Slower));
    assert_eq!(verdict(4), Some(Verdict::Slower));
    assert_eq!(verdict(5), Some(Verdict::NotFound));
}

#[test]
fn verdicts_are_of_p50_and_p99_only() {
    let file = comparison(10, |name, quantile, arm, round| {
        let slower = if arm == Arm::B { 1.5 } else { 1.0 };
        (name == "udp-start")
            .then(|| 3000.0 * slower * (1.0 + 0.001 * noise(name, quantile, arm, round)))
    });
    let analysis = of(&file);
    let verdicts = [0, 1, 2, 3].map(|place| row(&analysis, "udp-start", place).verdict);
    let slower = Some(Verdict::Slower);
    assert_eq!(verdicts, [slower, None, slower, None]);
    assert!(row(&analysis, "udp-start", 3).shift.is_some());
}

fn periods(file: &mut RunFile) -> &mut Vec<crate::runfile::Period> {
    match &mut file.content {
        Content::Comparison { periods, .. } => periods,
        Content::Recording(_) => panic!("a recording"),
    }
}

#[test]
fn rounds_with_a_step_of_the_clock_or_too_few_periods_are_left_out() {
    let mut file = alternating(9, 0.25, 0.05);
    periods(&mut file)[5].clock_steps = 1;
    periods(&mut file).pop();
    let analysis = of(&file);
    assert_eq!(
        analysis.design,
        Design::Rounds {
            used: 7,
            planned: 9
        }
    );
    assert_eq!(row(&analysis, "tcp-start", 0).units, [7, 7]);
    assert_eq!(codes(&analysis)[..2], ["rounds-missing", "rounds-left-out"]);
    assert!(row(&analysis, "tcp-start", 0).tempered);
}

#[test]
fn what_a_damaged_file_may_hold_is_no_quantile() {
    for odd in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut file = alternating(7, 0.25, 0.05);
        periods(&mut file)[0].quantiles[hook("tcp-start").index()][0] = Some(odd);
        let analysis = of(&file);
        assert_eq!(row(&analysis, "tcp-start", 0).units, [6, 6], "{odd}");
    }
}

/// Three and three: ln of A 0, 0.1, 0.2 and of B 1, 1.1, 1.2 above 3 us, so that
/// the shift is 1, its error sqrt(2 * 0.01 / 3) = 0.08165, with 4 degrees of
/// freedom: t(0.975, 4) = 2.776445.
#[test]
fn of_three_recordings_a_side_the_file_is_the_unit() {
    let side = |base: f64| {
        [0, 1, 2].map(|file: usize| {
            // Coarse: all in one bucket, whose middle is the p50.
            let ns = 3000.0 * (base + 0.1 * file as f64).exp();
            recording("some.nsl", &[("udp-start", ns as u64, 100)])
        })
    };
    let sides = [side(0.0), side(1.0)];
    let input = Input::Recordings {
        names: ["old", "new"],
        sides: sides.each_ref().map(<[RunFile; 3]>::as_slice),
    };
    let analysis = analyse(&input, &limits(&["udp-start:p50>+60%"]));
    assert_eq!(analysis.design, Design::Files([3, 3]));
    let row = row(&analysis, "udp-start", 0);
    let shift = row.shift.unwrap();
    // Middles of buckets: each value is off by up to 3 %.
    assert!((shift.ln - 1.0).abs() < 0.03, "{shift:?}");
    assert!((shift.error - 0.08165).abs() < 0.02, "{shift:?}");
    assert!((3.0..=4.0).contains(&shift.freedom), "{shift:?}");
    assert_eq!(row.verdict, Some(Verdict::Slower));
    assert!(analysis.limits[0].result.as_ref().unwrap().passed);
    assert!(input.knows_how_it_varies());

    let input = Input::Recordings {
        names: ["old", "new"],
        sides: [&sides[0], &sides[1][..2]],
    };
    let analysis = analyse(&input, &[]);
    let found = &analysis.hooks[hook("udp-start").index()].rows[0];
    assert_eq!((found.shift, found.verdict), (None, None));
    assert!((found.ln().unwrap() - 0.95).abs() < 0.03);
    assert!(codes(&analysis).contains(&"few-files"));
    assert!(!input.knows_how_it_varies());
}

fn codes(analysis: &Analysis) -> Vec<&'static str> {
    analysis.cautions.iter().map(Caution::code).collect()
}

/// Rounds on which B changes hooks by these factors, p50 and p99 alike.
pub(super) fn changes(factors: &[(&'static str, f64)]) -> RunFile {
    changes_of(
        &factors
            .iter()
            .map(|&(name, by)| (name, [by, by]))
            .collect::<Vec<_>>(),
    )
}

/// The same of p50 and p99 apart. Each hook's latencies are of some 3 us more
/// than those of the hook before.
fn changes_of(factors: &[(&'static str, [f64; 2])]) -> RunFile {
    let factors = factors.to_vec();
    comparison(10, move |name, quantile, arm, round| {
        let (place, (_, by)) = factors.iter().enumerate().find(|(_, (n, _))| *n == name)?;
        let by = match (arm, quantile) {
            (Arm::A, _) => 1.0,
            (Arm::B, 0) => by[0],
            (Arm::B, _) => by[1],
        };
        let base = 3000.0 * (1 + place) as f64;
        Some(base * by * (1.0 + 0.002 * noise(name, quantile, arm, round)))
    })
}

#[test]
fn a_change_is_told_where_it_is_first_seen() {
    let file = changes(&[
        ("ip-start", 1.0),
        ("tcp-start", 1.5),
        ("tcp-do-rcv", 1.4),
        ("tcp-data-queue", 0.6),
        ("tcp-socket-read", 1.0),
    ]);
    let onsets = of(&file).onsets;
    let [onset] = onsets.as_slice() else {
        panic!("{onsets:?}")
    };
    assert_eq!((onset.path, onset.verdict), (Path::Tcp, Verdict::Slower));
    assert_eq!(
        (onset.first, &onset.quantiles),
        (hook("tcp-start"), &vec![0, 2])
    );
    assert_eq!(onset.not_at, Some(hook("ip-start")));
    assert!(!onset.may_hide && onset.unjudged.is_empty() && !onset.only);
    let after: Vec<_> = onset
        .after
        .iter()
        .map(|after| (after.hook.name(), after.verdict))
        .collect();
    assert_eq!(
        after,
        [
            ("tcp-do-rcv", Verdict::Slower),
            ("tcp-data-queue", Verdict::Faster),
            ("tcp-socket-read", Verdict::NotFound)
        ]
    );
}

#[test]
fn hooks_that_could_not_be_judged_may_be_where_it_began() {
    let file = changes(&[("ip-start", 1.0), ("tcp-do-rcv", 1.5)]);
    let onset = &of(&file).onsets[0];
    assert_eq!(onset.first, hook("tcp-do-rcv"));
    assert_eq!(onset.not_at, Some(hook("ip-start")));
    let idle = Reason::Unjudged(Unjudged::Idle);
    assert_eq!(onset.unjudged, [(hook("tcp-start"), idle)]);

    let mut file = changes(&[("udp-start", 1.0), ("udp-socket-read", 0.5)]);
    if let Content::Comparison { a, b, .. } = &mut file.content {
        a.hooks[hook("ip-start").index()] = None;
        b.hooks[hook("ip-start").index()] = None;
        // Above 1 %: what it says is not taken for a `~` like any other.
        let skips = &mut stats(a, "udp-start").skips;
        skips.add(crate::model::skips::SkipReason::NO_TIMESTAMP, 2000);
    }
    let analysis = of(&file);
    let onset = &analysis.onsets[0];
    assert_eq!((onset.path, onset.verdict), (Path::Udp, Verdict::Faster));
    assert_eq!(onset.not_at, None);
    let off = Reason::Unjudged(Unjudged::Off);
    assert_eq!(
        onset.unjudged[..2],
        [
            (hook("ip-start"), off),
            (hook("udp-start"), Reason::Tempered)
        ]
    );
}

#[test]
fn what_varies_more_than_the_change_may_hide_it() {
    let file = comparison(10, |name, quantile, arm, round| {
        let (base, slower, noisy) = match name {
            "ip-start" => (20_000.0, 0.0, 0.5),
            "udp-start" => (21_000.0, 2000.0, 0.002),
            _ => return None,
        };
        let slower = if arm == Arm::B { slower } else { 0.0 };
        Some((base + slower) * (1.0 + noisy * noise(name, quantile, arm, round)))
    });
    let onset = &of(&file).onsets[0];
    assert_eq!(
        (onset.first, onset.not_at),
        (hook("udp-start"), Some(hook("ip-start")))
    );
    assert!(onset.may_hide);
}

#[test]
fn quantiles_that_differ_are_told_apart() {
    let file = changes_of(&[("ip-start", [1.0, 1.0]), ("udp-start", [1.0, 1.5])]);
    let onset = &of(&file).onsets[0];
    assert_eq!((&onset.quantiles, onset.only), (&vec![2], true));
    assert!(onset.other_judged);
    let file = changes_of(&[("ip-start", [1.0, 1.5]), ("udp-start", [0.5, 1.5])]);
    let onsets = of(&file).onsets;
    assert_eq!(onsets.len(), 2);
    assert_eq!(
        (onsets[0].first, onsets[0].verdict),
        (hook("udp-start"), Verdict::Faster)
    );
    assert_eq!(
        (onsets[1].first, onsets[1].verdict),
        (hook("ip-start"), Verdict::Slower)
    );
    assert!(
        of(&changes(&[("ip-start", 1.0), ("udp-start", 1.0)]))
            .onsets
            .is_empty()
    );
}

proptest! {
    /// Whatever is in a file, something is found and nothing panics.
    #[test]
    fn any_quantiles_can_be_analysed(
        rounds in 0u64..12,
        values in prop::collection::vec(
            prop::option::of(prop_oneof![any::<f64>(), 0.5..2e10]), 40..41
        ),
        limit in "(any|tcp-start|udp-start):p(50|99)>(\\+10%|\\+5us|200us|\\+0ns|0ns)",
    ) {
        let file = comparison(rounds, |name, quantile, arm, round| {
            let place = hook(name).index() * 11 + quantile * 5 + arm as usize * 3 + round as usize;
            values[place % 40]
        });
        let analysis = analyse(&Input::Comparison(&file), &limits(&[&limit]));
        for row in analysis.hooks.iter().flat_map(|finding| &finding.rows) {
            prop_assert!(row.units[0] as u64 <= rounds);
            if let (Some(a), Some(b), Some(shift)) = (row.a_ns, row.b_ns, row.shift)
                && a.is_normal() && b.is_normal()
            {
                // What is shown is what is estimated.
                prop_assert!((b.ln() - a.ln() - shift.ln).abs() < 1e-6);
            }
        }
    }
}
