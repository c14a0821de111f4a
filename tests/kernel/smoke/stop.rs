// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How it ends, and that it leaves nothing behind.

use std::time::Duration;

use nix::sys::signal::Signal;

use testlab::counters::left_in_the_kernel;
use testlab::tool::Tool;
use testlab::{Family, udp, wait_until};

/// Both what stands in the kernel and what it does: packets are stamped only
/// while somebody asks for it.
fn nothing_is_left() {
    let gone = Duration::from_secs(10);
    wait_until(gone, "programs, maps and links are gone", || {
        left_in_the_kernel().is_empty()
    });
    udp::until_stamped(false);
}

#[test]
fn sigint_prints_what_is_left_and_leaves_nothing() {
    // What these find when it runs proves that they can find it.
    udp::until_stamped(false);
    let tool = Tool::start(&["-r", "600"]);
    let warm = tool.warm_up();
    let in_kernel = left_in_the_kernel();
    for kind in ["prog nsl_", "map netstack_", "link "] {
        let found = in_kernel.iter().filter(|name| name.starts_with(kind));
        assert!(found.count() >= 10, "{kind}: {in_kernel:?}");
    }
    udp::exchange(&udp::Flow::several(Family::V4, 5000..5001), 100);
    let run = tool.finish();
    assert_eq!(run.intervals.len(), 1, "one partial interval");
    assert!(run.intervals[0].partial && !run.total.partial);
    let counts = run.hook("udp-socket-read");
    assert_eq!(counts.count, 100 + warm.with);
    assert_eq!(counts.skip("no-timestamp"), warm.without);
    // Said once all is attached, and nothing more where it is no terminal.
    let hooks = run.total.hooks.len();
    let greeting =
        format!("netstacklat: measuring at {hooks} hooks, first report in 10m (Ctrl-C: total).\n");
    assert_eq!(run.stderr, greeting);
    nothing_is_left();
}

#[test]
fn sigterm_ends_it_as_well() {
    let tool = Tool::start(&["-r", "600", "-e", "udp-start"]);
    tool.signal(Signal::SIGTERM);
    let run = tool.finished();
    assert_eq!(run.intervals.len(), 1);
    nothing_is_left();
}

#[test]
fn sigkill_leaves_nothing() {
    let tool = Tool::start(&["-r", "600"]);
    tool.warm_up();
    tool.signal(Signal::SIGKILL);
    drop(tool);
    nothing_is_left();
}
