// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a user can do, a file each. They tie the wings together and hold no
//! logic of their own.

pub mod check;
pub mod compare;
mod compare_writer;
pub mod completions;
pub mod diff;
mod greeting;
pub mod guardian;
pub mod hold_timestamps;
pub mod list;
pub mod live;
pub mod record;
mod report_loop;
mod session;
pub mod show;
mod stop_condition;
pub mod undo;
