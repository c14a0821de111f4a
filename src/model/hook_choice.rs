// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What users write to choose hooks: a name, a kernel function, a glob or a set.

use std::str::FromStr;

use crate::model::glob;
use crate::model::hooks::{Hook, HookSet, nearest, programs};
use crate::model::tables;

/// A set of hooks that has a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamedSet {
    /// What users type.
    pub name: &'static str,
    /// What the set is for.
    pub meaning: &'static str,
    hooks: Members,
}

/// The hooks of a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Members {
    /// By their indexes.
    These(&'static [usize]),
    NotOptional,
    All,
}

/// The sets, in the order in which they are listed.
pub const SETS: [NamedSet; 6] = [
    NamedSet {
        name: "light",
        meaning: "at IP, where packets reach the socket, and at the read",
        hooks: Members::These(tables::LIGHT_HOOKS),
    },
    NamedSet {
        name: "original",
        meaning: "the hooks of the original netstacklat",
        hooks: Members::These(tables::ORIGINAL_HOOKS),
    },
    NamedSet {
        name: "forwarding",
        meaning: "packets that this host forwards",
        hooks: Members::These(tables::FORWARDING_HOOKS),
    },
    NamedSet {
        name: "softirq",
        meaning: "how long the NET_RX softirq waits and runs",
        hooks: Members::These(tables::SOFTIRQ_HOOKS),
    },
    NamedSet {
        name: "default",
        meaning: "packets for this host: what is measured without -e",
        hooks: Members::NotOptional,
    },
    NamedSet {
        name: "all",
        meaning: "every hook",
        hooks: Members::All,
    },
];

impl NamedSet {
    /// Its hooks.
    pub fn hooks(&self) -> HookSet {
        match self.hooks {
            Members::These(ids) => ids.iter().map(|id| Hook::at(*id)).collect(),
            Members::NotOptional => HookSet::default_ones(),
            Members::All => HookSet::ALL,
        }
    }

    fn find(name: &str) -> Option<NamedSet> {
        let mut sets = SETS.into_iter();
        sets.find(|set| set.name.eq_ignore_ascii_case(name))
    }
}

/// One item of a list of hooks: as the user wrote it, and what it stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookChoice {
    /// As the user wrote it.
    pub text: String,
    /// At least one hook.
    pub hooks: HookSet,
}

impl FromStr for HookChoice {
    type Err = String;

    /// Reads one item. Case does not matter.
    ///
    /// # Errors
    ///
    /// Says what there is and, when one is near, the name that was probably
    /// meant.
    fn from_str(text: &str) -> Result<HookChoice, String> {
        let hooks = if let Some(set) = NamedSet::find(text) {
            set.hooks()
        } else if let Some(hook) = Hook::find(text) {
            HookSet::from_iter([hook])
        } else if text.contains(['*', '?']) {
            matching(text)?
        } else {
            return Err(not_found(text));
        };
        Ok(HookChoice {
            text: text.into(),
            hooks,
        })
    }
}

/// The hooks whose name, or one of whose functions, a glob matches. Optional ones are
/// among them only if no other hook is: `ip*` is not meant for them.
fn matching(glob: &str) -> Result<HookSet, String> {
    let is_meant = |hook: &Hook| {
        let mut functions = hook.own_functions();
        matches(glob, hook.name()) || functions.any(|function| matches(glob, function))
    };
    let all: HookSet = Hook::all().filter(is_meant).collect();
    let default: HookSet = all.iter().filter(|hook| !hook.is_optional()).collect();
    if all.is_empty() {
        return Err(
            "it matches no hook and no kernel function; netstacklat -l lists them".to_owned(),
        );
    }
    Ok(if default.is_empty() { all } else { default })
}

/// Whether a glob matches all of a name, in any case.
fn matches(pattern: &str, name: &str) -> bool {
    let lower = |text: &str| text.to_ascii_lowercase().into_bytes();
    glob::matches(&lower(pattern), &lower(name))
}

fn not_found(text: &str) -> String {
    let known = Hook::all()
        .map(Hook::name)
        .chain(programs().map(|program| program.function))
        .chain(SETS.iter().map(|set| set.name));
    match nearest(text, known) {
        Some(near) => {
            format!("no hook, kernel function or set of that name; did you mean '{near}'?")
        }
        None => "no hook, kernel function or set of that name; netstacklat -l lists them".into(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::hooks::Protocol;

    fn chosen(text: &str) -> Vec<&'static str> {
        let choice: HookChoice = text.parse().unwrap();
        choice.hooks.iter().map(Hook::name).collect()
    }

    fn error(text: &str) -> String {
        text.parse::<HookChoice>().unwrap_err()
    }

    #[test]
    fn the_sets_are_these() {
        assert_eq!(
            chosen("original"),
            ["tcp-do-rcv", "tcp-data-queue", "udp-queue-rcv"]
        );
        let light = [
            "ip-start",
            "tcp-socket-enqueued",
            "tcp-socket-read",
            "udp-socket-enqueued",
            "udp-socket-read",
        ];
        assert_eq!(chosen("light"), light);
        assert_eq!("ALL".parse::<HookChoice>().unwrap().hooks, HookSet::ALL);
    }

    /// A packet passes three hooks of the set light, and five of all.
    #[test]
    fn light_is_three_hooks_of_each_protocol() {
        let light = "light".parse::<HookChoice>().unwrap().hooks;
        for name in ["TCP", "UDP"] {
            let path = Protocol::find(name).unwrap().path();
            let on: Vec<_> = path.filter(|hook| light.contains(*hook)).collect();
            assert_eq!(on.len(), 3, "{name}");
            assert!(!on[0].is_in_reader() && !on[1].is_in_reader());
            assert!(on[2].is_in_reader(), "{name}");
        }
    }

    /// A set's name means the set, and cannot become a hook's.
    #[test]
    fn names_of_sets_are_no_hooks() {
        for set in SETS {
            assert_eq!(Hook::find(set.name), None, "{}", set.name);
            assert!(!set.hooks().is_empty());
        }
    }

    #[test]
    fn names_functions_and_globs_in_any_case() {
        assert_eq!(chosen("TCP-Start"), ["tcp-start"]);
        assert_eq!(chosen("UDP_rcv"), ["udp-start"]);
        let tcp: Vec<_> = Protocol::find("TCP").unwrap().path().skip(1).collect();
        assert_eq!(chosen("TCP*").len(), tcp.len());
        assert_eq!(
            chosen("*-socket-read"),
            ["tcp-socket-read", "udp-socket-read"]
        );
        assert_eq!(chosen("?dp-start"), ["udp-start"]);
        // Of the function.
        assert_eq!(chosen("skb_consume*"), ["udp-socket-read"]);
    }

    #[test]
    fn optional_hooks_are_chosen_by_their_own_names_only() {
        assert_eq!(chosen("ip*"), ["ip-start"]);
        assert_eq!(chosen("ip-forw*"), ["ip-forward", "ip-forwarded"]);
        assert_eq!(chosen("ip_output"), ["ip-forwarded"]);
        let default = "default".parse::<HookChoice>().unwrap().hooks;
        assert_eq!(default, HookSet::default_ones());
        let members = |set: &str| set.parse::<HookChoice>().unwrap().hooks;
        let (forwarding, softirq) = (members("forwarding"), members("softirq"));
        // In no set but all.
        let alone = ["forwarded-sent"];
        let optional = Hook::all().filter(|hook| hook.is_optional());
        let optional: Vec<_> = optional
            .filter(|hook| !alone.contains(&hook.name()))
            .collect();
        assert!(!optional.is_empty());
        assert!(
            optional
                .iter()
                .all(|hook| forwarding.contains(*hook) != softirq.contains(*hook)
                    && !default.contains(*hook))
        );
    }

    #[test]
    fn a_glob_that_matches_nothing_is_an_error() {
        for glob in ["sctp*", "tcp-start?", "?"] {
            assert!(error(glob).contains("matches no hook"), "{}", error(glob));
        }
    }

    #[test]
    fn a_typo_gets_the_near_name() {
        assert!(error("tcp-strat").contains("'tcp-start'"));
        assert!(error("TCP-STRAT").contains("'tcp-start'"));
        assert!(error("udp_recv").contains("'udp_rcv'"));
        assert!(error("ligth").contains("'light'"));
        assert!(error("xyzzy").contains("-l"));
        assert!(error("").contains("-l"));
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,12}") {
            let _ = text.parse::<HookChoice>();
        }
    }
}
