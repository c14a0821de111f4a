// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What each UDP hook must have counted, from what was sent.

use crate::lines::{Counts, Run};
use crate::udp;

const UDP_HOOKS: [&str; 4] = [
    "udp-start",
    "udp-queue-rcv",
    "udp-socket-enqueued",
    "udp-socket-read",
];

/// Every datagram is there once at every UDP hook. It is recorded, but for two
/// kinds: those that came before stamping was on, counted as having no stamp;
/// and at the reads, which run in tasks, those whose reader ran while another,
/// preempted, was inside the same program on that CPU: the kernel leaves the
/// program out, and the tool says so (`missed`).
pub fn udp_hooks_counted(run: &Run, datagrams: u64, warm: udp::Stamped) {
    for hook in UDP_HOOKS {
        let Counts {
            count,
            skipped,
            missed,
            ..
        } = &run.hook(hook);
        println!("{hook}: {count} of {datagrams}, {skipped:?}, missed {missed}");
        assert_eq!(count + missed, datagrams + warm.with, "{hook}: {skipped:?}");
        assert_eq!(skipped.values().sum::<u64>(), warm.without, "{skipped:?}");
        if hook == "udp-socket-read" {
            // One preempted reader costs all reads on its CPU until it runs
            // again: 745 of 40,000 were seen.
            assert!(*missed <= datagrams / 10, "{hook}: {missed}");
        } else {
            assert_eq!(*missed, 0, "{hook}");
        }
    }
}
