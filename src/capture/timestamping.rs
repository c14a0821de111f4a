// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Software RX timestamping: on for the whole host while one socket asks.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, Result};
use nix::sys::socket::sockopt::Timestamping;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, TimestampingFlag, setsockopt, socket};

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
    pub fn open() -> Result<StampingSocket> {
        let open = |family| socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None);
        let fd = open(AddressFamily::Inet)
            .or_else(|_| open(AddressFamily::Inet6))
            .context("opening a UDP socket that holds RX timestamping on")?;
        let wanted = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE;
        setsockopt(&fd, Timestamping, &wanted)
            .context("asking for software RX timestamps (SO_TIMESTAMPING)")?;
        Ok(StampingSocket(fd))
    }
}
