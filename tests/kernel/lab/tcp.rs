// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! TCP connections from left to right.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::fd::AsRawFd as _;

use nix::sys::socket::{MsgFlags, send};

use super::{Family, Ns, PATIENCE};

/// Both ends of a connection.
pub struct Connection {
    pub tx: TcpStream,
    pub rx: TcpStream,
}

impl Connection {
    pub fn open(family: Family, port: u16) -> Connection {
        let listener = Ns::Right.run(|| TcpListener::bind(family.right(port)).expect("bind"));
        let tx = Ns::Left.run(|| TcpStream::connect(family.right(port)).expect("connect"));
        let (rx, _) = listener.accept().expect("accept");
        tx.set_nodelay(true).expect("TCP_NODELAY");
        rx.set_read_timeout(Some(PATIENCE)).expect("SO_RCVTIMEO");
        tx.set_write_timeout(Some(PATIENCE)).expect("SO_SNDTIMEO");
        Connection { tx, rx }
    }

    /// Sends `writes` times `size` bytes while the other end reads at most
    /// `at_once` bytes a time, to the end of the stream. Returns how many reads
    /// brought data. One write in `urgent_every` ends with an urgent byte,
    /// which the receiver handles off its fast path.
    pub fn transfer(mut self, load: Load) -> u64 {
        let (mut tx, rx) = (self.tx, &mut self.rx);
        std::thread::scope(|scope| {
            let reader = scope.spawn(move || {
                let mut buffer = vec![0; load.at_once];
                let mut reads = 0;
                while rx.read(&mut buffer).expect("a stalled connection") > 0 {
                    reads += 1;
                }
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

/// What is sent over a connection, and how it is read.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub writes: usize,
    pub size: usize,
    pub at_once: usize,
    /// 0: never
    pub urgent_every: usize,
}
