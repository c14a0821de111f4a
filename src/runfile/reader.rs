// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reads a run file line by line, in memory that does not grow with it.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::Path;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::runfile::RunFile;
use crate::runfile::assembly::Assembly;
use crate::runfile::line::{Damage, Line, Start};

/// The longest line: some ten times what ten full histograms take.
const LONGEST_LINE: usize = 8 << 20;

/// One line as it is in the file.
enum Raw<'a> {
    /// Without its newline, which the last line may lack.
    Line {
        bytes: &'a [u8],
        ended: bool,
    },
    TooLong,
}

struct Lines<R> {
    input: R,
    buffer: Vec<u8>,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    fn next(&mut self) -> io::Result<Option<Raw<'_>>> {
        self.buffer.clear();
        let mut limited = self.input.by_ref().take(LONGEST_LINE as u64 + 1);
        if limited.read_until(b'\n', &mut self.buffer)? == 0 {
            return Ok(None);
        }
        self.number += 1;
        let ended = self.buffer.last() == Some(&b'\n');
        if !ended && self.buffer.len() > LONGEST_LINE {
            return Ok(Some(Raw::TooLong));
        }
        let length = self.buffer.len() - usize::from(ended);
        let bytes = &self.buffer[..length];
        Ok(Some(Raw::Line { bytes, ended }))
    }
}

impl RunFile {
    /// Reads a run file, in memory that does not grow with its size.
    ///
    /// # Errors
    ///
    /// If it cannot be read, is none, or is damaged before its last line.
    pub fn read(path: &Path) -> Result<RunFile> {
        let name = path.display();
        let file = File::open(path).with_context(|| format!("opening {name}"))?;
        if file.metadata().is_ok_and(|metadata| metadata.is_dir()) {
            bail!("{name} is a directory: name a run file in it");
        }
        RunFile::read_from(BufReader::with_capacity(1 << 16, file), path)
    }

    /// The same from anything that can be read; `path` is what it is called.
    ///
    /// # Errors
    ///
    /// As in [`RunFile::read`].
    pub fn read_from(input: impl BufRead, path: &Path) -> Result<RunFile> {
        let name = path.display();
        let reading = || format!("reading {name}");
        let mut lines = Lines {
            input,
            buffer: Vec::new(),
            number: 0,
        };
        let first = lines.next().with_context(reading)?;
        let first = first.ok_or_else(|| {
            anyhow!("{name} is empty: nothing was recorded in it, or it is still being opened")
        })?;
        let start = start_line(&first).map_err(|what| anyhow!("{name} {what}"))?;
        let mut assembly = Assembly::new(start);
        // A line that was cut off is passed over where a crash can have cut it:
        // at the end, and where a run was added to what was left.
        let mut broken: Option<(u64, String)> = None;
        loop {
            let raw = match lines.next().with_context(reading)? {
                None => break,
                Some(Raw::TooLong) => {
                    let what = format!("it has more than {LONGEST_LINE} bytes");
                    return Err(damaged(path, lines.number, &what));
                }
                Some(Raw::Line { bytes, .. }) if bytes.trim_ascii().is_empty() => continue,
                Some(Raw::Line { bytes, .. }) => Line::read(bytes, Some(assembly.resolution())),
            };
            let number = lines.number;
            let line = match raw {
                Ok(line) => line,
                Err(Damage::Broken(what)) if broken.is_none() => {
                    broken = Some((number, what));
                    continue;
                }
                Err(Damage::Newer(schema)) => bail!("{name}: line {number} {}", newer(schema)),
                Err(Damage::Broken(what) | Damage::Wrong(what)) => {
                    let first = broken.unwrap_or((number, what));
                    return Err(damaged(path, first.0, &first.1));
                }
            };
            match (broken.take(), &line) {
                (Some((number, _)), Line::Start(_)) => assembly.excluded(format!(
                    "line {number} was cut off before the next run was added: left out"
                )),
                (Some((number, what)), _) => return Err(damaged(path, number, &what)),
                (None, _) => {}
            }
            assembly
                .add(line)
                .map_err(|what| damaged(path, number, &what))?;
        }
        if let Some((number, _)) = broken {
            assembly.excluded(format!("line {number}, the last, is cut off: left out"));
        }
        assembly
            .finish(path)
            .map_err(|what| damaged(path, lines.number, &what))
    }
}

/// The start line that a file begins with, or what it is instead.
fn start_line(raw: &Raw) -> Result<Start, String> {
    const FOREIGN: &str = "is not a run file of netstacklat: it does not begin with a start line \
                           (docs/run-file.md)";
    let (bytes, ended) = match *raw {
        Raw::Line { bytes, ended } => (bytes, ended),
        Raw::TooLong => return Err(FOREIGN.into()),
    };
    match Line::read(bytes, None) {
        Ok(Line::Start(start)) => Ok(*start),
        Ok(Line::Other(kind)) if kind == "check" => Err(
            "holds what `netstacklat check` has found, not a run: `netstacklat record` makes \
             run files"
                .into(),
        ),
        Err(Damage::Newer(schema)) => Err(newer(schema)),
        Err(Damage::Broken(_)) if !ended && bytes.starts_with(b"{\"schema\":") => {
            Err("is cut off in its first line: nothing was recorded in it".into())
        }
        Err(Damage::Wrong(what)) if bytes.starts_with(b"{\"schema\":") => {
            Err(format!("does not begin with a good start line: {what}"))
        }
        _ => Err(FOREIGN.into()),
    }
}

/// Whether recordings can be added to a file that begins like this; if not,
/// why.
pub(super) fn can_be_added_to(input: impl BufRead) -> Result<Result<Start, String>, io::Error> {
    let mut lines = Lines {
        input,
        buffer: Vec::new(),
        number: 0,
    };
    Ok(match lines.next()? {
        Some(first) => start_line(&first),
        None => Err("is empty".into()),
    })
}

fn newer(schema: u64) -> String {
    format!(
        "is of schema {schema}, which is newer than this netstacklat ({}): use a newer one",
        crate::VERSION
    )
}

fn damaged(path: &Path, number: u64, what: &str) -> anyhow::Error {
    let name = path.display();
    let before = number.saturating_sub(1);
    anyhow!(
        "{name}: line {number} is damaged: {what}; \
         `head -n {before} {name}` gives what is before it"
    )
}
