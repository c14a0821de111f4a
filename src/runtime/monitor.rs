// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Something that two threads share: one changes it, the other waits for that.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A value, and whoever waits for it to change.
#[derive(Debug, Default)]
pub(super) struct Monitor<T> {
    value: Mutex<T>,
    changed: Condvar,
}

impl<T> Monitor<T> {
    pub(super) fn lock(&self) -> MutexGuard<'_, T> {
        // Also after a panic: what is left says how far the other came.
        self.value.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes those who wait.
    pub(super) fn notify(&self) {
        self.changed.notify_all();
    }

    /// Waits until somebody notifies, or for no reason: ask again.
    pub(super) fn wait<'a>(&self, value: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        let woken = self.changed.wait(value);
        woken.unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until nothing is pending; whether that is so. Gives up when `progress`
    /// has not changed for so long.
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
