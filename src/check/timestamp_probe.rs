// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Datagrams to oneself: whether packets are stamped, seen as a receiver.

use std::io::IoSliceMut;
use std::net::UdpSocket;
use std::os::fd::AsRawFd as _;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use nix::sys::socket::sockopt::Timestamping;
use nix::sys::socket::{ControlMessageOwned, MsgFlags, TimestampingFlag, recvmsg, setsockopt};
use nix::sys::time::TimeSpec;

use crate::host::start_error::{StartError, StartErrorKind};
use crate::model::hooks::Protocol;

/// A socket that talks to itself.
pub(super) struct Loopback(UdpSocket);

/// Far longer than loopback takes.
const PATIENCE: Duration = Duration::from_secs(1);
/// How long the kernel may take to switch stamping on: some ms, but for a host
/// that has just booted and is busy with everything else.
pub(super) const SWITCHED_ON: Duration = Duration::from_secs(5);

impl Loopback {
    /// Whose hooks its datagrams pass.
    pub(super) fn protocol() -> Protocol {
        Protocol::find("UDP").expect("the table has hooks of UDP")
    }

    /// Opens it on IPv4 or, where there is none, on IPv6.
    ///
    /// It looks at stamps (SOF_TIMESTAMPING_SOFTWARE) without asking for them,
    /// which alone would have packets stamped. SO_TIMESTAMPNS would not do: it
    /// makes up a stamp where there is none.
    pub(super) fn open() -> Result<Loopback> {
        let socket = UdpSocket::bind("127.0.0.1:0").or_else(|_| UdpSocket::bind("[::1]:0"));
        let socket = socket.context("binding a UDP socket to the loopback address")?;
        let own = socket.local_addr().context("getsockname")?;
        socket
            .connect(own)
            .context("connecting a UDP socket to itself")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        let look = TimestampingFlag::SOF_TIMESTAMPING_SOFTWARE;
        setsockopt(&socket, Timestamping, &look).context("setting SO_TIMESTAMPING")?;
        Ok(Loopback(socket))
    }

    /// Sends one datagram and reads it; whether it came with a stamp.
    pub(super) fn exchange(&self) -> Result<bool> {
        self.0.send(b"netstacklat").context("sending a datagram")?;
        let mut bytes = [0; 16];
        let mut data = [IoSliceMut::new(&mut bytes)];
        let mut control = nix::cmsg_space!([TimeSpec; 3]);
        let flags = MsgFlags::empty();
        let message = recvmsg::<()>(self.0.as_raw_fd(), &mut data, Some(&mut control), flags)
            .context("a datagram to oneself does not arrive")?;
        let stamped = message
            .cmsgs()
            .context("reading the stamp of a datagram")?
            .any(|control| match control {
                ControlMessageOwned::ScmTimestampsns(stamps) => {
                    stamps.system != TimeSpec::new(0, 0)
                }
                _ => false,
            });
        Ok(stamped)
    }

    /// Sends datagrams until one comes with a stamp, as they do a moment after
    /// a socket has asked; false if none does in good time.
    pub(super) fn until_stamped(&self) -> Result<bool> {
        let asked = Instant::now();
        loop {
            if self.exchange()? {
                return Ok(true);
            } else if asked.elapsed() >= SWITCHED_ON {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Sends datagrams over loopback until one arrives with a timestamp, while a
/// socket of the caller asks for timestamps.
///
/// # Errors
///
/// [`Unconfirmed`]: no datagram has a timestamp, or no datagram arrives.
pub(crate) fn confirm() -> Result<(), Unconfirmed> {
    match Loopback::open().and_then(|loopback| loopback.until_stamped()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Unconfirmed::NoTimestamp(none_arrives())),
        Err(error) => Err(Unconfirmed::NoDatagram(error)),
    }
}

/// Why packets were not seen to be stamped.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// The kernel does not do what it was asked for.
    NoTimestamp(StartError),
    /// Datagrams to oneself do not arrive: that says nothing of stamps.
    NoDatagram(anyhow::Error),
}

/// A socket has asked for stamps, and none has come.
pub(super) fn none_arrives() -> StartError {
    StartError::new(
        StartErrorKind::Stamping,
        format!("none within {SWITCHED_ON:?} of asking"),
        "the kernel does not stamp packets although a socket asks for it",
        "please report this with the output of netstacklat check --json",
    )
}
