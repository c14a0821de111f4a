// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Restores the host after comparisons that could not: finds what they left,
//! describes it, and undoes it.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};

use crate::experiment::guardian::{CommandEnv, Guardian, GuardianConfig};
use crate::experiment::journal::{Found, Journal, journals_in, read_of_another_user};
use crate::experiment::journal_dirs;
use crate::experiment::protocol::{Ended, Reply, Role};
use crate::experiment::state::{Namespaces, State};
use crate::process::rlimits::Limits;
use crate::process::shell::GRACE;
use crate::process::stat::Stat;

/// What comparisons that did not restore the host have left.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// Journals of this user that can be undone.
    pub pending: Vec<(Journal, State)>,
    /// Logs of guardians since the last command.
    pub logs: Vec<String>,
    /// Directories of comparisons that are running.
    pub in_use: Vec<PathBuf>,
    /// Journals that cannot be used, with the reason.
    pub unusable: Vec<String>,
    /// The directories that were searched.
    pub places: Vec<PathBuf>,
}

/// Searches all directories that can hold this user's journals. Removes
/// journals that have nothing to undo, and logs once they are read.
///
/// # Errors
///
/// If /proc cannot be read.
pub(crate) fn find() -> Result<Leftovers> {
    find_in(journal_dirs::of_this_user())
}

/// Like `find`, in the given directories.
///
/// # Errors
///
/// If /proc cannot be read.
pub fn find_in(places: Vec<PathBuf>) -> Result<Leftovers> {
    let mut left = Leftovers::default();
    for found in Journal::find(&places) {
        match found {
            Found::InUse(path) => left.in_use.push(path),
            Found::Unusable(path, error) => {
                left.unusable.push(format!("{}: {error:#}", path.display()));
            }
            Found::Abandoned(journal) => {
                left.logs.extend(journal.read_log());
                match journal.read() {
                    Err(error) => left.unusable.push(format!("{error:#}")),
                    Ok(Some(state)) if !state.is_settled()? => left.pending.push((journal, state)),
                    Ok(_) => journal.remove()?,
                }
            }
        }
    }
    left.places = places;
    Ok(left)
}

/// The journal of a comparison that has ended or is exiting, and that its
/// guardian or another `undo` is undoing. `None` if there is none.
pub(crate) fn being_undone() -> Option<PathBuf> {
    let places = journal_dirs::of_this_user();
    Journal::find(&places)
        .into_iter()
        .find_map(|found| match found {
            Found::InUse(path) if is_ending(&path) => Some(path),
            _ => None,
        })
}

/// Whether the comparison's process has ended or is exiting, or its journal has
/// nothing left to undo and is about to be removed.
fn is_ending(path: &Path) -> bool {
    match read_of_another_user(path) {
        Ok(Some((_, state))) => {
            Stat::read(state.pid).is_ok_and(|stat| stat.is_none_or(|stat| stat.exiting))
        }
        Ok(None) => true,
        Err(_) => false,
    }
}

/// Fails if an earlier comparison in this network namespace has left something
/// to undo.
///
/// # Errors
///
/// If something is left. The error says what it is and how to undo it.
pub fn refuse_leftovers(left: &Leftovers) -> Result<()> {
    let here = Namespaces::here()?;
    let ours = |(_, state): &&(Journal, State)| state.namespaces.net == here.net;
    if let Some((journal, state)) = left.pending.iter().find(ours) {
        let text = describe(state)?;
        return Err(anyhow!(
            "an earlier comparison has not restored this host.\n{text}  To undo it: netstacklat \
             undo. To give it up: netstacklat undo --forget. (Journal: {})",
            journal.path().display()
        ));
    }
    match left.unusable.first() {
        None => Ok(()),
        Some(text) => bail!(
            "an earlier comparison may have left something behind: {text}\n  See what is in the \
             file, undo it by hand, and remove the directory"
        ),
    }
}

/// Describes in several lines what is left of a comparison.
///
/// # Errors
///
/// If /proc cannot be read.
pub(crate) fn describe(state: &State) -> Result<String> {
    let mut text = format!(
        "  Comparison: process {}, {}\n  Last step: {}\n",
        state.pid,
        indented(&state.run_file),
        indented(&state.step)
    );
    for group in state.still_running()? {
        text += &format!("  Still running: {group}\n");
    }
    if let Some(undo) = &state.undo {
        let directory = state.directory.display().to_string();
        text += &format!(
            "  Not undone: its stop command, in {}:\n    {}\n",
            indented(&directory),
            indented(undo)
        );
    }
    Ok(text)
}

/// Indents all lines but the first, so that no line of a command or path looks
/// like a message of ours.
fn indented(text: &str) -> String {
    text.replace('\n', "\n    ").replace('\r', " ")
}

/// Describes what comparisons of other users have left. Their commands are
/// shown to root, and root never runs them.
pub(crate) fn pending_of_other_users() -> Vec<String> {
    let mut texts = Vec::new();
    for place in journal_dirs::of_other_users() {
        for path in journals_in(&place).unwrap_or_default() {
            let Ok(Some((uid, state))) = read_of_another_user(&path) else {
                continue;
            };
            if let Some(undo) = state.undo {
                texts.push(format!(
                    "User {uid} has a comparison in {} that is not undone. Its stop command:\n    \
                     {}\n  Only that user can run it: netstacklat undo, as user {uid}.\n",
                    indented(&path.display().to_string()),
                    indented(&undo)
                ));
            }
        }
    }
    texts
}

/// Ends the processes of a comparison that still run, then runs its stop
/// command in its directory and with its environment. A new guardian, started
/// from `program`, does that. Returns a description of what was done.
///
/// # Errors
///
/// If it cannot be undone. The error says why.
pub fn undo(
    journal: &Journal,
    state: &mut State,
    program: &Path,
    print: &mut dyn FnMut(&str),
) -> Result<String> {
    if let Some((kind, name)) = state.namespaces.other_than(&Namespaces::here()?) {
        bail!(
            "the comparison of process {} ran in another {kind} namespace ({name}): run netstacklat undo there",
            state.pid
        );
    }
    let mut done = Vec::new();
    for group in state.still_running()? {
        done.push(format!("ended {group}"));
    }
    let config = GuardianConfig {
        program: program.into(),
        limits: Limits::current(),
        command_env: Some(CommandEnv {
            directory: state.directory.clone(),
            environment: state.environment.clone(),
        }),
    };
    if let Some(ended) = restore(journal, state, &config, print)? {
        let command = state.undo.as_deref().unwrap_or_default();
        if !ended.success() {
            bail!(
                "not undone: the stop command failed: {ended}{}\n  The command: {command}\n  If it \
                 cannot be undone: netstacklat undo --forget",
                ended.last_lines
            );
        }
        done.push(format!("ran {command}"));
    }
    journal.remove()?;
    Ok(done.join("; "))
}

/// Ends the processes of a comparison that still run, then runs its stop
/// command in a new guardian. The command then runs to its end even if this
/// process is killed. Returns `None` if nothing was to be undone.
///
/// # Errors
///
/// If a process group cannot be ended, or no guardian can be started.
pub(super) fn restore(
    journal: &Journal,
    state: &mut State,
    config: &GuardianConfig,
    print: &mut dyn FnMut(&str),
) -> Result<Option<Ended>> {
    for group in state.still_running()? {
        // A stop command whose guardian was killed may still be running. Let it
        // finish: half of a stop command is worse than none.
        if group.what == Role::Stop.name() && group.wait_for_end(state.stop_limit)? {
            continue;
        }
        group.terminate(GRACE)?;
    }
    state.running.clear();
    let Some(command) = state.undo.clone() else {
        return Ok(None);
    };
    let mut guardian = Guardian::start(config, journal, None)?;
    let limit = state.stop_limit;
    let ended = guardian.run(Role::Stop, &command, limit, &mut |reply| match reply {
        Reply::Started(_, group) => {
            state.running.push(group);
            // Ignore the error: the command runs even if its group is not in
            // the journal.
            let _ = journal.write(state);
        }
        Reply::Printed(_, text) => print(&text),
        Reply::Ended(..) => {}
    });
    state.running.clear();
    // The guardian must not write the journal: the caller does, whatever the
    // result is.
    guardian.leave();
    ended.map(Some)
}
