// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The guest as a laboratory: two namespaces on one wire, and commands in it.

pub mod check;
pub mod clock;
pub mod compare;
pub mod counters;
pub mod counts;
pub mod documented;
pub mod exporter;
pub mod hold;
pub mod hooks;
pub mod lines;
pub mod links;
pub mod load;
pub mod objects;
pub mod prometheus;
pub mod readers;
pub mod receive;
pub mod schema;
pub mod scrape;
pub mod slow_page;
pub mod systemd;
pub mod tcp;
pub mod tcp_reads;
pub mod text;
pub mod timeline;
pub mod tool;
pub mod udp;
pub mod witness;

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::process::Command;
use std::sync::Once;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::libc;

/// Longer than anything here takes, emulation included. Most guests' clocks
/// count instructions, so this is an amount of work and not of waiting.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A network namespace of the guest. Senders are in `Left`, receivers in
/// `Right`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ns {
    Root,
    Left,
    Right,
    /// Behind `Right`, which forwards: there while [`links::routed`] is.
    Inner,
}

impl Ns {
    /// Those that are always there.
    pub const ALL: [Ns; 3] = [Ns::Root, Ns::Left, Ns::Right];

    /// Runs `f` on a thread of this namespace. Sockets opened there stay in it.
    pub fn run<T: Send>(self, f: impl FnOnce() -> T + Send) -> T {
        let in_thread = || {
            self.enter();
            f()
        };
        let done = std::thread::scope(|scope| scope.spawn(in_thread).join());
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Moves the calling thread into this namespace, unless it is `Root`.
    pub fn enter(self) {
        let path = match self {
            Ns::Root => return,
            Ns::Left => "/run/netns/left",
            Ns::Right => "/run/netns/right",
            Ns::Inner => "/run/netns/inner",
        };
        let ns = File::open(path).expect("the guest has the pair of cards (--net pair)");
        // SAFETY: takes a descriptor that is open, and no memory.
        let status = unsafe { libc::setns(ns.as_raw_fd(), libc::CLONE_NEWNET) };
        Errno::result(status).expect("setns");
    }

    /// An address of this namespace's card. `Root` has none.
    pub fn at(self, family: Family, port: u16) -> SocketAddr {
        let host = match self {
            Ns::Root | Ns::Inner => panic!("it has no card"),
            Ns::Left => 1,
            Ns::Right => 2,
        };
        let address: IpAddr = match family {
            Family::V4 => Ipv4Addr::new(10, 0, 0, host).into(),
            Family::V6 => Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host.into()).into(),
        };
        SocketAddr::new(address, port)
    }
}

/// Which IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    V4,
    V6,
}

impl Family {
    pub const BOTH: [Family; 2] = [Family::V4, Family::V6];

    pub fn of(address: SocketAddr) -> Family {
        match address {
            SocketAddr::V4(_) => Family::V4,
            SocketAddr::V6(_) => Family::V6,
        }
    }

    /// Any address of this host, any port.
    pub fn any(self) -> SocketAddr {
        let address: IpAddr = match self {
            Family::V4 => Ipv4Addr::UNSPECIFIED.into(),
            Family::V6 => Ipv6Addr::UNSPECIFIED.into(),
        };
        SocketAddr::new(address, 0)
    }
}

/// Runs a shell command that must succeed; its standard output.
pub fn sh(script: &str) -> String {
    let done = Command::new("bash").args(["-euc", script]).output();
    let done = done.expect("the guest has bash");
    let stderr = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "{script}: {}: {stderr}", done.status);
    String::from_utf8(done.stdout).expect("UTF-8")
}

/// Whether the guest runs this Linux or a newer one: where kernels differ, a
/// test expects of each what the documentation promises for it.
pub fn linux_from(major: u32, minor: u32) -> bool {
    let release = sh("uname -r");
    let mut numbers = release.split(['.', '-', '+']);
    let mut number = || numbers.next().and_then(|n| n.parse::<u32>().ok());
    let running = (number(), number());
    let (Some(first), Some(second)) = running else {
        panic!("uname -r: {release}");
    };
    (first, second) >= (major, minor)
}

/// Reads are told from peeks, and empty ones seen, from here on.
pub fn has_recvmsg_locked() -> bool {
    linux_from(5, 19)
}

/// Whether tests run at full length: `make test-all` sets NETSTACKLAT_TEST_ALL.
pub fn at_full_length() -> bool {
    std::env::var_os("NETSTACKLAT_TEST_ALL").is_some()
}

/// What must hold before packets can be counted one by one: nothing between
/// sender and receiver may drop. (Neighbours are permanent already.)
pub fn prepare() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        sh("echo 100000 >/proc/sys/net/core/netdev_max_backlog
            echo 1 >/proc/sys/kernel/bpf_stats_enabled
            for ns in left right; do
                # fq_codel drops what has waited too long.
                tc -n $ns qdisc replace dev eth0 root pfifo limit 100000
            done");
    });
}

/// A change of the guest that is undone at the end of a test, failed or not.
pub struct Undo(&'static str);

impl Undo {
    /// Runs `script` now and `undo` on drop, or at once when `script` fails:
    /// each command of `undo` may find nothing to do, and the rest still run.
    pub fn after(script: &str, undo: &'static str) -> Undo {
        // Which else would come later and undo some of it.
        prepare();
        let undo = Undo(undo);
        sh(script);
        undo
    }
}

impl Drop for Undo {
    fn drop(&mut self) {
        let _ = Command::new("bash").args(["-c", self.0]).status();
    }
}

/// Waits for `what` to come true.
pub fn wait_until(patience: Duration, what: &str, mut done: impl FnMut() -> bool) {
    let mut waiting = Waiting::new(patience, what);
    while !done() {
        waiting.nap();
    }
}

/// Waits in naps, and panics when there have been too many. What counts is how
/// long the naps were to be: time in which the machine below did not run this
/// guest makes a nap longer, but uses up no patience.
pub struct Waiting<'a> {
    patience: Duration,
    what: &'a str,
    napped: Duration,
    /// For looks that take longer than naps.
    deadline: Instant,
}

impl Waiting<'_> {
    pub fn new(patience: Duration, what: &str) -> Waiting<'_> {
        Waiting {
            patience,
            what,
            napped: Duration::ZERO,
            deadline: Instant::now() + 10 * patience,
        }
    }

    pub fn nap(&mut self) {
        let (patience, what) = (self.patience, self.what);
        let left = self.napped < patience && Instant::now() < self.deadline;
        assert!(left, "not within {patience:?}: {what}");
        // What takes long is looked at less often: each look costs something.
        let nap = Duration::from_millis(if self.napped.as_millis() < 100 { 1 } else { 4 });
        std::thread::sleep(nap);
        self.napped += nap;
    }
}
