// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Many trials, and what they have in common.

use std::sync::atomic::{AtomicU64, Ordering};

/// How many comparisons each test simulates: more in `make test-all`.
pub(crate) fn trials() -> u64 {
    if testlab::at_full_length() { 1000 } else { 80 }
}

/// What happens in so many trials, counted by each of several questions.
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

/// So many of a hundred.
pub(crate) fn percent(part: u64, whole: u64) -> f64 {
    100.0 * part as f64 / whole as f64
}
