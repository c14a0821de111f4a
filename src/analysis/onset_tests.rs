// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tests of where changes begin, on generated run files.

use super::tests::{of, row};
use super::*;
use crate::analysis::fail_if::Unjudged;
use crate::analysis::onset::Reason;
use crate::model::comparison::Arm;
use crate::model::hooks::Protocol;
use crate::test_support::*;

fn path(name: &str) -> Protocol {
    Protocol::find(name).unwrap()
}

#[test]
fn the_onset_is_the_first_hook_with_a_change() {
    let file = changes(&[
        ("ip-start", 1.0),
        ("tcp-start", 1.5),
        ("tcp-do-rcv", 1.4),
        ("tcp-data-queue", 0.6),
        ("tcp-socket-read", 1.0),
    ]);
    let onsets = of(&file).onsets;
    let onset = &onsets[0];
    assert_eq!((onset.path, onset.verdict), (path("TCP"), Verdict::Slower));
    assert_eq!(onset.first, hook("tcp-start"));
    assert!(
        onset
            .quantities
            .starts_with(&[Quantity::P50, Quantity::P90])
    );
    assert_eq!(onset.not_at, Some(hook("ip-start")));
    assert!(!onset.may_hide && onset.unjudged.is_empty());
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

/// There is one onset, although the p99 could not be judged at all hooks.
#[test]
fn quantities_with_the_same_onset_share_it() {
    let file = comparison(10, |name, arm, round| {
        let (base, count) = match name {
            "ip-start" => (3000.0, 4000),
            "udp-start" => (6000.0, 4000),
            "udp-socket-read" => (9000.0, 400),
            _ => return None,
        };
        let slower = if name != "ip-start" && arm == Arm::B {
            1.5
        } else {
            1.0
        };
        let ns = base * slower * (1.0 + 0.002 * noise(name, arm, round));
        Some(At { count, ..at(ns) })
    });
    let onsets = of(&file).onsets;
    assert_eq!(
        onsets[0].quantities[..3],
        [Quantity::P50, Quantity::P90, Quantity::P99]
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
        turn_off(a, "ip-start");
        turn_off(b, "ip-start");
        // More than 1 % is not measured, so its `~` is in doubt.
        let skips = &mut stats(a, "udp-start").skips;
        skips.add(crate::model::skips::SkipReason::NO_TIMESTAMP, 2000);
    }
    let analysis = of(&file);
    let onset = &analysis.onsets[0];
    assert_eq!((onset.path, onset.verdict), (path("UDP"), Verdict::Faster));
    assert_eq!(onset.not_at, None);
    let off = Reason::Unjudged(Unjudged::Off);
    assert_eq!(
        onset.unjudged[..2],
        [
            (hook("ip-start"), off),
            (hook("udp-start"), Reason::InDoubt)
        ]
    );
}

/// The change may be as small as the near end of its interval, and the hook before
/// may hide as much as the far end of its own interval.
#[test]
fn what_varies_as_much_as_the_change_may_hide_it() {
    let may_hide = |varies: f64| {
        let file = comparison(10, move |name, arm, round| {
            let (base, slower, noisy) = match name {
                "ip-start" => (20_000.0, 0.0, varies),
                "udp-start" => (21_000.0, 6000.0, 0.002),
                _ => return None,
            };
            let slower = if arm == Arm::B { slower } else { 0.0 };
            Some(at((base + slower) * (1.0 + noisy * noise(name, arm, round))))
        });
        let onset = &of(&file).onsets[0];
        assert_eq!(
            (onset.first, onset.not_at),
            (hook("udp-start"), Some(hook("ip-start")))
        );
        onset.may_hide
    };
    assert!(may_hide(0.5));
    assert!(!may_hide(0.02));
}

#[test]
fn quantities_with_different_onsets_are_separate() {
    let file = comparison(10, |name, arm, round| {
        let tail = if arm == Arm::B { 5.0 } else { 1.0 };
        (name == "udp-start").then(|| At {
            tail,
            ..at(3000.0 * (1.0 + 0.01 * noise(name, arm, round)))
        })
    });
    let onset = &of(&file).onsets[0];
    assert_eq!(onset.quantities, [Quantity::Tail]);
    assert!(onset.unchanged.contains(&Quantity::P50), "{onset:?}");
    let nothing = of(&changes(&[("ip-start", 1.0), ("udp-start", 1.0)]));
    assert!(nothing.onsets.is_empty());
}

/// A change of less than a bucket is neither no change nor a change.
#[test]
fn what_is_less_than_a_bucket_does_not_tell_where_it_begins() {
    let file = comparison(10, |name, arm, round| {
        let (ns, by) = match name {
            "ip-start" => (3000.0, 1.03),
            "tcp-start" => (6000.0, 1.2),
            "tcp-socket-read" => (100_000.0, 1.03),
            _ => return None,
        };
        let by = if arm == Arm::B { by } else { 1.0 };
        Some(at(ns * by * (1.0 + 0.001 * noise(name, arm, round))))
    });
    let analysis = of(&file);
    let p50 = |name| row(&analysis, name, Quantity::P50).verdict;
    assert_eq!(p50("ip-start"), Some(Verdict::BelowBucket));
    assert_eq!(p50("tcp-socket-read"), Some(Verdict::BelowBucket));
    let onset = &analysis.onsets[0];
    assert_eq!((onset.first.name(), onset.not_at), ("tcp-start", None));
    assert_eq!(onset.unjudged, [(hook("ip-start"), Reason::BelowBucket)]);
    assert!(onset.after.is_empty(), "{:?}", onset.after);
}

/// Forwarded packets are read by TCP or by UDP: neither read is on the way of the other.
#[test]
fn each_branch_of_a_path_has_its_onset() {
    let file = changes(&[
        ("ip-start", 1.0),
        ("ip-forward", 1.0),
        ("inner-tcp-socket-read", 1.5),
        ("inner-udp-socket-read", 0.6),
    ]);
    let onsets = of(&file).onsets;
    let firsts: Vec<_> = onsets
        .iter()
        .map(|onset| (onset.first.name(), onset.verdict, onset.not_at))
        .collect();
    let not_at = Some(hook("ip-forward"));
    assert_eq!(
        firsts,
        [
            ("inner-tcp-socket-read", Verdict::Slower, not_at),
            ("inner-udp-socket-read", Verdict::Faster, not_at),
        ]
    );
    assert!(onsets.iter().all(|onset| onset.after.is_empty()));
}
