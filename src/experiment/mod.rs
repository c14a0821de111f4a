// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A comparison of two states of this host, and how the host is restored.
//!
//! [`runner`] makes the rounds. [`supervisor`] waits: for time, commands and
//! signals. The commands are run by a second process, the [`guardian`]
//! ([`protocol`]: what the two say to each other). If the comparison dies, the
//! guardian ends its commands and undoes the change; if the guardian dies, the
//! comparison does. What is still to be undone, the [`state`], is in the [`journal`], for
//! `netstacklat undo` ([`recover`]) when both have died; [`journal_dirs`] says where. [`lock`] admits one
//! comparison at a time; [`progress`] shows how far it is.

pub mod guardian;
pub mod journal;
pub mod journal_dirs;
pub mod lock;
pub mod progress;
pub mod protocol;
pub mod recover;
pub mod runner;
pub mod state;
pub mod supervisor;
