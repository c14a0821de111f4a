// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The event loop that long-running commands wait in, and the threads that
//! write their output, so that a blocked reader does not block the event loop.

pub mod event_loop;
pub mod messages;
mod monitor;
pub mod sink;

use std::io;
use std::thread::{Builder, JoinHandle};

use nix::sys::signal::{SigSet, SigmaskHow};

/// Starts a thread with all signals blocked. Signals then go to the thread that
/// waits for them.
fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // The new thread inherits this mask, so no signal can reach it before it
    // blocks them.
    let ours = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let spawned = Builder::new().name(name.into()).spawn(run);
    ours.thread_set_mask()?;
    spawned
}
