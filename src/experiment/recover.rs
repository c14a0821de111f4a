// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! After a comparison that could not restore the host: says what is left, and
//! undoes it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::experiment::journal::{Found, Journal, journals_in, read_of_others};
use crate::experiment::places;
use crate::experiment::protocol::{Ended, How};
use crate::experiment::state::{Namespaces, State};
use crate::process::output::Output;
use crate::process::shell::{Bond, Exit, GRACE, Place, Shell};

/// How often a command is looked at where nothing tells of its end.
const LOOK_MS: u16 = 10;

/// What was found of comparisons that have ended without restoring the host.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// This user's, that can be undone.
    pub pending: Vec<(Journal, State)>,
    /// What guardians have done since the last command, in their words.
    pub logs: Vec<String>,
    /// Comparisons that are at work: their directories.
    pub in_use: Vec<PathBuf>,
    /// What is there and cannot be used, in words.
    pub unusable: Vec<String>,
    /// Where was looked.
    pub places: Vec<PathBuf>,
}

/// Looks in all places where this user's journals can be. Removes those that
/// say nothing, and logs once they have been read.
///
/// # Errors
///
/// If /proc cannot be read.
pub fn find() -> Result<Leftovers> {
    find_in(places::of_this_user())
}

/// The same in given places.
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

/// Refuses to go on where an earlier comparison in this network namespace has
/// left something behind.
///
/// # Errors
///
/// What is left, and how to undo it.
pub fn nothing_is_left(left: &Leftovers) -> Result<()> {
    let here = Namespaces::here()?;
    let ours = |(_, state): &&(Journal, State)| state.namespaces.net == here.net;
    if let Some((journal, state)) = left.pending.iter().find(ours) {
        let text = describe(state)?;
        return Err(anyhow!(
            "an earlier comparison has not restored this host.\n{text}  To undo it: netstacklat \
             undo. To give it up: netstacklat undo --forget. (It is in {}.)",
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

/// What is left of a comparison, as lines.
///
/// # Errors
///
/// If /proc cannot be read.
pub fn describe(state: &State) -> Result<String> {
    let mut text = format!(
        "  Comparison: process {}, {}\n  Last step: {}\n",
        state.pid, state.run_file, state.step
    );
    for group in state.still_running()? {
        text += &format!("  Still running: {group}\n");
    }
    if let Some(undo) = &state.undo {
        let directory = state.directory.display();
        text += &format!("  Not undone: its stop command, in {directory}:\n    {undo}\n");
    }
    Ok(text)
}

/// Pending states of other users: their commands are shown to root, and never
/// run by it.
pub fn of_others() -> Vec<String> {
    let mut texts = Vec::new();
    for place in places::of_others() {
        for path in journals_in(&place).unwrap_or_default() {
            let Ok(Some((uid, state))) = read_of_others(&path) else {
                continue;
            };
            if let Some(undo) = state.undo {
                texts.push(format!(
                    "User {uid} has a comparison in {}, with the stop command\n    {undo}\n  It is \
                     run with that user's identity only: netstacklat undo, as user {uid}.\n",
                    path.display()
                ));
            }
        }
    }
    texts
}

/// Ends what still runs of a comparison, then runs its stop command: in its
/// directory, with its environment. What was done, in words.
///
/// # Errors
///
/// If it cannot be undone: what is in the way.
pub fn undo(journal: &Journal, state: &State, say: &mut dyn FnMut(&str)) -> Result<String> {
    if let Some((kind, name)) = state.namespaces.other_than(&Namespaces::here()?) {
        bail!(
            "the comparison of process {} ran in another {kind} namespace ({name}): run this there",
            state.pid
        );
    }
    let mut done = Vec::new();
    for group in state.still_running()? {
        group.end(GRACE)?;
        done.push(format!("ended {group}"));
    }
    if let Some(command) = &state.undo {
        let ended = run(state, command, Shell::new(), say)?;
        if !ended.success() {
            bail!(
                "not undone: the stop command failed: {ended}{}\n  The command: {command}\n  If it \
                 cannot be undone: netstacklat undo --forget",
                ended.last_words
            );
        }
        done.push(format!("ran {command}"));
    }
    journal.remove()?;
    Ok(done.join("; "))
}

/// Runs a stop command as the comparison would have; blocks until its end.
fn run(state: &State, command: &str, shell: Shell, say: &mut dyn FnMut(&str)) -> Result<Ended> {
    let mut output = Output::open()?;
    let shell = shell.at(Place {
        directory: state.directory.clone(),
        environment: state.environment.clone(),
    });
    let running = shell.start(command, Some(output.writer()), Bond::OutlivesUs)?;
    let began = Instant::now();
    let how = loop {
        let mut fds = [PollFd::new(output.reader(), PollFlags::POLLIN)];
        let _ = poll(&mut fds, PollTimeout::from(LOOK_MS));
        say(&output.take());
        match running.ended()? {
            Some(exit) => break How::Exit(exit),
            None if began.elapsed() >= state.stop_limit => {
                break How::TookLongerThan(state.stop_limit);
            }
            None => {}
        }
    };
    match how {
        How::Exit(Exit::Code(0)) => running.leave(),
        _ => running.end(GRACE),
    }
    say(&output.take_all());
    Ok(Ended {
        how,
        last_words: output.last_words(),
    })
}

/// Undoes within a comparison whose guardian is dead. `None`: nothing was to be
/// undone.
///
/// # Errors
///
/// If a process group cannot be ended, or there is no shell.
pub fn without_guardian(
    state: &State,
    shell: Shell,
    say: &mut dyn FnMut(&str),
) -> Result<Option<Ended>> {
    for group in state.still_running()? {
        group.end(Duration::from_secs(1))?;
    }
    match &state.undo {
        Some(command) => run(state, command, shell, say).map(Some),
        None => Ok(None),
    }
}
