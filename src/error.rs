// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The error that has an exit code of its own.

use std::fmt;

/// The command line asks for something that will not be done: exit code 2, as
/// for clap's own errors. The text names the value and the fix.
#[derive(Debug)]
pub struct UsageError(pub String);

impl UsageError {
    /// Refuses an option that names more than can be.
    ///
    /// # Errors
    ///
    /// Names the option, the number and the most.
    pub(crate) fn check_number(option: &str, number: usize, most: usize) -> Result<(), UsageError> {
        if number > most {
            let text = format!("{option} takes at most {most}, not {number}");
            return Err(UsageError(text));
        }
        Ok(())
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}
