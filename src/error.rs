// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The error that has an exit code of its own.

use std::fmt;

/// The command line asks for something that will not be done: exit code 2, as
/// for clap's own errors. The text names the value and the fix.
#[derive(Debug)]
pub struct UsageError(pub String);

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
