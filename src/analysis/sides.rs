// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Which files make which side of a comparison of recordings.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::error::UsageError;
use crate::model::side::PerSide;
use crate::runfile::{Content, RunFile};

/// More files than anybody compares; each stays in memory, a few 100 KiB.
const MAX_FILES: usize = 1000;

/// Reads files, each written as `NAME=FILE` or `FILE`, and names them.
///
/// # Errors
///
/// If a file cannot be read, or there is something wrong with what the user
/// wrote.
pub(crate) fn read(texts: &[OsString]) -> Result<Vec<(String, RunFile)>> {
    if texts.len() > MAX_FILES {
        let text = format!(
            "{} files are more than the {MAX_FILES} that can be compared",
            texts.len()
        );
        return Err(UsageError(text).into());
    }
    let mut seen = BTreeSet::new();
    let mut files = Vec::new();
    for text in texts {
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
    // Only after all could be read.
    let files = files.into_iter().map(|(name, file)| named(name, file));
    files.collect()
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

/// Recordings by the names of their sides: the first name is A.
///
/// # Errors
///
/// [`UsageError`] if they do not make two sides.
pub(crate) fn of(
    files: Vec<(String, RunFile)>,
) -> Result<(PerSide<String>, PerSide<Vec<RunFile>>)> {
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
