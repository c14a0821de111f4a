// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a program that measures for hours runs on: one event loop, and writers
//! that keep a blocked reader away from it.

pub mod event_loop;
pub mod messages;
mod monitor;
pub mod sink;

use std::io;
use std::thread::{Builder, JoinHandle};

use nix::sys::signal::{SigSet, SigmaskHow};

/// Starts a thread that no signal is delivered to: signals are for the thread
/// that waits for them.
fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // It inherits the mask: there is no moment without.
    let ours = SigSet::all().thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
    let spawned = Builder::new().name(name.into()).spawn(run);
    ours.thread_set_mask()?;
    spawned
}
