// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `diff`.

use anyhow::{Result, bail};

use crate::cli::DiffArgs;

/// Not there yet.
///
/// # Errors
///
/// Always.
pub fn run(_args: &DiffArgs) -> Result<u8> {
    bail!("`diff` is not there yet")
}
