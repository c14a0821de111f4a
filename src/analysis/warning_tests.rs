// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tests that provoke each warning.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::analysis::warnings::Kind;
use crate::model::skips::SkipReason;
use crate::runfile::{Content, Totals};
use crate::test_support::*;

/// Five recordings a side that cause no warning.
fn sides() -> PerSide<Vec<RunFile>> {
    let side = || {
        (0..5)
            .map(|_| recording("a.nsl", &[("udp-start", 3000, 3000)]))
            .collect()
    };
    PerSide::of(|_| side())
}

fn found(sides: &PerSide<Vec<RunFile>>) -> Vec<Warning> {
    let input = Input::Recordings {
        names: PerSide { a: "a", b: "b" },
        sides: sides.as_ref().map(Vec::as_slice),
    };
    analyse(&input, &[]).warnings
}

fn totals_of(file: &mut RunFile) -> &mut Totals {
    match &mut file.content {
        Content::Recording(all) => all,
        Content::Comparison { .. } => panic!("a comparison"),
    }
}

/// The warnings after a change of B's last recording.
fn with(change: impl FnOnce(&mut RunFile)) -> Vec<Warning> {
    let mut sides = sides();
    change(&mut sides.b[4]);
    found(&sides)
}

fn differs(found: &[Warning], what: &str, a: &[&str], b: &[&str]) {
    let strings = |texts: &[&str]| texts.iter().map(|text| text.to_string()).collect();
    let expected = Kind::Differs {
        what: what.into(),
        values: PerSide::from([strings(a), strings(b)]),
    };
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind, expected);
    assert!(found[0].is_serious());
}

#[test]
fn equal_recordings_cause_no_warning() {
    assert_eq!(found(&sides()), []);
}

#[test]
fn hosts_and_kernels_that_differ() {
    let found = with(|file| file.info.kernel = "6.1.0".into());
    differs(&found, "kernel", &["6.12.0"], &["6.1.0", "6.12.0"]);
    let found = with(|file| file.info.host = "other".into());
    differs(&found, "host", &["box"], &["box", "other"]);
    let found = with(|file| file.info.arch = "aarch64".into());
    differs(&found, "arch", &["x86_64"], &["aarch64", "x86_64"]);
    let found = with(|file| file.info.possible_cpus = 4);
    differs(&found, "possible_cpus", &["8"], &["4", "8"]);
    let found = with(|file| file.info.clock.source = "tai-offset".into());
    differs(
        &found,
        "clock_source",
        &["update_vsyscall"],
        &["tai-offset", "update_vsyscall"],
    );
    let found = with(|file| file.info.clock.tai_offset_s = 36);
    differs(&found, "tai_offset_s", &["37"], &["36", "37"]);
    let found = with(|file| file.info.version = "0.2.0".into());
    differs(&found, "version", &["0.1.0"], &["0.1.0", "0.2.0"]);
    let found = with(|file| file.info.resolution = Resolution::LOG2);
    differs(&found, "sub_buckets", &["16"], &["1", "16"]);
}

/// Latencies of a share of the packets are those of all, so no verdict is in doubt.
#[test]
fn shares_that_differ() {
    let sampled = |file: &mut RunFile, share: &str| {
        let options = &mut file.info.selection.options;
        options.insert("sample".into(), vec![share.into()]);
        totals_of(file).interval.counters.sampling = share.parse().unwrap();
    };
    let found = with(|file| sampled(file, "1/16"));
    let (all, some) = (
        "without --sample".to_owned(),
        "with --sample 1/16".to_owned(),
    );
    let shares = PerSide::from([vec![all.clone()], vec![some, all]]);
    let [warning] = &found[..] else {
        panic!("{found:?}");
    };
    assert_eq!(warning.kind, Kind::SharesDiffer(shares));
    assert!(!warning.is_serious());
    let mut sides = sides();
    for file in sides.a.iter_mut().chain(&mut sides.b) {
        sampled(file, "1/16");
    }
    assert_eq!(self::found(&sides), []);
}

/// Of a sample, 40 of the future in 3040 samples are 1.3 % of the packets; 40 without
/// an owner, which are counted of all packets, are less than 0.1 %.
#[test]
fn what_is_not_measured_is_a_share_of_packets() {
    let lost = |reason: &str| {
        let mut sides = sides();
        for file in sides.a.iter_mut().chain(&mut sides.b) {
            let counters = &mut totals_of(file).interval.counters;
            counters.sampling = "1/16".parse().unwrap();
            let options = &mut file.info.selection.options;
            options.insert("sample".into(), vec!["1/16".into()]);
            let counters = &mut totals_of(file).interval.counters;
            let skips = &mut counters.hook_mut(hook("udp-start")).skips;
            skips.add(SkipReason::find(reason).unwrap(), 40);
            skips.add(SkipReason::SAMPLED_OUT, 45_000);
        }
        found(&sides)
    };
    let found = lost("negative");
    let [Warning { kind, .. }] = &found[..] else {
        panic!("{found:?}");
    };
    let all = 5 * 16;
    let expected = Kind::Skipped {
        lost: PerSide::both(40 * all),
        of: PerSide::both(3040 * all),
    };
    assert_eq!(*kind, expected);
    assert_eq!(lost("owner-unknown"), []);
}

#[test]
fn selections_and_facts_that_differ() {
    let found = with(|file| {
        let options = &mut file.info.selection.options;
        options.insert("interface".into(), vec!["eth0".into(), "eth1".into()]);
    });
    let given = "eth0,eth1";
    differs(&found, "--interface", &["not given"], &[given, "not given"]);
    let found = with(|file| file.info.selection.by = vec!["cgroup".into()]);
    differs(&found, "--by", &["not given"], &["cgroup", "not given"]);
    // Of hooks it is said at which ones.
    let found = with(|file| {
        let options = &mut file.info.selection.options;
        options.insert("hooks".into(), vec!["tcp*".into()]);
    });
    assert_eq!(found, []);
    let mut sides = sides();
    for (side, governor) in [(&mut sides.a, "powersave"), (&mut sides.b, "performance")] {
        for file in side {
            file.info.facts.insert("governor".into(), governor.into());
        }
    }
    differs(
        &self::found(&sides),
        "governor",
        &["powersave"],
        &["performance"],
    );
}

#[test]
fn hooks_that_are_not_on_everywhere() {
    let index = hook("tcp-start").index();
    let found = with(|file| file.info.hooks[index].functions.truncate(1));
    let [both, one] = ["tcp_v4_rcv, tcp_v6_rcv", "tcp_v4_rcv"];
    differs(&found, "tcp-start", &[both], &[one, both]);
    assert_eq!(found[0].hook, Some(hook("tcp-start")));
    assert!(
        found[0].puts_in_doubt(hook("tcp-start"), Quantity::P50)
            && !found[0].puts_in_doubt(hook("udp-start"), Quantity::P50)
    );
    let found = with(|file| file.info.hooks[index].functions.clear());
    differs(&found, "tcp-start", &[both], &["off", both]);
}

#[test]
fn packets_not_measured_above_one_percent() {
    // B has 15,000: 151 of 15,151 are 0.997 %, 152 are 1.003 %.
    let reason = SkipReason::NO_TIMESTAMP;
    let skip = |count| with(|file| stats(totals_of(file), "udp-start").skips.add(reason, count));
    assert_eq!(skip(151), []);
    let kind = Kind::Skipped {
        lost: PerSide { a: 0, b: 152 },
        of: PerSide {
            a: 15_000,
            b: 15_152,
        },
    };
    assert_eq!(skip(152)[0].kind, kind);
    assert_eq!(skip(152)[0].hook, Some(hook("udp-start")));
    // A peek is no packet that should have been measured.
    let peek = SkipReason::find("peek").unwrap();
    assert_eq!(
        with(|file| stats(totals_of(file), "udp-start").skips.add(peek, 9000)),
        []
    );
    let miss = |count| with(|file| stats(totals_of(file), "udp-start").missed = count);
    assert_eq!(miss(151), []);
    let kind = Kind::Missed {
        missed: PerSide { a: 0, b: 152 },
        of: PerSide {
            a: 15_000,
            b: 15_152,
        },
    };
    assert_eq!(miss(152)[0].kind, kind);
}

#[test]
fn too_few_samples_for_a_quantile() {
    let found = with(|file| *stats(totals_of(file), "udp-start") = new_stats(2999));
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].hook, found[0].quantity),
        (Some(hook("udp-start")), Some(Quantity::P99))
    );
    let kind = Kind::TooFewSamples {
        units: PerSide { a: 5, b: 4 },
        of: PerSide::both(5),
    };
    assert_eq!(found[0].kind, kind);
    assert!(
        found[0].puts_in_doubt(hook("udp-start"), Quantity::P99)
            && !found[0].puts_in_doubt(hook("udp-start"), Quantity::P50)
    );
}

fn new_stats(count: u64) -> crate::model::hook_counters::HookCounters {
    let mut file = recording("x", &[("udp-start", 3000, count)]);
    stats(totals_of(&mut file), "udp-start").clone()
}

#[test]
fn clocks_that_were_stepped() {
    let found = with(|file| totals_of(file).interval.counters.clock_steps = 2);
    assert_eq!(found[0].kind, Kind::ClockSteps(PerSide { a: 0, b: 2 }));
    assert!(found[0].is_serious());
}

#[test]
fn files_that_are_not_whole() {
    let found = with(|file| file.complete = false);
    assert_eq!(found[0].kind, Kind::Incomplete("a.nsl".into()));
    let found = with(|file| file.problems = vec!["x".repeat(500); 30]);
    assert_eq!(found.len(), 10);
    let Kind::Problem { path, text } = &found[0].kind else {
        panic!("{found:?}")
    };
    assert_eq!((path.as_str(), text.len()), ("a.nsl", 103));
    let found = with(|file| file.excluded = vec!["round 9 was interrupted".into()]);
    assert_eq!((found.len(), found[0].code()), (1, "excluded"));
    assert!(!found[0].is_serious());
    let found = with(|file| file.runs = 2);
    assert_eq!(
        found[0].kind,
        Kind::SeveralRuns {
            path: "a.nsl".into(),
            runs: 2
        }
    );
    assert!(!found[0].is_serious());
    let found = with(|file| totals_of(file).missed_intervals = 7);
    assert_eq!(found[0].kind, Kind::MissedIntervals(PerSide { a: 0, b: 7 }));
}

#[test]
fn too_few_files() {
    let mut sides = sides();
    sides.a.pop();
    assert_eq!(
        found(&sides)[0].kind,
        Kind::FewFiles(PerSide { a: 4, b: 5 })
    );
}

#[test]
fn sides_that_do_not_alternate() {
    let mut sides = sides();
    let all = sides.a.iter_mut().chain(&mut sides.b);
    for (day, file) in all.enumerate() {
        file.began = Some(UNIX_EPOCH + Duration::from_secs(86_400 * day as u64));
    }
    assert_eq!(found(&sides)[0].kind, Kind::NotAlternating);
    assert!(found(&sides)[0].is_serious());
    std::mem::swap(&mut sides.a[4], &mut sides.b[0]);
    assert_eq!(found(&sides), []);
}
