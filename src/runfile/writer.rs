// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Writes run files so that each line is there wholly or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, ErrorKind, Read as _, Seek as _, SeekFrom, Write};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result, anyhow};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use signal_hook::consts::SIGXFSZ;

use crate::error::UsageError;
use crate::model::histogram::Resolution;
use crate::model::selection::Selection;
use crate::runfile::reader::can_be_added_to;

/// A run file being written. Each [`Write::write_all`] takes whole lines.
#[derive(Debug)]
pub struct Writer {
    file: Output,
    path: PathBuf,
    /// Up to where it holds whole lines; more than that is never left in it.
    whole: u64,
    /// Where our own lines begin.
    ours: u64,
    /// What was there ends within a line.
    torn: bool,
    /// It was not there before.
    made: bool,
    /// What the runs selected that are there already.
    added_to: Option<Selection>,
}

/// Who may read a new run file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// As the umask says.
    AsUsual,
    /// Its owner only: it will hold addresses, and names of processes.
    OwnerOnly,
}

impl Readers {
    fn mode(self) -> u32 {
        match self {
            Readers::AsUsual => 0o666,
            Readers::OwnerOnly => 0o600,
        }
    }
}

#[derive(Debug)]
enum Output {
    /// Locked, so that two recordings do not mix.
    Locked(Flock<File>),
    /// On a filesystem without locks.
    File(File),
    /// A FIFO, a terminal, `/dev/null`: what is written is gone.
    Stream(File),
}

impl Output {
    fn file(&mut self) -> &mut File {
        match self {
            Output::Locked(file) => file,
            Output::File(file) | Output::Stream(file) => file,
        }
    }
}

fn bad_usage<T>(text: String) -> Result<T> {
    Err(UsageError(text).into())
}

fn by(selection: &Selection) -> String {
    if selection.by.is_empty() {
        "without --by".into()
    } else {
        format!("with --by {}", selection.by.join(","))
    }
}

impl Writer {
    /// Makes the file, or adds to it with `append`. An existing file that is
    /// not empty is [`UsageError`] otherwise, and so is one that others can read than
    /// `readers` says. An empty file that this has made goes again when nothing was
    /// written to it.
    ///
    /// # Errors
    ///
    /// Names the file and what the kernel says.
    pub fn create(path: &Path, append: bool, readers: Readers) -> Result<Writer> {
        let name = path.display();
        // Otherwise a limit on the size of files would kill us, where an error
        // can be told. A handler, and not ignoring, which commands would inherit.
        signal_hook::flag::register(SIGXFSZ, Arc::new(AtomicBool::new(false)))
            .context("installing a handler of SIGXFSZ")?;
        if path == Path::new("-") {
            return bad_usage(
                "-o - is no file: for standard output, netstacklat --json -r 1".into(),
            );
        }
        let kind = fs::metadata(path).ok().map(|metadata| metadata.file_type());
        if let Some(kind) = kind {
            if kind.is_dir() {
                return bad_usage(format!("{name} is a directory: name a file in it"));
            }
            if kind.is_block_device() || kind.is_socket() {
                return bad_usage(format!("{name} is no file: name one that is, or a new one"));
            }
            if !kind.is_file() {
                if append {
                    return bad_usage(format!(
                        "{name} is no file: there is nothing to --append to"
                    ));
                }
                let opened = OpenOptions::new().write(true).open(path);
                let file = opened.with_context(|| format!("cannot write to {name}"))?;
                return Ok(Writer::new(Output::Stream(file), path, 0, false));
            }
        }
        let made = fs::symlink_metadata(path).is_err();
        let opened = OpenOptions::new()
            .read(append)
            .append(true)
            .create(true)
            .mode(readers.mode())
            .open(path);
        let file = opened.with_context(|| format!("cannot write to {name}"))?;
        let mode = file.metadata().with_context(|| format!("reading {name}"))?;
        if readers == Readers::OwnerOnly && mode.mode() & 0o077 != 0 {
            if made {
                // On a filesystem that keeps no modes.
                let _ = fs::remove_file(path);
            }
            return bad_usage(format!(
                "{name} can be read by other users, and slow packets tell addresses and \
                 processes: run 'chmod 600 {name}', name another file, or add --redact"
            ));
        }
        let file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(file) => Output::Locked(file),
            Err((_, Errno::EWOULDBLOCK)) => {
                return Err(anyhow!(
                    "another recording is being written to {name}: name another file"
                ));
            }
            Err((file, _)) => Output::File(file),
        };
        let mut writer = Writer::new(file, path, 0, made);
        writer.look_at_what_is_there(append)?;
        Ok(writer)
    }

    fn new(file: Output, path: &Path, whole: u64, made: bool) -> Writer {
        Writer {
            file,
            path: path.to_owned(),
            whole,
            ours: whole,
            torn: false,
            made,
            added_to: None,
        }
    }

    fn look_at_what_is_there(&mut self, append: bool) -> Result<()> {
        let name = self.path.display().to_string();
        let file = self.file.file();
        let reading = || format!("reading {name}");
        let length = file.metadata().with_context(reading)?.len();
        if length == 0 {
            return Ok(());
        }
        if !append {
            return bad_usage(format!(
                "{name} is there already, and not empty: name another file, or add to it \
                 with --append"
            ));
        }
        match can_be_added_to(BufReader::new(&*file)).with_context(reading)? {
            Err(what) => return bad_usage(format!("{name} {what}; --append adds to run files")),
            Ok(start) if start.info.comparison.is_some() => {
                return bad_usage(format!("{name} holds a comparison: name another file"));
            }
            Ok(start) if start.info.resolution != Resolution::FINE => {
                return bad_usage(format!("{name} has other buckets: name another file"));
            }
            Ok(start) => self.added_to = Some(start.info.selection),
        }
        let mut last = [0];
        file.seek(SeekFrom::Start(length - 1))
            .and_then(|_| file.read_exact(&mut last))
            .with_context(reading)?;
        self.torn = last != *b"\n";
        self.whole = length;
        self.ours = length;
        Ok(())
    }

    /// Whether a run of this share of the packets can be added to what is there.
    ///
    /// # Errors
    ///
    /// A [`UsageError`] if what is there is of another share, or has other groups.
    pub fn takes(&self, selection: &Selection) -> Result<()> {
        let Some(there) = &self.added_to else {
            return Ok(());
        };
        let of_share = |selection: &Selection| selection.sampling().option();
        for (there, now) in [
            (of_share(there), of_share(selection)),
            (by(there), by(selection)),
        ] {
            if there != now {
                let name = self.path.display();
                return bad_usage(format!(
                    "{name} was recorded {there}, and this recording would be {now}: name another \
                     file"
                ));
            }
        }
        Ok(())
    }

    /// Has the filesystem take over all that was written: some tell only then
    /// that they are full.
    ///
    /// # Errors
    ///
    /// What the filesystem says.
    pub fn finish(mut self) -> Result<()> {
        let synced = match &mut self.file {
            Output::Stream(_) => Ok(()),
            other => other.file().sync_all(),
        };
        synced.with_context(|| format!("writing {}", self.path.display()))
    }

    /// Takes back all that was written: there was nothing to record.
    pub fn discard(mut self) {
        if !matches!(self.file, Output::Stream(_)) && self.file.file().set_len(self.ours).is_ok() {
            self.whole = self.ours;
        }
    }

    /// All of `bytes`, by one write(2) unless the kernel takes only a part.
    fn write_whole(&mut self, mut bytes: &[u8]) -> io::Result<u64> {
        let mut written = 0;
        while !bytes.is_empty() {
            match self.file.file().write(bytes) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => {
                    written += count as u64;
                    bytes = &bytes[count..];
                }
                Err(error) => {
                    self.take_back(written);
                    return Err(error);
                }
            }
        }
        Ok(written)
    }

    /// Removes the part of a line that did not fit.
    fn take_back(&mut self, written: u64) {
        if written == 0 || matches!(self.file, Output::Stream(_)) {
            return;
        }
        let whole = self.whole;
        let file = self.file.file();
        // Not if somebody else has added to it: it would be theirs.
        if file
            .metadata()
            .is_ok_and(|metadata| metadata.len() == whole + written)
        {
            // If it fails, readers pass over what is left.
            let _ = file.set_len(whole);
        }
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = if self.torn {
            self.write_whole(&[b"\n", bytes].concat())?
        } else {
            self.write_whole(bytes)?
        };
        self.torn = false;
        self.whole += written;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if self.made && self.whole == 0 {
            // Nobody has missed it before.
            let _ = fs::remove_file(&self.path);
        }
    }
}
