// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Does netstacklat tell the truth? Runs it on a real receive path, inside a
//! guest (`tools/vm/test`), and compares what it says with what others know:
//! the programs that sent and received, the kernel's own counters, the clock.
//!
//! All run on every supported kernel; nothing here skips itself. `smoke` is
//! what tells first that a kernel has changed.
#![cfg(feature = "kernel-tests")]
#![allow(unreachable_pub, reason = "the modules of one program")]

#[path = "kernel/exporter/mod.rs"]
mod exporter;
#[path = "kernel/full/mod.rs"]
mod full;
#[path = "kernel/lab/mod.rs"]
mod lab;
#[path = "kernel/smoke/mod.rs"]
mod smoke;
#[cfg(feature = "soak")]
#[path = "kernel/soak.rs"]
mod soak;
