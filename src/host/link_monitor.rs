// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Tells when an interface of a network namespace comes, goes or is renamed.

use std::io;
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, bind, recv, socket,
};

use crate::host::namespaces::Netns;

/// A socket to which the kernel writes about interfaces (rtnetlink(7)).
#[derive(Debug)]
pub(crate) struct LinkMonitor(OwnedFd);

impl LinkMonitor {
    /// Watches this namespace from now on.
    ///
    /// # Errors
    ///
    /// If the namespace may not be entered, or the kernel has no such socket.
    pub(crate) fn new(netns: &Netns) -> io::Result<LinkMonitor> {
        netns.run(|| {
            let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
            let fd = socket(
                AddressFamily::Netlink,
                SockType::Raw,
                flags,
                SockProtocol::NetlinkRoute,
            )?;
            bind(
                fd.as_raw_fd(),
                &NetlinkAddr::new(0, libc::RTMGRP_LINK as u32),
            )?;
            Ok(LinkMonitor(fd))
        })?
    }

    /// Takes what was written; whether that is anything. What exactly changed does
    /// not matter: whoever asks looks at all interfaces anew.
    ///
    /// # Errors
    ///
    /// Those of reading. That messages were lost is none: it is a change, too.
    pub(crate) fn drain(&self) -> io::Result<bool> {
        let mut buffer = [0; 8192];
        let mut any = false;
        loop {
            match recv(self.0.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(_) | Err(Errno::ENOBUFS) => any = true,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return Ok(any),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for LinkMonitor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
