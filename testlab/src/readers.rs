// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Processes of their own that read datagrams, each from one socket.

use std::net::{SocketAddr, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::{Ns, PATIENCE};

/// A process that has a socket on loopback of the right namespace, and reads
/// each datagram that is sent to it with one read(2).
pub struct Reader {
    child: Child,
    tx: UdpSocket,
    at: SocketAddr,
}

impl Reader {
    /// Starts it, in this cgroup, and waits until it has its socket.
    pub fn start(cgroup: Option<&Path>) -> Reader {
        Reader::named("dd", cgroup)
    }

    /// The same by another name: /proc/PID/comm shows that of the file.
    pub fn named(name: &str, cgroup: Option<&Path>) -> Reader {
        let tx = Ns::Right.run(|| UdpSocket::bind("127.0.0.1:0").expect("bind"));
        tx.set_read_timeout(Some(PATIENCE)).expect("SO_RCVTIMEO");
        let port = tx.local_addr().expect("bound").port();
        let enter = cgroup.map_or(String::new(), |path| {
            format!("echo $$ >{}/cgroup.procs; ", path.display())
        });
        let script = format!(
            "{enter}exec 3<>/dev/udp/127.0.0.1/{port}; dir=$(mktemp -d); \
             ln -s \"$(command -v dd)\" \"$dir/{name}\"; \
             echo >&3; exec \"$dir/{name}\" bs=64 <&3 >/dev/null 2>&1"
        );
        let mut command = Command::new("bash");
        command.args(["-c", &script]).stdin(Stdio::null());
        let child = Ns::Right.run(|| command.spawn().expect("bash is in the guest"));
        let (_, at) = tx.recv_from(&mut [0; 8]).expect("it has a socket");
        Reader { child, tx, at }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it so many datagrams, which its socket holds until it reads.
    pub fn send(&self, datagrams: u64) {
        for number in 0..datagrams {
            let sent = self
                .tx
                .send_to(&number.to_ne_bytes(), self.at)
                .expect("send");
            assert_eq!(sent, 8);
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        // Neither can fail: it never ends by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
