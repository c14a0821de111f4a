// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How long packets spend inside the Linux receive network stack.
//!
//! The kernel timestamps received packets; small BPF programs at chosen functions
//! add "now minus timestamp" to a histogram per hook; this crate loads them, keeps
//! the clock right, and shows the histograms. Data flows one way: BPF maps,
//! [`capture`], [`model`], [`render`], stdout; [`commands`] tie them together.
//! [`host`] reads what this host is like, and `check` tests it.
//! Run files ([`runfile`]) are compared by [`analysis`], with the arithmetic of
//! [`stats`]; [`experiment`] compares two states of a host, whose commands
//! [`process`] runs. [`runtime`] is what all this waits in and writes through.

pub mod analysis;
pub mod capture;
pub(crate) mod check;
pub mod cli;
pub mod commands;
pub mod error;
pub mod experiment;
pub mod host;
pub mod model;
pub mod process;
pub mod render;
pub mod runfile;
pub mod runtime;
pub mod schema;
pub mod stats;
#[cfg(test)]
mod test_support;
pub mod text;

/// Version of netstacklat, with the commit where it was built from one.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), env!("NETSTACKLAT_COMMIT"));
