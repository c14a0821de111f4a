// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The guardian's log.

use std::fs::File;
use std::io::Write as _;

use anyhow::Result;

use crate::experiment::journal::{Journal, MAX_LOG};

/// The log of what the guardian did, which the next netstacklat command shows.
/// Its size is limited.
pub(super) struct Log {
    file: File,
    left: u64,
}

impl Log {
    pub(super) fn open(journal: &Journal) -> Result<Log> {
        Ok(Log {
            file: journal.log()?,
            left: MAX_LOG,
        })
    }

    pub(super) fn write(&mut self, text: &str) {
        const CUT: &str = "[more output is not kept]\n";
        let length = text.len() as u64;
        if length <= self.left {
            self.left -= length;
            self.write_always(text);
        } else if self.left > 0 {
            self.left = 0;
            self.write_always(CUT);
        }
    }

    /// Writes `text` even if the limit is reached.
    pub(super) fn write_always(&mut self, text: &str) {
        // Ignore errors: a full disk must not keep the command from running.
        let _ = self.file.write_all(text.as_bytes());
    }
}
