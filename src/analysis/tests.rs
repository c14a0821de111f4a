// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tests of changes, intervals and verdicts, on generated run files.

use proptest::prelude::*;

use super::*;
use crate::model::comparison::Arm;
use crate::runfile::Period;
use crate::test_support::*;

pub(super) fn limits(texts: &[&str]) -> Vec<Limit> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

pub(super) fn of(file: &RunFile) -> Analysis {
    analyse(&Input::Comparison(file), &[])
}

pub(super) fn row<'a>(analysis: &'a Analysis, name: &str, quantity: Quantity) -> &'a Row {
    analysis.hooks[hook(name).index()].row(quantity)
}

/// Only tcp-start has latencies: 3 us with A, with B more by `shift`, which varies by
/// `by` from round to round. Both are logarithms.
pub(super) fn varying(rounds: u64, shift: f64, by: f64) -> RunFile {
    comparison(rounds, move |name, arm, round| {
        let ln = match arm {
            Arm::A => 0.0,
            Arm::B => shift + by * noise(name, arm, round),
        };
        (name == "tcp-start").then(|| at(3000.0 * f64::exp(ln)))
    })
}

#[test]
fn a_change_is_found_with_its_interval() {
    let analysis = of(&varying(10, 0.25, 0.05));
    let design = Design::Rounds {
        used: 10,
        planned: 10,
    };
    assert_eq!(analysis.design, design);
    assert_eq!(analysis.names.b, "25k-rules");
    // The p50, p90, p99 and tail of one hook; 2 of C(10, 5) assignments.
    assert_eq!(analysis.family.questions, 4);
    assert!((analysis.family.floor - 2.0 / 252.0).abs() < 1e-12);
    for quantity in [Quantity::P50, Quantity::P90, Quantity::P99] {
        let row = row(&analysis, "tcp-start", quantity);
        let shift = row.shift.unwrap();
        assert!((shift.ln - 0.25).abs() < 0.03, "{shift:?}");
        let (low, high) = shift.interval();
        // The interval includes the width of a bucket, half of it on each side.
        assert!(low < 0.25 - 0.03 && high > 0.25 + 0.03, "{low} {high}");
        assert_eq!(row.verdict, Some(Verdict::Slower), "{row:?}");
        assert_eq!(row.units, PerSide::both(10));
        // The levels shown agree with the estimated shift.
        let (a, b) = (row.levels.a.unwrap(), row.levels.b.unwrap());
        assert!(((b / a).ln() - shift.ln).abs() < 1e-9);
        assert_eq!(row.by_round.len(), 10);
    }
    // There are too few latencies for a p99.9.
    assert_eq!(row(&analysis, "tcp-start", Quantity::P999).shift, None);
}

#[test]
fn nothing_is_claimed_below_the_width_of_a_bucket() {
    let verdict = |shift| row(&of(&varying(10, shift, 0.001)), "tcp-start", Quantity::P50).verdict;
    // Buckets of 128 ns from 2944 on: 4.3 %.
    assert_eq!(verdict(0.03), Some(Verdict::BelowBucket));
    assert_eq!(verdict(0.08), Some(Verdict::Slower));
    assert_eq!(verdict(-0.08), Some(Verdict::Faster));
    assert_eq!(verdict(0.0), Some(Verdict::NotFound));
}

#[test]
fn seven_rounds_are_too_few_for_a_verdict() {
    let analysis = of(&varying(7, 0.25, 0.05));
    let row = row(&analysis, "tcp-start", Quantity::P50);
    assert!(row.shift.is_some() && row.verdict.is_none());
    assert!(codes(&analysis).contains(&"few-rounds"));
    assert_eq!(analysis.family.questions, 0);
}

/// One hook changes. Its verdict is the same with ten hooks as with one.
#[test]
fn many_questions_do_not_hide_an_answer() {
    let verdict = |hooks: usize| {
        let file = comparison(10, move |name, arm, round| {
            let change = match (name, arm) {
                ("ip-start", Arm::B) => 0.2,
                _ => 0.0,
            };
            let noise = 0.05 * noise(name, arm, round);
            (hook(name).index() < hooks).then(|| at(3000.0 * f64::exp(change + noise)))
        });
        row(&of(&file), "ip-start", Quantity::P50).verdict
    };
    assert_eq!(verdict(1), Some(Verdict::Slower));
    assert_eq!(verdict(10), Some(Verdict::Slower));
}

/// Interference that makes the first and last period of each round slower is not
/// taken for a change.
#[test]
fn an_effect_of_the_place_in_the_round_is_no_change() {
    let mut file = varying(10, 0.0, 0.02);
    for (place, period) in periods(&mut file).iter_mut().enumerate() {
        let of_round = place % 4;
        if of_round == 0 || of_round == 3 {
            let slower = comparison(1, |name, _, _| (name == "tcp-start").then(|| at(4000.0)));
            let Content::Comparison { periods, .. } = slower.content else {
                unreachable!("a comparison")
            };
            period.interval = periods[0].interval.clone();
        }
    }
    let analysis = of(&file);
    let row = row(&analysis, "tcp-start", Quantity::P50);
    assert_eq!(row.verdict, Some(Verdict::NotFound), "{row:?}");
}

#[test]
fn a_longer_tail_alone_is_found() {
    let file = comparison(10, |name, arm, round| {
        let tail = if arm == Arm::B { 5.0 } else { 1.0 };
        (name == "udp-start").then(|| At {
            tail,
            ..at(3000.0 * (1.0 + 0.01 * noise(name, arm, round)))
        })
    });
    let analysis = of(&file);
    let verdict = |quantity| row(&analysis, "udp-start", quantity).verdict;
    assert_eq!(verdict(Quantity::P50), Some(Verdict::NotFound));
    assert_eq!(verdict(Quantity::P99), Some(Verdict::NotFound));
    assert_eq!(verdict(Quantity::Tail), Some(Verdict::Slower));
}

fn periods(file: &mut RunFile) -> &mut Vec<Period> {
    match &mut file.content {
        Content::Comparison { periods, .. } => periods,
        Content::Recording(_) => panic!("a recording"),
    }
}

#[test]
fn rounds_with_a_step_of_the_clock_or_too_few_periods_are_excluded() {
    let mut file = varying(12, 0.25, 0.05);
    periods(&mut file)[5].interval.counters.clock_steps = 1;
    periods(&mut file).pop();
    let analysis = of(&file);
    let design = Design::Rounds {
        used: 10,
        planned: 12,
    };
    assert_eq!(analysis.design, design);
    let row = row(&analysis, "tcp-start", Quantity::P50);
    assert_eq!(row.units, PerSide::both(10));
    assert_eq!(codes(&analysis)[..2], ["rounds-missing", "rounds-excluded"]);
    // The other rounds are not in doubt, and keep their numbers.
    assert!(!row.in_doubt);
    let numbers: Vec<u64> = row.by_round.iter().map(|(round, _)| *round).collect();
    assert_eq!(numbers, [1, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
}

/// If the verdict is slower, the interval does not include faster.
#[test]
fn the_interval_of_a_verdict_ends_at_zero() {
    let mut clipped = 0;
    for shift in [0.05, 0.06, 0.07, 0.08, -0.06, -0.07] {
        let analysis = of(&varying(10, shift, 0.05));
        for quantity in [Quantity::P50, Quantity::P90, Quantity::P99] {
            let row = row(&analysis, "tcp-start", quantity);
            let (low, high) = row.shift.unwrap().interval();
            match row.verdict {
                Some(Verdict::Slower) => assert!(low >= 0.0 && high > 0.0, "{row:?}"),
                Some(Verdict::Faster) => assert!(low < 0.0 && high <= 0.0, "{row:?}"),
                _ => {}
            }
            clipped += usize::from(low == 0.0 || high == 0.0);
        }
    }
    assert!(clipped > 0);
}

/// One period of 80 is twenty times slower. Its round is excluded and named, also if
/// another round before it is excluded.
#[test]
fn a_disturbed_period_loses_its_round() {
    let mut file = comparison(20, |name, arm, round| {
        let disturbed = if (round, arm) == (7, Arm::A) {
            20.0
        } else {
            1.0
        };
        let slower = if arm == Arm::B { 1.25 } else { 1.0 };
        let ns = 3000.0 * slower * disturbed * (1.0 + 0.02 * noise(name, arm, round));
        (name == "udp-start").then(|| at(ns))
    });
    periods(&mut file)[9].interval.counters.clock_steps = 1;
    let analysis = of(&file);
    let row = row(&analysis, "udp-start", Quantity::P50);
    assert_eq!(row.excluded, [7]);
    assert_eq!((row.units.a, row.verdict), (18, Some(Verdict::Slower)));
    assert!(codes(&analysis).contains(&"disturbed"));
    assert!(!row.in_doubt);
}

/// A side with ten times as many packets is thinned to as many.
#[test]
fn unequal_rates_are_made_equal() {
    let file = comparison(10, |name, arm, round| {
        let count = if arm == Arm::B { 20_000 } else { 2000 };
        (name == "udp-start").then(|| At {
            count,
            ..at(3000.0 * (1.0 + 0.02 * noise(name, arm, round)))
        })
    });
    let analysis = of(&file);
    assert!(codes(&analysis).contains(&"unequal-rates"));
    // After thinning, not even B has a p99.
    assert_eq!(
        row(&analysis, "udp-start", Quantity::P99).units,
        PerSide::both(0)
    );
    let row = row(&analysis, "udp-start", Quantity::P50);
    assert_eq!(row.verdict, Some(Verdict::NotFound));
}

#[test]
fn the_unit_of_recordings_is_the_file() {
    let side = |base: f64, files: usize| -> Vec<RunFile> {
        (0..files)
            .map(|file| {
                let ns = 3000.0 * (base + 0.02 * (file * 7 % 5) as f64).exp();
                recording("some.nsl", &[("udp-start", ns as u64, 100)])
            })
            .collect()
    };
    let (a, b) = (side(0.0, 5), side(1.0, 5));
    let input = Input::Recordings {
        names: PerSide { a: "old", b: "new" },
        sides: PerSide { a: &a, b: &b },
    };
    let analysis = analyse(&input, &limits(&["udp-start:p50>+60%"]));
    assert_eq!(analysis.design, Design::Files(PerSide::both(5)));
    let found = row(&analysis, "udp-start", Quantity::P50);
    let shift = found.shift.unwrap();
    // Each in one bucket, whose middle is the p50: off by up to 3 %.
    assert!((shift.ln - 1.0).abs() < 0.03, "{shift:?}");
    assert_eq!(found.verdict, Some(Verdict::Slower));
    assert!(analysis.limits[0].result.as_ref().unwrap().exceeded);
    assert!(input.knows_how_it_varies());

    let four = side(1.0, 4);
    let input = Input::Recordings {
        names: PerSide { a: "old", b: "new" },
        sides: PerSide { a: &a, b: &four },
    };
    let analysis = analyse(&input, &[]);
    let found = row(&analysis, "udp-start", Quantity::P50);
    assert_eq!((found.shift, found.verdict), (None, None));
    assert!((found.ln().unwrap() - 1.0).abs() < 0.05);
    assert!(codes(&analysis).contains(&"few-files"));
    assert!(!input.knows_how_it_varies());
}

fn codes(analysis: &Analysis) -> Vec<&'static str> {
    analysis.warnings.iter().map(Warning::code).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any file can be analysed without a panic.
    #[test]
    fn any_latencies_can_be_analysed(
        rounds in 0u64..12,
        values in prop::collection::vec(prop::option::of((0.5..2e10, 0u32..200)), 40..41),
        limit in "(any|tcp-start|udp-start):p(50|99)>(\\+10%|\\+5us|200us|\\+0ns|0ns)",
    ) {
        let file = comparison(rounds, |name, arm, round| {
            let place = hook(name).index() * 11 + arm as usize * 3 + round as usize;
            let (ns, count) = values[place % 40]?;
            Some(At { count, ..at(ns) })
        });
        let analysis = analyse(&Input::Comparison(&file), &limits(&[&limit]));
        for row in analysis.hooks.iter().flat_map(HookResult::rows) {
            prop_assert!(row.units.a as u64 <= rounds);
            if let Some(p) = row.p_value {
                prop_assert!((0.0..=1.0).contains(&p), "{row:?}");
            }
        }
    }
}

/// Half of the reads with B are late ones of unknown age. Those that have one are
/// faster, and B is not.
#[test]
fn late_reads_of_unknown_age_do_not_make_a_side_faster() {
    let read = |collapsed_of_b| {
        let file = comparison(10, |name, arm, round| {
            let (ns, collapsed) = match arm {
                Arm::A => (10_000.0, 0),
                Arm::B => (8_000.0, collapsed_of_b),
            };
            let ns = ns * (1.0 + 0.002 * noise(name, arm, round));
            (name == "tcp-socket-read").then(|| At {
                collapsed,
                ..at(ns)
            })
        });
        let analysis = of(&file);
        let verdict = |quantity| row(&analysis, "tcp-socket-read", quantity).verdict;
        [Quantity::P50, Quantity::P99, Quantity::Tail].map(verdict)
    };
    let faster = Some(Verdict::Faster);
    assert_eq!(read(0)[..2], [faster, faster]);
    assert_eq!(read(5000), [None; 3]);
}
