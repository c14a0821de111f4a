// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! SIGKILL while packets arrive: nothing of ours is left in the kernel.

use std::time::Instant;

use nix::sys::signal::Signal;

use crate::full::kill::nothing_is_left_after;
use testlab::counters::left_in_the_kernel;
use testlab::exporter::Exporter;
use testlab::load::{Background, Rate};

#[test]
fn sigkill_leaves_nothing() {
    let load = Background::start(Rate::Moderate, 7920);
    let exporter = Exporter::start();
    let found = left_in_the_kernel();
    for kind in ["prog nsl_", "map netstack_", "link "] {
        let count = found.iter().filter(|name| name.starts_with(kind)).count();
        assert!(count >= 10, "{kind}: {found:?}");
    }
    load.wait_for_traffic();
    let killed = Instant::now();
    exporter.signal(Signal::SIGKILL);
    nothing_is_left_after(killed);
    load.wait_for_traffic();
    load.stop_ignoring_loss();
}
