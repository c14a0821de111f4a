// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tests of the table of hooks.

use std::collections::BTreeMap;

use super::*;

#[test]
fn every_program_has_a_hook_and_every_hook_a_program() {
    for hook in Hook::all() {
        assert!(hook.programs().next().is_some(), "{hook} has no program");
        assert_eq!(Hook::find(hook.name()), Some(hook));
    }
    for program in programs().filter(|program| !program.is_helper()) {
        let found = Hook::find(program.function).unwrap();
        assert!(found <= program.hook && found.own_functions().any(|it| it == program.function));
    }
}

/// What users type means one hook only.
#[test]
fn no_name_means_two_things() {
    let mut meant: BTreeMap<&str, Hook> = BTreeMap::new();
    for hook in Hook::all() {
        let functions = hook.own_functions();
        let names = std::iter::once(hook.name()).chain(hook.row().aliases.iter().copied());
        for name in names.chain(functions) {
            let other = meant.insert(name, hook);
            assert_eq!(other, None, "{name}");
        }
    }
}

#[test]
fn former_names_are_found() {
    const ROWS: [(&str, &[&str]); 2] = [("new", &["old", "older"]), ("other", &[])];
    let find = |name| find_row(name, &ROWS, |row| *row);
    assert_eq!(["new", "old", "older"].map(find), [Some(0); 3]);
    assert_eq!([find("other"), find("unknown")], [Some(1), None]);
}

#[test]
fn a_hook_lies_behind_those_before_it() {
    for hook in Hook::all() {
        assert!(!hook.is_behind(hook), "{hook} is before itself");
        if let Some(before) = hook.after() {
            assert!(before < hook && hook.is_behind(before), "{hook}");
            let of_all = before.protocol().is_none();
            assert!(of_all || before.protocol() == hook.protocol(), "{hook}");
        }
    }
}

/// Those of other protocols are on none of the two, however many there are.
#[test]
fn a_path_has_the_hooks_of_its_protocol_and_what_lies_before_them() {
    let path = |protocol| {
        let path = Protocol::find(protocol).unwrap().path();
        path.map(Hook::name).collect::<Vec<_>>()
    };
    assert_eq!(
        path("TCP"),
        [
            "ip-start",
            "tcp-start",
            "tcp-do-rcv",
            "tcp-data-queue",
            "tcp-socket-enqueued",
            "tcp-socket-read"
        ]
    );
    assert_eq!(
        path("udp"),
        [
            "ip-start",
            "udp-start",
            "udp-queue-rcv",
            "udp-socket-enqueued",
            "udp-socket-read"
        ]
    );
    for hook in Hook::all() {
        let mut paths = Protocol::all().into_iter();
        let on_one = paths.any(|protocol| protocol.path().any(|on_it| on_it == hook));
        assert!(on_one, "{hook} is on no path");
        assert!(!hook.before().is_empty(), "{hook}");
    }
}

#[test]
fn transmit_timestamps_are_seen_at_one_hook() {
    let restamped = Hook::all().filter(|hook| hook.is_restamped());
    let seen_at: HookSet = restamped.filter_map(|hook| hook.needs().hook()).collect();
    assert!(seen_at.iter().eq([Hook::of_tx_timestamps()]));
}

/// Each hook that has helpers is needed by some other, and the other way
/// round.
#[test]
fn helpers_are_what_hooks_need() {
    let needed: HookSet = Hook::all().filter_map(|hook| hook.needs().hook()).collect();
    let helpers = programs().filter(Program::is_helper);
    let helped: HookSet = helpers.map(|program| program.hook).collect();
    assert_eq!(needed, helped);
}

#[test]
fn sets_hold_what_was_put_in() {
    let hooks = [parse_hook("tcp-start"), parse_hook("udp_rcv")].map(Result::unwrap);
    let set: HookSet = hooks.into_iter().collect();
    assert_eq!(set.iter().collect::<Vec<_>>(), hooks);
    assert_eq!(set.without(hooks[0]).len(), 1);
    assert!(HookSet::ALL.minus(set).iter().all(|h| !set.contains(h)));
}

#[test]
fn a_typo_gets_the_near_name() {
    assert!(parse_hook("tcp-strat").unwrap_err().contains("'tcp-start'"));
    assert!(parse_hook("udp_recv").unwrap_err().contains("'udp_rcv'"));
    assert!(parse_hook("xyzzy").unwrap_err().contains("-l"));
}
