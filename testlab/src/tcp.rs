// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! TCP connections, and what is sent over them.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{MsgFlags, send};

use crate::links::{Link, Way};
use crate::{Family, Ns, PATIENCE};

/// Both ends of a connection.
pub struct Connection {
    pub tx: TcpStream,
    pub rx: TcpStream,
}

impl Connection {
    /// Over the wire.
    pub fn open(family: Family, port: u16) -> Connection {
        Connection::over(Link::Wire.way(family, port))
    }

    pub fn over(way: Way) -> Connection {
        let Connection { tx, rx } = Connection::without_timeouts(way);
        rx.set_read_timeout(Some(PATIENCE)).expect("SO_RCVTIMEO");
        tx.set_write_timeout(Some(PATIENCE)).expect("SO_SNDTIMEO");
        Connection { tx, rx }
    }

    /// For traffic that may pause for as long as it likes.
    pub fn without_timeouts(way: Way) -> Connection {
        let listener = way.to.run(|| TcpListener::bind(way.at).expect("bind"));
        let tx = way
            .from
            .run(|| TcpStream::connect(way.at).expect("connect"));
        let (rx, _) = listener.accept().expect("accept");
        for end in [&tx, &rx] {
            end.set_nodelay(true).expect("TCP_NODELAY");
        }
        Connection { tx, rx }
    }

    /// An IPv4 connection of a listener for both versions, whose socket is an IPv6
    /// one.
    pub fn dual_stack(port: u16) -> Connection {
        let listener = Ns::Right.run(|| TcpListener::bind(("::", port)).expect("bind"));
        let at = Ns::Right.at(Family::V4, port);
        let tx = Ns::Left.run(|| TcpStream::connect(at).expect("connect"));
        let (rx, _) = listener.accept().expect("accept");
        rx.set_read_timeout(Some(PATIENCE)).expect("SO_RCVTIMEO");
        tx.set_nodelay(true).expect("TCP_NODELAY");
        Connection { tx, rx }
    }

    /// Writes and reads so many segments of one byte, one after the other.
    pub fn talk(&mut self, segments: u64) {
        for _ in 0..segments {
            self.tx.write_all(&[7]).expect("write");
            self.rx.read_exact(&mut [0]).expect("read");
        }
    }

    /// Sends `writes` times `size` bytes while the other end reads at most
    /// `at_once` bytes a time, to the end of the stream. Returns how many reads
    /// brought data. One write in `urgent_every` ends with an urgent byte,
    /// which the receiver handles off its fast path.
    ///
    /// The receiver closes first: then the last ACK is the sender's socket's,
    /// and not that of the stub which stands for it in TIME_WAIT.
    pub fn transfer(self, load: Load) -> u64 {
        let Connection { mut tx, mut rx } = self;
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut buffer = vec![0; load.at_once];
                let mut reads = 0;
                while rx.read(&mut buffer).expect("a stalled connection") > 0 {
                    reads += 1;
                }
                drop(rx);
                reads
            });
            let data = vec![7; load.size];
            for number in 1..=load.writes {
                tx.write_all(&data).expect("write");
                if load.urgent_every > 0 && number % load.urgent_every == 0 {
                    send(tx.as_raw_fd(), &[1], MsgFlags::MSG_OOB).expect("MSG_OOB");
                }
            }
            tx.shutdown(Shutdown::Write).expect("shutdown");
            reader.join().expect("the reader")
        })
    }
}

/// Sends back what comes, to the end.
pub fn echo(mut stream: TcpStream) -> std::io::Result<()> {
    let mut buffer = [0; 4096];
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(()),
            n => stream.write_all(&buffer[..n])?,
        }
    }
}

/// What is sent over a connection, and how it is read.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub writes: usize,
    pub size: usize,
    pub at_once: usize,
    /// 0: never
    pub urgent_every: usize,
}
