// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Software RX timestamping: on for the whole host while one socket asks.

use std::os::fd::OwnedFd;

use nix::sys::socket::sockopt::Timestamping;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, TimestampingFlag, setsockopt, socket};

use crate::capture::loopback::{Loopback, SWITCHED_ON};
use crate::capture::refusal::{Obstacle, Refusal};

/// Holds stamping on until dropped. Needs no privilege; sends and receives
/// nothing.
pub struct StampingSocket(#[allow(dead_code, reason = "held, not used")] OwnedFd);

impl StampingSocket {
    /// Opens a UDP socket that asks for software receive stamps. The kernel
    /// switches stamping on a moment later: packets already on their way, and
    /// the first after, may carry none.
    ///
    /// # Errors
    ///
    /// If no IP socket can be had, or the option is refused.
    pub fn open() -> Result<StampingSocket, Refusal> {
        let open = |family| socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None);
        let wanted = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE;
        let asked = open(AddressFamily::Inet)
            .or_else(|_| open(AddressFamily::Inet6))
            .and_then(|fd| setsockopt(&fd, Timestamping, &wanted).map(|()| fd));
        asked.map(StampingSocket).map_err(|error| {
            Refusal::new(
                Obstacle::Stamping,
                error.desc(),
                "a UDP socket that asks for stamps (SO_TIMESTAMPING) cannot be had: a sandbox \
                 forbids it, or the kernel has no IP",
                "allow the process AF_INET sockets (systemd: RestrictAddressFamilies=AF_INET)",
            )
        })
    }

    /// Sends datagrams to itself over loopback until one arrives with a stamp.
    ///
    /// # Errors
    ///
    /// [`Unconfirmed`]: none comes with one, or none comes.
    pub fn confirm(&self) -> Result<(), Unconfirmed> {
        match Loopback::open().and_then(|loopback| loopback.until_stamped()) {
            Ok(true) => Ok(()),
            Ok(false) => Err(Unconfirmed::NoStamp(none_arrives())),
            Err(error) => Err(Unconfirmed::NoDatagram(error)),
        }
    }
}

/// Why packets were not seen to be stamped.
#[derive(Debug)]
pub enum Unconfirmed {
    /// The kernel does not do what it was asked for.
    NoStamp(Refusal),
    /// Datagrams to oneself do not arrive: that says nothing of stamps.
    NoDatagram(anyhow::Error),
}

/// A socket has asked for stamps, and none has come.
pub(super) fn none_arrives() -> Refusal {
    Refusal::new(
        Obstacle::Stamping,
        format!("none within {SWITCHED_ON:?} of asking"),
        "the kernel does not stamp packets although a socket asks for it",
        "please report this with the output of netstacklat check --json",
    )
}
