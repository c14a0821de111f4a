// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! SIGKILL while packets arrive: the kernel takes everything back, and soon.

use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::lab::counters::{count_in_the_kernel, left_in_the_kernel};
use crate::lab::load::{Background, Rate};
use crate::lab::tool::Tool;
use crate::lab::{linux_from, udp, wait_until};

#[test]
fn sigkill_under_load_leaves_nothing() {
    let load = Background::start(Rate::Moderate, 7900);
    let tool = Tool::start(&["-r", "100ms"]);
    tool.warm_up();
    let found = left_in_the_kernel();
    for kind in ["prog nsl_", "map netstack_", "link "] {
        let count = found.iter().filter(|name| name.starts_with(kind)).count();
        assert!(count >= 10, "{kind}: {found:?}");
    }
    assert_eq!(count_in_the_kernel(), found.len());
    load.flows();
    let before = load.received();
    let killed = Instant::now();
    tool.signal(Signal::SIGKILL);
    wait_until(patience(), "programs, maps and links are gone", || {
        count_in_the_kernel() == 0
    });
    let gone = killed.elapsed();
    udp::until_stamped(false);
    let unstamped = killed.elapsed();
    let during = load.received();
    assert_eq!(left_in_the_kernel(), Vec::<String>::new());
    drop(tool);
    load.flows();
    load.stop();
    println!(
        "after SIGKILL nothing is left in {gone:?}, no packet is stamped in {unstamped:?}; \
         meanwhile {} datagrams and {} bytes over TCP arrived",
        during.datagrams - before.datagrams,
        during.bytes - before.bytes
    );
    assert!(unstamped < patience(), "stamped for {unstamped:?}");
}

/// 6.1 and 6.12 detach one link after the other, with a wait for all CPUs in
/// each. Where the host of the guest is quiet, 5.10 and 7.x take well below a
/// second; where others use its CPUs, up to three were seen.
fn patience() -> Duration {
    let slow = linux_from(6, 1) && !linux_from(7, 0);
    Duration::from_secs(if slow { 10 } else { 5 })
}
