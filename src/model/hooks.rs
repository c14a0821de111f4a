// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The hooks: points of the receive path at which packets are measured.

use std::fmt;

use crate::model::wire;

/// A measuring point; ordered as a packet meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hook(u8);

/// What a program is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It adds the hook's samples.
    Records,
    /// The same, where the hook's other function cannot be attached to.
    StandsIn,
    /// It does what other hooks rely on, in place of a hook that is off.
    Serves,
}

/// One BPF program of a hook, and the kernel function that it attaches to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The hook that the program's samples go to.
    pub hook: Hook,
    /// `fentry` or `fexit`.
    pub attach: &'static str,
    /// The kernel function.
    pub function: &'static str,
    /// The program's name in the BPF object.
    pub name: &'static str,
    /// What the program is for.
    pub role: Role,
}

/// How many hooks there are.
pub const HOOK_COUNT: usize = wire::HOOKS.len();

impl Hook {
    /// Past traffic control, at IP: the one hook that sees transmit stamps.
    pub const IP_START: Hook = Hook(wire::HookId::IP_START as u8);

    /// Socket found: its programs note the stamp for the next.
    pub const UDP_QUEUE_RCV: Hook = Hook(wire::HookId::UDP_QUEUE_RCV as u8);
    /// In the socket's receive queue: relies on the stamp noted before.
    pub const UDP_SOCKET_ENQUEUED: Hook = Hook(wire::HookId::UDP_SOCKET_ENQUEUED as u8);

    /// All hooks, in path order.
    pub fn all() -> impl DoubleEndedIterator<Item = Hook> + ExactSizeIterator {
        (0..HOOK_COUNT as u8).map(Hook)
    }

    /// The hook's number in the BPF object and in snapshots.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The name that users type and that every output shows.
    pub fn name(self) -> &'static str {
        wire::HOOKS[self.index()].0
    }

    /// The BPF map that holds the hook's histogram.
    pub fn map_name(self) -> &'static str {
        wire::HOOKS[self.index()].1
    }

    /// What a packet has behind it when it is measured here.
    pub fn meaning(self) -> &'static str {
        wire::HOOKS[self.index()].2
    }

    /// Whether the hook belongs to TCP: loopback and veth re-stamp its skbs.
    pub fn is_tcp(self) -> bool {
        self.name().starts_with("tcp-")
    }

    /// The programs that can feed this hook.
    pub fn programs(self) -> impl Iterator<Item = Program> {
        programs().filter(move |program| program.hook == self && program.role != Role::Serves)
    }

    /// The hook that a hook name or a kernel function name stands for, in any
    /// case.
    pub fn find(name: &str) -> Option<Hook> {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        Hook::all()
            .find(|hook| is(hook.name()) || hook.programs().any(|program| is(program.function)))
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// All programs, in path order.
pub fn programs() -> impl Iterator<Item = Program> {
    wire::PROGRAMS
        .iter()
        .map(|(hook, attach, function, name, role)| Program {
            hook: Hook(*hook as u8),
            attach,
            function,
            name,
            role: match role {
                wire::Role::RECORDS => Role::Records,
                wire::Role::STANDS_IN => Role::StandsIn,
                wire::Role::SERVES => Role::Serves,
            },
        })
}

/// A set of hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HookSet(u32);

impl HookSet {
    /// Every hook.
    pub const ALL: HookSet = HookSet((1 << HOOK_COUNT) - 1);

    /// The set without `hook`.
    #[must_use]
    pub fn without(self, hook: Hook) -> HookSet {
        HookSet(self.0 & !(1 << hook.0))
    }

    /// The hooks in `self` that are not in `other`.
    #[must_use]
    pub fn minus(self, other: HookSet) -> HookSet {
        HookSet(self.0 & !other.0)
    }

    /// Whether `hook` is in the set.
    pub fn contains(self, hook: Hook) -> bool {
        self.0 & (1 << hook.0) != 0
    }

    /// Whether no hook is in the set.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// How many hooks are in the set.
    pub fn len(self) -> usize {
        self.0.count_ones() as usize
    }

    /// The hooks of the set, in path order.
    pub fn iter(self) -> impl Iterator<Item = Hook> {
        Hook::all().filter(move |&hook| self.contains(hook))
    }
}

impl FromIterator<Hook> for HookSet {
    fn from_iter<I: IntoIterator<Item = Hook>>(hooks: I) -> HookSet {
        HookSet(hooks.into_iter().fold(0, |bits, hook| bits | 1 << hook.0))
    }
}

/// Reads the name of one hook, or of a kernel function that stands for it.
///
/// # Errors
///
/// Names the value and, when one is near, the name that was probably meant.
pub fn parse_hook(name: &str) -> Result<Hook, String> {
    if let Some(hook) = Hook::find(name) {
        return Ok(hook);
    }
    let known = Hook::all()
        .map(Hook::name)
        .chain(programs().map(|program| program.function));
    Err(match nearest(name, known) {
        Some(candidate) => {
            format!("no hook or kernel function of that name; did you mean '{candidate}'?")
        }
        None => "no hook or kernel function of that name; netstacklat -l lists them".into(),
    })
}

/// The name that was probably meant.
pub(super) fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    known
        .map(|candidate| (strsim::jaro_winkler(&text, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_program_has_a_hook_and_every_hook_a_program() {
        for hook in Hook::all() {
            assert!(hook.programs().next().is_some(), "{hook} has no program");
            assert_eq!(Hook::find(hook.name()), Some(hook));
        }
        for program in programs() {
            assert_eq!(Hook::find(program.function), Some(program.hook));
        }
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
}
