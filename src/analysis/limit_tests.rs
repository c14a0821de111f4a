// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tests of limits: when they are passed, when not, and when nobody can tell.

use super::tests::*;
use super::*;
use crate::analysis::judge::{Judged, Unjudged};

fn judged(file: &RunFile, texts: &[&str]) -> Vec<judge::Outcome> {
    analyse(&Input::Comparison(file), &limits(texts)).limits
}

/// d = 0.25 -+ 0.05 over 6: the one-sided bound is 0.25 - 2.015048 * 0.022361 =
/// 0.204942, 22.745 %. In ns: B is 3000 e^0.3 and e^0.2 by turns, 4049.576 and
/// 3664.208: 856.892 more on average, error 86.171: bound 683.253.
#[test]
fn one_limit_is_judged_by_its_one_sided_bound() {
    let file = alternating(6, 0.25, 0.05);
    for (text, passed, found, bound) in [
        ("tcp-start:p50>+22.7%", true, 28.4025, 22.7454),
        ("tcp-start:p50>+22.8%", false, 28.4025, 22.7454),
        ("tcp-start:p50>+680ns", true, 856.892, 683.25),
        ("tcp-start:p50>+690ns", false, 856.892, 683.25),
        // B alone: 3852.076 in the bucket from 3840.
        ("tcp-start:p50>3600ns", true, 3852.076, 3682.36),
        ("tcp-start:p50>3690ns", false, 3852.076, 3682.36),
    ] {
        let outcome = &judged(&file, &[text])[0];
        let Ok(judged) = &outcome.result else {
            panic!("{outcome:?}")
        };
        assert_eq!(judged.passed, passed, "{text}: {judged:?}");
        assert!((judged.found - found).abs() < 1e-2, "{text}: {judged:?}");
        assert!(
            (judged.lower_bound - bound).abs() < 1e-2,
            "{text}: {judged:?}"
        );
    }
}

#[test]
fn several_limits_take_more() {
    let file = alternating(6, 0.25, 0.05);
    // p is 0.038 there: enough alone.
    let at = "tcp-start:p50>+21.5%";
    let passed = |outcomes: Vec<judge::Outcome>| {
        let judged = outcomes.iter().map(|outcome| outcome.result.unwrap());
        judged.map(|judged| judged.passed).collect::<Vec<_>>()
    };
    assert_eq!(passed(judged(&file, &[at])), [true]);
    let many = [at; 6];
    assert_eq!(passed(judged(&file, &many)), [false; 6]);
}

#[test]
fn limits_claim_nothing_finer_than_buckets() {
    let file = alternating(6, 0.04, 0.0001);
    for text in [
        "tcp-start:p50>+1%",
        "tcp-start:p50>+10ns",
        "tcp-start:p50>3100ns",
    ] {
        let Ok(Judged {
            passed,
            within_bucket,
            ..
        }) = judged(&file, &[text])[0].result
        else {
            panic!("{text}")
        };
        assert!(!passed && within_bucket, "{text}");
    }
    let level = &judged(&file, &["tcp-start:p50>3072ns"])[0].result;
    assert!(level.as_ref().unwrap().passed);
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
                outcome.result.as_ref().unwrap().passed,
            )
        })
        .collect();
    assert_eq!(told, [("ip-start", false), ("udp-start", true)]);
    let idle = judged(&file, &["tcp-start:p99>+10%"]);
    assert_eq!(idle[0].result, Err(Unjudged::Idle));
    let few = judged(
        &alternating(6, 0.2, 0.0),
        &["any:p99>+1%", "tcp-start:p99>+1%"],
    );
    assert_eq!((few[0].hook, &few[0].result), (None, &Err(Unjudged::None)));
    assert_eq!(few[1].result, Err(Unjudged::TooFew([0, 0])));
}
