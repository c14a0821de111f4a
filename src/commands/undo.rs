// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `undo`: restores the host after comparisons that could not.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::cli::UndoArgs;
use crate::experiment::guardian::THIS_PROGRAM;
use crate::experiment::recover::{self, Leftovers};
use crate::runtime::messages::Messages;

/// Undoes what comparisons have left behind, or shows it, or gives it up.
///
/// # Errors
///
/// If something cannot be undone.
pub fn run(args: &UndoArgs, messages: &Messages) -> Result<()> {
    let print = |text: &str| messages.print(text);
    if !args.list {
        wait_for_guardians(messages);
    }
    let mut found = recover::find()?;
    show_logs(&found, messages);
    for text in &found.unusable {
        print(&format!("netstacklat: cannot be used: {text}\n"));
    }
    for path in &found.in_use {
        print(&format!(
            "netstacklat: {}: its comparison is running, or is being undone\n",
            path.display()
        ));
    }
    let others = recover::pending_of_other_users();
    for text in &others {
        print(&format!("netstacklat: {text}"));
    }
    if found.pending.is_empty() {
        if found.in_use.is_empty() {
            print(&nothing(&found));
        }
    } else if args.list || args.forget {
        for (journal, state) in &found.pending {
            print(&format!(
                "{}:\n{}",
                journal.path().display(),
                recover::describe(state)?
            ));
            if args.forget {
                journal.remove()?;
                print("netstacklat: given up: this is not undone.\n");
            }
        }
    } else {
        undo_all(args, &mut found, messages)?;
    }
    if !found.unusable.is_empty() {
        bail!("see what is in these files, undo it by hand, and remove them");
    }
    if !found.in_use.is_empty() && !args.list {
        bail!("nothing was undone: a comparison is running, and undoes its own change itself");
    }
    Ok(())
}

/// What is being undone is waited for: but not for ever.
fn wait_for_guardians(messages: &Messages) {
    const PATIENCE: Duration = Duration::from_secs(30);
    const LOOK: Duration = Duration::from_millis(200);
    let deadline = Instant::now() + PATIENCE;
    let mut announced = false;
    while let Some(path) = recover::being_undone() {
        if Instant::now() > deadline {
            return;
        }
        if !std::mem::replace(&mut announced, true) {
            messages.print(&format!(
                "netstacklat: waiting: a guardian process is undoing the comparison in {}\n",
                path.display()
            ));
        }
        std::thread::sleep(LOOK);
    }
}

fn undo_all(args: &UndoArgs, found: &mut Leftovers, messages: &Messages) -> Result<()> {
    // Ctrl-C does not end a stop command halfway.
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::new(AtomicBool::new(false)))
            .context("installing signal handlers")?;
    }
    let mut failed = Vec::new();
    for (journal, state) in &mut found.pending {
        if let Some(limit) = args.stop_timeout {
            state.stop_limit = limit;
        }
        messages.print(&recover::describe(state)?);
        let program = Path::new(THIS_PROGRAM);
        match recover::undo(journal, state, program, &mut |text| messages.print(text)) {
            Ok(done) => messages.print(&format!("netstacklat: {done}\n")),
            Err(error) => failed.push(format!("{error:#}")),
        }
    }
    if failed.is_empty() {
        Ok(())
    } else {
        bail!("{}", failed.join("\nnetstacklat: "))
    }
}

/// What guardians have done since the last command.
pub(super) fn show_logs(found: &Leftovers, messages: &Messages) {
    for log in &found.logs {
        let lines = log.lines().map(|line| format!("  | {line}\n"));
        messages.print(&format!(
            "netstacklat: since the last command:\n{}",
            lines.collect::<String>()
        ));
    }
}

fn nothing(found: &Leftovers) -> String {
    let places: Vec<String> = found
        .places
        .iter()
        .map(|place| place.display().to_string())
        .collect();
    let mut text = format!(
        "netstacklat: nothing to undo; looked in {}\n",
        places.join(", ")
    );
    if !nix::unistd::geteuid().is_root() {
        text += "netstacklat: only root sees what comparisons of root have left.\n";
    }
    text
}
