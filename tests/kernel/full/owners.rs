// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Whose a packet is where that is not plain: sockets that share a port, that are
//! handed on, services that are restarted. Those who read count what they read.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use nix::sys::socket::sockopt::ReusePort;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrIn, bind, setsockopt, socket};
use testlab::lines::Values;
use testlab::links::Link;
use testlab::readers::Reader;
use testlab::tcp::Connection;
use testlab::tool::Tool;
use testlab::{Family, Ns, PATIENCE, wait_until};

const PORT: u16 = 6750;
const BYTES: u64 = 8;

/// A process that reads from a socket which it was given, and counts.
struct Heir {
    child: Child,
    counted: PathBuf,
}

impl Heir {
    fn start(socket: OwnedFd, name: &str) -> Heir {
        let counted = Path::new("/tmp").join(name);
        let out = File::create(&counted).expect("a file");
        let mut command = Command::new("dd");
        command
            .args(["bs=64", "status=none"])
            .stdin(socket)
            .stdout(out);
        let child = command.spawn().expect("dd is in the guest");
        Heir { child, counted }
    }

    fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Datagrams that it has read, one with each read(2).
    fn read(&self) -> u64 {
        fs::metadata(&self.counted).expect("its file").len() / BYTES
    }
}

impl Drop for Heir {
    fn drop(&mut self) {
        // Neither can fail: it never ends by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A socket at the port, beside others.
fn shared_socket() -> OwnedFd {
    Ns::Right.run(|| {
        let (family, kind) = (AddressFamily::Inet, SockType::Datagram);
        let made = socket(family, kind, SockFlag::SOCK_CLOEXEC, None).expect("socket");
        setsockopt(&made, ReusePort, &true).expect("SO_REUSEPORT");
        let at = SockaddrIn::new(127, 0, 0, 1, PORT);
        bind(std::os::fd::AsRawFd::as_raw_fd(&made), &at).expect("bind");
        made
    })
}

fn sender() -> UdpSocket {
    Ns::Right.run(|| UdpSocket::bind("127.0.0.1:0").expect("bind"))
}

fn send(sender: &UdpSocket, datagrams: u64) {
    for number in 0..datagrams {
        let sent = sender.send_to(&number.to_ne_bytes(), ("127.0.0.1", PORT));
        assert_eq!(sent.expect("send") as u64, BYTES);
    }
}

fn named(heirs: &[&Heir]) -> BTreeMap<Values, u64> {
    let group = |heir: &&Heir| (vec![format!("dd({})", heir.pid())], heir.read());
    heirs.iter().map(group).collect()
}

/// The kernel spreads packets over the sockets by a hash of both ends.
#[test]
fn sockets_that_share_a_port() {
    let heirs = ["first", "second"].map(|name| Heir::start(shared_socket(), name));
    let options = ["-r", "100ms", "-n", "right", "--local-port", "6750"];
    let tool = Tool::start_for_udp(&[&options[..], &["--by", "process"]].concat());
    tool.warm_up();
    const SENT: u64 = 200;
    for _ in 0..20 {
        send(&sender(), SENT / 20);
    }
    wait_until(PATIENCE, "all is read", || {
        heirs.iter().map(Heir::read).sum::<u64>() == SENT
    });
    let expected = named(&[&heirs[0], &heirs[1]]);
    let run = tool.finish();
    println!("{expected:?}");
    assert!(
        heirs.iter().all(|heir| heir.read() > 0),
        "one socket got all"
    );
    assert_eq!(run.groups("udp-socket-read"), expected);
    assert_eq!(run.hook("udp-start").count, SENT);
}

/// A socket belongs to nobody: whoever reads is the process, one after the other.
/// The cgroup stays that of the process that made the socket.
#[test]
fn a_socket_that_is_handed_on() {
    let socket = shared_socket();
    let again = socket.try_clone().expect("dup");
    let options = ["-r", "100ms", "-n", "right", "--local-port", "6750"];
    let tool = Tool::start_for_udp(&[&options[..], &["--by", "process,cgroup"]].concat());
    tool.warm_up();
    let sender = sender();
    let mut expected = BTreeMap::new();
    for (socket, name, sent) in [(socket, "first", 30), (again, "second", 50)] {
        let heir = Heir::start(socket, name);
        send(&sender, sent);
        wait_until(PATIENCE, "all is read", || heir.read() == sent);
        let group = ["/".to_owned(), format!("dd({})", heir.pid())];
        expected.insert(group.to_vec(), sent);
    }
    let run = tool.finish();
    assert_eq!(run.groups("udp-socket-read"), expected);
    let cgroups: Vec<_> = run.groups("udp-queue-rcv").into_keys().collect();
    assert!(cgroups.iter().all(|values| values[0] == "/"), "{cgroups:?}");
}

/// It has another cgroup at the same path, which is found again.
#[test]
fn a_service_that_is_restarted() {
    let cgroup = Path::new("/sys/fs/cgroup/nsl-restarted");
    let start = || {
        fs::create_dir(cgroup).expect("a cgroup");
        Reader::start(Some(cgroup))
    };
    let stop = |service: Reader| {
        drop(service);
        wait_until(PATIENCE, "the cgroup is empty", || {
            fs::remove_dir(cgroup).is_ok()
        });
    };
    let service = start();
    let tool = Tool::start_for_udp(&["-r", "100ms", "-n", "right", "-c", "nsl-restarted"]);
    tool.warm_up();
    let counted = || tool.totals_up_to_now()["udp-socket-read"].count;
    service.send(10);
    wait_until(PATIENCE, "the first is measured", || counted() == 10);
    stop(service);
    let service = start();
    wait_until(PATIENCE, "the cgroup is found again", || {
        service.send(1);
        counted() > 10
    });
    // Nothing is on its way any more when two reports have the same count.
    let mut before = 0;
    wait_until(PATIENCE, "all is read", || {
        std::mem::replace(&mut before, counted()) == counted()
    });
    service.send(100);
    wait_until(PATIENCE, "the second is measured", || {
        counted() >= before + 100
    });
    let run = tool.finish();
    assert_eq!(run.hook("udp-socket-read").count, before + 100);
    stop(service);
}

/// The kernel looks up the socket of an established connection before the segment
/// reaches TCP. So tcp-start knows whose it is; of a connection that is being made
/// there is none yet.
#[test]
fn segments_of_connections_before_tcp() {
    const PORT: u16 = 6760;
    let exchange = |connection: &mut Connection, segments: usize| {
        for _ in 0..segments {
            connection.tx.write_all(&[7; 100]).expect("write");
            connection.rx.read_exact(&mut [0; 100]).expect("read");
        }
    };
    let pid = std::process::id().to_string();
    for family in [Family::V4, Family::V6] {
        let mut old = Connection::over(Link::Wire.way(family, PORT));
        let at_port = ["-r", "100ms", "-n", "right", "--local-port", "6760"];
        let tool = Tool::start_for_tcp(&[&at_port[..], &["-p", &pid]].concat());
        exchange(&mut old, 100);
        let mut new = Connection::over(Link::Wire.way(family, PORT));
        exchange(&mut new, 50);
        let run = tool.finish();
        let counts = run.hook("tcp-start");
        println!(
            "{family:?}: {} recorded, {:?}",
            counts.count, counts.skipped
        );
        // The old one's segments; the new one's from the second write on: until
        // somebody reads, it is not known who will.
        assert_eq!(counts.count, 100 + 49);
        // SYN, the ACK for the SYN-ACK, and the first write.
        assert_eq!(counts.skip("owner-unknown"), 3);
        let words = "at tcp-start only packets of established connections";
        assert!(run.stderr.contains(words), "{}", run.stderr);
        drop((old, new));
    }
}
