// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A comparison of two states of this host, and how the host is restored.
//!
//! [`runner`] goes through the rounds. [`supervisor`] waits for time, commands
//! and signals. A second process, the [`guardian`], runs the commands;
//! `protocol` defines the messages between the two. If the comparison dies, the
//! guardian ends its commands and undoes the change. If the guardian dies, the
//! comparison does that.
//!
//! The [`journal`] stores the [`state`] on disk: what is still to be undone. If
//! both processes have died, `netstacklat undo` reads it and restores the host
//! ([`recover`]). `journal_dirs` knows the directories of journals. `lock`
//! allows one comparison at a time. [`progress`] shows how far it is.
//! `checks` finds out, before the host is changed, whether a comparison can be made;
//! `auto_period` chooses a period by the packet rate.

pub(crate) mod auto_period;
pub(crate) mod checks;
pub(crate) mod first_round;
pub mod guardian;
pub mod journal;
pub(crate) mod journal_dirs;
pub(crate) mod lock;
mod measure;
pub mod progress;
pub(crate) mod protocol;
pub mod recover;
pub mod runner;
pub mod state;
pub mod supervisor;
