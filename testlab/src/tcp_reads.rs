// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! TCP reads that bring a stamp, sockets that are MPTCP's, and data that never
//! comes to user space.

use std::io::Read as _;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, FromRawFd as _, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{Backlog, MsgFlags, SockaddrStorage, bind, connect, listen};

use crate::PATIENCE;
use crate::clock::real_ns;
use crate::links::Way;
use crate::receive::receive;
use crate::tcp::Connection;

/// A read, as the reader itself knows it: what it has found is at least so
/// old, and at most.
#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub bytes: usize,
    /// Of the last segment, CLOCK_REALTIME, ns.
    pub stamp: i64,
    pub least_age: i64,
    pub most_age: i64,
}

/// One read of up to `size` bytes. The socket has SO_TIMESTAMPNS.
pub fn read_stamped(rx: &TcpStream, size: usize) -> Read {
    let mut buffer = vec![0; size];
    let before = real_ns();
    let received = receive(rx.as_fd(), &mut buffer, MsgFlags::empty());
    let after = real_ns();
    let received = received.expect("a stalled connection");
    let stamp = received.stamp.expect("stamping is on");
    Read {
        bytes: received.bytes,
        stamp,
        least_age: before - stamp,
        most_age: after - stamp,
    }
}

/// SO_RCVLOWAT: the socket becomes readable when so many bytes are there.
pub fn wake_at(rx: &TcpStream, bytes: libc::c_int) {
    let (fd, size) = (rx.as_raw_fd(), size_of_val(&bytes));
    let value = std::ptr::from_ref(&bytes).cast();
    // SAFETY: value points to an int, and size is that of an int.
    let status =
        unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, libc::SO_RCVLOWAT, value, size as u32) };
    Errno::result(status).expect("SO_RCVLOWAT");
}

/// Whether it is, or becomes so.
pub fn readable(rx: &TcpStream, within: Duration) -> bool {
    let mut fds = [PollFd::new(rx.as_fd(), PollFlags::POLLIN)];
    let timeout = PollTimeout::try_from(within).expect("a short time");
    poll(&mut fds, timeout).expect("poll") == 1
}

/// A connection of whose ends either may be MPTCP's, or what the kernel says
/// to that.
pub fn mptcp(way: Way, tx: bool, rx: bool) -> nix::Result<Connection> {
    let address = SockaddrStorage::from(way.at);
    let listener = way.to.run(|| -> nix::Result<OwnedFd> {
        let socket = stream_socket(way, rx)?;
        bind(socket.as_raw_fd(), &address)?;
        listen(&socket, Backlog::new(1)?)?;
        Ok(socket)
    })?;
    let tx = way.from.run(|| -> nix::Result<OwnedFd> {
        let socket = stream_socket(way, tx)?;
        connect(socket.as_raw_fd(), &address)?;
        Ok(socket)
    })?;
    let (rx, _) = TcpListener::from(listener).accept().expect("accept");
    rx.set_read_timeout(Some(PATIENCE)).expect("SO_RCVTIMEO");
    let tx = TcpStream::from(tx);
    tx.set_write_timeout(Some(PATIENCE)).expect("SO_SNDTIMEO");
    Ok(Connection { tx, rx })
}

fn stream_socket(way: Way, mptcp: bool) -> nix::Result<OwnedFd> {
    let family = if way.at.is_ipv4() {
        libc::AF_INET
    } else {
        libc::AF_INET6
    };
    let protocol = if mptcp {
        libc::IPPROTO_MPTCP
    } else {
        libc::IPPROTO_TCP
    };
    // SAFETY: takes no memory.
    let fd = unsafe { libc::socket(family, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, protocol) };
    // SAFETY: a new descriptor that nobody else has.
    Errno::result(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Moves all that comes into a pipe with splice(2); how many calls moved any,
/// and how many bytes.
pub fn splice_to_the_end(rx: &TcpStream) -> (u64, usize) {
    let (mut out, into) = std::io::pipe().expect("a pipe");
    let (mut calls, mut bytes) = (0, 0);
    let mut drain = vec![0; 1 << 16];
    loop {
        let (from, to) = (rx.as_raw_fd(), into.as_raw_fd());
        let none = std::ptr::null_mut();
        // SAFETY: both descriptors are open, and no offsets are passed.
        let moved = unsafe { libc::splice(from, none, to, none, drain.len(), 0) };
        let moved = Errno::result(moved).expect("splice") as usize;
        if moved == 0 {
            return (calls, bytes);
        }
        calls += 1;
        bytes += moved;
        out.read_exact(&mut drain[..moved]).expect("the pipe");
    }
}
