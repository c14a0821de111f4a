// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `netstacklat hold-timestamps`: keeps RX timestamping on for others, and sleeps.

use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use anyhow::{Context as _, Result};
use nix::sys::signal::{SigSet, Signal};

use crate::capture::timestamping::TimestampingSocket;
use crate::check::timestamp_probe::{self, Unconfirmed};
use crate::runtime::messages::Messages;

/// Keeps timestamping on until SIGINT or SIGTERM, which are its normal end. As in
/// the live view, SIGHUP keeps its default: nohup(1) works.
///
/// # Errors
///
/// If there is no such socket, or packets get no timestamps although it requests them.
pub fn run(messages: &Messages) -> Result<()> {
    // Blocked first, so that no signal is lost: they stay pending until
    // waited for.
    let mut ending = SigSet::empty();
    ending.add(Signal::SIGINT);
    ending.add(Signal::SIGTERM);
    ending.thread_block().context("blocking signals")?;
    let _timestamping = TimestampingSocket::open()?;
    let seen = match timestamp_probe::confirm() {
        Ok(()) => "packets arrive with timestamps".into(),
        // A datagram to itself that does not arrive says nothing about others.
        Err(Unconfirmed::NoDatagram(error)) => {
            format!("whether packets get timestamps could not be checked: {error:#}")
        }
        Err(Unconfirmed::NoTimestamp(error)) => return Err(error.into()),
    };
    messages.print(&format!(
        "netstacklat: RX timestamping is on for the whole host while this runs; {seen}.\n\
         netstacklat: Ctrl-C or SIGTERM (process {}) ends it.\n",
        std::process::id()
    ));
    tell_service_manager()?;
    ending.wait().context("waiting for a signal")?;
    Ok(())
}

/// sd_notify(3), where NOTIFY_SOCKET names a path or, after `@`, an abstract
/// name.
fn tell_service_manager() -> Result<()> {
    let Some(name) = std::env::var_os("NOTIFY_SOCKET") else {
        return Ok(());
    };
    let address = match name.as_bytes().strip_prefix(b"@") {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname::<&OsStr>(&name),
    };
    address
        .and_then(|address| UnixDatagram::unbound()?.send_to_addr(b"READY=1", &address))
        .with_context(|| format!("telling the service manager at {}", name.display()))?;
    Ok(())
}
