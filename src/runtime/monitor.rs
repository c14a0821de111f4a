// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A value shared by two threads: one changes it, the other waits for the
//! change.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A mutex and the condition variable that tells of its changes.
#[derive(Debug, Default)]
pub(super) struct Monitor<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        // Use the value even after the other thread panicked: it tells how far
        // that thread came.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes all waiting threads.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Waits for a notification. It can also return without one: check the
    /// condition again.
    pub(super) fn wait<'a>(&self, value: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let woken = self.changed.wait(value);
        woken.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `pending` is false, and returns whether that happened. Gives
    /// up when `progress` has not changed for `patience`.
    pub(super) fn wait_while(
        &self,
        patience: Option<Duration>,
        pending: impl Fn(&T) -> bool,
        progress: impl Fn(&T) -> u64,
    ) -> bool {
        let mut value = self.lock();
        let mut seen = progress(&value);
        let mut deadline = patience.map(|patience| Instant::now() + patience);
        while pending(&value) {
            if progress(&value) != seen {
                seen = progress(&value);
                deadline = patience.map(|patience| Instant::now() + patience);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left.is_some_and(|left| left.is_zero()) {
                return false;
            }
            let wait = left.unwrap_or(Duration::from_secs(3600));
            let waited = self.changed.wait_timeout(value, wait);
            value = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}
