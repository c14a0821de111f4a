// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! How much slower, and how sure: arithmetic on what was measured, with no
//! kernel, no I/O and no idea of hooks.
//!
//! `docs/statistics.md` has the formulas, their sources, and what simulations
//! say of them.

pub mod looks;
pub(crate) mod max_t;
pub(crate) mod outlier;
pub mod rounds;
pub(crate) mod shift;
