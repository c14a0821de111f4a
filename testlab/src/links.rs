// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What packets can travel over: the wire between two cards, and the links
//! that have none.

use std::net::{IpAddr, SocketAddr};

use crate::{Family, Ns, Undo, sh};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The two cards on one hub.
    Wire,
    /// Both ends in the right namespace.
    Loopback,
    /// There while [`veth`] is.
    Veth,
    /// Over the wire to the right namespace, which forwards: there while [`routed`] is.
    Routed,
}

impl Link {
    /// Those that end in the right namespace.
    pub const ALL: [Link; 3] = [Link::Wire, Link::Loopback, Link::Veth];

    pub fn way(self, family: Family, port: u16) -> Way {
        let (from, to, v4, v6) = match self {
            Link::Wire => return Way::wire(Ns::Left, Ns::Right, family, port),
            Link::Loopback => (Ns::Right, Ns::Right, "127.0.0.1", "::1"),
            Link::Veth => (Ns::Left, Ns::Right, "10.1.0.2", "fd01::2"),
            Link::Routed => (Ns::Left, Ns::Inner, "10.2.0.2", "fd02::2"),
        };
        let address: IpAddr = match family {
            Family::V4 => v4.parse(),
            Family::V6 => v6.parse(),
        }
        .expect("an address");
        Way {
            from,
            to,
            at: SocketAddr::new(address, port),
        }
    }
}

/// From where to where a packet goes.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub from: Ns,
    pub to: Ns,
    /// The receiver's address.
    pub at: SocketAddr,
}

impl Way {
    /// Over the wire between the two cards.
    pub fn wire(from: Ns, to: Ns, family: Family, port: u16) -> Way {
        Way {
            from,
            to,
            at: to.at(family, port),
        }
    }
}

/// Segments from the left are sent once, however late they are acknowledged: a
/// guest can be slower than TCP expects of a network.
pub fn segments_are_sent_once() -> Undo {
    Undo::after(
        "ip netns exec left sysctl -qw net.ipv4.tcp_early_retrans=0
         ip -n left route add 10.0.0.2/32 dev eth0 rto_min 20s
         ip -n left route add fd00::2/128 dev eth0 rto_min 20s",
        "ip -n left route del fd00::2/128 dev eth0
         ip -n left route del 10.0.0.2/32 dev eth0
         ip netns exec left sysctl -qw net.ipv4.tcp_early_retrans=3",
    )
}

/// Adds a veth pair between the left and the right namespace.
pub fn veth() -> Undo {
    let undo = Undo::after(
        "ip link add veth0 netns left type veth peer name veth0 netns right",
        "ip -n left link del veth0",
    );
    // As on the wire, nothing but what tests send. "arp off" because a link that
    // resolves addresses joins multicast groups and reports them at some time.
    sh(
        "mac() { ip netns exec $1 cat /sys/class/net/veth0/address; }
        end() {
            ip -n $1 -batch - <<TEXT
link set veth0 addrgenmode none
link set veth0 arp off up
addr add 10.1.0.$2/24 dev veth0
addr add fd01::$2/64 dev veth0 nodad
neigh replace 10.1.0.$4 lladdr $(mac $3) dev veth0 nud permanent
neigh replace fd01::$4 lladdr $(mac $3) dev veth0 nud permanent
TEXT
        }
        end left 1 right 2
        end right 2 left 1",
    );
    undo
}

/// Adds a namespace behind the right one, by a veth pair. The right one forwards between
/// it and the left one.
pub fn routed() -> Undo {
    let undo = Undo::after(
        "ip netns add inner
        ip link add inner0 netns right type veth peer name eth0 netns inner",
        "ip netns exec right sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0
        ip -n left route del 10.2.0.0/24
        ip -n left route del fd02::/64
        ip -n right link del inner0
        ip netns del inner",
    );
    // As with veth().
    sh("mac() { ip netns exec $1 cat /sys/class/net/$2/address; }
        ip netns exec right sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
        end() {
            ip -n $1 -batch - <<TEXT
link set lo up
link set $2 addrgenmode none
link set $2 arp off up
addr add 10.2.0.$3/24 dev $2
addr add fd02::$3/64 dev $2 nodad
neigh replace 10.2.0.$6 lladdr $(mac $4 $5) dev $2 nud permanent
neigh replace fd02::$6 lladdr $(mac $4 $5) dev $2 nud permanent
TEXT
        }
        end right inner0 1 inner eth0 2
        end inner eth0 2 right inner0 1
        ip -n inner route add default via 10.2.0.1
        ip -n inner route add default via fd02::1
        ip -n left route add 10.2.0.0/24 via 10.0.0.2
        ip -n left route add fd02::/64 via fd00::2");
    undo
}
