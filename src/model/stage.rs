// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Stages: the ways from one hook to another that packets take.

use std::fmt;
use std::iter::successors;
use std::ops::{AddAssign, Sub};

use crate::model::hooks::{Hook, HookSet};
use crate::model::tables::{self, CauseId};

/// The way from one hook to the next that the same packet passes. Not each packet
/// passes each hook: one that skips some has a longer stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage {
    // In this order stages are sorted by where they end.
    to: Hook,
    from: Hook,
}

impl Stage {
    /// The stage between two hooks; `None`: packets do not come from one to the
    /// other.
    pub fn between(from: Hook, to: Hook) -> Option<Stage> {
        to.is_behind(from).then_some(Stage { to, from })
    }

    /// All stages that can occur where these hooks measure, in path order.
    pub fn all(enabled: HookSet) -> impl Iterator<Item = Stage> {
        enabled.iter().flat_map(move |to| {
            let before = enabled.iter();
            before.filter_map(move |from| Stage::between(from, to))
        })
    }

    /// The hook at which it begins.
    pub fn from(self) -> Hook {
        self.from
    }

    /// The hook at which it ends.
    pub fn to(self) -> Hook {
        self.to
    }

    /// What happens in it, in a few words: `netfilter, routing`.
    pub fn meaning(self) -> String {
        let inside = |hook: &Hook| *hook == self.to || hook.is_behind(self.from);
        let hooks = successors(Some(self.to), |hook| hook.after());
        let mut parts: Vec<_> = hooks.take_while(inside).map(Hook::stage).collect();
        parts.reverse();
        parts.join("; ")
    }
}

impl fmt::Display for Stage {
    /// `ip-start -> tcp-start`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} -> {}", self.from, self.to)
    }
}

/// Where packets of these hooks begin: nothing that measures is before them on the
/// path.
pub fn begins(hook: Hook, enabled: HookSet) -> bool {
    hook.is_of_packets() && !enabled.iter().any(|other| hook.is_behind(other))
}

/// Whether a hook that measures comes behind this one.
pub fn goes_on(hook: Hook, enabled: HookSet) -> bool {
    enabled.iter().any(|other| other.is_behind(hook))
}

/// Whether this is the last hook that measures, at least for some packets.
pub fn can_end(hook: Hook, enabled: HookSet) -> bool {
    hook.is_of_packets() && (!goes_on(hook, enabled) || hook.is_way_out())
}

/// Why a packet was recorded at a hook without a stage that ends there, as declared in
/// `src/bpf/tables.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cause(u8);

/// How many causes there are.
pub const STAGELESS_COUNT: usize = tables::STAGELESS.len();

impl Cause {
    /// Its note was overwritten.
    pub const NOTE_LOST: Cause = Cause(CauseId::NOTE_LOST as u8);
    /// Another packet has its timestamp.
    pub const SAME_TIMESTAMP: Cause = Cause(CauseId::SAME_TIMESTAMP as u8);
    /// It begins there, so nothing is missing.
    pub const BEGUN: Cause = Cause(CauseId::BEGUN as u8);

    /// All causes.
    pub fn all() -> impl ExactSizeIterator<Item = Cause> {
        (0..STAGELESS_COUNT as u8).map(Cause)
    }

    /// The cause of a name.
    pub fn find(name: &str) -> Option<Cause> {
        Cause::all().find(|cause| cause.name() == name)
    }

    /// The cause's number in the BPF object.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The name shown in every output.
    pub fn name(self) -> &'static str {
        tables::STAGELESS[self.index()].name
    }

    /// What it means, as a phrase.
    pub fn meaning(self) -> &'static str {
        tables::STAGELESS[self.index()].meaning
    }
}

/// Packets that were recorded at a hook without a stage, by cause.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stageless([u64; STAGELESS_COUNT]);

impl Stageless {
    /// Packets of a cause.
    pub fn get(&self, cause: Cause) -> u64 {
        self.0[cause.index()]
    }

    /// Adds packets of a cause.
    pub fn add(&mut self, cause: Cause, count: u64) {
        self.0[cause.index()] += count;
    }

    /// The causes that there are, with their packets.
    pub fn iter(&self) -> impl Iterator<Item = (Cause, u64)> {
        let all = Cause::all().map(|cause| (cause, self.get(cause)));
        all.filter(|(_, count)| *count > 0)
    }

    /// All packets; `None`: more than 64 bits hold.
    pub fn checked_total(&self) -> Option<u64> {
        let mut counts = self.0.iter();
        counts.try_fold(0, |sum: u64, &count| sum.checked_add(count))
    }
}

impl AddAssign<&Stageless> for Stageless {
    fn add_assign(&mut self, other: &Stageless) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

impl Sub for Stageless {
    type Output = Stageless;

    fn sub(mut self, earlier: Stageless) -> Stageless {
        for (now, then) in self.0.iter_mut().zip(earlier.0) {
            *now = now.saturating_sub(then);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::tcp_and_udp;

    fn hook(name: &str) -> Hook {
        Hook::named(name).unwrap()
    }

    fn stage(from: &str, to: &str) -> Option<Stage> {
        Stage::between(hook(from), hook(to))
    }

    #[test]
    fn packets_go_one_way() {
        let netfilter = stage("ip-start", "tcp-start").unwrap();
        assert_eq!(netfilter.to_string(), "ip-start -> tcp-start");
        assert_eq!(netfilter.meaning(), "netfilter, routing");
        assert_eq!(stage("tcp-start", "ip-start"), None);
        assert_eq!(stage("tcp-start", "tcp-start"), None);
        assert_eq!(stage("udp-start", "tcp-socket-read"), None);
    }

    #[test]
    fn a_stage_that_skips_hooks_has_all_that_lies_between() {
        let waits = stage("udp-socket-enqueued", "udp-socket-read").unwrap();
        assert_eq!(waits.meaning(), "waiting for the reader");
        let all = stage("udp-start", "udp-socket-read").unwrap().meaning();
        assert!(all.ends_with("; waiting for the reader"), "{all}");
        assert_eq!(all.split("; ").count(), 3, "{all}");
    }

    #[test]
    fn there_are_as_many_as_pairs_on_a_path() {
        // Of TCP 6 hooks with ip-start, of UDP 5.
        assert_eq!(Stage::all(tcp_and_udp()).count(), 15 + 10);
        let two: HookSet = [hook("ip-start"), hook("udp-socket-read")]
            .into_iter()
            .collect();
        let all: Vec<_> = Stage::all(two).map(|stage| stage.to_string()).collect();
        assert_eq!(all, ["ip-start -> udp-socket-read"]);
    }

    #[test]
    fn packets_begin_at_the_first_hook_that_measures() {
        assert!(begins(hook("ip-start"), HookSet::ALL));
        assert!(!begins(hook("tcp-start"), HookSet::ALL));
        let tcp: HookSet = Hook::all().filter(|h| h.protocol().is_some()).collect();
        assert!(begins(hook("tcp-start"), tcp) && begins(hook("udp-start"), tcp));
        assert!(goes_on(hook("ip-start"), HookSet::ALL));
        assert!(!goes_on(hook("tcp-socket-read"), HookSet::ALL));
        let ends = HookSet::ALL
            .iter()
            .filter(|hook| can_end(*hook, HookSet::ALL));
        let ends: Vec<_> = ends.map(Hook::name).collect();
        let expected = [
            "tcp-socket-read",
            "udp-socket-read",
            "ip-forwarded",
            "forwarded-sent",
            "inner-tcp-socket-read",
            "inner-udp-socket-read",
        ];
        assert_eq!(ends, expected);
    }
}
