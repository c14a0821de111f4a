// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `compare`.

use anyhow::{Result, bail};

use crate::cli::CompareArgs;

/// Not there yet.
///
/// # Errors
///
/// Always.
pub fn run(_args: &CompareArgs) -> Result<u8> {
    bail!("`compare` is not there yet")
}
