// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! After a comparison that was killed: what it has left behind, told or undone.

use std::time::Duration;

use anyhow::{Context as _, Result, anyhow, bail};

use crate::event_loop::EventLoop;
use crate::trial::progress::Progress;
use crate::trial::shell::{GRACE, Shell};
use crate::trial::stage::Stage;
use crate::trial::state::{State, Store};

/// Refuses to go on where an earlier comparison has left something behind.
/// What it says about the host before its last start is of no interest.
///
/// # Errors
///
/// What is left behind, and how to undo it.
pub fn nothing_is_left(store: &Store) -> Result<()> {
    let Some(state) = store.read()? else {
        return Ok(());
    };
    if !state.of_this_boot()? {
        return store.clear();
    }
    let running = state.still_running()?;
    if state.undo.is_none() && running.is_empty() {
        return store.clear();
    }
    let mut text = format!(
        "a comparison (process {}, {}) has ended without undoing what it did. Its last step was\n    \
         {}\n",
        state.pid, state.run_file, state.step
    );
    for group in running {
        text += &format!("  Still running: {group}\n");
    }
    if let Some(undo) = &state.undo {
        let directory = state.directory.display();
        text += &format!("  To undo, in {directory}:\n    {undo}\n");
    }
    text += &format!(
        "  netstacklat compare --undo does that; or do it by hand, and remove {}",
        store.file().display()
    );
    Err(anyhow!(text))
}

/// Undoes what an earlier comparison has left behind; what was done, in words.
///
/// # Errors
///
/// If it cannot be undone: what is in the way.
pub fn undo(store: &Store, limit: Duration) -> Result<String> {
    let Some(state) = store.read()? else {
        return Ok("nothing to undo".into());
    };
    if !state.of_this_boot()? {
        store.clear()?;
        return Ok(format!(
            "nothing to undo: the host was started anew since a comparison was killed at\n    {}",
            state.step
        ));
    }
    let mut done = Vec::new();
    for group in state.still_running()? {
        group.end(GRACE)?;
        done.push(format!("ended {group}"));
    }
    if let Some(command) = &state.undo {
        run_again(&state, command, limit, store)?;
        done.push(format!("ran {command}"));
    }
    store.clear()?;
    if done.is_empty() {
        done.push("nothing to undo: a comparison was killed between two periods".into());
    }
    Ok(done.join("; "))
}

fn run_again(state: &State, command: &str, limit: Duration, store: &Store) -> Result<()> {
    if !state.of_this_network()? {
        bail!(
            "this is not the network namespace of the comparison ({}): run this there, or by hand \
             {command}\n  and remove {}",
            state.network,
            store.file().display()
        );
    }
    std::env::set_current_dir(&state.directory).with_context(|| {
        let directory = state.directory.display();
        format!("going to {directory}, where the comparison was started")
    })?;
    // Ctrl-C does not end this halfway.
    let events = EventLoop::for_undoing(None, std::iter::empty())?;
    let mut stage = Stage::new(events, None, Shell::new(), Progress::none())?;
    let stopped = stage.stop_command(command, limit, |_| Ok(()));
    stopped.with_context(|| {
        format!(
            "not undone; when it is, by hand, remove {}\n  {command}",
            store.file().display()
        )
    })
}
