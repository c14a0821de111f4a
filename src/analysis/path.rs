// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The way of a packet: which hooks follow each other, and what the kernel
//! does between them.

use crate::model::hooks::Hook;

/// A protocol's way through the hooks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Path {
    /// From IP to a TCP socket.
    Tcp,
    /// From IP to a UDP socket.
    Udp,
}

impl Path {
    /// Both.
    pub const ALL: [Path; 2] = [Path::Tcp, Path::Udp];

    /// As in outputs.
    pub fn name(self) -> &'static str {
        match self {
            Path::Tcp => "TCP",
            Path::Udp => "UDP",
        }
    }

    /// Its hooks, in the order in which a packet meets them. The first is
    /// `ip-start`, which sees the packets of all protocols.
    pub fn hooks(self) -> impl Iterator<Item = Hook> {
        let tcp = self == Path::Tcp;
        Hook::all().filter(move |hook| *hook == Hook::IP_START || hook.is_tcp() == tcp)
    }
}

/// What lies before a hook, from the one before it on its path (before
/// `ip-start`: from the stamp).
///
/// From the kernel's `net/core/dev.c`, `net/ipv4/ip_input.c`,
/// `net/ipv6/ip6_input.c`, `net/ipv4/tcp_ipv4.c`, `net/ipv4/tcp_input.c` and
/// `net/ipv4/udp.c`, Linux 5.10 to 7.
pub(crate) fn before(hook: Hook) -> &'static str {
    match hook.name() {
        "ip-start" => {
            "receive steering (RPS), generic XDP, packet taps, traffic control, bridges and bonds"
        }
        "tcp-start" | "udp-start" => {
            "netfilter (connection tracking included), routing and reassembly"
        }
        "tcp-do-rcv" => {
            "the socket lookup, socket filters and the wait in the backlog while a task owns \
             the socket"
        }
        "tcp-data-queue" => "the checks of TCP's receive processing and of the ACK",
        "tcp-socket-enqueued" => "putting segments in order, and the socket's memory accounting",
        "udp-queue-rcv" => "the checksum and the socket lookup",
        "udp-socket-enqueued" => {
            "encapsulation, socket filters, the lock and memory accounting of the queue, and waking \
             the reader"
        }
        "tcp-socket-read" | "udp-socket-read" => {
            "the wait in the socket until the reader asks, its wake-up and scheduling included"
        }
        _ => "the rest of the path",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hook_is_on_a_path_and_has_something_before_it() {
        let names = |path: Path| path.hooks().map(Hook::name).collect::<Vec<_>>();
        assert_eq!(
            names(Path::Tcp),
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
            names(Path::Udp),
            [
                "ip-start",
                "udp-start",
                "udp-queue-rcv",
                "udp-socket-enqueued",
                "udp-socket-read"
            ]
        );
        for hook in Hook::all() {
            assert_ne!(before(hook), "the rest of the path", "{hook}");
        }
    }
}
