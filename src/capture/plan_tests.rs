// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Each decision of the plan, without a kernel.

use super::*;
use crate::capture::packet_notes::{FlowParts, is_needy};
use crate::host::facts::test_facts::facts;
use crate::model::grouping::GroupKey;
use crate::model::hook_choice::HookChoice;
use crate::test_support::tcp_and_udp;

fn without(function: &str) -> HostFacts {
    let mut facts = facts();
    facts.btf.as_mut().unwrap().functions.remove(function);
    facts
}

fn functions(plan: &Plan) -> Vec<&str> {
    plan.programs.iter().map(|p| p.function).collect()
}

#[test]
fn all_hooks_and_one_read_program_on_a_new_kernel() {
    let plan = decide(&facts(), HookSet::ALL).unwrap();
    assert_eq!(plan.enabled(), HookSet::ALL);
    assert!(functions(&plan).contains(&"tcp_recvmsg_locked"));
    assert!(!functions(&plan).contains(&"tcp_recv_timestamp"));
    assert_eq!(plan.clock, ClockSource::UpdateVsyscall);
    assert!(plan.hooks.iter().all(|v| v.reason().is_none()));
}

#[test]
fn reads_fall_back_where_the_function_is_missing_or_has_7_parameters() {
    let mut seven = facts();
    let functions_of = |facts: &mut HostFacts| {
        let functions = &mut facts.btf.as_mut().unwrap().functions;
        functions.insert("tcp_recvmsg_locked".into(), 7);
    };
    functions_of(&mut seven);
    for facts in [without("tcp_recvmsg_locked"), seven] {
        let plan = decide(&facts, HookSet::ALL).unwrap();
        assert!(functions(&plan).contains(&"tcp_recv_timestamp"));
        assert!(!functions(&plan).contains(&"tcp_recvmsg_locked"));
        assert!(plan.hooks.iter().all(|v| v.reason().is_none()));
    }
}

#[test]
fn a_refused_program_is_replaced_and_the_reason_told() {
    let mut plan = decide(&facts(), HookSet::ALL).unwrap();
    plan.use_fallback("nsl_tcp_recvmsg_locked", "no");
    let hook = Hook::find("tcp-socket-read").unwrap();
    let verdict = &plan.hooks[hook.index()];
    assert_eq!(verdict.functions, ["tcp_recv_timestamp"]);
    let reason = "measured at tcp_recv_timestamp instead: tcp_recvmsg_locked: no";
    assert_eq!(verdict.reason().as_deref(), Some(reason));
}

#[test]
fn a_missing_function_turns_its_hook_off_and_no_other() {
    let plan = decide(&without("tcp_data_queue"), HookSet::ALL).unwrap();
    let hook = Hook::find("tcp-data-queue").unwrap();
    assert_eq!(plan.enabled(), HookSet::ALL.without(hook));
    let reason = plan.hooks[hook.index()].reason().unwrap();
    assert!(reason.contains("tcp_data_queue is not in this kernel"));
    let plan = decide(&without("tcp_v6_rcv"), HookSet::ALL).unwrap();
    assert_eq!(plan.enabled(), HookSet::ALL);
}

#[test]
fn no_hook_left_is_an_error() {
    let only: HookSet = Hook::find("udp-socket-read").into_iter().collect();
    let error = decide(&without("skb_consume_udp"), only).unwrap_err();
    assert!(error.detail.contains("skb_consume_udp"));
}

#[test]
fn transmit_stamps_are_watched_for_tcp_hooks_from_5_18() {
    let tcp: HookSet = Hook::find("tcp-start").into_iter().collect();
    let udp: HookSet = Hook::find("udp-start").into_iter().collect();
    assert!(functions(&decide(&facts(), tcp).unwrap()).contains(&"ip_rcv_core"));
    assert!(!functions(&decide(&facts(), udp).unwrap()).contains(&"ip_rcv_core"));
    let mut old = facts();
    old.kernel = "5.10.0-8".into();
    old.memlock_unlimited = true;
    assert!(!functions(&decide(&old, tcp).unwrap()).contains(&"ip_rcv_core"));
}

#[test]
fn enqueued_datagrams_need_the_timestamp_noted_before() {
    let only: HookSet = Hook::find("udp-socket-enqueued").into_iter().collect();
    let programs = |plan: &Plan| plan.programs.iter().map(|p| p.name).collect::<Vec<_>>();
    let helper = "nsl_for___udp_enqueue_schedule_skb";
    let recording = "nsl___udp_enqueue_schedule_skb";
    let mut plan = decide(&facts(), only).unwrap();
    assert_eq!(plan.enabled(), only);
    // The helper first: a packet in between would have no note.
    assert_eq!(programs(&plan), [helper, recording]);
    plan.use_fallback(helper, "no");
    assert!(plan.enabled().is_empty() && plan.programs.is_empty());
    let reason = plan
        .hooks
        .iter()
        .find_map(|v| v.reason().filter(|_| v.wanted));
    let expected = "needs __udp_enqueue_schedule_skb: no";
    assert_eq!(reason.as_deref(), Some(expected));
    // Where the hook before it measures, its programs take the note.
    let plan = decide(&facts(), HookSet::ALL).unwrap();
    assert!(!programs(&plan).contains(&helper));
    // And where it cannot, the helper does.
    let mut facts = without("udp_queue_rcv_one_skb");
    let btf = facts.btf.as_mut().unwrap();
    btf.functions.remove("udpv6_queue_rcv_one_skb");
    let plan = decide(&facts, HookSet::ALL).unwrap();
    assert!(programs(&plan).contains(&helper) && programs(&plan).contains(&recording));
}

#[test]
fn a_hook_lacks_what_the_one_that_it_needs_lacks() {
    let facts = without("udpv6_queue_rcv_one_skb");
    let plan = decide(&facts, HookSet::ALL).unwrap();
    let hook = Hook::find("udp-socket-enqueued").unwrap();
    let reason = plan.hooks[hook.index()].reason().unwrap();
    assert!(reason.starts_with("only in part: needs udpv6_queue_rcv_one_skb"));
}

#[test]
fn the_tai_path_needs_its_helper() {
    let mut facts = without("update_vsyscall");
    assert_eq!(
        decide(&facts, HookSet::ALL).unwrap().clock,
        ClockSource::TaiOffset
    );
    facts.btf.as_mut().unwrap().tai_helper = false;
    let error = decide(&facts, HookSet::ALL).unwrap_err();
    assert_eq!(error.kind, StartErrorKind::Clock);
}

#[test]
fn filters_and_groups_take_the_other_object() {
    let plan = || decide(&facts(), HookSet::ALL).unwrap();
    let none = PacketFilter::default();
    assert!(!plan().of_packets(none.clone(), None).is_selective());
    // It is no filter of packets.
    let late = PacketFilter {
        include_hol_blocked: true,
        ..none.clone()
    };
    assert!(!plan().of_packets(late, None).is_selective());
    let pids = PacketFilter {
        pids: vec![1],
        ..none.clone()
    };
    let plan_of_pids = plan().of_packets(pids, None);
    assert!(plan_of_pids.is_selective() && plan_of_pids.notes_readers());
    let reads: HookSet = Hook::all().filter(|hook| hook.is_in_reader()).collect();
    let of_reads = decide(&facts(), reads).unwrap();
    let of_reads = of_reads.of_packets(plan_of_pids.filter.clone(), None);
    assert!(of_reads.is_selective() && !of_reads.notes_readers());
    let grouping = Grouping {
        keys: vec![GroupKey::Interface],
        max_groups: 256,
        memory: 64 << 20,
    };
    let grouped = plan().of_packets(none, Some(grouping));
    assert!(grouped.is_selective() && !grouped.notes_readers());
    assert_eq!(grouped.groups.unwrap().slices, 16_384);
}

/// From which age on packets are slow, by hook.
fn slow_from(plan: &Plan) -> Vec<(&'static str, u64)> {
    let slow = plan.slow.as_ref().expect("slow packets are looked for");
    let limits = slow.limits.iter();
    limits.map(|(hook, ns)| (hook.name(), *ns)).collect()
}

#[test]
fn packets_are_slow_at_the_last_hooks_that_are_left() {
    let limits = |texts: &[&str]| -> Vec<SlowLimit> {
        let limits = texts.iter().map(|text| text.parse().unwrap());
        limits.collect()
    };
    let plan = |facts: &HostFacts, texts: &[&str]| {
        // Other paths end at hooks of their own.
        let plan = decide(facts, tcp_and_udp()).unwrap();
        let plan = plan.staged(Some(1024));
        let mut plan = plan.showing_slow(&limits(texts), 10, false);
        plan.lay_out_stages();
        plan
    };
    let reads = plan(&facts(), &["2ms", "1ms"]);
    let expected = [
        ("tcp-socket-read", 1_000_000),
        ("udp-socket-read", 1_000_000),
    ];
    assert_eq!(slow_from(&reads), expected);
    // A limit of its own counts, also where it is higher.
    let own = plan(&facts(), &["udp-socket-read:1s", "1ms", "ip-start:1us"]);
    let expected = [
        ("ip-start", 1000),
        ("tcp-socket-read", 1_000_000),
        ("udp-socket-read", 1_000_000_000),
    ];
    assert_eq!(slow_from(&own), expected);
    // When the kernel refuses the read, its queue comes last.
    let mut refused = plan(&facts(), &["1ms"]);
    for program in refused.programs.clone() {
        if program.hook.name() == "udp-socket-read" {
            refused.drop_program(program.name, "no");
        }
    }
    refused.lay_out_stages();
    let expected = [
        ("tcp-socket-read", 1_000_000),
        ("udp-socket-enqueued", 1_000_000),
    ];
    assert_eq!(slow_from(&refused), expected);
}

/// What programs must note for slow packets is noted where packets can be slow only.
#[test]
fn slow_reads_alone_need_no_notes_of_readers() {
    let plan = |limit: &str| {
        let plan = decide(&facts(), HookSet::ALL).unwrap().staged(Some(1024));
        let mut plan = plan.showing_slow(&[limit.parse().unwrap()], 10, false);
        plan.lay_out_stages();
        plan
    };
    let reads = plan("1ms");
    assert!(!reads.notes_readers());
    assert!(reads.parts_of_slow().addresses);
    assert!(plan("udp-queue-rcv:1ms").notes_readers());
    assert!(!plan("udp-start:1ms").notes_readers());
    let needy = Hook::all().find(|hook| is_needy(*hook)).unwrap();
    let start = plan("udp-start:1ms");
    assert_eq!(start.noted_parts(), FlowParts::default());
    let limit = format!("{needy}:1ms");
    assert_eq!(plan(&limit).noted_parts(), start.parts_of_slow());
    assert!(plan(&limit).notes_flow() && !start.notes_flow());
}

/// Without what notes for it, a hook measures nothing; what not each kernel needs to note
/// is no reason.
#[test]
fn a_hook_is_off_without_its_notes() {
    let softirqs: HookSet = "softirq".parse::<HookChoice>().unwrap().hooks;
    let plan = decide(&without("btf_trace_softirq_raise"), softirqs).unwrap();
    let enabled: Vec<_> = plan.enabled().iter().map(Hook::name).collect();
    assert_eq!(enabled, ["net-rx-action"]);
    let wait = plan
        .hooks
        .iter()
        .find(|plan| plan.hook.name() == "rx-softirq-wait");
    let reason = wait.unwrap().reason().unwrap();
    assert!(reason.contains("tracepoint softirq_raise"), "{reason}");
    assert!(
        !plan
            .programs
            .iter()
            .any(|p| p.hook.name() == "rx-softirq-wait")
    );

    let plan = decide(&without("skb_expand_head"), HookSet::ALL).unwrap();
    assert_eq!(plan.enabled(), HookSet::ALL);

    let mut plan = decide(&facts(), softirqs).unwrap();
    plan.drop_program("nsl_note_softirq_raise", "refused");
    assert_eq!(plan.enabled().len(), 1);
}

/// They can be in no group, and all of them are counted.
#[test]
fn what_is_no_packet_is_off_where_packets_are_told_apart() {
    let no_packets = |plan: &Plan| plan.enabled().iter().filter(|h| !h.is_of_packets()).count();
    let plan = || decide(&facts(), HookSet::ALL).unwrap();
    assert_eq!(no_packets(&plan()), 2);
    assert_eq!(no_packets(&plan().sampled(Sampling::ALL)), 2);
    let sampled = plan().sampled("1/16".parse().unwrap());
    assert_eq!(no_packets(&sampled), 0);
    assert!(!sampled.programs.iter().any(|p| !p.hook.is_of_packets()));
}
