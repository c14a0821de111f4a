// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Our systemd units under the real systemd: do they work, with as little as
//! they are allowed?

use std::net::TcpStream;

use nix::libc;

use testlab::counters::count_in_the_kernel;
use testlab::exporter::get;
use testlab::scrape::Scrape;
use testlab::systemd::{Status, Systemd};
use testlab::udp::{self, Flow};
use testlab::{Family, PATIENCE, has_recvmsg_locked, prepare, sh, wait_until};

const SOCKET: &str = "ebpf_exporter.socket";
const SERVICE: &str = "ebpf_exporter.service";
const HOLDER: &str = "netstacklat-hold-timestamps.service";
const CAP_PERFMON: u32 = 38;
const CAP_BPF: u32 = 39;

/// The unit as it is installed, or, on kernels before 5.19, with the directory
/// of their object: what it tells to do there.
fn installed(unit: &str) -> String {
    let path = format!("/usr/local/share/netstacklat/{unit}");
    if !has_recvmsg_locked() {
        let other = "s|^(ExecStart=.*--config.dir=[^ ]*) |\\1/before-5.19 |";
        sh(&format!("sed -i -E '/before-5.19 /! {other}' {path}"));
    }
    path
}

/// One scrape over the socket that systemd has opened.
fn scrape() -> Scrape {
    let stream = TcpStream::connect(("127.0.0.1", 9435)).expect("systemd listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    get(stream).expect("an answer")
}

/// No root, no way to it, and these capabilities.
fn confined(status: &Status, capabilities: &[u32]) {
    assert!(status.line("Uid").iter().all(|uid| *uid != "0"));
    let mask: u64 = capabilities.iter().map(|number| 1 << number).sum();
    for set in ["CapPrm", "CapEff", "CapBnd"] {
        assert_eq!(status.line(set), [format!("{mask:016x}")], "{set}");
    }
    assert_eq!(status.line("NoNewPrivs"), ["1"]);
    let filtered = libc::SECCOMP_MODE_FILTER.to_string();
    assert_eq!(status.line("Seccomp"), [filtered]);
}

/// Enabled as the units say, found running after a boot with nobody having
/// asked, and stamps for as long as the socket is there.
#[test]
fn the_socket_has_packets_stamped_and_the_service_counts_them() {
    const N: u64 = 500;
    prepare();
    udp::until_stamped(false);
    let units = [SOCKET, SERVICE].map(installed);
    sh(&format!(
        "SYSTEMD_OFFLINE=1 systemctl enable {} {}",
        units[0], units[1]
    ));
    let systemd = Systemd::boot();
    systemd.must(&["is-active", SERVICE]);
    confined(&systemd.status(SERVICE), &[CAP_BPF, CAP_PERFMON]);
    // Which the guest has fewer of: on a host with many, its threads must fit
    // into the unit's TasksMax=.
    assert!(scrape().text.contains("\ngo_sched_gomaxprocs_threads 4\n"));
    udp::until_stamped(true);
    wait_until(PATIENCE, "the clock is known", || {
        scrape().value("clock_updates_total") > 0
    });

    let before = scrape();
    udp::exchange(&Flow::several(Family::V4, 6300..6304), N);
    let after = scrape();
    let counted = after.histogram("udp-start");
    let counted = counted.since(&before.histogram("udp-start"));
    assert_eq!(counted.count(), N);
    assert_eq!(after.skipped("udp-start"), before.skipped("udp-start"));

    // The stamps are the socket's, as while the service is started anew.
    systemd.must(&["stop", SERVICE]);
    // 7.x frees what was detached a little later.
    wait_until(PATIENCE, "programs and maps are gone", || {
        count_in_the_kernel() == 0
    });
    assert_eq!(udp::until_stamped(true).without, 0);
    systemd.must(&["stop", SOCKET]);
    udp::until_stamped(false);
    assert_eq!(systemd.property(SERVICE, "Result"), "success");
}

#[test]
fn stamps_are_held_by_a_service_that_may_do_nothing() {
    udp::until_stamped(false);
    let unit = installed(HOLDER);
    let systemd = Systemd::boot();
    systemd.must(&["enable", "--now", &unit]);
    confined(&systemd.status(HOLDER), &[]);
    // systemctl came back when the first stamp had been seen.
    assert_eq!(udp::until_stamped(true).without, 0);
    systemd.must(&["stop", HOLDER]);
    udp::until_stamped(false);
    assert_eq!(systemd.property(HOLDER, "Result"), "success");
}
