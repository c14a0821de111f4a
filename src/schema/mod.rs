// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The JSON lines: the same structs write them and read them.
//!
//! Their comments are the descriptions in `docs/schema/netstacklat.json` and in
//! the tables of `docs/json.md`, which `make generated` makes of them. All
//! fields are always written; what an older version did not write has a default.

pub mod bounded;
pub mod check;
pub mod diff;
pub mod format;
pub mod hook_line;
pub mod hooks;
pub mod report;
pub mod show;
pub mod slow;
pub mod start;
