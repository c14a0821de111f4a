// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Runs the user's commands: by a shell ([`shell`]) or directly as a program
//! with arguments ([`command`]). [`output`] reads what they print, [`group`]
//! finds and ends the processes that they leave, [`rlimits`] gives them the
//! resource limits that netstacklat was started with. `stat` reads a process's
//! state from /proc.

pub mod command;
pub mod group;
pub mod output;
pub mod rlimits;
pub mod shell;
pub(crate) mod stat;
