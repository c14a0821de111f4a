// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What whole files are read as: recordings, several of them in one file,
//! comparisons, what other versions write.

use netstacklat::model::comparison::Arm;
use netstacklat::model::group::{Group, MAX_GROUPS};
use netstacklat::model::sampling::Sampling;
use netstacklat::runfile::Content;

use super::{FIXTURE, hook, read, recording, refused};

const COMPARISON: &str = include_str!("../fixtures/comparison.jsonl");

/// The lines of the fixture: start, interval, total.
fn fixture() -> [&'static str; 3] {
    let lines: Vec<&str> = FIXTURE.lines().collect();
    lines.try_into().expect("three lines")
}

fn file(lines: &[&str]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_documented_lines() {
    let file = read(FIXTURE).unwrap();
    assert_eq!(file.problems, Vec::<String>::new());
    assert!(file.complete);
    assert_eq!((file.runs, file.info.host.as_str()), (1, "box"));
    assert_eq!(file.info.facts["governor"], "performance");
    let totals = recording(&file);
    assert_eq!(
        (totals.intervals, totals.interval.duration_ns),
        (1, 10_000_000_000)
    );
    let tcp = totals.hook(hook("tcp-start")).unwrap();
    let histogram = &tcp.histogram;
    assert_eq!((histogram.count(), histogram.sum_ns()), (100, 380_000));
    assert_eq!((tcp.skips.total(), tcp.skips.lost(Sampling::ALL)), (20, 13));
    assert_eq!(totals.hook(hook("udp-start")).unwrap().missed, 3);
    assert!(totals.hook(hook("udp-queue-rcv")).is_none());
}

#[test]
fn runs_in_one_file_are_added_up() {
    let [start, interval, total] = fixture();
    let both = read(file(&[start, interval, total, start, interval, total])).unwrap();
    assert_eq!(both.problems, Vec::<String>::new());
    assert_eq!((both.runs, recording(&both).intervals), (2, 2));
    let tcp = recording(&both).hook(hook("tcp-start")).unwrap();
    assert_eq!((tcp.histogram.count(), tcp.skips.total()), (200, 40));
}

/// The start line says which share of the packets the counts are of.
#[test]
fn shares_of_packets_are_not_mixed() {
    let [start, interval, total] = fixture();
    let sampled = |one_in: u32| {
        let options = format!("\"options\":{{\"sample\":[\"1/{one_in}\"]}}");
        let sampled = start.replace("\"options\":{}", &options);
        assert_ne!(sampled, start, "the fixture has a selection");
        sampled
    };
    let said = |line: &str, one_in: u32| {
        line.replace(
            "\"tx_stamped\"",
            &format!("\"sample_one_in\":{one_in},\"tx_stamped\""),
        )
    };
    let (interval_16, total_16) = (said(interval, 16), said(total, 16));
    let read_16 = read(file(&[&sampled(16), &interval_16, &total_16])).unwrap();
    assert_eq!(read_16.problems, Vec::<String>::new());
    let counters = &recording(&read_16).interval.counters;
    assert_eq!(counters.sampling.one_in(), 16);
    // What counts is what was counted: 16 in the file's name are for the screen.
    assert_eq!(
        counters
            .measured(hook("tcp-start"))
            .unwrap()
            .histogram
            .count(),
        100
    );
    refused(file(&[&sampled(8), &interval_16]), &["sample_one_in"]);
    refused(file(&[start, &interval_16]), &["sample_one_in"]);
    refused(
        file(&[&sampled(16), &said(interval, 0)]),
        &["sample_one_in"],
    );
    let other = [&sampled(16), &*interval_16, &total_16, &sampled(8)];
    refused(file(&other), &["another share"]);
    let grouped = start.replace("\"by\":[]", "\"by\":[\"cpu\"]");
    assert_ne!(grouped, start, "the start line has no groups");
    refused(file(&[start, interval, total, &grouped]), &["other groups"]);
}

#[test]
fn runs_that_differ_are_told() {
    let [start, interval, total] = fixture();
    let other = start
        .replace("6.12.0", "6.13.0")
        .replace("performance", "powersave");
    let both = read(file(&[start, interval, total, &other, interval])).unwrap();
    assert!(!both.complete);
    let problems = both.problems.join("; ");
    assert_eq!(
        problems,
        "its runs differ in the kernel; its runs differ in governor"
    );
    let coarse = start.replace("\"sub_buckets\":16", "\"sub_buckets\":1");
    refused(
        file(&[start, interval, total, &coarse]),
        &["line 4", "sub_buckets"],
    );
}

/// From `--json --duration` (a total only) and `--json --cumulative`.
#[test]
fn other_forms_of_json_count_once() {
    let [start, interval, total] = fixture();
    let cumulative = interval.replace("\"cumulative\":false", "\"cumulative\":true");
    let second = cumulative.replace("\"seq\":1", "\"seq\":2");
    for (lines, intervals) in [
        (file(&[start, total]), 1),
        (file(&[start, &cumulative, &second]), 2),
        (file(&[start, &cumulative, &second, total]), 2),
    ] {
        let read = read(&lines).unwrap();
        let totals = recording(&read);
        assert_eq!(totals.intervals, intervals, "{lines}");
        let tcp = totals.hook(hook("tcp-start")).unwrap();
        assert_eq!(tcp.histogram.count(), 100, "{lines}");
    }
    let mixed = file(&[start, interval, &second]);
    refused(mixed, &["line 3", "cumulative here, and not before"]);
}

#[test]
fn missing_lines_are_told() {
    let [start, interval, total] = fixture();
    let third = interval.replace("\"seq\":1", "\"seq\":3");
    let gap = read(file(&[start, interval, &third])).unwrap();
    assert!(
        gap.problems[0].contains("interval 3 is where 2 should be"),
        "{:?}",
        gap.problems
    );
    let second = interval.replace("\"seq\":1", "\"seq\":2");
    let sum = read(file(&[start, interval, &second, total])).unwrap();
    assert!(
        sum.problems[0].contains("not the sum of its intervals"),
        "{:?}",
        sum.problems
    );
}

/// A comparison's lines, all alike but for their place.
fn comparison(places: &[(&str, u64)]) -> String {
    let lines: Vec<&str> = COMPARISON.lines().collect();
    let periods = places.iter().map(|(arm, round)| {
        lines[1]
            .replace("\"arm\":\"b\"", &format!("\"arm\":\"{arm}\""))
            .replace("\"round\":7", &format!("\"round\":{round}"))
    });
    let periods: Vec<String> = periods.collect();
    let mut all = vec![lines[0]];
    all.extend(periods.iter().map(String::as_str));
    file(&all)
}

#[test]
fn periods_are_kept_by_round() {
    let text = comparison(&[
        ("a", 1),
        ("b", 1),
        ("b", 1),
        ("a", 1),
        ("b", 2),
        ("a", 2),
        ("a", 2),
        ("b", 2),
    ]);
    let file = read(text).unwrap();
    assert_eq!(file.problems, Vec::<String>::new());
    assert!(!file.complete, "it has no totals");
    let comparison = file.info.comparison.as_ref().unwrap();
    assert_eq!(
        comparison.b.start.as_deref(),
        Some("iptables-restore rules")
    );
    assert_eq!(comparison.seed, u64::MAX);
    let Content::Comparison { periods, a, b } = &file.content else {
        panic!("not a comparison");
    };
    let arms: Vec<_> = periods.iter().map(|p| (p.arm.name(), p.round)).collect();
    let expected = [
        ("a", 1),
        ("b", 1),
        ("b", 1),
        ("a", 1),
        ("b", 2),
        ("a", 2),
        ("a", 2),
        ("b", 2),
    ];
    assert_eq!(arms, expected);
    assert_eq!((a.intervals, b.intervals), (4, 4));
    assert_eq!(a.hook(hook("udp-start")).unwrap().histogram.count(), 8);
}

#[test]
fn rounds_that_are_not_whole_are_left_out_and_told() {
    let round = |n| [("a", n), ("b", n), ("b", n), ("a", n)];
    let cut = [&round(1)[..], &round(2)[..3]].concat();
    let lopsided = [&round(1)[..], &[("a", 2), ("a", 2), ("b", 2), ("a", 2)]].concat();
    for (places, words) in [(cut, "interrupted"), (lopsided, "two periods of each")] {
        let file = read(comparison(&places)).unwrap();
        // Only what is strange makes the other rounds doubtful.
        let (told, untold) = match words {
            "interrupted" => (&file.excluded, &file.problems),
            _ => (&file.problems, &file.excluded),
        };
        assert!(told[0].contains("round 2") && told[0].contains(words));
        assert!(untold.is_empty(), "{untold:?}");
        let Content::Comparison { periods, .. } = &file.content else {
            panic!("not a comparison");
        };
        assert!(periods.iter().all(|period| period.round == 1));
        assert_eq!(periods.iter().filter(|p| p.arm == Arm::A).count(), 2);
    }
    let five = [&round(1)[..], &[("a", 1)]].concat();
    refused(comparison(&five), &["line 6", "more than 4 periods"]);
    refused(comparison(&[("a", 2), ("a", 1)]), &["line 3", "order"]);
    refused(comparison(&[("a", 0)]), &["line 2", "order"]);
    refused(comparison(&[("a", 10_001)]), &["line 2", "rounds"]);
}

#[test]
fn arms_belong_to_comparisons_only() {
    let [start, interval, _] = fixture();
    let arm = interval.replace("\"arm\":null", "\"arm\":\"a\"");
    refused(file(&[start, &arm]), &["line 2", "outside of a comparison"]);
    let other = COMPARISON.lines().next().unwrap();
    refused(file(&[other, interval]), &["line 2", "no arm"]);
    refused(file(&[start, interval, other]), &["line 3", "comparison"]);
}

#[test]
fn newer_schemas_are_named() {
    let [start, interval, _] = fixture();
    let newer = |line: &str| line.replace("\"schema\":2", "\"schema\":3");
    refused(file(&[&newer(start)]), &["schema 3", "use a newer one"]);
    let added = file(&[start, interval, &newer(start)]);
    refused(added, &["line 3", "schema 3", "use a newer one"]);
}

/// Files of schema 1 hold the same lines.
#[test]
fn older_schemas_are_read() {
    let pairs = [
        (FIXTURE, include_str!("../fixtures/run-schema-1.jsonl")),
        (
            include_str!("../fixtures/comparison.jsonl"),
            include_str!("../fixtures/comparison-schema-1.jsonl"),
        ),
    ];
    for (now, then) in pairs {
        assert!(then.starts_with("{\"schema\":1,"));
        let (now, then) = (read(now).expect("ours"), read(then).expect("an old one"));
        assert_eq!(format!("{now:?}"), format!("{then:?}"));
    }
}

/// As docs/json.md promises: what is new in the same schema is passed over.
#[test]
fn what_is_not_known_is_passed_over_and_told() {
    let [start, interval, total] = fixture();
    let remark = "{\"schema\":2,\"kind\":\"remark\",\"text\":[{\"x\":1e300}]}";
    let interval = interval
        .replace("\"udp-start\"", "\"quic-start\"")
        .replace("\"peek\"", "\"peeked-at\"")
        .replace("\"seq\":1", "\"seq\":1,\"colour\":\"red\"");
    let file = read(file(&[start, remark, &interval, total])).unwrap();
    let problems = file.problems.join("; ");
    for word in ["remark", "quic-start", "peeked-at"] {
        assert!(problems.contains(word), "no {word} in: {problems}");
    }
    assert_eq!(
        recording(&file)
            .hook(hook("tcp-start"))
            .unwrap()
            .histogram
            .count(),
        100
    );
    assert!(recording(&file).hook(hook("udp-start")).is_none());
}

/// Groups that are too many to keep apart are in one; all packets are counted
/// apart from them.
#[test]
fn groups_are_kept_apart_up_to_a_limit() {
    let [start, interval, total] = fixture();
    let from = interval.find("{\"hook\"").expect("a hook");
    let (head, hooks) = interval.split_at(from);
    let hooks = hooks.strip_suffix("]}").expect("the last hook");
    let of_group = |value: &str| hooks.replace("\"group\":null", &format!("\"group\":{value}"));
    let line = |groups: Vec<String>| {
        let groups = groups.join(",");
        file(&[start, &format!("{head}{hooks},{groups}]}}"), total])
    };
    let named = |number: usize| of_group(&format!("{{\"interface\":\"eth{number}\"}}"));
    let few = read(line(vec![named(0), named(1), of_group("{}")])).unwrap();
    assert!(few.problems.is_empty(), "{:?}", few.problems);
    let counters = &recording(&few).interval.counters;
    let tcp = counters.measured(hook("tcp-start")).unwrap();
    assert_eq!(tcp.histogram.count(), 100);
    let groups: Vec<_> = counters
        .groups()
        .filter(|(_, of, _)| *of == hook("tcp-start"))
        .map(|(group, _, counted)| (group.to_string(), counted.histogram.count()))
        .collect();
    let expected = [
        ("interface eth0", 100),
        ("interface eth1", 100),
        ("other", 100),
    ];
    assert_eq!(
        groups,
        expected.map(|(name, count)| (name.to_owned(), count))
    );

    let many = read(line((0..MAX_GROUPS + 50).map(named).collect())).unwrap();
    let counters = &recording(&many).interval.counters;
    let other = counters
        .groups()
        .find(|(group, of, _)| **group == Group::Other && *of == hook("tcp-start"));
    assert_eq!(other.expect("too many").2.histogram.count(), 50 * 100);
    refused(line(vec![named(0), named(0)]), &["twice"]);
}

/// What nobody could have counted is not taken for counts.
#[test]
fn numbers_that_do_not_hold_are_refused() {
    let [start, interval, _] = fixture();
    for (is, said, words) in [
        ("\"count\":100", "\"count\":101", "its buckets hold 100"),
        ("[2944,3072,60]", "[2944,3073,60]", "no bucket (2944, 3073]"),
        ("[2944,3072,60]", "[2945,3072,60]", "no bucket (2945, 3072]"),
        ("[4864,5120,40]", "[2944,3072,40]", "no bucket (2944, 3072]"),
        (
            "[4864,5120,40]",
            "[17179869184,17179869185,40]",
            "no bucket",
        ),
        (
            "[2944,3072,60]",
            "[2944,3072,18446744073709551615]",
            "64 bits",
        ),
        ("\"peek\":7", "\"peek\":18446744073709551615", "64 bits"),
        ("\"count\":100", "\"count\":-100", "damaged"),
        ("\"count\":100", "\"count\":100.5", "damaged"),
        ("\"count\":100", "\"count\":\"100\"", "damaged"),
        ("\"count\":100", "\"count\":18446744073709551616", "damaged"),
        ("\"arm\":null", "\"arm\":\"c\"", "neither a nor b"),
        ("2026-11-21T10:16:53", "yesterday", "is no time"),
        ("\"udp-start\"", "\"tcp-start\"", "twice"),
    ] {
        assert!(interval.contains(is), "{is}");
        let damaged = interval.replacen(is, said, 1);
        // Also as the last line: this is no cut.
        refused(file(&[start, &damaged]), &["line 2 is damaged", words]);
    }
    for sub_buckets in ["0", "3", "512", "4294967296"] {
        let said = format!("\"sub_buckets\":{sub_buckets},");
        let start = start.replace("\"sub_buckets\":16,", &said);
        refused(file(&[&start, interval]), &["start line"]);
    }
}

#[test]
fn sums_stay_within_64_bits() {
    let [start, interval, _] = fixture();
    let full = interval
        .replace("[2944,3072,60]", "[2944,3072,9223372036854775768]")
        .replace("\"count\":100", "\"count\":9223372036854775808");
    let second = full.replace("\"seq\":1", "\"seq\":2");
    assert!(read(file(&[start, &full])).is_ok());
    refused(file(&[start, &full, &second]), &["line 3", "64 bits"]);
    // Also over two runs, of which each fits. The sum of latencies may wrap,
    // as it does in the programs.
    refused(file(&[start, &full, start, &full]), &["64 bits"]);
    let sum = interval.replace("\"sum_ns\":380000", "\"sum_ns\":18446744073709551615");
    let second = interval.replace("\"seq\":1", "\"seq\":2");
    let wrapped = read(file(&[start, &sum, &second])).unwrap();
    let tcp = recording(&wrapped).hook(hook("tcp-start")).unwrap();
    assert_eq!(tcp.histogram.sum_ns(), 379_999);
}
