// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `show`: what is in a run file.

use anyhow::Result;

use crate::cli::ShowArgs;
use crate::model::grouping::key_names;
use crate::render::Show;
use crate::render::terminal;
use crate::runfile::RunFile;

/// Prints what is in a run file.
///
/// # Errors
///
/// If the file cannot be read, does not have the keys of `--by`, or standard
/// output cannot be written.
pub fn run(args: &ShowArgs) -> Result<()> {
    let file = RunFile::read(&args.file)?;
    let recorded = &file.info.selection;
    let by = match key_names(&args.by) {
        by if by.is_empty() => recorded.by.clone(),
        by => by,
    };
    file.check_keys(&by)?;
    let show = Show {
        file: &file,
        hooks: args.wanted_hooks(),
        by: &by,
        listing: args.listing.listing_of(recorded),
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
