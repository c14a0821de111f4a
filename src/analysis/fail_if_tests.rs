// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tests of limits that are exceeded, within, or not judged.

use super::fail_if::{Judged, Outcome, Unjudged};
use super::tests::*;
use super::*;
use crate::test_support::{changes, turn_off};

fn judged(file: &RunFile, texts: &[&str]) -> Vec<Outcome> {
    analyse(&Input::Comparison(file), &limits(texts)).limits
}

fn one(file: &RunFile, text: &str) -> Judged {
    judged(file, &[text])[0].result.unwrap()
}

/// B is 28 % slower: about 3850 ns against 3000, which is 850 ns more. Buckets there
/// are 4.3 % or 128 ns wide, and a limit is exceeded only by more than that.
#[test]
fn a_limit_is_exceeded_by_more_than_a_bucket() {
    let file = varying(10, 0.25, 0.02);
    for (text, exceeded, found) in [
        ("tcp-start:p50>+10%", true, 28.0),
        ("tcp-start:p50>+20%", true, 28.0),
        ("tcp-start:p50>+26%", false, 28.0),
        ("tcp-start:p50>+40%", false, 28.0),
        ("tcp-start:p50>+600ns", true, 850.0),
        ("tcp-start:p50>+800ns", false, 850.0),
        ("tcp-start:p50>3500ns", true, 3850.0),
        ("tcp-start:p50>3800ns", false, 3850.0),
    ] {
        let judged = one(&file, text);
        assert_eq!(judged.exceeded, exceeded, "{text}: {judged:?}");
        assert!(
            (judged.found / found - 1.0).abs() < 0.06,
            "{text}: {judged:?}"
        );
        assert!(judged.lower_bound < judged.found, "{text}: {judged:?}");
    }
    // Above the limit by less than a bucket.
    assert!(one(&file, "tcp-start:p50>+26%").within_bucket);
    assert!(!one(&file, "tcp-start:p50>+40%").within_bucket);
}

#[test]
fn limits_of_both_kinds_share_the_level() {
    let file = varying(10, 0.25, 0.02);
    let texts = ["tcp-start:p50>+10%", "tcp-start:p50>3500ns"];
    let together = judged(&file, &texts);
    for (outcome, text) in together.iter().zip(texts) {
        let (both, alone) = (outcome.result.unwrap(), one(&file, text));
        assert_eq!((both.together, alone.together), (2, 1));
        assert!((both.p_value - 2.0 * alone.p_value).abs() < 1e-9);
    }
}

#[test]
fn any_stands_for_hooks_that_can_be_judged() {
    let file = changes(&[("ip-start", 1.0), ("udp-start", 1.5)]);
    let outcomes = judged(&file, &["any:p99>+10%"]);
    let told: Vec<_> = outcomes
        .iter()
        .map(|outcome| {
            (
                outcome.hook.unwrap().name(),
                outcome.result.as_ref().unwrap().exceeded,
            )
        })
        .collect();
    assert_eq!(told, [("ip-start", false), ("udp-start", true)]);
    let none = &judged(&file, &["any:p99.9>+10%"])[0];
    assert_eq!((none.hook, none.result), (None, Err(Unjudged::None)));
}

#[test]
fn an_unjudged_limit_has_a_reason() {
    let mut file = changes(&[("ip-start", 1.0), ("udp-start", 1.5)]);
    if let Content::Comparison { a, .. } = &mut file.content {
        turn_off(a, "tcp-start");
    }
    let why = |text| judged(&file, &[text])[0].result.unwrap_err();
    assert_eq!(why("tcp-start:p50>+1%"), Unjudged::Off);
    assert_eq!(why("tcp-do-rcv:p50>+1%"), Unjudged::Idle);
    assert_eq!(
        why("udp-start:p99.9>+1%"),
        Unjudged::TooFew(PerSide::both(0))
    );
}
