// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a user can do, a file each. They tie the wings together and hold no
//! logic of their own.

pub mod check;
pub mod compare;
pub mod diff;
mod ending;
pub mod hold_timestamps;
pub mod list;
pub mod live;
mod measurement;
mod periods;
pub mod record;
mod reports;
