// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `record`.

use anyhow::{Result, bail};

use crate::cli::RecordArgs;

/// Not there yet.
///
/// # Errors
///
/// Always.
pub fn run(_args: &RecordArgs) -> Result<u8> {
    bail!("`record` is not there yet")
}
