// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The undo journal: records on disk what a comparison has changed on the host,
//! so that another process can undo it if the comparison cannot.
//!
//! Each comparison has a directory, `compare-PID`, which only its user can
//! access, because the commands in it will be run. The comparison and its
//! guardian hold a lock on the directory. `state.json` says what is still to be
//! undone. `output.log` holds what the guardian's commands printed after the
//! comparison had died.

use std::cell::Cell;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use nix::unistd::{Uid, UnlinkatFlags, geteuid, unlinkat};

use crate::experiment::state::{SCHEMA, State};

const STATE: &str = "state.json";
const NEW_STATE: &str = "state.json.new";
const LOG: &str = "output.log";
/// Larger than any environment and command line that the kernel accepts.
const MAX_STATE: u64 = 32 << 20;
/// How many journals of processes with the same PID there can be.
const MAX_PER_PID: u32 = 100;
/// How much of the output of a guardian's commands is kept.
pub(crate) const MAX_LOG: u64 = 64 << 10;

/// A comparison's journal, with its lock held.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    directory: Flock<OwnedFd>,
    /// Nothing is left to undo. Dropping the journal then removes it.
    nothing_to_undo: Cell<bool>,
}

impl Drop for Journal {
    fn drop(&mut self) {
        if self.nothing_to_undo.get() {
            // Ignore an error. A directory with a log stays; the next command
            // shows the log.
            let _ = self.remove_state();
        }
    }
}

/// A journal's directory that was found.
#[derive(Debug)]
pub(crate) enum Found {
    /// Its comparison or guardian is running.
    InUse(PathBuf),
    /// Its comparison and guardian have ended.
    Abandoned(Journal),
    /// It cannot be used, for this reason.
    Unusable(PathBuf, anyhow::Error),
}

impl Journal {
    /// Creates the journal of this process in the directory `place`.
    ///
    /// # Errors
    ///
    /// If it cannot be created, or if other users could write into it.
    pub fn create(place: &Path) -> Result<Journal> {
        let make = |path: &Path| match mkdirat(AT_FDCWD, path, Mode::S_IRWXU) {
            Ok(()) => Ok(true),
            Err(Errno::EEXIST) => Ok(false),
            Err(error) => Err(error).with_context(|| format!("making {}", path.display())),
        };
        make(place)?;
        drop(open_directory(place)?);
        // A process in another PID namespace, or an earlier one, may have had
        // our PID. Its journal must not be overwritten.
        let pid = std::process::id();
        let names = std::iter::once(format!("compare-{pid}"))
            .chain((1..MAX_PER_PID).map(|n| format!("compare-{pid}-{n}")));
        for path in names.map(|name| place.join(name)) {
            if !make(&path)? {
                continue;
            }
            // Another netstacklat may have taken the new directory for an
            // abandoned one, and removed it.
            match Journal::open(&path) {
                Ok(Some(journal)) => {
                    journal.nothing_to_undo.set(true);
                    return Ok(journal);
                }
                Err(error) if path.exists() => return Err(error),
                _ => {}
            }
        }
        bail!("{} is full: see netstacklat undo --list", place.display())
    }

    /// Opens the journal at `path`. `None` if it is locked.
    fn open(path: &Path) -> Result<Option<Journal>> {
        match Flock::lock(open_directory(path)?, FlockArg::LockExclusiveNonblock) {
            Ok(directory) => Ok(Some(Journal {
                path: path.into(),
                directory,
                nothing_to_undo: Cell::new(false),
            })),
            Err((_, Errno::EWOULDBLOCK)) => Ok(None),
            Err((_, error)) => Err(error).with_context(|| format!("locking {}", path.display())),
        }
    }

    /// The journal whose directory another process has opened, locked and
    /// passed to us. Both processes then hold the lock.
    ///
    /// # Errors
    ///
    /// If it cannot be locked, or if its path cannot be read from /proc.
    pub(crate) fn inherited(directory: OwnedFd) -> Result<Journal> {
        let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
        let path = std::fs::read_link(&link).with_context(|| format!("reading {link}"))?;
        let locked = Flock::lock(directory, FlockArg::LockExclusiveNonblock);
        let directory = locked.map_err(|(_, error)| error);
        Ok(Journal {
            directory: directory.with_context(|| format!("locking {}", path.display()))?,
            path,
            nothing_to_undo: Cell::new(false),
        })
    }

    /// Finds all journals in the directories that [`super::journal_dirs`]
    /// names.
    pub(crate) fn find(directories: &[PathBuf]) -> Vec<Found> {
        let mut found = Vec::new();
        for place in directories {
            match std::fs::symlink_metadata(place) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                // In /tmp another user may have created it: ignore it.
                Ok(there) if there.uid() != geteuid().as_raw() => continue,
                _ => {}
            }
            let paths = open_directory(place).and_then(|_| journals_in(place));
            match paths {
                Err(error) => found.push(Found::Unusable(place.clone(), error)),
                Ok(paths) => found.extend(paths.into_iter().filter_map(|path| {
                    match Journal::open(&path) {
                        Ok(Some(journal)) => Some(Found::Abandoned(journal)),
                        Ok(None) => Some(Found::InUse(path)),
                        // It has just been removed.
                        Err(_) if !path.exists() => None,
                        Err(error) => Some(Found::Unusable(path, error)),
                    }
                })),
            }
        }
        found
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The open directory, to be passed to the guardian.
    pub(crate) fn directory(&self) -> BorrowedFd<'_> {
        self.directory.as_fd()
    }

    /// Reads what is to be undone. `None` if nothing is.
    ///
    /// # Errors
    ///
    /// If the file cannot be read, or if another user could have written it.
    pub fn read(&self) -> Result<Option<State>> {
        read(&self.directory, geteuid())
            .with_context(|| format!("reading {}", self.path.join(STATE).display()))
    }

    /// Writes what is about to be done. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// If it cannot be written. The file then has its previous content.
    pub fn write(&self, state: &State) -> Result<()> {
        let written = || -> Result<()> {
            let flags = OFlag::O_WRONLY
                | OFlag::O_CREAT
                | OFlag::O_TRUNC
                | OFlag::O_NOFOLLOW
                | OFlag::O_CLOEXEC;
            let mode = Mode::S_IRUSR | Mode::S_IWUSR;
            let mut file = File::from(openat(&*self.directory, NEW_STATE, flags, mode)?);
            file.write_all(&serde_json::to_vec(state)?)?;
            file.sync_all()?;
            renameat(&*self.directory, NEW_STATE, &*self.directory, STATE)?;
            nix::unistd::fsync(self.directory.as_fd())?;
            Ok(())
        };
        written().with_context(|| format!("writing {}", self.path.join(STATE).display()))?;
        self.nothing_to_undo
            .set(state.undo.is_none() && state.running.is_empty());
        Ok(())
    }

    /// Removes the journal when nothing is left to undo. A log stays, and the
    /// next command shows it.
    ///
    /// # Errors
    ///
    /// If a file cannot be removed.
    pub(crate) fn remove_state(&self) -> Result<()> {
        for name in [NEW_STATE, STATE] {
            self.unlink(name)?;
        }
        // Ignore the error of a directory that still holds a log.
        let _ = std::fs::remove_dir(&self.path);
        Ok(())
    }

    /// Removes the journal and its log.
    ///
    /// # Errors
    ///
    /// If a file cannot be removed.
    pub(crate) fn remove(&self) -> Result<()> {
        self.unlink(LOG)?;
        self.remove_state()
    }

    fn unlink(&self, name: &str) -> Result<()> {
        match unlinkat(&*self.directory, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => {
                let path = self.path.join(name);
                Err(error).with_context(|| format!("removing {}", path.display()))
            }
        }
    }

    /// Opens the log for appending.
    ///
    /// # Errors
    ///
    /// If it cannot be created.
    pub(crate) fn log(&self) -> Result<File> {
        let flags = OFlag::O_WRONLY
            | OFlag::O_CREAT
            | OFlag::O_APPEND
            | OFlag::O_NOFOLLOW
            | OFlag::O_CLOEXEC;
        let opened = openat(&*self.directory, LOG, flags, Mode::S_IRUSR | Mode::S_IWUSR);
        let opened = opened.with_context(|| format!("writing {}", self.path.join(LOG).display()));
        Ok(opened?.into())
    }

    /// The content of the log, if there is one.
    pub(crate) fn read_log(&self) -> Option<String> {
        let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
        let file = openat(&*self.directory, LOG, flags, Mode::empty()).ok()?;
        check_owner(&file, SFlag::S_IFREG, geteuid()).ok()?;
        let mut text = Vec::new();
        File::from(file)
            .take(2 * MAX_LOG)
            .read_to_end(&mut text)
            .ok()?;
        Some(String::from_utf8_lossy(&text).into_owned())
    }
}

/// The state of another user's comparison. It may contain anything: show it,
/// and never run its commands.
///
/// # Errors
///
/// If it cannot be read, or if a third user could have written it.
pub(crate) fn read_of_another_user(path: &Path) -> Result<Option<(Uid, State)>> {
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let directory = openat(AT_FDCWD, path, flags, Mode::empty())?;
    let owner = Uid::from_raw(fstat(&directory)?.st_uid);
    check_owner(&directory, SFlag::S_IFDIR, owner)?;
    Ok(read(&directory, owner)?.map(|state| (owner, state)))
}

/// The journals in the directory `place`.
///
/// # Errors
///
/// If the directory cannot be read.
pub(crate) fn journals_in(place: &Path) -> Result<Vec<PathBuf>> {
    let reading = || format!("reading {}", place.display());
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(place).with_context(reading)? {
        let entry = entry.with_context(reading)?;
        if entry.file_name().to_string_lossy().starts_with("compare-") {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

fn open_directory(path: &Path) -> Result<OwnedFd> {
    // O_NOFOLLOW: a symbolic link is refused, whoever created it.
    let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
    let opened = openat(AT_FDCWD, path, flags, Mode::empty());
    let opened = opened.with_context(|| format!("opening {}", path.display()))?;
    check_owner(&opened, SFlag::S_IFDIR, geteuid())
        .with_context(|| format!("{} cannot be trusted", path.display()))?;
    Ok(opened)
}

fn read(directory: &OwnedFd, owner: Uid) -> Result<Option<State>> {
    // O_NONBLOCK: opening a FIFO must not block.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let file = match openat(directory, STATE, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    check_owner(&file, SFlag::S_IFREG, owner)?;
    let mut text = Vec::new();
    File::from(file).take(MAX_STATE).read_to_end(&mut text)?;
    let state: serde_json::Value = serde_json::from_slice(&text)?;
    match state.get("schema").and_then(serde_json::Value::as_u64) {
        Some(schema) if schema == u64::from(SCHEMA) => Ok(serde_json::from_value(state)?),
        Some(other) => {
            bail!("written by another version of netstacklat (schema {other}): use that version")
        }
        None => Err(std::io::Error::from(ErrorKind::InvalidData).into()),
    }
}

/// Checks that only `owner` can have written the file, because commands are
/// read from it and run.
fn check_owner(file: &OwnedFd, kind: SFlag, owner: Uid) -> Result<()> {
    let FileStat {
        st_mode, st_uid, ..
    } = fstat(file)?;
    if st_mode & SFlag::S_IFMT.bits() != kind.bits() {
        bail!("it has the wrong file type: mode {st_mode:o}");
    }
    if Uid::from_raw(st_uid) != owner {
        bail!("it belongs to user {st_uid}, not to user {owner}");
    }
    if st_mode & 0o022 != 0 {
        return Err(anyhow!(
            "others can write to it (mode {:o})",
            st_mode & 0o7777
        ));
    }
    Ok(())
}
