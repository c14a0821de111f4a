// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! recvmsg(2) with the stamp that the kernel hands over with the data.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd as _, BorrowedFd};

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::time::TimeSpec;

/// What one call brought.
#[derive(Clone, Copy, Debug)]
pub struct Received {
    pub bytes: usize,
    /// CLOCK_REALTIME, ns: of the datagram, or of the last segment; if it has
    /// one.
    pub stamp: Option<i64>,
}

/// The socket has SO_TIMESTAMPNS, or asks for software stamps (SO_TIMESTAMPING).
pub fn receive(fd: BorrowedFd, buffer: &mut [u8], flags: MsgFlags) -> nix::Result<Received> {
    let mut control = nix::cmsg_space!([TimeSpec; 3]);
    let mut data = [IoSliceMut::new(buffer)];
    let message = recvmsg::<()>(fd.as_raw_fd(), &mut data, Some(&mut control), flags)?;
    let stamp = message.cmsgs()?.find_map(|control| match control {
        ControlMessageOwned::ScmTimestampns(stamp) => Some(stamp),
        ControlMessageOwned::ScmTimestampsns(stamps) => Some(stamps.system),
        _ => None,
    });
    Ok(Received {
        bytes: message.bytes,
        stamp: stamp.map(|stamp| stamp.tv_sec() * 1_000_000_000 + stamp.tv_nsec()),
    })
}
