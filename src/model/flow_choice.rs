// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What users write to choose packets by what their headers say: IP version,
//! protocol, ports, networks, and by the receive queue that they came in by.

use std::fmt;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ipnet::IpNet;

use crate::model::tables;

/// A version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IpVersion {
    /// IPv4; also through IPv6 sockets.
    V4,
    /// IPv6.
    V6,
}

impl IpVersion {
    /// As the programs write it.
    pub fn number(self) -> u32 {
        match self {
            IpVersion::V4 => 4,
            IpVersion::V6 => 6,
        }
    }
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

impl Transport {
    /// All that hooks tell apart.
    pub const ALL: [Transport; 2] = [Transport::Tcp, Transport::Udp];

    /// As the hook table calls it.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "TCP",
            Transport::Udp => "UDP",
        }
    }

    /// Its number in IP headers.
    pub fn number(self) -> u32 {
        match self {
            Transport::Tcp => 6,
            Transport::Udp => 17,
        }
    }
}

/// Numbers of a first to a last one, written `80` or `8000-8080`.
fn parse_range(
    text: &str,
    allowed: RangeInclusive<u16>,
    what: &str,
) -> Result<RangeInclusive<u16>, String> {
    let (least, most) = (allowed.start(), allowed.end());
    let number = |text: &str| match text.parse::<u64>() {
        Ok(number) => match u16::try_from(number) {
            Ok(number) if allowed.contains(&number) => Ok(number),
            _ => Err(format!(
                "there is no {what} {number}: write {least} to {most}"
            )),
        },
        Err(_) => Err(format!(
            "not a {what}: write a number from {least} to {most}, or a range as in 10-20"
        )),
    };
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last) = (number(first)?, number(last)?);
    if first > last {
        return Err(format!(
            "this range is empty: write the smaller number first, as in {last}-{first}"
        ));
    }
    Ok(first..=last)
}

fn write_range(range: &RangeInclusive<u16>, f: &mut fmt::Formatter<'_>) -> fmt::Result {
    if range.start() == range.end() {
        write!(f, "{}", range.start())
    } else {
        write!(f, "{}-{}", range.start(), range.end())
    }
}

/// A port, or some that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortRange(pub RangeInclusive<u16>);

impl FromStr for PortRange {
    type Err = String;

    /// # Errors
    ///
    /// Says how ports are written.
    fn from_str(text: &str) -> Result<PortRange, String> {
        parse_range(text, 1..=u16::MAX, "port").map(PortRange)
    }
}

/// As users write it.
impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_range(&self.0, f)
    }
}

/// A receive queue of an interface, or some that follow each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueRange(pub RangeInclusive<u16>);

impl FromStr for QueueRange {
    type Err = String;

    /// # Errors
    ///
    /// Says how queues are written.
    fn from_str(text: &str) -> Result<QueueRange, String> {
        let last = tables::MAX_RX_QUEUES as u16 - 1;
        parse_range(text, 0..=last, "receive queue").map(QueueRange)
    }
}

/// As users write it.
impl fmt::Display for QueueRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_range(&self.0, f)
    }
}

/// An IPv4 or IPv6 network; an address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(pub IpNet);

impl FromStr for Network {
    type Err = String;

    /// # Errors
    ///
    /// Says how networks are written, or what was meant.
    fn from_str(text: &str) -> Result<Network, String> {
        const HOW: &str = "not an address or network: write 192.0.2.1, 192.0.2.0/24, 2001:db8::1 \
                           or 2001:db8::/32";
        if let Ok(address) = text.parse::<IpAddr>() {
            return Ok(Network(address.into()));
        }
        let network: IpNet = text.parse().map_err(|_| HOW)?;
        if network.trunc() != network {
            return Err(format!(
                "there are bits behind the prefix: write {} for the network, or {} for the \
                 address alone",
                network.trunc(),
                network.addr()
            ));
        }
        Ok(Network(network))
    }
}

/// As users write it.
impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.prefix_len() == self.0.max_prefix_len() {
            self.0.addr().fmt(f)
        } else {
            self.0.fmt(f)
        }
    }
}

/// As `struct netstacklat_network` has it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct NetworkWords {
    pub(crate) family: u32,
    /// In the network's byte order, as they are in memory.
    pub(crate) mask: [u32; 4],
    pub(crate) address: [u32; 4],
}

impl Network {
    fn version(&self) -> IpVersion {
        match self.0 {
            IpNet::V4(_) => IpVersion::V4,
            IpNet::V6(_) => IpVersion::V6,
        }
    }

    /// As the programs test it.
    pub(crate) fn words(&self) -> NetworkWords {
        let (before, address) = match self.0 {
            IpNet::V4(v4) => (96, v4.network().to_ipv6_mapped()),
            IpNet::V6(v6) => (0, v6.network()),
        };
        let words = |bytes: [u8; 16]| {
            let (words, _) = bytes.as_chunks::<4>();
            [0, 1, 2, 3].map(|i| u32::from_ne_bytes(words[i]))
        };
        let prefix = before + u32::from(self.0.prefix_len());
        let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
        NetworkWords {
            family: self.version().number(),
            mask: words(mask.to_be_bytes()),
            address: words(address.octets()),
        }
    }
}

/// Which packets the user wants by what their headers say; by default all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowChoice {
    /// Those of this version of IP; `None`: of both.
    pub version: Option<IpVersion>,
    /// Those of these protocols; empty: of any.
    pub transports: Vec<Transport>,
    /// Those with one of these ports, local or remote; empty: with any.
    pub ports: Vec<PortRange>,
    /// Those to one of these ports; empty: to any.
    pub local_ports: Vec<PortRange>,
    /// Those from one of these ports; empty: from any.
    pub remote_ports: Vec<PortRange>,
    /// Those from or to one of these networks; empty: from and to any.
    pub networks: Vec<Network>,
    /// Those that came in by one of these receive queues; empty: by any.
    pub rx_queues: Vec<QueueRange>,
}

impl FlowChoice {
    /// Whether a packet can be left out.
    pub fn is_on(&self) -> bool {
        *self != FlowChoice::default()
    }

    /// The ports that are wanted, and as what (`tables::PORT_*`).
    pub(crate) fn wanted_ports(&self) -> [(&[PortRange], u8); 3] {
        [
            (&self.ports, tables::PORT_EITHER),
            (&self.local_ports, tables::PORT_LOCAL),
            (&self.remote_ports, tables::PORT_REMOTE),
        ]
    }

    /// What the programs have to ask of ports: the same bits.
    pub(crate) fn asked_of_ports(&self) -> u8 {
        let asked = self.wanted_ports().into_iter();
        let asked = asked.filter(|(ranges, _)| !ranges.is_empty());
        asked.fold(0, |all, (_, what)| all | what)
    }

    /// The version of IP that all packets must have: the one that is asked for, or that
    /// of all networks. To the programs it is the cheapest test of these.
    pub fn only_version(&self) -> Option<IpVersion> {
        let first = self.networks.first().map(Network::version);
        let of_all = first.filter(|first| self.networks.iter().all(|it| it.version() == *first));
        self.version.or(of_all)
    }

    /// Whether ports matter.
    pub fn asks_for_ports(&self) -> bool {
        self.asked_of_ports() != 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ports_are_numbers_or_ranges() {
        let read = |text: &str| text.parse::<PortRange>().map(|range| range.0);
        assert_eq!(read("80"), Ok(80..=80));
        assert_eq!(read("1-65535"), Ok(1..=65535));
        for (bad, says) in [
            ("", "not a port"),
            ("x", "not a port"),
            ("-1", "not a port"),
            ("1-", "not a port"),
            ("0", "no port 0"),
            ("70000", "no port 70000"),
            ("99999999999999999999", "not a port"),
            ("90-80", "80-90"),
        ] {
            let error = read(bad).unwrap_err();
            assert!(error.contains(says), "{bad:?}: {error}");
        }
    }

    #[test]
    fn networks_of_one_version_take_no_packets_of_the_other() {
        let only = |networks: &[&str], version| {
            let networks = networks.iter().map(|text| text.parse().unwrap());
            let choice = FlowChoice {
                networks: networks.collect(),
                version,
                ..FlowChoice::default()
            };
            choice.only_version()
        };
        assert_eq!(only(&[], None), None);
        assert_eq!(only(&[], Some(IpVersion::V6)), Some(IpVersion::V6));
        assert_eq!(
            only(&["192.0.2.0/24", "10.0.0.1"], None),
            Some(IpVersion::V4)
        );
        assert_eq!(only(&["2001:db8::/32"], None), Some(IpVersion::V6));
        assert_eq!(only(&["10.0.0.1", "2001:db8::1"], None), None);
        let both = only(&["10.0.0.1", "2001:db8::1"], Some(IpVersion::V4));
        assert_eq!(both, Some(IpVersion::V4));
    }

    #[test]
    fn queues_begin_with_0() {
        let read = |text: &str| text.parse::<QueueRange>().map(|range| range.0);
        assert_eq!(read("0"), Ok(0..=0));
        assert_eq!(read("2-1023"), Ok(2..=1023));
        assert!(read("1024").unwrap_err().contains("0 to 1023"));
    }

    #[test]
    fn networks_have_no_bits_behind_the_prefix() {
        let read = |text: &str| text.parse::<Network>();
        for text in [
            "192.0.2.1",
            "10.0.0.0/8",
            "2001:db8::/32",
            "::1",
            "0.0.0.0/0",
        ] {
            assert_eq!(read(text).unwrap().to_string(), text);
        }
        let error = read("10.0.0.5/8").unwrap_err();
        assert!(
            error.contains("10.0.0.0/8") && error.contains("10.0.0.5 "),
            "{error}"
        );
        for bad in ["", "10.0.0.0/33", "10.0.0", "host", "::/129", "1.2.3.4/"] {
            let error = read(bad).unwrap_err();
            assert!(error.contains("192.0.2.0/24"), "{bad:?}: {error}");
        }
    }

    /// The words of an address as packets have them.
    fn words(text: &str) -> [u32; 4] {
        let address: std::net::IpAddr = text.parse().unwrap();
        let bytes = match address {
            std::net::IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            std::net::IpAddr::V6(v6) => v6.octets(),
        };
        let (words, _) = bytes.as_chunks::<4>();
        [0, 1, 2, 3].map(|i| u32::from_ne_bytes(words[i]))
    }

    #[test]
    fn networks_hold_the_addresses_that_they_should() {
        let holds = |text: &str, address: &str| {
            let network = text.parse::<Network>().unwrap().words();
            let address = words(address);
            (0..4).all(|i| address[i] & network.mask[i] == network.address[i])
        };
        for (text, inside, outside) in [
            ("192.0.2.0/25", "192.0.2.127", "192.0.2.128"),
            ("192.0.2.1", "192.0.2.1", "192.0.2.2"),
            ("2001:db8::/33", "2001:db8:7fff::1", "2001:db8:8000::1"),
            ("::1", "::1", "::2"),
        ] {
            assert!(holds(text, inside), "{text}");
            assert!(!holds(text, outside), "{text}");
        }
        assert!(holds("0.0.0.0/0", "203.0.113.9"));
        assert!(holds("::/0", "2001:db8::1"));
    }

    #[test]
    fn programs_ask_only_for_what_the_user_named() {
        let mut flow = FlowChoice::default();
        assert_eq!(flow.asked_of_ports(), 0);
        flow.local_ports = vec!["80".parse().unwrap()];
        assert_eq!(flow.asked_of_ports(), tables::PORT_LOCAL);
        flow.ports = vec!["1-2".parse().unwrap()];
        assert_eq!(
            flow.asked_of_ports(),
            tables::PORT_LOCAL | tables::PORT_EITHER
        );
    }

    proptest! {
        #[test]
        fn nothing_panics(text in "\\PC{0,20}") {
            let _ = text.parse::<PortRange>();
            let _ = text.parse::<QueueRange>();
            let _ = text.parse::<Network>();
        }

        #[test]
        fn ranges_are_written_as_they_are_read(first in 1u16.., more in 0u16..100) {
            let range = PortRange(first..=first.saturating_add(more));
            prop_assert_eq!(range.to_string().parse(), Ok(range));
        }
    }
}
