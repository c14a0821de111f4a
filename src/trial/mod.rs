// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Taking turns between two states of the host, and leaving it as it was.
//!
//! [`turns`] says what is done when; [`stage`] waits, and sees to everything
//! that can happen meanwhile; [`shell`] and [`output`] run the user's commands;
//! [`state`] keeps on disk what is owed to the host, [`process`] what may still
//! run, and [`undo`] pays it when nobody else is left to; [`progress`] shows how far it is. [`command`] is the
//! one that `record` runs; all commands find the [`limits`] as they were.

pub mod command;
pub mod limits;
pub mod output;
pub mod process;
pub mod progress;
pub mod shell;
pub mod stage;
pub mod state;
pub mod turns;
pub mod undo;
