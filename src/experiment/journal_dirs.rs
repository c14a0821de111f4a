// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The directories of journals. They depend only on the user and on no
//! environment variable: a login, sudo and cron have different environments,
//! and each must find what the others left.

use std::path::{Path, PathBuf};

use nix::unistd::{Uid, geteuid};

/// The directory in which this user's comparisons create their journals. It is
/// `/run/netstacklat` for root and `/run/user/UID/netstacklat` for other users,
/// or `/tmp/netstacklat-UID` if there is no `/run/user/UID`.
pub(crate) fn for_new_journal() -> PathBuf {
    first_with_parent(of_this_user(), Path::is_dir)
}

/// All directories that can hold this user's journals. `/run/user/UID` exists
/// only after a login, so both directories are searched.
pub(crate) fn of_this_user() -> Vec<PathBuf> {
    of_user(geteuid())
}

fn of_user(uid: Uid) -> Vec<PathBuf> {
    if uid.is_root() {
        vec!["/run/netstacklat".into()]
    } else {
        vec![
            format!("/run/user/{uid}/netstacklat").into(),
            format!("/tmp/netstacklat-{uid}").into(),
        ]
    }
}

/// The first directory whose parent exists, else the last one.
fn first_with_parent(mut places: Vec<PathBuf>, is_there: impl Fn(&Path) -> bool) -> PathBuf {
    let usable = |place: &PathBuf| place.parent().is_some_and(&is_there);
    let first = places.iter().position(usable).unwrap_or(places.len() - 1);
    places.swap_remove(first)
}

/// Directories that can hold journals of other users. Only root can read them.
pub(crate) fn of_other_users() -> Vec<PathBuf> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn new_journals_are_in_a_searched_directory() {
        for (uid, directories, expected) in [
            (0, ["/run", "/tmp"], "/run/netstacklat"),
            (
                1000,
                ["/run/user/1000", "/tmp"],
                "/run/user/1000/netstacklat",
            ),
            // Without a login: cron, a systemd unit, a container.
            (1000, ["/run", "/tmp"], "/tmp/netstacklat-1000"),
        ] {
            let is_there = |path: &Path| directories.iter().any(|there| Path::new(there) == path);
            let searched = of_user(Uid::from_raw(uid));
            let made = first_with_parent(searched.clone(), is_there);
            assert_eq!(made, Path::new(expected));
            assert!(searched.contains(&made));
        }
    }
}
