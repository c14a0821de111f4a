// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The hooks: points of the receive path at which packets are measured. All
//! that is known of them is in the tables of `src/bpf/tables.h`.

use std::borrow::Cow;
use std::fmt;

pub use crate::model::tables::Role;
use crate::model::tables::{self, HookRow, Runs, find_row};

/// A measuring point; ordered as a packet meets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Hook(u8);

/// A protocol whose packets alone pass some hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Protocol(&'static str);

/// What programs of another hook must do for a hook, also when that one is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing.
    Nothing,
    /// The hook cannot be measured without them.
    Requires(Hook),
    /// It can, but they count those of its packets that came with a transmit
    /// timestamp, which is lost on the way.
    Uses(Hook),
}

/// One BPF program of a hook, and the kernel function that it attaches to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Program {
    /// The hook that the program belongs to.
    pub hook: Hook,
    /// `fentry`, `fexit` or `tp_btf`.
    pub attach: &'static str,
    /// The kernel function, or the tracepoint.
    pub function: &'static str,
    /// The program's name in the BPF object.
    pub name: &'static str,
    /// What the program is for.
    pub role: Role,
}

/// How many hooks there are.
pub const HOOK_COUNT: usize = tables::HOOKS.len();

impl Protocol {
    /// Those that have hooks of their own, in the order of their first hooks.
    pub fn all() -> Vec<Protocol> {
        let mut all = Vec::new();
        for protocol in Hook::all().filter_map(Hook::protocol) {
            if !all.contains(&protocol) {
                all.push(protocol);
            }
        }
        all
    }

    /// The protocol of a name, in upper or lower case.
    pub fn find(name: &str) -> Option<Protocol> {
        let mut all = Protocol::all().into_iter();
        all.find(|protocol| protocol.0.eq_ignore_ascii_case(name))
    }

    /// As in the table: `TCP`.
    pub fn name(self) -> &'static str {
        self.0
    }

    /// The hooks that its packets pass, in that order: its own, and those of all
    /// protocols that lie before them.
    pub fn path(self) -> impl DoubleEndedIterator<Item = Hook> {
        let own = move || Hook::all().filter(move |hook| hook.protocol() == Some(self));
        Hook::all().filter(move |&hook| own().any(|end| end == hook || end.is_behind(hook)))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.0)
    }
}

impl Hook {
    /// All hooks, in path order.
    pub fn all() -> impl DoubleEndedIterator<Item = Hook> + ExactSizeIterator {
        (0..HOOK_COUNT as u8).map(Hook)
    }

    /// Those that measure if the user chooses none: all that are not
    /// [optional](Hook::is_optional).
    pub fn default_ones() -> impl DoubleEndedIterator<Item = Hook> {
        Hook::all().filter(|hook| !hook.is_optional())
    }

    fn row(self) -> &'static HookRow {
        &tables::HOOKS[self.index()]
    }

    pub(crate) fn at(index: usize) -> Hook {
        Hook(index as u8)
    }

    /// The hook's number in the BPF object and in snapshots.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The name that users type and that every output shows.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The name as a part of other names: those of maps.
    pub(crate) fn ident(self) -> &'static str {
        self.row().ident
    }

    /// The BPF map that holds the hook's histogram.
    pub fn map_name(self) -> String {
        format!("netstack_{}_latency_seconds", self.ident())
    }

    /// What a packet has behind it when it is measured here.
    pub fn meaning(self) -> &'static str {
        self.row().meaning
    }

    /// What happens between the hook before and this one, in two or three words.
    pub fn stage(self) -> &'static str {
        self.row().stage
    }

    /// Whose packets alone pass here; `None`: those of all protocols.
    pub fn protocol(self) -> Option<Protocol> {
        let name = self.row().protocol;
        (!name.is_empty()).then_some(Protocol(name))
    }

    /// Whether its programs run in the task that reads from the socket. There
    /// they can be preempted, and the kernel leaves out a program that would be
    /// re-entered on a CPU.
    pub fn is_in_reader(self) -> bool {
        self.row().runs == Runs::InReader
    }

    /// Whether it measures the ages of packets; otherwise they are times of a CPU, of
    /// which no packet is known.
    pub fn is_of_packets(self) -> bool {
        self.row().runs != Runs::NoPacket
    }

    /// Whether the packet's socket is known there: at `tcp-start` that of
    /// established connections, if early demux is on.
    pub fn knows_socket(self) -> bool {
        match self.row().runs {
            Runs::NoPacket | Runs::AtIp | Runs::BeforeSocket => false,
            Runs::EarlyDemux | Runs::AtSocket | Runs::InReader => true,
        }
    }

    /// Whether it is known of some packets only: those of established connections.
    pub fn has_early_demux(self) -> bool {
        self.row().runs == Runs::EarlyDemux
    }

    /// Whether it measures only if the user asks for it.
    pub fn is_optional(self) -> bool {
        tables::OPTIONAL_HOOKS.contains(&self.index())
    }

    /// Whether some packets leave the host there, though others go on to the hooks
    /// behind it.
    pub fn is_way_out(self) -> bool {
        tables::WAYS_OUT.contains(&self.index())
    }

    /// The hook before it; `None`: it is the first after the timestamp.
    pub fn after(self) -> Option<Hook> {
        self.row().after.map(Hook::at)
    }

    /// Whether packets pass `other` on their way here.
    pub fn is_behind(self, other: Hook) -> bool {
        let before = std::iter::successors(self.after(), |hook| hook.after());
        before.take(HOOK_COUNT).any(|hook| hook == other)
    }

    /// What the kernel does between the hook before it, or the timestamp, and
    /// this one.
    pub fn before(self) -> &'static str {
        self.row().before
    }

    /// What programs of another hook must do for it.
    pub fn needs(self) -> Needs {
        match self.row().needs {
            tables::Need::Nothing => Needs::Nothing,
            tables::Need::Requires(hook) => Needs::Requires(Hook::at(hook)),
            tables::Need::Uses(hook) => Needs::Uses(Hook::at(hook)),
        }
    }

    /// Whether packets that came with a transmit timestamp have another one here.
    pub fn is_restamped(self) -> bool {
        match self.needs() {
            Needs::Uses(_) => true,
            Needs::Nothing | Needs::Requires(_) => false,
        }
    }

    /// The hook at which transmit timestamps are seen and counted, for those
    /// that [are behind it](Hook::is_restamped).
    pub fn of_tx_timestamps() -> Hook {
        let restamped = Hook::all().find(|hook| hook.is_restamped());
        let seen_at = restamped.and_then(|hook| hook.needs().hook());
        seen_at.expect("a test checks the table")
    }

    /// The programs that can add the hook's samples.
    pub fn programs(self) -> impl Iterator<Item = Program> {
        programs().filter(move |program| program.hook == self && !program.is_helper())
    }

    /// The kernel functions that stand for the hook: of those that several hooks
    /// measure at, the first hook has it.
    pub fn own_functions(self) -> impl Iterator<Item = &'static str> {
        let taken = move |function: &&str| {
            let mut earlier = Hook::all().take_while(move |hook| *hook < self);
            earlier.any(|hook| hook.programs().any(|program| program.function == *function))
        };
        let functions = self.programs().map(|program| program.function);
        functions.filter(move |function| !taken(function))
    }

    /// The hook of a name, or of a former one.
    pub fn named(name: &str) -> Option<Hook> {
        find_row(name, tables::HOOKS, |row| (row.name, row.aliases)).map(Hook::at)
    }

    /// The hook that a hook name (also a former one) or a kernel function name
    /// stands for, in any case.
    pub fn find(name: &str) -> Option<Hook> {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        let mut all = Hook::all();
        Hook::named(&name.to_ascii_lowercase())
            .or_else(|| all.find(|hook| hook.own_functions().any(is)))
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Needs {
    /// The hook on whose notes this one relies.
    pub fn required(self) -> Option<Hook> {
        match self {
            Needs::Requires(hook) => Some(hook),
            Needs::Nothing | Needs::Uses(_) => None,
        }
    }

    /// The hook whose programs are needed.
    pub fn hook(self) -> Option<Hook> {
        match self {
            Needs::Nothing => None,
            Needs::Requires(hook) | Needs::Uses(hook) => Some(hook),
        }
    }
}

impl Program {
    /// See [`Role::Fallback`].
    pub fn is_fallback(&self) -> bool {
        match self.role {
            Role::Fallback { .. } => true,
            Role::Primary | Role::Notes { .. } | Role::Helper { .. } => false,
        }
    }

    /// What the program is at, as BTF names it: a function, or a tracepoint.
    pub fn btf_name(&self) -> Cow<'static, str> {
        if self.is_at_tracepoint() {
            // libbpf looks for this, too.
            format!("btf_trace_{}", self.function).into()
        } else {
            self.function.into()
        }
    }

    /// The same as users know it.
    pub fn place(&self) -> Cow<'static, str> {
        if self.is_at_tracepoint() {
            format!("tracepoint {}", self.function).into()
        } else {
            self.function.into()
        }
    }

    /// The same with the kind of program: `fentry ip_rcv_core`.
    pub fn attachment(&self) -> String {
        if self.is_at_tracepoint() {
            self.place().into_owned()
        } else {
            format!("{} {}", self.attach, self.function)
        }
    }

    fn is_at_tracepoint(&self) -> bool {
        self.attach == "tp_btf"
    }

    /// See [`Role::Helper`].
    pub fn is_helper(&self) -> bool {
        match self.role {
            Role::Helper { .. } => true,
            Role::Primary | Role::Notes { .. } | Role::Fallback { .. } => false,
        }
    }
}

/// All programs, in path order.
pub fn programs() -> impl Iterator<Item = Program> {
    tables::PROGRAMS.iter().map(|row| Program {
        hook: Hook::at(row.hook),
        attach: row.attach,
        function: row.function,
        name: row.name,
        role: row.role,
    })
}

/// A set of hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HookSet(u64);

const _: () = assert!(HOOK_COUNT < 64, "a HookSet has a bit for each hook");

impl HookSet {
    /// Every hook.
    pub const ALL: HookSet = HookSet((1 << HOOK_COUNT) - 1);

    /// Those that measure if the user chooses none.
    pub fn default_ones() -> HookSet {
        Hook::default_ones().collect()
    }

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
pub(crate) fn nearest<'a>(text: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_ascii_lowercase();
    known
        .map(|candidate| (strsim::jaro_winkler(&text, candidate), candidate))
        .filter(|(similarity, _)| *similarity > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
#[path = "hooks_tests.rs"]
mod tests;
