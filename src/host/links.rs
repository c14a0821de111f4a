// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The network devices of a host, as far as they decide from where packets are
//! measured, or whether it is safe to timestamp them.

use std::fs;
use std::io;

use netlink_packet_core::{
    NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    LinkAttribute, LinkFlags, LinkInfo, LinkMessage, LinkXdp, XdpAttached,
};
use netlink_packet_route::tc::{TcAttribute, TcMessage};
use netlink_sys::protocols::NETLINK_ROUTE;
use netlink_sys::{Socket, SocketAddr};

use crate::host::namespaces::{Netns, named};

/// A device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Its name; in another namespace than that of this process, behind the name of
    /// that: `pod1/eth0`.
    pub name: String,
    /// What the kernel calls its kind: `ifb`, `wireguard`, `tun`. Empty: a card.
    pub kind: String,
    /// Whether it is up.
    pub up: bool,
    /// Whether an XDP program runs in its driver.
    pub native_xdp: bool,
    /// The queueing discipline `fq` is attached to it, perhaps below another one.
    pub has_fq: bool,
}

/// What makes the kernel take the timestamp later than users expect.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewals {
    /// Devices to which `tc` redirects packets, which come back behind their queue.
    pub redirected: Vec<String>,
    /// Tunnels: packets come out of them behind a program or a worker of the kernel.
    pub tunnels: Vec<String>,
    /// Devices whose XDP program runs in the driver, where another CPU takes packets
    /// from it (cpumap), and timestamps them.
    pub cpumap: Vec<String>,
}

impl Renewals {
    /// Those of these devices. `has_cpumap`: whether the kernel has threads for that,
    /// asked only if it matters.
    pub fn of(links: &[Link], has_cpumap: impl FnOnce() -> bool) -> Renewals {
        let up = |wanted: &dyn Fn(&Link) -> bool| -> Vec<String> {
            let wanted = links.iter().filter(|link| link.up && wanted(link));
            wanted.map(|link| link.name.clone()).collect()
        };
        let native = up(&|link| link.native_xdp);
        Renewals {
            redirected: up(&|link| link.kind == "ifb"),
            tunnels: up(&|link| ["wireguard", "tun"].contains(&link.kind.as_str())),
            cpumap: if !native.is_empty() && has_cpumap() {
                native
            } else {
                Vec::new()
            },
        }
    }

    /// A sentence for each kind that there is, without a full stop.
    pub fn sentences(&self) -> Vec<String> {
        let about = |devices: &[String], text: &str| {
            (!devices.is_empty()).then(|| format!("{}: {text}", listed(devices)))
        };
        let all = [
            about(
                &self.redirected,
                "packets that tc redirects there get a new timestamp when they come back, so the \
                 wait in its queue is in no figure",
            ),
            about(
                &self.tunnels,
                "packets get a new timestamp when they come out of the tunnel, and are measured \
                 from there; those that carry them are measured, too",
            ),
            about(
                &self.cpumap,
                "packets that XDP hands to another CPU (cpumap) get their timestamp there, so \
                 the wait in that queue is in no figure",
            ),
        ];
        all.into_iter().flatten().collect()
    }
}

/// Names, of many the first ones.
pub(crate) fn listed(names: &[String]) -> String {
    const MOST: usize = 5;
    let (first, rest) = names.split_at(names.len().min(MOST));
    let mut text = first.join(", ");
    if !rest.is_empty() {
        text += &format!(" and {} more", rest.len());
    }
    text
}

/// The devices in the network namespace of this process.
///
/// # Errors
///
/// If the kernel does not answer.
pub fn own() -> io::Result<Vec<Link>> {
    let mut links: Vec<(u32, Link)> = Vec::new();
    for message in dump(RouteNetlinkMessage::GetLink(LinkMessage::default()))? {
        if let RouteNetlinkMessage::NewLink(message) = message {
            links.push((message.header.index, link(&message)));
        }
    }
    for message in dump(RouteNetlinkMessage::GetQueueDiscipline(TcMessage::default()))? {
        let RouteNetlinkMessage::NewQueueDiscipline(message) = message else {
            continue;
        };
        let mut kinds = message.attributes.iter();
        let is_fq = kinds.any(|attribute| *attribute == TcAttribute::Kind("fq".into()));
        let index = u32::try_from(message.header.index).unwrap_or(0);
        for (_, link) in links.iter_mut().filter(|(at, _)| is_fq && *at == index) {
            link.has_fq = true;
        }
    }
    Ok(links.into_iter().map(|(_, link)| link).collect())
}

/// The devices of all other namespaces that have names (`ip netns`) and may be entered.
pub(crate) fn in_named_namespaces() -> Vec<Link> {
    let mut all = Vec::new();
    let own_inode = Netns::own().map(|netns| netns.inode);
    for (name, netns) in named() {
        if own_inode.as_ref().is_ok_and(|own| *own == netns.inode) {
            continue;
        }
        if let Ok(Ok(links)) = netns.run(own) {
            all.extend(links.into_iter().map(|link| Link {
                name: format!("{name}/{}", link.name),
                ..link
            }));
        }
    }
    all
}

/// Whether the kernel has threads that take packets from XDP programs.
pub(crate) fn has_cpumap_threads() -> bool {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut names = processes.map(|process| fs::read_to_string(process.path().join("comm")));
    names.any(|name| name.is_ok_and(|name| name.starts_with("cpumap/")))
}

fn link(message: &LinkMessage) -> Link {
    let mut link = Link {
        up: message.header.flags.contains(LinkFlags::Up),
        ..Link::default()
    };
    for attribute in &message.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name.clone_from(name),
            LinkAttribute::LinkInfo(info) => {
                for item in info {
                    if let LinkInfo::Kind(kind) = item {
                        link.kind = kind.to_string();
                    }
                }
            }
            LinkAttribute::Xdp(xdp) => {
                link.native_xdp |= xdp.iter().any(|item| {
                    matches!(
                        item,
                        LinkXdp::Attached(XdpAttached::Driver | XdpAttached::Multiple)
                    )
                });
            }
            _ => {}
        }
    }
    link
}

/// All that the kernel answers to a request (rtnetlink(7)).
fn dump(request: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind_auto()?;
    socket.connect(&SocketAddr::new(0, 0))?;
    let mut header = NetlinkHeader::default();
    header.flags = NLM_F_REQUEST | NLM_F_DUMP;
    let mut message = NetlinkMessage::new(header, NetlinkPayload::from(request));
    message.finalize();
    let mut buffer = vec![0; message.buffer_len()];
    message.serialize(&mut buffer);
    socket.send(&buffer, 0)?;
    let mut found = Vec::new();
    loop {
        let (bytes, _) = socket.recv_from_full()?;
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(io::Error::other)?;
            let length = (message.header.length as usize).max(1);
            match message.payload {
                NetlinkPayload::InnerMessage(inner) => found.push(inner),
                NetlinkPayload::Done(_) => return Ok(found),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                _ => {}
            }
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str, kind: &str) -> Link {
        Link {
            name: name.into(),
            kind: kind.into(),
            up: true,
            ..Link::default()
        }
    }

    #[test]
    fn the_loopback_device_is_found() {
        let links = own().unwrap();
        assert!(
            links
                .iter()
                .any(|link| link.name == "lo" && link.kind.is_empty())
        );
    }

    #[test]
    fn devices_that_renew_timestamps_are_named() {
        let down = Link {
            up: false,
            ..link("ifb1", "ifb")
        };
        let native = Link {
            native_xdp: true,
            ..link("eth0", "")
        };
        let links = [
            link("ifb0", "ifb"),
            down,
            link("wg0", "wireguard"),
            link("vpn", "tun"),
            link("pod", "veth"),
            native,
        ];
        let renewals = Renewals::of(&links, || true);
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let expected = Renewals {
            redirected: names(&["ifb0"]),
            tunnels: names(&["wg0", "vpn"]),
            cpumap: names(&["eth0"]),
        };
        assert_eq!(renewals, expected);
        let sentences = renewals.sentences();
        assert_eq!(sentences.len(), 3);
        assert!(sentences[1].starts_with("wg0, vpn: "), "{sentences:?}");
        assert!(Renewals::of(&links, || false).cpumap.is_empty());
        assert!(
            Renewals::of(&links[4..5], || panic!())
                .sentences()
                .is_empty()
        );
    }

    #[test]
    fn of_many_names_some_are_shown() {
        let names: Vec<_> = (0..7).map(|n| format!("wg{n}")).collect();
        assert_eq!(listed(&names), "wg0, wg1, wg2, wg3, wg4 and 2 more");
    }
}
