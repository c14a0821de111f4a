// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Sends datagrams over loopback, and looks whether they arrive with a timestamp.

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

/// A UDP socket that is connected to itself.
pub(super) struct Loopback(UdpSocket);

/// The wait for a datagram, which is far longer than loopback takes.
const PATIENCE: Duration = Duration::from_secs(1);
/// The time in which the kernel must turn timestamping on. It takes a few ms, but
/// longer on a host that is busy booting.
pub(super) const SWITCHED_ON: Duration = Duration::from_secs(5);

impl Loopback {
    /// The protocol whose hooks the datagrams pass.
    pub(super) fn protocol() -> Protocol {
        Protocol::find("UDP").expect("the table has hooks of UDP")
    }

    /// Opens a socket on IPv4, or on IPv6 if there is no IPv4.
    ///
    /// SOF_TIMESTAMPING_SOFTWARE shows the timestamps of packets without turning
    /// timestamping on. SO_TIMESTAMPNS would turn it on, and the kernel would make
    /// up a timestamp for a packet without one.
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

    /// Sends one datagram and reads it. True if it arrived with a timestamp.
    pub(super) fn exchange(&self) -> Result<bool> {
        self.0.send(b"netstacklat").context("sending a datagram")?;
        let mut bytes = [0; 16];
        let mut data = [IoSliceMut::new(&mut bytes)];
        let mut control = nix::cmsg_space!([TimeSpec; 3]);
        let flags = MsgFlags::empty();
        let message = recvmsg::<()>(self.0.as_raw_fd(), &mut data, Some(&mut control), flags)
            .context("a datagram over loopback does not arrive")?;
        let has_timestamp = message
            .cmsgs()
            .context("reading the timestamp of a datagram")?
            .any(|control| match control {
                ControlMessageOwned::ScmTimestampsns(timestamps) => {
                    timestamps.system != TimeSpec::new(0, 0)
                }
                _ => false,
            });
        Ok(has_timestamp)
    }

    /// Sends datagrams until one arrives with a timestamp, which takes a moment after
    /// a socket has asked for it. False if none has one within [`SWITCHED_ON`].
    pub(super) fn until_timestamped(&self) -> Result<bool> {
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
    match Loopback::open().and_then(|loopback| loopback.until_timestamped()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Unconfirmed::NoTimestamp(no_timestamps())),
        Err(error) => Err(Unconfirmed::NoDatagram(error)),
    }
}

/// Why timestamping could not be confirmed.
#[derive(Debug)]
pub(crate) enum Unconfirmed {
    /// Datagrams arrive without a timestamp.
    NoTimestamp(StartError),
    /// Datagrams over loopback do not arrive, so timestamping is unknown.
    NoDatagram(anyhow::Error),
}

/// The error if a socket asks for timestamps and no packet has one.
pub(super) fn no_timestamps() -> StartError {
    StartError::new(
        StartErrorKind::Timestamping,
        format!("none within {SWITCHED_ON:?}"),
        "the kernel does not timestamp packets although a socket asks for it",
        "please report this with the output of netstacklat check --json",
    )
}
