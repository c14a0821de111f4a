// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `show`: what is in a run file.

use anyhow::Result;

use crate::cli::ShowArgs;
use crate::render::Show;
use crate::render::terminal;
use crate::runfile::RunFile;

/// Prints what is in a run file.
///
/// # Errors
///
/// If the file cannot be read, or standard output cannot be written.
pub fn run(args: &ShowArgs) -> Result<()> {
    let file = RunFile::read(&args.file)?;
    let show = Show {
        file: &file,
        hooks: args.wanted_hooks(),
    };
    let mut text = Vec::new();
    if args.out.json {
        show.json(&mut text)?;
    } else {
        let screen = terminal::screen(args.out.color);
        show.text(&mut text, &screen, args.histograms)?;
    }
    terminal::print(&text)
}
