// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `-l`: the hooks with their meanings and kernel functions.

use std::io::{self, Write};

use crate::model::hooks::{Hook, Role};

/// Writes the list; needs no privilege and asks the kernel nothing.
///
/// # Errors
///
/// If `out` cannot be written.
pub fn run(out: &mut dyn Write) -> io::Result<()> {
    let width = Hook::all().map(|hook| hook.name().len()).max().unwrap_or(0);
    let mut text = String::new();
    for hook in Hook::all() {
        text += &format!("{hook:width$}  {}\n", hook.meaning());
        let functions: Vec<_> = hook
            .programs()
            .map(|program| {
                let or = if program.role == Role::StandsIn {
                    "or "
                } else {
                    ""
                };
                format!("{or}{} {}", program.attach, program.function)
            })
            .collect();
        text += &format!("    {}\n", functions.join(", "));
    }
    out.write_all(text.as_bytes())?;
    out.flush()
}
