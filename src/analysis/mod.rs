// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! From run files to findings: which hook got slower, by how much, how sure.
//!
//! Ties [`crate::runfile`]'s contents to the arithmetic of [`crate::stats`]; no
//! kernel, no I/O, no formatting.

pub mod limit;
