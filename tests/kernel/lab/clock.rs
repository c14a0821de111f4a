// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Setting the guest's clock, and putting it right again.

use std::mem;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::time::{ClockId, clock_gettime, clock_settime};

use super::wait_until;

const DAY: i64 = 86_400;

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

/// The clock may be set while this lives; then it is as it was before.
pub struct Settings {
    /// CLOCK_REALTIME - CLOCK_MONOTONIC
    offset_ns: i64,
    tai_offset: i64,
}

impl Settings {
    pub fn keep() -> Settings {
        Settings {
            offset_ns: real_ns() - read(ClockId::CLOCK_MONOTONIC),
            tai_offset: tai_offset(),
        }
    }

    pub fn step(&self, by: i64) {
        set_real(real_ns() + by * 1_000_000_000);
    }

    pub fn set_tai_offset(&self, seconds: i64) {
        adjust(|timex| {
            timex.modes = libc::ADJ_TAI;
            timex.constant = seconds;
        });
        assert_eq!(tai_offset(), seconds);
    }

    /// Sets the clock some seconds before a midnight ahead, at which the
    /// kernel will insert a leap second.
    pub fn approach_leap(&self) -> Leap {
        let tai_offset = tai_offset();
        let today = real_ns() / 1_000_000_000 / DAY;
        let leap = Leap {
            midnight: (today + 2) * DAY,
            tai_offset,
        };
        set_real((leap.midnight - 12) * 1_000_000_000);
        adjust(|timex| {
            timex.modes = libc::ADJ_STATUS;
            timex.status = libc::STA_INS;
        });
        leap
    }
}

/// A leap second that is to come.
#[derive(Clone, Copy, Debug)]
pub struct Leap {
    /// UTC, s
    midnight: i64,
    tai_offset: i64,
}

impl Leap {
    /// Waits until the wall clock says so many milliseconds after midnight.
    fn wait(self, ms: i64) {
        let past = || real_ns() > (self.midnight * 1000 + ms) * 1_000_000;
        wait_until(Duration::from_secs(20), "midnight", past);
    }

    /// Returns in the last second before it: stamps of that second come twice.
    pub fn wait_until_near(self) {
        self.wait(-600);
        assert_eq!(tai_offset(), self.tai_offset);
    }

    /// Returns one second after it.
    pub fn wait_until_over(self) {
        self.wait(1000);
        let inserted = tai_offset() - self.tai_offset;
        assert_eq!(inserted, 1, "the kernel inserted no leap second");
        adjust(clear_status);
    }
}

impl Drop for Settings {
    fn drop(&mut self) {
        adjust(clear_status);
        set_real(read(ClockId::CLOCK_MONOTONIC) + self.offset_ns);
        self.set_tai_offset(self.tai_offset);
    }
}

fn clear_status(timex: &mut libc::timex) {
    timex.modes = libc::ADJ_STATUS;
    timex.status = 0;
}

fn set_real(ns: i64) {
    let time = Duration::from_nanos(ns.try_into().expect("after 1970"));
    clock_settime(ClockId::CLOCK_REALTIME, time.into()).expect("clock_settime");
}

fn adjust(change: impl FnOnce(&mut libc::timex)) -> libc::timex {
    // SAFETY: timex is plain data; all zeros asks for nothing to change.
    let mut timex: libc::timex = unsafe { mem::zeroed() };
    change(&mut timex);
    // SAFETY: timex points to a valid, writable struct.
    Errno::result(unsafe { libc::adjtimex(&mut timex) }).expect("adjtimex");
    timex
}
