// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The arithmetic of comparisons: how much slower, and how sure. It uses no kernel
//! and no I/O, and knows nothing of hooks.
//!
//! `docs/statistics.md` has the formulas, their sources, and how simulations
//! confirm them.

pub mod looks;
pub(crate) mod max_t;
pub(crate) mod outlier;
pub mod rounds;
pub(crate) mod shift;
