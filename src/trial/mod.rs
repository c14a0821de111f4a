// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Taking turns between two states of the host, and leaving it as it was.
pub mod command;
