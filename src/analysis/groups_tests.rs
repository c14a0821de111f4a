// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
use crate::analysis::{Analysis, By, Input, Verdict, analyse, analyse_by};
use crate::model::comparison::Arm;
use crate::model::fail_if::Limit;
use crate::model::group::Group;
use crate::model::quantity::Quantity;
use crate::model::side::PerSide;
use crate::runfile::RunFile;
use crate::test_support::*;

use super::without_number;

fn process(name: &str) -> Group {
    group([("process", name)])
}

fn keys(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| name.to_string()).collect()
}

fn by_process(file: &RunFile, top: usize, limits: &[&str]) -> Analysis {
    let limits: Vec<Limit> = limits.iter().map(|limit| limit.parse().unwrap()).collect();
    let keys = &keys(&["process"]);
    analyse_by(&Input::Comparison(file), &limits, Some(By { keys, top }))
}

fn names(analysis: &Analysis) -> Vec<String> {
    let groups = analysis.groups.as_ref().expect("it is grouped");
    let names = groups.compared.iter().map(|found| found.group.to_string());
    names.collect()
}

fn only(analysis: &Analysis) -> PerSide<Vec<(String, u64)>> {
    let only = analysis.groups.as_ref().unwrap().only.as_ref();
    only.map(|only| {
        only.iter()
            .map(|(group, n)| (group.to_string(), *n))
            .collect()
    })
}

fn verdict(analysis: &Analysis, place: usize, quantity: Quantity) -> Option<Verdict> {
    let group = &analysis.groups.as_ref().unwrap().compared[place];
    group.hooks[hook("udp-start").index()].row(quantity).verdict
}

/// Three processes, of which the second gets slower by a quarter. It has a tenth of
/// the packets, so all packets together show nothing at the median.
fn one_gets_slower() -> RunFile {
    let groups = ["web(1)", "dns(2)", "log(3)"].map(|name| Some(process(name)));
    comparison_of(10, &groups, |place, name, arm, round| {
        let slower = if place == 1 && arm == Arm::B {
            0.25
        } else {
            0.0
        };
        let count = if place == 1 { 400 } else { 2000 - place as u32 };
        let noise = 0.01 * noise(name, arm, round * 3 + place as u64);
        (name == "udp-start").then(|| At {
            count,
            ..at(3000.0 * f64::exp(slower + noise))
        })
    })
}

#[test]
fn the_group_that_changed_is_found() {
    let file = one_gets_slower();
    let limit = "udp-start:p50>+10%";
    let analysis = by_process(&file, 10, &[limit]);
    // Those with most packets first.
    assert_eq!(
        names(&analysis),
        ["process web(1)", "process log(3)", "process dns(2)"]
    );
    let verdicts = [0, 1, 2].map(|place| verdict(&analysis, place, Quantity::P50));
    let unseen = Some(Verdict::NotFound);
    assert_eq!(verdicts, [unseen, unseen, Some(Verdict::Slower)]);
    let all = analysis.hooks[hook("udp-start").index()].row(Quantity::P50);
    // Less than a bucket.
    assert_eq!(all.verdict, Some(Verdict::BelowBucket));
    // p50, p90, p99 and tail of all packets; p50 and p90 of each group (2000 packets
    // have no p99), and the tail of the two that have 3 packets in 1,000.
    let alone = analyse(&Input::Comparison(&file), &[]);
    let questions = |analysis: &Analysis| {
        let of_groups = analysis.groups.iter().flat_map(|groups| &groups.compared);
        let of_groups = of_groups.flat_map(|group| &group.hooks);
        let rows = analysis
            .hooks
            .iter()
            .chain(of_groups)
            .flat_map(|hook| hook.rows());
        rows.filter(|row| row.p_value.is_some()).count()
    };
    assert_eq!(analysis.family.questions, questions(&analysis));
    assert!(analysis.family.questions >= alone.family.questions + 6);
    // A limit holds for each group as well.
    let exceeded: Vec<_> = analysis
        .limits
        .iter()
        .filter(|outcome| outcome.result.as_ref().is_ok_and(|judged| judged.exceeded))
        .map(|outcome| outcome.group.clone())
        .collect();
    assert_eq!(exceeded, [Some(process("dns(2)"))]);
    assert_eq!(analysis.limits.len(), 4);
    let together = analysis
        .limits
        .iter()
        .map(|outcome| outcome.result.as_ref().unwrap().together);
    assert!(together.eq([4; 4]), "all in one family");
    // The change begins where the group is first seen.
    let groups = analysis.groups.as_ref().unwrap();
    assert!(
        groups.compared[..2]
            .iter()
            .all(|group| group.onsets.is_empty())
    );
    assert_eq!(groups.compared[2].onsets[0].first, hook("udp-start"));
}

/// Those with most packets are compared, whatever they show.
#[test]
fn the_number_of_groups_is_bounded() {
    let file = one_gets_slower();
    let analysis = by_process(&file, 2, &["any:p50>+10%"]);
    assert_eq!(names(&analysis), ["process web(1)", "process log(3)"]);
    assert_eq!(analysis.groups.as_ref().unwrap().left_out, 1);
    // All packets and two groups.
    assert_eq!(analysis.limits.len(), 3);
}

#[test]
fn groups_that_cannot_be_judged_are_named_with_the_limit() {
    let analysis = by_process(&one_gets_slower(), 10, &["udp-start:p99>+10%"]);
    let [not_judged] = analysis.not_judged.as_slice() else {
        panic!("{:?}", analysis.not_judged)
    };
    let expected = ["web(1)", "log(3)", "dns(2)"].map(process);
    assert_eq!(not_judged.groups, expected);
    assert_eq!(not_judged.hooks, []);
    // It is judged for all packets: 4399 of a period.
    assert_eq!(analysis.limits.len(), 1);
    assert!(analysis.limits[0].result.is_ok());
}

#[test]
fn processes_without_a_number() {
    for (value, name) in [
        ("nginx(123)", "nginx"),
        ("a (b)(7)", "a (b)"),
        ("unknown", "unknown"),
        ("(7)", "(7)"),
        ("x()", "x()"),
        ("x(1a)", "x(1a)"),
        ("(", "("),
    ] {
        assert_eq!(without_number(value), name);
    }
}

fn recorded(samples: &[(&str, u64)]) -> RunFile {
    let groups: Vec<Group> = samples.iter().map(|(name, _)| process(name)).collect();
    let samples: Vec<_> = groups
        .iter()
        .zip(samples)
        .map(|(group, (_, count))| (group, "udp-start", 3000, *count))
        .collect();
    grouped_recording("some.nsl", &samples)
}

fn by_process_of(a: &[RunFile], b: &[RunFile]) -> Analysis {
    let input = Input::Recordings {
        names: PerSide { a: "old", b: "new" },
        sides: PerSide { a, b },
    };
    let keys = &keys(&["process"]);
    analyse_by(&input, &[], Some(By { keys, top: 10 }))
}

/// A process that goes on is compared with itself; one that was started again, with
/// all of its name.
#[test]
fn a_restarted_process_is_compared_by_name() {
    let a = [
        recorded(&[
            ("web(1)", 500),
            ("dns(2)", 100),
            ("dns(3)", 50),
            ("old(4)", 7),
        ]),
        recorded(&[("web(1)", 500), ("dns(2)", 100), ("unknown", 3)]),
    ];
    let b = [recorded(&[
        ("web(1)", 500),
        ("dns(9)", 200),
        ("new(5)", 9),
        ("new(6)", 1),
    ])];
    let analysis = by_process_of(&a, &b);
    assert_eq!(names(&analysis), ["process web(1)", "process dns"]);
    let dns = &analysis.groups.as_ref().unwrap().compared[1];
    assert_eq!(dns.packets, PerSide { a: 250, b: 200 });
    assert_eq!(dns.hooks[hook("udp-start").index()].counts, dns.packets);
    // What nobody is known for is not compared.
    let expected = PerSide {
        a: vec![("process old".to_owned(), 7)],
        b: vec![("process new".to_owned(), 10)],
    };
    assert_eq!(only(&analysis), expected);
}

/// The groups of a comparison by fewer keys are those of its file, added up.
#[test]
fn keys_can_be_left_out() {
    let of = |interface: &str, name: &str| group([("interface", interface), ("process", name)]);
    let groups = [("eth0", "web(1)"), ("eth1", "web(1)"), ("eth1", "dns(2)")];
    let groups = groups.map(|(interface, name)| Some(of(interface, name)));
    let file = comparison_of(10, &groups, |_, name, arm, round| {
        (name == "udp-start").then(|| At {
            count: 100,
            ..at(3000.0 * (1.0 + 0.01 * noise(name, arm, round)))
        })
    });
    let analysis = by_process(&file, 10, &[]);
    assert_eq!(names(&analysis), ["process web(1)", "process dns(2)"]);
    let groups = &analysis.groups.as_ref().unwrap().compared;
    // Ten rounds of two periods a side.
    let packets = groups.iter().map(|group| group.packets);
    assert!(packets.eq([4000, 2000].map(PerSide::both)));
    let units = groups[0].hooks[hook("udp-start").index()]
        .row(Quantity::P50)
        .units;
    assert_eq!(units, PerSide::both(10));
}

#[test]
fn packets_of_other_groups_put_groups_in_doubt() {
    let groups = [Some(process("web(1)")), Some(Group::Other)];
    let file = comparison_of(10, &groups, |place, name, arm, round| {
        let slower = if arm == Arm::B { 1.25 } else { 1.0 };
        (name == "udp-start").then(|| At {
            count: 1000 - 900 * place as u32,
            ..at(3000.0 * slower * (1.0 + 0.01 * noise(name, arm, round)))
        })
    });
    let analysis = by_process(&file, 10, &[]);
    assert_eq!(names(&analysis), ["process web(1)"]);
    let codes: Vec<_> = analysis
        .warnings
        .iter()
        .map(|warning| warning.code())
        .collect();
    assert!(codes.contains(&"other-group"), "{codes:?}");
    let row = |hooks: &[crate::analysis::HookResult]| {
        let row = hooks[hook("udp-start").index()].row(Quantity::P50);
        (row.verdict, row.in_doubt)
    };
    let slower = Some(Verdict::Slower);
    assert_eq!(
        row(&analysis.groups.as_ref().unwrap().compared[0].hooks),
        (slower, true)
    );
    assert_eq!(row(&analysis.hooks), (slower, false));
}
