// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a comparison that has died leaves in its journal, and undoing it.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use netstacklat::experiment::recover;
use netstacklat::process::group::Group;
use netstacklat::process::output::Output;
use netstacklat::process::shell::{self, OnParentDeath};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::left_running::{is_running, pid_in};
use super::workdir::{MS, PROGRAM, Workdir};

/// The shell is killed. The process that it started goes on, and `undo` finds
/// it.
#[test]
fn processes_that_outlive_their_shell_are_found_and_ended() {
    let workdir = Workdir::new("orphan");
    let path = workdir.path.join("pid");
    let command = format!(
        "trap '' TERM; sleep 7777 & echo $! >{0}.new; mv {0}.new {0}; wait",
        path.display()
    );
    let output = Output::open().expect("a pipe");
    let shell = shell::start(&command, &output, OnParentDeath::KeepRunning);
    let shell = shell.expect("a shell");
    let deadline = Instant::now() + Duration::from_secs(20);
    while !path.exists() {
        assert!(Instant::now() < deadline);
        std::thread::sleep(MS);
    }
    let journal = workdir.journal().expect("the journal");
    let mut state = workdir.state();
    let group = Group::of("the load", shell.pid()).expect("it runs");
    state.running.push(group);
    // With an undo command, dropping the journal does not remove it.
    state.undo = Some("true".into());
    journal.write(&state).expect("written");
    // Release the lock, as if the comparison had died.
    drop(journal);
    let number = format!("process group {}", shell.pid());
    kill(Pid::from_raw(shell.pid() as i32), Signal::SIGKILL).expect("it runs");
    shell.reap();
    let orphan = pid_in(&path);
    assert!(is_running(orphan));

    let refused = check_nothing_left(&workdir).expect_err("it runs");
    assert!(refused.contains(&number), "{refused}");
    // The process ignores SIGTERM, as its shell did, so it must be killed.
    let done = undo(&workdir).expect("it can be killed");
    assert!(done[0].contains(&number), "{done:?}");
    assert!(!is_running(orphan));
    check_nothing_left(&workdir).expect("undone");
}

#[test]
fn a_failed_stop_command_is_recorded_and_can_be_run_again() {
    let mut workdir = Workdir::new("stop");
    let path = workdir.path.display().to_string();
    let stop = format!(
        "{}; echo no way; test -e {path}/way",
        workdir.log_command("b-stop")
    );
    workdir.comparison.b.stop = Some(stop.clone());
    let ending = workdir.run();
    let left = format!(
        "{:#}",
        ending.left_behind.as_ref().expect("something is left")
    );
    for words in [&stop, "netstacklat undo", "exit code 1", "| no way"] {
        assert!(left.contains(words), "no {words:?} in {left}");
    }
    assert_eq!(workdir.log(), ["b-start", "b-stop"]);
    let refused = check_nothing_left(&workdir).expect_err("something is left");
    assert!(refused.contains(&stop), "{refused}");
    let failed = undo(&workdir).expect_err("it fails as before");
    assert!(failed.contains("exit code 1"), "{failed}");
    check_nothing_left(&workdir).expect_err("it is not forgotten");
    std::fs::write(workdir.path.join("way"), "").expect("a way");
    let done = undo(&workdir).expect("it works now");
    assert!(done[0].contains(&stop), "{done:?}");
    check_nothing_left(&workdir).expect("undone");
    assert!(undo(&workdir).expect("nothing").is_empty());
    assert_eq!(workdir.log(), ["b-start", "b-stop", "b-stop", "b-stop"]);
}

/// The error names what is left.
fn check_nothing_left(workdir: &Workdir) -> Result<(), String> {
    recover::refuse_leftovers(&workdir.leftovers()).map_err(|error| format!("{error:#}"))
}

/// Undoes all that comparisons left. Returns what was done for each.
fn undo(workdir: &Workdir) -> Result<Vec<String>, String> {
    let mut left = workdir.leftovers();
    if let Some(text) = left.unusable.first() {
        return Err(text.clone());
    }
    let pending = left.pending.iter_mut();
    pending
        .map(|(journal, state)| {
            let undone = recover::undo(journal, state, Path::new(PROGRAM), &mut |_| {});
            undone.map_err(|error| format!("{error:#}"))
        })
        .collect()
}

/// Commands are run from the journal. A journal that other users can write to
/// is refused.
#[test]
fn a_journal_that_others_could_have_written_is_refused() {
    use std::os::unix::fs::{PermissionsExt as _, symlink};
    let workdir = Workdir::new("state");
    let open = |path: &PathBuf, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("ours");
    };
    let directory = workdir.place();
    drop(workdir.journal().expect("a new directory"));
    open(&directory, 0o770);
    let refused = workdir.journal().expect_err("a group can write to it");
    assert!(
        format!("{refused:#}").contains("others can write"),
        "{refused:#}"
    );
    let found = workdir.leftovers();
    assert!(found.unusable[0].contains("others can write"), "{found:?}");
    open(&directory, 0o700);

    let aside = workdir.path.join("aside");
    std::fs::rename(&directory, &aside).expect("ours");
    symlink(&aside, &directory).expect("a link");
    workdir.journal().expect_err("a link");
    assert_eq!(workdir.leftovers().unusable.len(), 1);
    std::fs::remove_file(&directory).expect("the link");
    std::fs::rename(&aside, &directory).expect("ours");

    let journal = workdir.journal().expect("as before");
    assert_eq!(workdir.leftovers().in_use, [journal.path()]);
    // A process with the same PID, for example in another PID namespace.
    let other = workdir.journal().expect("another place");
    assert_ne!(other.path(), journal.path());
    drop(other);
    assert_eq!(workdir.leftovers().in_use, [journal.path()]);
    let mut state = workdir.state();
    state.undo = Some("echo undone".into());
    journal.write(&state).expect("written");
    assert_eq!(journal.read().expect("ours"), Some(state));
    let file = journal.path().join("state.json");
    drop(journal);
    open(&file, 0o666);
    let refused = undo(&workdir).expect_err("anybody can write to it");
    assert!(refused.contains("others can write"), "{refused}");
    check_nothing_left(&workdir).expect_err("nobody knows");
    open(&file, 0o600);
    let text = std::fs::read_to_string(&file).expect("ours");
    for damaged in [
        &text[..text.len() / 2],
        "",
        "{}",
        &text.replace("\"schema\":2", "\"schema\":3"),
    ] {
        std::fs::write(&file, damaged).expect("ours");
        undo(&workdir).expect_err(damaged);
        assert!(file.exists());
    }
    // A journal from before a reboot has nothing to undo.
    let old = text.replace("\"boot_id\":\"", "\"boot_id\":\"x");
    std::fs::write(&file, old).expect("ours");
    assert!(undo(&workdir).expect("nothing to do").is_empty());
    assert!(!workdir.has_state());
}
