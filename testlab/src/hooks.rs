// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What hooks of a protocol must have counted, from what was sent.

use netstacklat::model::hooks::{Hook, Protocol};

use crate::lines::{Counts, Run};
use crate::udp;

/// The hooks that only packets of this protocol pass, in path order.
pub fn hooks_of(protocol: &str) -> Vec<Hook> {
    let own = Protocol::find(protocol);
    assert!(own.is_some(), "the table has no hook of {protocol}");
    Hook::all().filter(|hook| hook.protocol() == own).collect()
}

/// Runs that may have been left out by the kernel, given how many were at the
/// hooks whose programs run in the readers: those are preempted inside them.
pub fn left_out(hook: Hook, missed_reads: u64) -> u64 {
    if hook.is_in_reader() { missed_reads } else { 0 }
}

/// Every datagram is there once at every UDP hook. It is recorded, but for two
/// kinds: those that came before stamping was on, counted as having no stamp;
/// and at the reads, which run in tasks, those whose reader ran while another,
/// preempted, was inside the same program on that CPU: the kernel leaves the
/// program out, and the tool says so (`missed`).
pub fn udp_hooks_counted(run: &Run, datagrams: u64, warm: udp::Stamped) {
    for hook in hooks_of("UDP") {
        let Counts {
            count,
            skipped,
            missed,
            ..
        } = &run.hook(hook.name());
        println!("{hook}: {count} of {datagrams}, {skipped:?}, missed {missed}");
        assert_eq!(count + missed, datagrams + warm.with, "{hook}: {skipped:?}");
        assert_eq!(skipped.values().sum::<u64>(), warm.without, "{skipped:?}");
        // One preempted reader costs all reads on its CPU until it runs again:
        // 745 of 40,000 were seen.
        assert!(
            *missed <= left_out(hook, datagrams / 10),
            "{hook}: {missed}"
        );
    }
}

/// The UDP hooks at which the socket is known.
pub fn with_socket() -> impl Iterator<Item = Hook> {
    let hooks = hooks_of("UDP").into_iter();
    hooks.filter(|hook| hook.knows_socket())
}

/// Each of these hooks has recorded so many.
pub fn recorded_with_socket(run: &Run, what: &str, wanted: u64) {
    for hook in with_socket() {
        let counts = run.hook(hook.name());
        println!(
            "{what}, {hook}: {} recorded, {:?}",
            counts.count, counts.skipped
        );
        assert_eq!(counts.count, wanted, "{what}, {hook}");
    }
}
