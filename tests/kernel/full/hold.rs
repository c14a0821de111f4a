// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `netstacklat hold-timestamps`: RX timestamping is on exactly while it runs. It
//! sleeps all the time, and needs no privileges.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use testlab::check::HostCondition;
use testlab::counters::count_in_the_kernel;
use testlab::tool::wait_for_exit;
use testlab::{Family, PATIENCE, udp, wait_until};

/// The user nobody, without capabilities and unable to get any.
const NOBODY: [&str; 5] = [
    "--reuid=65534",
    "--regid=65534",
    "--clear-groups",
    "--bounding-set=-all",
    "--no-new-privs",
];
const ON: &str = "netstacklat: RX timestamping is on for the whole host while this runs; ";

struct Holder(Child);

impl Holder {
    /// Starts it and waits for the message that packets have timestamps.
    fn start() -> Holder {
        let (holder, seen) = Holder::behind("setpriv", &NOBODY);
        assert_eq!(seen, "packets arrive with timestamps.\n");
        holder
    }

    /// Starts it behind another program, and returns what its message says of packets.
    fn behind(program: &str, arguments: &[&str]) -> (Holder, String) {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .args(["netstacklat", "hold-timestamps"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("setpriv is in the guest");
        let mut stderr = BufReader::new(child.stderr.take().expect("piped"));
        let mut lines = [String::new(), String::new()];
        for line in &mut lines {
            stderr.read_line(line).expect("UTF-8");
        }
        let holder = Holder(child);
        let seen = lines[0].strip_prefix(ON).expect(&lines[0]).to_owned();
        let pid = holder.pid();
        let how = format!("netstacklat: Ctrl-C or SIGTERM (process {pid}) ends it.\n");
        assert_eq!(lines[1], how);
        (holder, seen)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.0.id() as i32)
    }

    /// The exit code after a signal, `None` if the signal killed it.
    fn ended_by(mut self, signal: Signal) -> Option<i32> {
        kill(self.pid(), signal).expect("it runs");
        wait_for_exit(&mut self.0).code()
    }

    /// The kernel's counts of voluntary and involuntary context switches.
    fn switches(&self) -> Vec<u64> {
        let status = self.status();
        let lines = status.lines().filter(|l| l.contains("_ctxt_switches:"));
        let numbers = lines.filter_map(|line| line.split_whitespace().last()?.parse().ok());
        numbers.collect()
    }

    fn status(&self) -> String {
        let path = format!("/proc/{}/task/{0}/status", self.pid());
        std::fs::read_to_string(path).expect("it runs")
    }
}

/// A failed test must not leave a holder behind, which would disturb the next.
impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// However it ends, timestamping is off afterwards.
#[test]
fn timestamping_is_on_exactly_while_it_runs() {
    let flow = udp::Flow::several(Family::V4, 7670..7671);
    for (signal, code) in [
        (Signal::SIGTERM, Some(0)),
        (Signal::SIGINT, Some(0)),
        (Signal::SIGKILL, None),
    ] {
        udp::until_stamped(false);
        let holder = Holder::start();
        // Its message comes after the first timestamp, so each datagram has one.
        assert_eq!(udp::until_stamped(true).without, 0);
        assert_eq!(count_in_the_kernel(), 0, "it has loaded something");
        udp::exchange(&flow, 100);
        assert_eq!(udp::until_stamped(true).without, 0);
        assert_eq!(holder.ended_by(signal), code, "{signal}");
        udp::until_stamped(false);
    }
}

#[test]
fn nothing_wakes_it() {
    let holder = Holder::start();
    let flow = udp::Flow::several(Family::V4, 7672..7673);
    udp::exchange(&flow, 100);
    // It may still be busy for a moment after its message.
    wait_until(PATIENCE, "it sleeps", || {
        holder.status().contains("\nState:\tS")
    });
    let before = holder.switches();
    assert_eq!(before.len(), 2, "voluntary and involuntary");
    for _ in 0..4 {
        udp::exchange(&flow, 100);
        std::thread::sleep(std::time::Duration::from_millis(500));
    }
    assert_eq!(holder.switches(), before);
    assert_eq!(holder.ended_by(Signal::SIGTERM), Some(0));
}

/// In a new network namespace lo is down. Timestamping concerns the whole host.
#[test]
fn timestamping_is_on_where_loopback_is_down() {
    udp::until_stamped(false);
    let (holder, seen) = Holder::behind("unshare", &["--net"]);
    assert!(
        seen.starts_with("whether packets get timestamps could not be checked: "),
        "{seen}"
    );
    udp::until_stamped(true);
    assert_eq!(holder.ended_by(Signal::SIGTERM), Some(0));
}

#[test]
fn without_a_socket_it_says_so() {
    let output = HostCondition::without(libc::SYS_socket).run(&["hold-timestamps"]);
    let said = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(1), "{said}");
    let lines: Vec<_> = said.lines().collect();
    assert!(
        lines[0].starts_with("netstacklat: no software RX timestamps: "),
        "{said}"
    );
    assert!(
        lines[1].starts_with("  Cause: ") && lines[2].starts_with("  Remedy: "),
        "{said}"
    );
}
