// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Does netstacklat tell the truth? Runs it on a real receive path, inside a
//! guest (`tools/vm/test`), and compares what it says with what others know:
//! the programs that sent and received, the kernel's own counters, the clock.
//!
//! All run on every supported kernel; nothing here skips itself. `smoke` is
//! what tells first that a kernel has changed.
#![allow(unreachable_pub, reason = "the modules of one program")]

#[path = "kernel/exporter/mod.rs"]
mod exporter;
#[path = "kernel/full/mod.rs"]
mod full;
#[path = "kernel/smoke/mod.rs"]
mod smoke;
