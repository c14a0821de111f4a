// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! In which directories journals are, whatever the environment of the command
//! that made them.

use std::path::{Path, PathBuf};

use nix::unistd::{Uid, geteuid};

/// The directory in which a user's comparisons keep their journals:
/// `/run/netstacklat` of root, else in `$XDG_RUNTIME_DIR` or `/run/user/UID`,
/// else in `/tmp`.
pub fn of_new_ones() -> PathBuf {
    let uid = geteuid();
    if uid.is_root() {
        return "/run/netstacklat".into();
    }
    let places = of_user(uid);
    // The last is /tmp, which is there.
    let there = |place: &&PathBuf| place.parent().is_some_and(Path::is_dir);
    places.iter().find(there).unwrap_or(&places[0]).clone()
}

/// Where journals of this user can be, whatever its environment was when it
/// made them: a login has `$XDG_RUNTIME_DIR`; sudo and cron do not.
pub fn of_this_user() -> Vec<PathBuf> {
    of_user(geteuid())
}

fn of_user(uid: Uid) -> Vec<PathBuf> {
    let mut places = Vec::new();
    if uid.is_root() {
        places.push("/run/netstacklat".into());
    }
    let of_session = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    if let Some(directory) = of_session.filter(|path| path.is_absolute()) {
        places.push(directory.join("netstacklat"));
    }
    places.push(format!("/run/user/{uid}/netstacklat").into());
    places.push(format!("/tmp/netstacklat-{uid}").into());
    let mut unique: Vec<PathBuf> = Vec::new();
    for place in places {
        if !unique.contains(&place) {
            unique.push(place);
        }
    }
    unique
}

/// Where journals of other users can be: only root can look there.
pub fn of_others() -> Vec<PathBuf> {
    let ours = of_this_user();
    let in_each = |parent: &str, accept: fn(&str) -> bool, end: &str| {
        let entries = std::fs::read_dir(parent).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let paths = names.filter(|name| accept(name));
        paths
            .map(|name| Path::new(parent).join(name).join(end))
            .collect::<Vec<_>>()
    };
    let mut places = in_each("/run/user", |_| true, "netstacklat");
    places.extend(in_each("/tmp", |name| name.starts_with("netstacklat-"), ""));
    places.retain(|place| place.is_dir() && !ours.contains(place));
    places.sort();
    places
}
