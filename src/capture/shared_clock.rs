// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The clock state that the BPF programs and the loader share.

use std::cell::UnsafeCell;
use std::ptr;
use std::sync::atomic::{Ordering, fence};

use crate::capture::skeleton::ClockState;

/// The clock state that is shared with the programs (their `.data`, mapped).
pub struct SharedClock<'a>(&'a UnsafeCell<ClockState>);

impl<'a> SharedClock<'a> {
    /// A view of the state in the object's mapped `.data`.
    pub(super) fn new(state: &'a UnsafeCell<ClockState>) -> SharedClock<'a> {
        SharedClock(state)
    }

    /// What the programs use now.
    pub fn read(&self) -> ClockState {
        // SAFETY: points into the mapped .data, valid for 'a; the kernel writes
        // it concurrently, hence volatile and field by field.
        unsafe {
            let state = self.0.get();
            ClockState {
                offs_real: ptr::read_volatile(&raw const (*state).offs_real),
                reject_before: ptr::read_volatile(&raw const (*state).reject_before),
                tai_offset_ns: ptr::read_volatile(&raw const (*state).tai_offset_ns),
                steps: ptr::read_volatile(&raw const (*state).steps),
                offs_tai: ptr::read_volatile(&raw const (*state).offs_tai),
                settled_at: ptr::read_volatile(&raw const (*state).settled_at),
                // The programs' own affair; unusable for good on the TAI path.
                offs_fast: ptr::read_volatile(&raw const (*state).offs_fast),
                ..ClockState::default()
            }
        }
    }

    /// Publishes a state; the bound first, as the programs rely on.
    pub(super) fn write(&self, next: &ClockState) {
        // SAFETY: as in read(); on the TAI path only the loader writes.
        unsafe {
            let state = self.0.get();
            ptr::write_volatile(&raw mut (*state).settled_at, next.settled_at);
            ptr::write_volatile(&raw mut (*state).reject_before, next.reject_before);
            ptr::write_volatile(&raw mut (*state).steps, next.steps);
            fence(Ordering::SeqCst);
            ptr::write_volatile(&raw mut (*state).tai_offset_ns, next.tai_offset_ns);
            ptr::write_volatile(&raw mut (*state).offs_tai, next.offs_tai);
            ptr::write_volatile(&raw mut (*state).offs_real, next.offs_real);
        }
    }
}
