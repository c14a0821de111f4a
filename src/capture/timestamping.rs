// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Software RX timestamping: on for the whole host while one socket asks.

use std::os::fd::OwnedFd;

use nix::sys::socket::sockopt::Timestamping;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, TimestampingFlag, setsockopt, socket};

use crate::host::start_error::{StartError, StartErrorKind};

/// Holds timestamping on until dropped. Needs no privilege; sends and receives
/// nothing.
pub struct TimestampingSocket(#[allow(dead_code, reason = "held, not used")] OwnedFd);

impl TimestampingSocket {
    /// Opens a UDP socket that asks for software receive timestamps. The kernel
    /// switches timestamping on a moment later: packets already on their way, and
    /// the first after, may carry none.
    ///
    /// # Errors
    ///
    /// If no IP socket can be had, or the option is refused.
    pub fn open() -> Result<TimestampingSocket, StartError> {
        let open = |family| socket(family, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None);
        let wanted = TimestampingFlag::SOF_TIMESTAMPING_RX_SOFTWARE;
        let asked = open(AddressFamily::Inet)
            .or_else(|_| open(AddressFamily::Inet6))
            .and_then(|fd| setsockopt(&fd, Timestamping, &wanted).map(|()| fd));
        asked.map(TimestampingSocket).map_err(|error| {
            StartError::new(
                StartErrorKind::Timestamping,
                error.desc(),
                "opening a UDP socket that asks for timestamps (SO_TIMESTAMPING) failed: a sandbox \
                 forbids it, or the kernel has no IP",
                "allow the process AF_INET sockets (systemd: RestrictAddressFamilies=AF_INET)",
            )
        })
    }
}
