// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! recvmsg(2) with the stamp that the kernel hands over with the data, and
//! readers that are late.

use std::io::IoSliceMut;
use std::os::fd::{AsRawFd as _, BorrowedFd};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use nix::sys::time::TimeSpec;

use crate::PATIENCE;

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

/// Waits until there is something to read, and sleeps then: for how long in
/// truth.
pub fn sleep_once_readable(fd: BorrowedFd, time: Duration) -> Duration {
    let mut fds = [PollFd::new(fd, PollFlags::POLLIN)];
    let patience = PollTimeout::try_from(PATIENCE).expect("a short time");
    assert_eq!(poll(&mut fds, patience).expect("poll"), 1);
    let readable = Instant::now();
    sleep(time);
    readable.elapsed()
}
