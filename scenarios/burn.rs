// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! CPU time, spent on nothing.

use std::time::Duration;

use anyhow::Result;
use nix::time::{ClockId, clock_gettime};

/// Takes a CPU, for good.
pub fn hog() -> ! {
    loop {
        some();
    }
}

/// Takes so much CPU time, however long that lasts.
pub fn work(time: Duration) -> Result<()> {
    let spent = || clock_gettime(ClockId::CLOCK_THREAD_CPUTIME_ID).map(Duration::from);
    let enough = match time {
        Duration::ZERO => return Ok(()),
        _ => spent()? + time,
    };
    while spent()? < enough {
        some();
    }
    Ok(())
}

/// Some microseconds. Not by a hint that the CPU only waits, and not by a jump
/// to itself: emulation is far slower at these than at anything that programs
/// do.
fn some() {
    let mut number = 1u64;
    for _ in 0..1 << 11 {
        number = (number ^ number << 13).rotate_left(7).wrapping_mul(5);
    }
    std::hint::black_box(number);
}
