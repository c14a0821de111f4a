// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `diff`.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::analysis::fail_if::Outcome;
use crate::analysis::samples::MIN_FILES;
use crate::analysis::{Input, analyse};
use crate::cli::{DiffArgs, FindingsArgs};
use crate::error::UsageError;
use crate::model::side::PerSide;
use crate::render::Diff;
use crate::render::terminal;
use crate::runfile::{Content, RunFile};

/// A limit is exceeded.
const EXCEEDED: u8 = 3;
/// A limit could not be judged.
const NOT_JUDGED: u8 = 1;
/// More files than anybody compares; each stays in memory, a few 100 KiB.
const MAX_FILES: usize = 1000;

/// Compares run files.
///
/// # Errors
///
/// If a file cannot be read, the files do not make two sides, or writing fails.
pub fn run(args: &DiffArgs) -> Result<u8> {
    if args.files.len() > MAX_FILES {
        let text = format!(
            "{} files are more than the {MAX_FILES} that can be compared",
            args.files.len()
        );
        return Err(UsageError(text).into());
    }
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    for text in &args.files {
        let (name, path) = name_and_path(text);
        // The same file twice would look as if runs never varied.
        if let Ok(real) = path.canonicalize()
            && !seen.insert(real)
        {
            let text = format!("{} is named twice: give each file once", path.display());
            return Err(UsageError(text).into());
        }
        let file = RunFile::read(&path)?;
        files.push((name, file));
    }
    let files = files.into_iter().map(|(name, file)| named(name, file));
    let files = files.collect::<Result<Vec<_>>>()?;
    let Findings { text, code } = find(files, &args.findings)?;
    let mut out = io::stdout().lock();
    match out.write_all(&text).and_then(|()| out.flush()) {
        // Whoever read it has gone; the exit code still tells.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        other => other.context("writing to standard output")?,
    }
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

/// `NAME=FILE`, unless a file exists under the whole text.
fn name_and_path(text: &OsStr) -> (Option<String>, PathBuf) {
    let bytes = text.as_bytes();
    match bytes.iter().position(|&byte| byte == b'=') {
        Some(end) if end > 0 && !Path::new(text).exists() => (
            Some(String::from_utf8_lossy(&bytes[..end]).into_owned()),
            OsStr::from_bytes(&bytes[end + 1..]).into(),
        ),
        _ => (None, text.into()),
    }
}

/// What a file's side is called: as given here, to `record`, or as the file.
fn named(name: Option<String>, file: RunFile) -> Result<(String, RunFile)> {
    let is_comparison = matches!(file.content, Content::Comparison { .. });
    match name {
        Some(name) if is_comparison => {
            let path = file.path.display();
            let text = format!(
                "'{name}={path}': this comparison has both sides, which have their names: give \
                 {path} alone, without '{name}='"
            );
            Err(UsageError(text).into())
        }
        Some(name) => Ok((name, file)),
        None => {
            let name = file.info.name.clone().unwrap_or_else(|| {
                let stem = file.path.file_stem().unwrap_or(file.path.as_os_str());
                stem.to_string_lossy().into_owned()
            });
            Ok((name, file))
        }
    }
}

/// Compares files by the names of their sides, or the sides of one comparison.
///
/// # Errors
///
/// [`UsageError`] if the files do not make two sides, or cannot be judged by
/// limits.
pub fn find(files: Vec<(String, RunFile)>, options: &FindingsArgs) -> Result<Findings> {
    if let [(_, file)] = files.as_slice()
        && matches!(file.content, Content::Comparison { .. })
    {
        return find_in(&Input::Comparison(file), options);
    }
    let (names, sides) = into_sides(files)?;
    let input = Input::Recordings {
        names: names.as_ref().map(String::as_str),
        sides: sides.as_ref().map(Vec::as_slice),
    };
    find_in(&input, options)
}

fn into_sides(files: Vec<(String, RunFile)>) -> Result<(PerSide<String>, PerSide<Vec<RunFile>>)> {
    let bad = |text: String| Err(UsageError(text).into());
    let mut sides: Vec<(String, Vec<RunFile>)> = Vec::new();
    for (name, file) in files {
        if matches!(file.content, Content::Comparison { .. }) {
            let path = file.path.display();
            return bad(format!(
                "{path} is a comparison and has both sides: give it alone"
            ));
        }
        match sides.iter_mut().find(|(known, _)| *known == name) {
            Some((_, side)) => side.push(file),
            None => sides.push((name, vec![file])),
        }
    }
    let names: Vec<String> = sides.iter().map(|(name, _)| format!("'{name}'")).collect();
    match <[(String, Vec<RunFile>); 2]>::try_from(sides) {
        Ok([(a, a_files), (b, b_files)]) => Ok(([a, b].into(), [a_files, b_files].into())),
        Err(sides) if sides.len() < 2 => bad(format!(
            "only one side, {}: a second takes a file of another name, as in \
             `netstacklat diff base.nsl new=FILE`",
            names.join(", ")
        )),
        Err(sides) => bad(format!(
            "{} sides, {}{}: two can be compared. Files of one side share a name, as in \
             `netstacklat diff old=1.nsl old=2.nsl new=3.nsl`",
            sides.len(),
            names[..names.len().min(4)].join(", "),
            if names.len() > 4 { ", ..." } else { "" }
        )),
    }
}

fn find_in(input: &Input, options: &FindingsArgs) -> Result<Findings> {
    if !options.fail_if.is_empty() && !input.knows_how_it_varies() {
        let text = format!(
            "--fail-if cannot be judged: from fewer than {MIN_FILES} recordings a side it is not \
             known how much they differ by themselves. Record more of each, or use \
             `netstacklat compare`"
        );
        return Err(UsageError(text).into());
    }
    let analysis = analyse(input, &options.fail_if);
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
        code: exit_code(&analysis.limits),
    })
}

/// A limit that is exceeded outweighs one that could not be judged.
fn exit_code(outcomes: &[Outcome]) -> u8 {
    let any = |of: fn(&Outcome) -> bool| outcomes.iter().any(of);
    if any(|outcome| outcome.result.as_ref().is_ok_and(|judged| judged.exceeded)) {
        EXCEEDED
    } else if any(|outcome| outcome.result.is_err()) {
        NOT_JUDGED
    } else {
        0
    }
}
