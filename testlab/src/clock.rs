// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Setting the guest's clock, and putting it right again.

use std::mem;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::time::{ClockId, clock_gettime};

use crate::timeline::Between;
use crate::{sh, wait_until};

const DAY: i64 = 86_400;
const SECOND_NS: i64 = 1_000_000_000;

/// CLOCK_REALTIME, ns.
pub fn real_ns() -> i64 {
    read(ClockId::CLOCK_REALTIME)
}

fn read(clock: ClockId) -> i64 {
    let time = clock_gettime(clock).expect("clock_gettime");
    time.tv_sec() * 1_000_000_000 + time.tv_nsec()
}

/// CLOCK_TAI - CLOCK_REALTIME, s, as the kernel has it.
pub fn tai_offset() -> i64 {
    adjust(|_| {}).tai.into()
}

/// CLOCK_MONOTONIC, ns.
pub fn mono_ns() -> i64 {
    read(ClockId::CLOCK_MONOTONIC)
}

/// How much CLOCK_MONOTONIC is ahead of the hardware's clock, ns: slewing
/// changes it.
pub fn slewed_ns() -> i64 {
    mono_ns() - read(ClockId::CLOCK_MONOTONIC_RAW)
}

/// CLOCK_REALTIME - CLOCK_MONOTONIC, ns: the narrowest of many readings, as an
/// interrupt widens one.
pub fn offset_ns() -> i64 {
    let readings = (0..200).map(|_| {
        let (before, real, after) = (mono_ns(), real_ns(), mono_ns());
        (after - before, real - (before + (after - before) / 2))
    });
    readings.min().expect("some").1
}

/// The clock may be set while this lives; then it is as it was before.
pub struct Settings {
    /// CLOCK_REALTIME - CLOCK_MONOTONIC
    offset_ns: i64,
    tai_offset: i64,
}

impl Settings {
    pub fn keep() -> Settings {
        Settings {
            offset_ns: offset_ns(),
            tai_offset: tai_offset(),
        }
    }

    /// Steps the clock by exactly so many ns; when, on CLOCK_MONOTONIC.
    pub fn step(&self, by: i64) -> Between {
        let before = mono_ns();
        adjust(|timex| {
            timex.modes = libc::ADJ_SETOFFSET | libc::ADJ_NANO;
            timex.time.tv_sec = by.div_euclid(SECOND_NS);
            timex.time.tv_usec = by.rem_euclid(SECOND_NS);
        });
        (before, mono_ns())
    }

    pub fn set_tai_offset(&self, seconds: i64) {
        adjust(|timex| {
            timex.modes = libc::ADJ_TAI;
            timex.constant = seconds;
        });
        assert_eq!(tai_offset(), seconds);
    }

    /// The clock runs faster by 500 ppm, and by another 500 from the next
    /// second on, as adjtime(3) does it, until this is dropped.
    pub fn slew_by_frequency(&self) -> Slewing {
        adjust(|timex| {
            timex.modes = libc::ADJ_FREQUENCY;
            timex.freq = 500 << 16;
        });
        adjust(|timex| {
            timex.modes = libc::ADJ_OFFSET_SINGLESHOT;
            timex.offset = 50_000;
        });
        Slewing
    }

    /// The kernel's phase-locked loop takes away 100 ms: a quarter of it in the
    /// first second.
    pub fn slew_by_offset(&self) -> Slewing {
        adjust(|timex| {
            timex.modes = libc::ADJ_STATUS | libc::ADJ_TIMECONST | libc::ADJ_NANO;
            timex.status = libc::STA_PLL;
            timex.constant = 0;
        });
        adjust(|timex| {
            timex.modes = libc::ADJ_OFFSET | libc::ADJ_NANO;
            timex.offset = -100_000_000;
        });
        Slewing
    }

    /// By how much to step the clock so that it is four seconds before a
    /// midnight ahead.
    pub fn to_midnight(&self) -> (i64, Midnight) {
        let now = real_ns();
        let at = (now / SECOND_NS / DAY + 2) * DAY * SECOND_NS;
        (at - 4 * SECOND_NS - now, Midnight(at))
    }
}

/// A clock that is made to run faster or slower.
pub struct Slewing;

impl Drop for Slewing {
    fn drop(&mut self) {
        adjust(|timex| {
            timex.modes = libc::ADJ_OFFSET_SINGLESHOT;
            timex.offset = 0;
        });
        // Turning the loop off ends what it does.
        adjust(|timex| {
            timex.modes = libc::ADJ_STATUS | libc::ADJ_FREQUENCY | libc::ADJ_MICRO;
            timex.status = 0;
            timex.freq = 0;
        });
    }
}

/// A midnight (UTC, ns) with a leap second.
#[derive(Clone, Copy, Debug)]
pub struct Midnight(i64);

/// Which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leap {
    Inserted,
    Deleted,
}

impl Leap {
    /// Tells the kernel that this day ends with it.
    pub fn announce(self) {
        adjust(|timex| {
            timex.modes = libc::ADJ_STATUS;
            timex.status = match self {
                Leap::Inserted => libc::STA_INS,
                Leap::Deleted => libc::STA_DEL,
            };
        });
    }

    /// What it does to the clock, ns.
    pub fn step(self) -> i64 {
        match self {
            Leap::Inserted => -SECOND_NS,
            Leap::Deleted => SECOND_NS,
        }
    }
}

impl Midnight {
    /// Waits until the wall clock is so many milliseconds before the leap: the
    /// second that is deleted is the last before midnight.
    pub fn wait(self, leap: Leap, before_ms: i64) {
        let at = match leap {
            Leap::Inserted => self.0,
            Leap::Deleted => self.0 - SECOND_NS,
        };
        let near = || real_ns() >= at - before_ms * 1_000_000;
        wait_until(Duration::from_secs(20), "midnight", near);
    }

    /// Waits for the kernel to do it; when, on CLOCK_MONOTONIC.
    pub fn wait_for(self, leap: Leap) -> Between {
        let offset = offset_ns();
        let mut seen = (0, mono_ns());
        wait_until(Duration::from_secs(5), "a leap second", || {
            let before = mono_ns();
            let by = real_ns() - before - offset;
            let after = mono_ns();
            // What lies between the two is far less than half a second.
            let done = (by - leap.step()).abs() < SECOND_NS / 2;
            seen = if done {
                (seen.1, after)
            } else {
                (seen.1, before)
            };
            done
        });
        adjust(clear_status);
        seen
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        drop(Slewing);
        self.step(self.offset_ns - offset_ns());
        self.set_tai_offset(self.tai_offset);
    }
}

fn clear_status(timex: &mut libc::timex) {
    timex.modes = libc::ADJ_STATUS;
    timex.status = 0;
}

fn adjust(change: impl FnOnce(&mut libc::timex)) -> libc::timex {
    // SAFETY: timex is plain data; all zeros asks for nothing to change.
    let mut timex: libc::timex = unsafe { mem::zeroed() };
    change(&mut timex);
    // SAFETY: timex points to a valid, writable struct.
    Errno::result(unsafe { libc::adjtimex(&mut timex) }).expect("adjtimex");
    timex
}

/// Whether the programs subtract with the kernel's offset as it is, without a
/// second look at each packet: as their shared state says.
pub fn fast_path_is_open() -> bool {
    let state = sh("bpftool map dump name netstack.data");
    let field = |name: &str| {
        let (_, rest) = state.split_once(&format!("\"{name}\": ")).expect("BTF");
        let number: String = rest
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '-')
            .collect();
        number.parse::<i64>().expect("a number")
    };
    field("offs_fast") == field("offs_real")
}
