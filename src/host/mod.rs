// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The host as it is found: facts ([`facts`], [`settings`], [`btf`]), which of them
//! prevent measuring ([`preconditions`]), and the errors that explain it
//! ([`start_error`]). [`environment`] describes the host for those who compare
//! runs. Nothing here changes the host or loads a program.

pub mod btf;
pub mod environment;
pub mod facts;
pub mod preconditions;
pub mod settings;
pub mod start_error;
