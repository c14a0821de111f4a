// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a comparison has changed on the host, as its journal stores it.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use crate::process::group::Group;

/// The version of the journal's format.
pub(super) const SCHEMA: u32 = 2;

/// What a comparison has changed on the host so far.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct State {
    schema: u32,
    /// The boot that it ran in. A reboot undoes all changes.
    boot_id: String,
    /// The comparison's process.
    pub(crate) pid: u32,
    /// The working directory of its commands.
    pub(crate) directory: OsString,
    /// The environment of its commands. Its values are never shown.
    pub(crate) environment: Vec<(OsString, OsString)>,
    /// The namespaces in which its commands act.
    pub(crate) namespaces: Namespaces,
    /// The file that its rounds are written to.
    pub(crate) run_file: String,
    pub(crate) step: String,
    /// The command that undoes the last change. `None` if nothing is to be
    /// undone.
    pub undo: Option<String>,
    /// How long that command may take.
    pub(crate) stop_limit: Duration,
    /// Process groups of commands that may still run.
    pub running: Vec<Group>,
}

/// Namespaces as `/proc/PID/ns` names them. Mount namespaces are not compared,
/// because `ip netns exec` creates a new one each time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Namespaces {
    pub(crate) net: String,
    pub(crate) pid: String,
    pub(crate) user: String,
}

impl Namespaces {
    /// The namespaces of this process.
    ///
    /// # Errors
    ///
    /// If /proc cannot be read.
    pub(crate) fn here() -> Result<Namespaces> {
        let read = |kind| -> Result<String> {
            let path = format!("/proc/self/ns/{kind}");
            let name = std::fs::read_link(&path).with_context(|| format!("reading {path}"))?;
            Ok(name.display().to_string())
        };
        Ok(Namespaces {
            net: read("net")?,
            pid: read("pid")?,
            user: read("user")?,
        })
    }

    /// The first namespace that differs from `ours`: its kind and name.
    pub(crate) fn other_than<'a>(&'a self, ours: &Namespaces) -> Option<(&'static str, &'a str)> {
        let kinds = [
            ("network", &self.net, &ours.net),
            ("pid", &self.pid, &ours.pid),
            ("user", &self.user, &ours.user),
        ];
        let other = kinds.into_iter().find(|(_, theirs, ours)| theirs != ours);
        other.map(|(kind, theirs, _)| (kind, theirs.as_str()))
    }
}

impl State {
    /// The state of a comparison by this process that has changed nothing yet.
    ///
    /// # Errors
    ///
    /// If the working directory, the boot id or the namespaces cannot be read.
    pub fn here(run_file: &Path, stop_limit: Duration) -> Result<State> {
        Ok(State {
            schema: SCHEMA,
            boot_id: boot_id()?,
            pid: std::process::id(),
            directory: std::env::current_dir()
                .context("asking for the current directory")?
                .into(),
            environment: std::env::vars_os().collect(),
            namespaces: Namespaces::here()?,
            run_file: run_file.display().to_string(),
            step: "beginning".into(),
            undo: None,
            stop_limit,
            running: Vec::new(),
        })
    }

    /// Whether it was written since the host was booted.
    ///
    /// # Errors
    ///
    /// If /proc cannot be read.
    pub(crate) fn of_this_boot(&self) -> Result<bool> {
        Ok(self.boot_id == boot_id()?)
    }

    /// The process groups of the comparison that still run.
    ///
    /// # Errors
    ///
    /// If /proc cannot be read.
    pub(crate) fn still_running(&self) -> Result<Vec<&Group>> {
        let mut running = Vec::new();
        for group in &self.running {
            if group.is_running()? {
                running.push(group);
            }
        }
        Ok(running)
    }

    /// Whether nothing is left to undo on the host.
    ///
    /// # Errors
    ///
    /// If /proc cannot be read.
    pub(crate) fn is_settled(&self) -> Result<bool> {
        let pending = self.undo.is_some() || !self.still_running()?.is_empty();
        Ok(!pending || !self.of_this_boot()?)
    }
}

fn boot_id() -> Result<String> {
    const PATH: &str = "/proc/sys/kernel/random/boot_id";
    let id = std::fs::read_to_string(PATH).with_context(|| format!("reading {PATH}"))?;
    Ok(id.trim().into())
}
