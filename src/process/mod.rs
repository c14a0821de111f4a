// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Running the user's commands: by a shell ([`shell`]) or word by word
//! ([`command`]); what they print ([`output`]), what may be left of them
//! ([`group`]), and the resource limits that they find ([`rlimits`]). What the
//! kernel says of any process: [`stat`].

pub mod command;
pub mod group;
pub mod output;
pub mod rlimits;
pub mod shell;
pub mod stat;
