// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The clock offset that the programs subtract with.
//!
//! Normally the program on `update_vsyscall` publishes the kernel's own offset
//! and follows every change by itself. Where it cannot attach, the programs
//! read CLOCK_TAI and this file keeps the TAI offset right: it is told of
//! clock steps by a timerfd, looks once a second for the changes that the
//! timerfd does not tell (TAI offset), and closes the second around a leap.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::libc;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{
    ClockId as TimerClock, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags,
};
use nix::time::{ClockId, clock_gettime};

use crate::capture::object::Loaded;
use crate::capture::plan::{ClockSource, Plan};
use crate::capture::skeleton::ClockState;
use crate::model::histogram::MAX_NS;

const SECOND_NS: i64 = 1_000_000_000;
const DAY_S: i64 = 86_400;
/// Added to bounds that user space measures: it reads clocks inexactly.
const MARGIN_NS: i64 = 1_000_000;
/// How long the clock program may take to run for the first time. The kernel
/// updates its clock with every tick of a busy CPU.
const FIRST_RUN: Duration = Duration::from_secs(2);

/// Where the clock offset comes from.
pub struct Clock {
    source: ClockSource,
    /// TAI path: wakes when the wall clock is set.
    set_timer: Option<TimerFd>,
    /// TAI path: once a second.
    tick_timer: Option<TimerFd>,
}

impl Clock {
    /// Attaches the clock program and waits until it has run, so that the
    /// other programs, attached later, never see an unknown clock; or, on the
    /// TAI path, publishes the offsets as user space sees them.
    ///
    /// # Errors
    ///
    /// If the program does not attach or run, or the clocks cannot be read.
    pub fn start(loaded: &mut Loaded, plan: &Plan) -> Result<Clock> {
        let mut clock = Clock {
            source: plan.clock,
            set_timer: None,
            tick_timer: None,
        };
        match plan.clock {
            ClockSource::UpdateVsyscall => {
                loaded.attach_clock()?;
                let deadline = Instant::now() + FIRST_RUN;
                while loaded.clock().read().offs_real == 0 {
                    if Instant::now() > deadline {
                        bail!("the kernel did not update its clock within {FIRST_RUN:?}");
                    }
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
            ClockSource::TaiOffset => {
                clock.set_timer = Some(set_timer().context("watching for clock changes")?);
                clock.tick_timer = Some(tick_timer().context("starting a one-second timer")?);
                clock.update(loaded)?;
            }
        }
        Ok(clock)
    }

    /// `update_vsyscall` or `tai-offset`, as outputs show it.
    pub fn source(&self) -> ClockSource {
        self.source
    }

    /// CLOCK_TAI - CLOCK_REALTIME that is in use, in seconds.
    pub fn tai_offset_s(&self, loaded: &Loaded) -> i64 {
        loaded.clock().read().tai_offset_ns / SECOND_NS
    }

    /// How often the wall clock was stepped since the start.
    pub fn steps(&self, loaded: &Loaded) -> u64 {
        loaded.clock().read().steps
    }

    /// Timers to wait for: when one is ready, call [`Clock::update`].
    pub fn timers(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let timers = [&self.set_timer, &self.tick_timer];
        timers.into_iter().flatten().map(AsFd::as_fd)
    }

    /// Publishes the offsets as they are now. Nothing to do where the clock
    /// program runs.
    ///
    /// # Errors
    ///
    /// If a clock cannot be read.
    pub fn update(&mut self, loaded: &Loaded) -> Result<()> {
        if self.source == ClockSource::UpdateVsyscall {
            return Ok(());
        }
        if let Some(timer) = &self.set_timer {
            // Reading tells of a step (ECANCELED) and re-arms the timer.
            let _ = nix::unistd::read(timer, &mut [0; 8]);
        }
        if let Some(timer) = &self.tick_timer {
            let _ = nix::unistd::read(timer, &mut [0; 8]);
        }
        let before = loaded.clock().read();
        let now = Reading::take()?;
        loaded.clock().write(&next_state(&before, &now));
        Ok(())
    }
}

/// The kernel's clocks, read close together.
#[derive(Clone, Copy, Debug)]
struct Reading {
    real_ns: i64,
    /// CLOCK_TAI - CLOCK_MONOTONIC, exact to about a microsecond.
    offs_tai: i64,
    tai_offset_ns: i64,
    /// Whether the current UTC day ends with a leap second.
    leap: bool,
}

impl Reading {
    fn take() -> Result<Reading> {
        let read = |clock| clock_gettime(clock).map(|time| nanoseconds(&time));
        // The narrowest of a few sandwiches: an interrupt widens one.
        let mut best = (i64::MAX, 0);
        for _ in 0..8 {
            let first = read(ClockId::CLOCK_MONOTONIC)?;
            let tai = read(ClockId::CLOCK_TAI)?;
            let last = read(ClockId::CLOCK_MONOTONIC)?;
            if last - first < best.0 {
                best = (last - first, tai - (first + (last - first) / 2));
            }
        }
        let timex = timex()?;
        Ok(Reading {
            real_ns: read(ClockId::CLOCK_REALTIME)?,
            offs_tai: best.1,
            tai_offset_ns: i64::from(timex.tai) * SECOND_NS,
            // Not the result: on a clock that nobody synchronises that is
            // TIME_ERROR, leap second or not.
            leap: timex.status & (libc::STA_INS | libc::STA_DEL) != 0,
        })
    }

    fn mono_ns(&self) -> i64 {
        self.real_ns + self.tai_offset_ns - self.offs_tai
    }
}

/// CLOCK_TAI - CLOCK_REALTIME as the kernel has it, in seconds; 0 where nobody
/// told it.
///
/// # Errors
///
/// If adjtimex(2) fails.
pub fn tai_offset_now_s() -> Result<i64> {
    Ok(timex()?.tai.into())
}

fn timex() -> Result<libc::timex> {
    // SAFETY: timex is plain data; all zeros asks for nothing to change.
    let mut timex: libc::timex = unsafe { std::mem::zeroed() };
    // SAFETY: timex points to a valid, writable struct.
    let state = unsafe { libc::adjtimex(&mut timex) };
    nix::errno::Errno::result(state).context("adjtimex: reading the TAI offset")?;
    Ok(timex)
}

fn nanoseconds(time: &TimeSpec) -> i64 {
    time.tv_sec() * SECOND_NS + time.tv_nsec()
}

/// The state to publish: a changed wall-clock offset is a step, and timestamps
/// from before it are refused, as in `clock_step` of clock.bpf.h. The last
/// seconds before a leap second, and the first after it, are closed to samples
/// altogether: the kernel changes the offset at midnight, before user space can.
fn next_state(before: &ClockState, now: &Reading) -> ClockState {
    let mut next = ClockState {
        offs_tai: now.offs_tai,
        tai_offset_ns: now.tai_offset_ns,
        offs_real: now.offs_tai - now.tai_offset_ns,
        ..*before
    };
    let range = MAX_NS as i64;
    let mut refused = None;
    let step = next.offs_real - before.offs_real;
    if before.offs_real != 0 && step.abs() > MARGIN_NS {
        next.steps += 1;
        // What an unchanged clock would say, if its timestamps can be mistaken.
        let old_now = now.real_ns - step;
        let mistakable = old_now <= now.real_ns + range;
        refused = Some(if mistakable {
            now.real_ns.max(old_now)
        } else {
            now.real_ns
        });
        if before.reject_before as i64 > now.real_ns + range {
            next.reject_before = 0;
        }
    }
    let day_end = (now.real_ns / SECOND_NS / DAY_S + 1) * DAY_S * SECOND_NS;
    if now.leap && day_end - now.real_ns <= 3 * SECOND_NS {
        refused = refused.max(Some(day_end + SECOND_NS));
    }
    if let Some(time) = refused {
        next.reject_before = next.reject_before.max((time + MARGIN_NS) as u64);
        next.settled_at = (now.mono_ns() + 2 * range) as u64;
    }
    next
}

fn set_timer() -> nix::Result<TimerFd> {
    let timer = TimerFd::new(TimerClock::CLOCK_REALTIME, timer_flags())?;
    // Far away: only a change of the clock is awaited.
    let never = Duration::from_secs(i32::MAX as u64 * 2);
    timer.set(
        Expiration::OneShot(never.into()),
        TimerSetTimeFlags::TFD_TIMER_ABSTIME | TimerSetTimeFlags::TFD_TIMER_CANCEL_ON_SET,
    )?;
    Ok(timer)
}

/// Is readable once a second, and is read without waiting.
pub(super) fn tick_timer() -> nix::Result<TimerFd> {
    let timer = TimerFd::new(TimerClock::CLOCK_MONOTONIC, timer_flags())?;
    let second = Duration::from_secs(1);
    timer.set(
        Expiration::Interval(second.into()),
        TimerSetTimeFlags::empty(),
    )?;
    Ok(timer)
}

fn timer_flags() -> TimerFlags {
    TimerFlags::TFD_CLOEXEC | TimerFlags::TFD_NONBLOCK
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOON_NS: i64 = 1_800_014_400 * SECOND_NS;

    fn reading(real_ns: i64, offs_tai: i64, tai_s: i64) -> Reading {
        Reading {
            real_ns,
            offs_tai,
            tai_offset_ns: tai_s * SECOND_NS,
            leap: false,
        }
    }

    fn started() -> ClockState {
        next_state(&ClockState::default(), &reading(NOON_NS, NOON_NS, 37))
    }

    #[test]
    fn the_first_reading_is_no_step() {
        let state = started();
        assert_eq!((state.steps, state.reject_before), (0, 0));
        assert_eq!(state.offs_real, NOON_NS - 37 * SECOND_NS);
    }

    #[test]
    fn noise_between_readings_is_no_step() {
        let state = next_state(&started(), &reading(NOON_NS + 1, NOON_NS + 900, 37));
        assert_eq!((state.steps, state.reject_before), (0, 0));
    }

    #[test]
    fn stamps_from_before_a_step_are_refused_on_both_clocks() {
        let hour = 3600 * SECOND_NS;
        let forward = next_state(&started(), &reading(NOON_NS + hour, NOON_NS + hour, 37));
        assert_eq!(forward.steps, 1);
        assert!(forward.reject_before as i64 >= NOON_NS + hour);
        let ten = 10 * SECOND_NS;
        let back = next_state(&started(), &reading(NOON_NS - ten, NOON_NS - ten, 37));
        assert!(back.reject_before as i64 >= NOON_NS);
        // An hour back, old timestamps give negative latencies: none is mistaken,
        // and the new ones must not be refused for an hour.
        let far = next_state(&started(), &reading(NOON_NS - hour, NOON_NS - hour, 37));
        assert!((far.reject_before as i64) < NOON_NS - hour + SECOND_NS);
        assert_eq!(far.steps, 1);
    }

    #[test]
    fn a_leap_second_is_a_step_though_tai_is_continuous() {
        let leapt = next_state(&started(), &reading(NOON_NS, NOON_NS, 38));
        assert_eq!(leapt.steps, 1);
        assert_eq!(leapt.offs_real, started().offs_real - SECOND_NS);
    }

    #[test]
    fn the_end_of_a_leap_day_is_closed() {
        let midnight = (NOON_NS / SECOND_NS / DAY_S + 1) * DAY_S * SECOND_NS;
        let at = |before_midnight_s| {
            let mut now = reading(midnight - before_midnight_s * SECOND_NS, NOON_NS, 37);
            now.leap = true;
            next_state(&started(), &now).reject_before as i64
        };
        assert_eq!(at(10), 0);
        assert!(at(2) > midnight);
    }
}
