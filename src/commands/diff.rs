// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `diff`: what differs between run files; `compare` ends with the same.

use anyhow::Result;

use crate::analysis::fail_if::{self, Worst};
use crate::analysis::samples::MIN_FILES;
use crate::analysis::sides;
use crate::analysis::{By, Input, analyse_by};
use crate::cli::{DiffArgs, FindingsArgs};
use crate::error::UsageError;
use crate::model::grouping::key_names;
use crate::model::listing::Listing;
use crate::render::Diff;
use crate::render::terminal;
use crate::runfile::{Content, RunFile};

/// Compares run files.
///
/// # Errors
///
/// If a file cannot be read, the files do not make two sides, or writing fails.
pub fn run(args: &DiffArgs) -> Result<u8> {
    let files = sides::read(&args.files)?;
    let by = key_names(&args.by);
    let top = args.top.map_or(Listing::TOP, |top| top as usize);
    let by = By { keys: &by, top };
    let Findings { text, code } = find(files, &args.findings, by)?;
    terminal::print(&text)?;
    Ok(code)
}

/// What was found, to be written to standard output.
#[derive(Debug)]
pub struct Findings {
    /// All of it.
    pub text: Vec<u8>,
    /// What the program ends with.
    pub code: u8,
}

/// Compares files by the names of their sides, or the sides of one comparison; group
/// by group if `by` has keys.
///
/// # Errors
///
/// [`UsageError`] if the files do not make two sides, do not have the keys, or
/// cannot be judged by limits.
pub fn find(files: Vec<(String, RunFile)>, options: &FindingsArgs, by: By) -> Result<Findings> {
    for (_, file) in &files {
        file.check_keys(by.keys)?;
    }
    if let [(_, file)] = files.as_slice()
        && matches!(file.content, Content::Comparison { .. })
    {
        return find_in(&Input::Comparison(file), options, by);
    }
    let (names, sides) = sides::of(files)?;
    let input = Input::Recordings {
        names: names.as_ref().map(String::as_str),
        sides: sides.as_ref().map(Vec::as_slice),
    };
    find_in(&input, options, by)
}

fn find_in(input: &Input, options: &FindingsArgs, by: By) -> Result<Findings> {
    if !options.fail_if.is_empty() && !input.knows_how_it_varies() {
        let text = format!(
            "--fail-if cannot be judged: from fewer than {MIN_FILES} recordings a side it is not \
             known how much they differ by themselves. Record more of each, or use \
             `netstacklat compare`"
        );
        return Err(UsageError(text).into());
    }
    let by = Some(by).filter(|by| !by.keys.is_empty());
    let analysis = analyse_by(input, &options.fail_if, by);
    let diff = Diff {
        input,
        analysis: &analysis,
    };
    let mut text = Vec::new();
    if options.out.json {
        diff.json(&mut text, options.histograms)
    } else {
        diff.text(
            &mut text,
            &terminal::screen(options.out.color),
            options.histograms,
        )
    }?;
    Ok(Findings {
        text,
        code: match fail_if::worst(&analysis.limits) {
            Worst::Exceeded => 3,
            Worst::NotJudged => 1,
            Worst::Within => 0,
        },
    })
}
