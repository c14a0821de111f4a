// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `-l`: the hooks, or those that are selected, and the sets.

use anyhow::Result;

use crate::cli::LiveArgs;
use crate::render::hooks;
use crate::render::terminal;

/// Prints the list; needs no privilege and asks the kernel nothing.
///
/// # Errors
///
/// If standard output cannot be written.
pub fn run(args: &LiveArgs) -> Result<()> {
    let wanted = args.select.listed_hooks();
    let mut text = Vec::new();
    if args.out.json {
        hooks::json(&mut text, wanted)?;
    } else {
        hooks::text(&mut text, wanted)?;
    }
    terminal::print(&text)
}
