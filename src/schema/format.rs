// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What all lines have in common.

use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;

use crate::schema::bounded::Text;

/// Number of the format: changes when a field changes its meaning or goes.
pub const SCHEMA: u64 = 2;

/// Names of hosts, kernels, hooks and the like.
pub type Short = Text<256>;
/// Shell commands and reasons.
pub type Long = Text<4096>;
/// More than there will ever be of hooks, functions, reasons and facts.
pub const MANY: usize = 256;

/// Writes an object as one line.
///
/// # Errors
///
/// Those of `out`.
pub fn write_line(out: &mut dyn Write, line: &impl Serialize) -> io::Result<()> {
    let mut bytes = serde_json::to_vec(line)?;
    bytes.push(b'\n');
    out.write_all(&bytes)
}

pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// UTC with all nine digits, so that lines sort as text.
pub(super) fn time_to_text(time: SystemTime) -> Short {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::MAX);
    format!("{time:.9}").into()
}

pub(super) fn time_of_text(text: &Short) -> Result<SystemTime, String> {
    let time: Result<Timestamp, _> = text.0.parse();
    let time = time.map_err(|_| format!("'{}' is no time (RFC 3339)", text.0))?;
    Ok(time.into())
}
