// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! When to send: at random, so many times a second on average, whatever has
//! become of what was sent before. Senders that waited for slow packets would
//! send fewer of them just when the host is slow.

use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand_distr::{Distribution as _, Exp};

/// Before the first packet of a recording, and after the last one. The kernel
/// begins to stamp packets a moment after it was asked to; and connections end
/// after their last byte.
pub const QUIET: Duration = Duration::from_millis(500);

/// Moments of a Poisson process. Not evenly spaced, as such would come at the
/// same places between the ticks of the kernel's clock each time.
pub struct Pace {
    next: Instant,
    gaps: Exp<f64>,
    rng: Xoshiro256PlusPlus,
}

impl Pace {
    pub fn new(per_second: f64, seed: u64) -> Pace {
        Pace {
            next: Instant::now(),
            gaps: Exp::new(per_second).expect("a rate above 0"),
            rng: Xoshiro256PlusPlus::seed_from_u64(seed),
        }
    }

    /// Returns when the next moment has come.
    pub fn wait(&mut self) {
        self.next += Duration::from_secs_f64(self.gaps.sample(&mut self.rng));
        std::thread::sleep(self.next.saturating_duration_since(Instant::now()));
    }
}
