// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Runs many trials and counts their outcomes.

use std::sync::atomic::{AtomicU64, Ordering};

/// The number of comparisons that each test simulates. `make test-all` runs more.
pub(crate) fn trials() -> u64 {
    if testlab::at_full_length() { 1000 } else { 80 }
}

/// Runs so many trials, and counts for each question how often it is answered yes.
pub(crate) fn count<const N: usize>(
    trials: u64,
    trial: impl Fn(u64) -> [u64; N] + Sync,
) -> [u64; N] {
    let counts = [const { AtomicU64::new(0) }; N];
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= trials {
                        break;
                    }
                    for (count, more) in counts.iter().zip(trial(seed)) {
                        count.fetch_add(more, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    counts.map(AtomicU64::into_inner)
}

/// A share in percent.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole as f64
}
