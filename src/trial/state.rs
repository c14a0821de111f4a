// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What has to be undone, on disk, for when nobody is left to undo it.
//!
//! The file is there as long as a comparison runs, or has left something
//! behind. Its directory belongs to us alone, as what is undone is a command
//! that we run; the living owner holds a lock on it.

use std::cell::Cell;
use std::ffi::OsString;
use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, bail};
use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, Flock, FlockArg, OFlag, openat, renameat};
use nix::sys::stat::{FileStat, Mode, SFlag, fstat, mkdirat};
use nix::unistd::{Uid, UnlinkatFlags, geteuid, unlinkat};
use serde::{Deserialize, Serialize};

use crate::trial::process::Group;

const NAME: &str = "compare.json";
const NEW_NAME: &str = "compare.json.new";
const SCHEMA: u32 = 1;
/// More than any command line that the kernel takes.
const LONGEST: u64 = 8 << 20;

/// What a comparison has done to the host so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    schema: u32,
    /// After a reboot it is no longer true.
    boot_id: String,
    /// Who has made the comparison.
    pub pid: u32,
    /// Where its commands were run.
    pub directory: OsString,
    /// The network namespace of its commands.
    pub network: String,
    /// Where its rounds are.
    pub run_file: String,
    /// What was being done.
    pub step: String,
    /// The stop command that is owed.
    pub undo: Option<String>,
    /// Commands that may still run.
    pub running: Vec<Group>,
}

impl State {
    /// Of this process, here and now: nothing has been done yet.
    ///
    /// # Errors
    ///
    /// If /proc does not tell where we are.
    pub fn here(run_file: &Path) -> Result<State> {
        Ok(State {
            schema: SCHEMA,
            boot_id: boot_id()?,
            pid: std::process::id(),
            directory: std::env::current_dir()
                .context("asking for the current directory")?
                .into(),
            network: network()?,
            run_file: run_file.display().to_string(),
            step: "beginning".into(),
            undo: None,
            running: Vec::new(),
        })
    }

    /// Whether it is of this boot of the host.
    ///
    /// # Errors
    ///
    /// If /proc does not tell.
    pub fn of_this_boot(&self) -> Result<bool> {
        Ok(self.boot_id == boot_id()?)
    }

    /// Whether our commands would act on the same network as its commands.
    ///
    /// # Errors
    ///
    /// If /proc does not tell.
    pub fn of_this_network(&self) -> Result<bool> {
        Ok(self.network == network()?)
    }

    /// Those of its commands that run.
    ///
    /// # Errors
    ///
    /// If /proc does not tell.
    pub fn still_running(&self) -> Result<Vec<&Group>> {
        let mut running = Vec::new();
        for group in &self.running {
            if group.lives()? {
                running.push(group);
            }
        }
        Ok(running)
    }
}

fn boot_id() -> Result<String> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    let id = std::fs::read_to_string(PATH).with_context(|| format!("reading {PATH}"))?;
    Ok(id.trim().into())
}

fn network() -> Result<String> {
    const PATH: &str = "/proc/self/ns/net";
    let name = std::fs::read_link(PATH).with_context(|| format!("reading {PATH}"))?;
    Ok(name.display().to_string())
}

/// The directory of the state file, locked: nobody else compares.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    directory: Flock<OwnedFd>,
    /// The file holds nothing that is owed.
    idle: Cell<bool>,
}

/// A file that says nothing goes with its owner.
impl Drop for Store {
    fn drop(&mut self) {
        if self.idle.get() {
            let _ = self.clear();
        }
    }
}

impl Store {
    /// Locks this user's: `/run/netstacklat` for root, else in
    /// `$XDG_RUNTIME_DIR`, else in `/tmp`. Made if it is not there.
    ///
    /// # Errors
    ///
    /// If another comparison runs, or others could write into it.
    pub fn lock() -> Result<Store> {
        let uid = geteuid();
        let of_session = std::env::var_os("XDG_RUNTIME_DIR").filter(|path| !path.is_empty());
        Store::lock_at(match of_session {
            _ if uid.is_root() => "/run/netstacklat".into(),
            Some(directory) => PathBuf::from(directory).join("netstacklat"),
            None => format!("/tmp/netstacklat-{uid}").into(),
        })
    }

    /// Locks the one at `path`.
    ///
    /// # Errors
    ///
    /// If another comparison runs, or others could write into it.
    pub fn lock_at(path: PathBuf) -> Result<Store> {
        let mode = Mode::S_IRWXU;
        match mkdirat(AT_FDCWD, &path, mode) {
            Ok(()) | Err(Errno::EEXIST) => {}
            Err(error) => return Err(error).with_context(|| format!("making {}", path.display())),
        }
        // A link in its place is refused, whoever has made it.
        let flags = OFlag::O_DIRECTORY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        let opened = openat(AT_FDCWD, &path, flags, Mode::empty());
        let opened = opened.with_context(|| format!("opening {}", path.display()))?;
        ours(&opened, SFlag::S_IFDIR)
            .with_context(|| format!("{} will not be used", path.display()))?;
        match Flock::lock(opened, FlockArg::LockExclusiveNonblock) {
            Ok(directory) => Ok(Store {
                path,
                directory,
                idle: Cell::new(false),
            }),
            Err((opened, Errno::EWOULDBLOCK)) => {
                let owner = read(&opened).ok().flatten();
                let owner = owner.map_or(String::new(), |state| {
                    format!(" (process {}, {})", state.pid, state.run_file)
                });
                bail!(
                    "another comparison runs{owner}: two would measure each other; wait for its \
                     end, or end it with Ctrl-C or SIGTERM, which undoes what it has changed"
                )
            }
            Err((_, error)) => Err(error).with_context(|| format!("locking {}", path.display())),
        }
    }

    /// Where the state is, for people.
    pub fn file(&self) -> PathBuf {
        self.path.join(NAME)
    }

    /// What an earlier comparison has left.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or is not of our making.
    pub fn read(&self) -> Result<Option<State>> {
        read(&self.directory).with_context(|| {
            let file = self.file();
            format!(
                "{}: an earlier comparison may have left something behind; see what is in the \
                 file, undo it by hand, and remove the file",
                file.display()
            )
        })
    }

    /// Says what is about to be done. It is on disk when this returns.
    ///
    /// # Errors
    ///
    /// If it cannot be written; the file then says what it said before.
    pub fn write(&self, state: &State) -> Result<()> {
        let written = || -> Result<()> {
            let flags = OFlag::O_WRONLY
                | OFlag::O_CREAT
                | OFlag::O_TRUNC
                | OFlag::O_NOFOLLOW
                | OFlag::O_CLOEXEC;
            let mode = Mode::S_IRUSR | Mode::S_IWUSR;
            let mut file = File::from(openat(&*self.directory, NEW_NAME, flags, mode)?);
            file.write_all(&serde_json::to_vec(state)?)?;
            file.sync_all()?;
            renameat(&*self.directory, NEW_NAME, &*self.directory, NAME)?;
            nix::unistd::fsync(self.directory.as_fd())?;
            Ok(())
        };
        written().with_context(|| format!("writing {}", self.file().display()))?;
        self.idle.set(state.undo.is_none());
        Ok(())
    }

    /// Nothing is left to undo.
    ///
    /// # Errors
    ///
    /// If the file cannot be removed.
    pub fn clear(&self) -> Result<()> {
        match unlinkat(&*self.directory, NAME, UnlinkatFlags::NoRemoveDir) {
            Ok(()) | Err(Errno::ENOENT) => Ok(()),
            Err(error) => Err(error).with_context(|| format!("removing {}", self.file().display())),
        }
    }
}

fn read(directory: &OwnedFd) -> Result<Option<State>> {
    // Not O_RDONLY alone: a FIFO would have us wait.
    let flags = OFlag::O_RDONLY | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK;
    let file = match openat(directory, NAME, flags, Mode::empty()) {
        Ok(file) => file,
        Err(Errno::ENOENT) => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    ours(&file, SFlag::S_IFREG)?;
    let mut text = Vec::new();
    File::from(file).take(LONGEST).read_to_end(&mut text)?;
    let schema: serde_json::Value = serde_json::from_slice(&text)?;
    match schema.get("schema").and_then(serde_json::Value::as_u64) {
        Some(1) => Ok(serde_json::from_value(schema)?),
        Some(newer) => bail!("written by a newer netstacklat (schema {newer}): use that one"),
        None => Err(std::io::Error::from(ErrorKind::InvalidData).into()),
    }
}

/// Commands are read from it: nobody else may have put them there.
fn ours(file: &OwnedFd, kind: SFlag) -> Result<()> {
    let FileStat {
        st_mode, st_uid, ..
    } = fstat(file)?;
    let me = geteuid();
    if st_mode & SFlag::S_IFMT.bits() != kind.bits() {
        bail!("it is of another kind than expected");
    }
    if Uid::from_raw(st_uid) != me {
        bail!("it belongs to user {st_uid}, and we are user {me}");
    }
    if st_mode & 0o022 != 0 {
        return Err(anyhow!(
            "others can write to it (mode {:o})",
            st_mode & 0o7777
        ));
    }
    Ok(())
}
