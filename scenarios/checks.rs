// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Whether numbers are as they must be, one line each.

use std::fmt::Display;

use anyhow::{Result, ensure};

#[derive(Default)]
pub struct Checks {
    failed: u32,
}

impl Checks {
    pub fn that(&mut self, what: &str, holds: bool, found: impl Display) {
        let word = if holds { "ok" } else { "NOT FOUND" };
        println!("scenario: {what}: {word} ({found})");
        self.failed += u32::from(!holds);
    }

    pub fn equal<const N: usize>(&mut self, what: &str, found: [u64; N], expected: u64) {
        let holds = found.iter().all(|number| *number == expected);
        let all: Vec<_> = found.iter().map(u64::to_string).collect();
        self.that(
            what,
            holds,
            format!("{}; expected {expected}", all.join(", ")),
        );
    }

    pub fn end(self) -> Result<()> {
        let failed = self.failed;
        ensure!(failed == 0, "{failed} of what was expected is not so");
        Ok(())
    }
}
