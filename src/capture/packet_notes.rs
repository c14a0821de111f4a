// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What programs read of packets, and what they note for programs of other hooks: as
//! little as filters, groups, slow packets and those hooks ask for.

use std::iter::successors;

use crate::capture::plan::Plan;
use crate::model::grouping::GroupKey;
use crate::model::hooks::{Hook, HookSet};
use crate::model::tables::HookId;

/// What is read of a packet's headers, because a filter or a group asks for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlowParts {
    /// The version of IP; addresses cannot be told without.
    pub family: bool,
    /// The ports.
    pub ports: bool,
    /// The addresses.
    pub addresses: bool,
    /// The receive queue; the kernel keeps it beside the headers.
    pub rx_queue: bool,
    /// The interface that the packet came in by, which the kernel keeps there, too.
    pub interface: bool,
}

impl FlowParts {
    /// What one of the two reads.
    pub fn or(self, other: FlowParts) -> FlowParts {
        FlowParts {
            family: self.family || other.family,
            ports: self.ports || other.ports,
            addresses: self.addresses || other.addresses,
            rx_queue: self.rx_queue || other.rx_queue,
            interface: self.interface || other.interface,
        }
    }
}

impl Plan {
    /// What filters have to read of each packet's headers.
    pub fn parts_of_filter(&self) -> FlowParts {
        let flow = &self.filter.flow;
        let addresses = !flow.networks.is_empty();
        FlowParts {
            family: addresses || flow.only_version().is_some(),
            ports: flow.asks_for_ports(),
            addresses,
            rx_queue: !flow.rx_queues.is_empty(),
            interface: self.filter.interfaces.is_some(),
        }
    }

    /// What groups have to read.
    pub fn parts_of_groups(&self) -> FlowParts {
        let by = |key| {
            let grouping = self.grouping.as_ref();
            grouping.is_some_and(|grouping| grouping.is_by(key))
        };
        let addresses = by(GroupKey::RemoteIp);
        FlowParts {
            family: addresses || by(GroupKey::Family),
            ports: by(GroupKey::LocalPort),
            addresses,
            rx_queue: by(GroupKey::RxQueue),
            interface: by(GroupKey::Interface),
        }
    }

    /// What slow packets have to read of their headers, if any is shown.
    pub fn parts_of_slow(&self) -> FlowParts {
        let on = self.slow.as_ref().is_some_and(|slow| slow.most > 0);
        FlowParts {
            family: on,
            ports: on,
            addresses: on,
            rx_queue: on,
            interface: on,
        }
    }

    /// Whether programs must note what the headers say, for a hook whose packets may
    /// have been freed.
    pub fn notes_flow(&self) -> bool {
        let of_headers = FlowParts {
            interface: false,
            ..self.noted_parts()
        };
        of_headers != FlowParts::default() && self.enabled().iter().any(is_needy)
    }

    /// What is read for such hooks: for slow packets only where they can be slow there.
    pub fn noted_parts(&self) -> FlowParts {
        let parts = self.parts_of_filter().or(self.parts_of_groups());
        if self.shows_slow_at(is_needy) {
            parts.or(self.parts_of_slow())
        } else {
            parts
        }
    }

    /// Whether packets are shown that are slow at such a hook.
    fn shows_slow_at(&self, hook: impl Fn(Hook) -> bool) -> bool {
        let slow = self.slow.as_ref().filter(|slow| slow.most > 0);
        slow.is_some_and(|slow| slow.limits.keys().any(|at| hook(*at)))
    }

    /// Whether the programs must note who reads from a socket: for filters of
    /// hooks in the stack, and for the names of processes that end. A filter of
    /// reads alone knows the reader anyway.
    pub fn notes_readers(&self) -> bool {
        let in_stack = |hook: Hook| hook.knows_socket() && !hook.is_in_reader();
        let by_process = self.groups.as_ref().is_some_and(|groups| groups.by_process);
        by_process
            || self.shows_slow_at(in_stack)
            || self.filter.asks_for_processes() && self.enabled().iter().any(in_stack)
    }

    /// The hooks, be they on or off, on whose notes others rely that are on.
    pub fn noting_hooks(&self) -> HookSet {
        let enabled = self.enabled();
        let chains = enabled
            .iter()
            .map(|hook| successors(hook.needs().required(), |hook| hook.needs().required()));
        chains.flatten().collect()
    }

    /// Whether forwarded packets that go out by a card leave a note, too: for the hook
    /// behind its queueing discipline.
    pub fn notes_to_cards(&self) -> bool {
        self.enabled()
            .contains(Hook::at(HookId::FORWARDED_SENT as usize))
    }
}

/// A hook whose packets may have been freed: what is noted of them at the socket is not
/// the timestamp alone.
pub(super) fn is_needy(hook: Hook) -> bool {
    hook.needs().required().is_some_and(Hook::knows_socket)
}
