// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Cgroups (v2): which one the user means, and what they are called.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::error::UsageError;
use crate::model::packet_choice::CgroupChoice;
use crate::model::packet_filter::CgroupId;

/// Directories that are looked at when names are wanted: a host has hundreds.
const MOST_CGROUPS: usize = 100_000;

/// The tree of cgroups, where it is mounted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CgroupTree {
    mount: PathBuf,
}

impl CgroupTree {
    /// The tree at `mount`, or where it is mounted on this host.
    ///
    /// # Errors
    ///
    /// If there is none: then cgroups cannot be told apart.
    pub(crate) fn find(mount: Option<&Path>) -> Result<CgroupTree, UsageError> {
        let Some(mount) = mount else {
            let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
            return match mount_point(&mounts) {
                Some(mount) => Ok(CgroupTree { mount }),
                None => Err(UsageError(
                    "cgroup v2 is not mounted on this host: netstacklat cannot tell cgroups \
                     apart. (The kernel notes one cgroup for each socket, of v2 only.) With \
                     systemd: boot with systemd.unified_cgroup_hierarchy=1; or mount it \
                     (mount -t cgroup2 none DIRECTORY) and say where, with --cgroup-mount"
                        .into(),
                )),
            };
        };
        // CGROUP2_SUPER_MAGIC (linux/magic.h).
        const CGROUP2: i64 = 0x6367_7270;
        let kind = nix::sys::statfs::statfs(mount)
            .map_err(|error| UsageError(format!("--cgroup-mount {}: {error}", mount.display())))?;
        if kind.filesystem_type().0 as i64 != CGROUP2 {
            return Err(UsageError(format!(
                "--cgroup-mount {}: cgroup v2 is not mounted there",
                mount.display()
            )));
        }
        Ok(CgroupTree {
            mount: mount.into(),
        })
    }

    /// A tree of directories that is no mount of cgroups.
    #[cfg(test)]
    pub(crate) fn of_directories(mount: &Path) -> CgroupTree {
        CgroupTree {
            mount: mount.into(),
        }
    }

    /// The path below the mount of the cgroup that the user means.
    ///
    /// # Errors
    ///
    /// Names the value.
    pub(crate) fn path_of(&self, choice: &CgroupChoice) -> Result<PathBuf, UsageError> {
        let bad = |text: String| UsageError(format!("--cgroups {text}"));
        match choice {
            CgroupChoice::Path(path) => {
                let below = path.strip_prefix(&self.mount);
                let below = below.or_else(|_| path.strip_prefix("/")).unwrap_or(path);
                match self.id_of(below) {
                    Ok(_) => Ok(below.into()),
                    Err(error) => Err(bad(format!(
                        "{}: no such cgroup below {}: {error}",
                        path.display(),
                        self.mount.display()
                    ))),
                }
            }
            CgroupChoice::Id(id) => match self.names().remove(id) {
                Some(path) => Ok(path.into()),
                None => Err(bad(format!(
                    "{id}: no cgroup below {} has this id",
                    self.mount.display()
                ))),
            },
        }
    }

    /// What the path is now. A service that is started again has another id.
    ///
    /// # Errors
    ///
    /// If there is none.
    pub(crate) fn id_of(&self, below: &Path) -> io::Result<CgroupId> {
        let found = fs::metadata(self.mount.join(below))?;
        if !found.is_dir() {
            return Err(io::Error::from(io::ErrorKind::NotADirectory));
        }
        Ok(CgroupId {
            id: Some(found.ino()),
            level: below.components().count() as u32,
        })
    }

    /// The directory of a path.
    pub(crate) fn directory(&self, below: &Path) -> PathBuf {
        self.mount.join(below)
    }

    /// The paths of all cgroups, by id; `/` is the root.
    pub(crate) fn names(&self) -> BTreeMap<u64, String> {
        let mut names = BTreeMap::new();
        self.walk(Path::new(""), |below, directory| {
            // One that is removed meanwhile has no name.
            let Ok(found) = fs::metadata(directory) else {
                return;
            };
            let name = if below.as_os_str().is_empty() {
                "/".into()
            } else {
                below.to_string_lossy().into_owned()
            };
            names.insert(found.ino(), name);
        });
        names
    }

    /// Visits this cgroup and all below it: the path below the mount, and the
    /// directory. Each is visited before its children are listed.
    pub(crate) fn walk(&self, from: &Path, mut visit: impl FnMut(&Path, &Path)) {
        let mut left = vec![self.mount.join(from)];
        let mut visited = 0;
        while let Some(directory) = left.pop() {
            if visited == MOST_CGROUPS {
                break;
            }
            visited += 1;
            let below = directory.strip_prefix(&self.mount).unwrap_or(&directory);
            visit(below, &directory);
            let entries = fs::read_dir(&directory).into_iter().flatten().flatten();
            let directories = entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
            left.extend(directories.map(|entry| entry.path()));
        }
    }
}

/// Refuses a cgroup namespace, from inside of which no level can be told.
///
/// # Errors
///
/// If this process is in one.
pub(crate) fn refuse_namespace() -> Result<(), UsageError> {
    // PROC_CGROUP_INIT_INO (linux/proc_ns.h).
    const FIRST: u64 = 0xEFFF_FFFB;
    match fs::metadata("/proc/self/ns/cgroup") {
        Ok(own) if own.ino() != FIRST => Err(UsageError(
            "netstacklat runs in a cgroup namespace, from inside of which it cannot tell which \
             cgroup a packet belongs to: run it outside of the container, or start the container \
             with --cgroupns=host"
                .into(),
        )),
        // Without /proc nothing is known, nor that there is a namespace.
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Where cgroup v2 is mounted whole, as /proc/self/mountinfo has it (proc(5)).
fn mount_point(mountinfo: &str) -> Option<PathBuf> {
    let mut points = mountinfo.lines().filter_map(|line| {
        let (mount, filesystem) = line.split_once(" - ")?;
        let fields: Vec<_> = mount.split(' ').collect();
        let whole = *fields.get(3)? == "/";
        let is_v2 = filesystem.starts_with("cgroup2 ");
        (whole && is_v2).then(|| PathBuf::from(fields[4].replace("\\040", " ")))
    });
    points.next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_is_found() {
        let v2 = "25 30 0:23 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw\n";
        let hybrid = "\
30 25 0:26 / /sys/fs/cgroup ro - tmpfs tmpfs ro
31 30 0:27 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
";
        let part = "25 30 0:23 /a /mnt rw - cgroup2 cgroup2 rw\n";
        let at = |text: &str| mount_point(text).map(|path| path.display().to_string());
        assert_eq!(at(v2).as_deref(), Some("/sys/fs/cgroup"));
        assert_eq!(at(hybrid).as_deref(), Some("/sys/fs/cgroup/unified"));
        assert_eq!(at(part), None);
        assert_eq!(at(""), None);
    }

    #[test]
    fn what_is_no_mount_of_cgroups_is_named() {
        let error = CgroupTree::find(Some(Path::new("/proc"))).unwrap_err();
        assert!(error.0.contains("--cgroup-mount /proc"), "{error}");
        let error = CgroupTree::find(Some(Path::new("/no/such"))).unwrap_err();
        assert!(error.0.contains("/no/such"), "{error}");
    }

    /// Any directory does: paths, inode numbers and levels are those of files.
    #[test]
    fn cgroups_are_known_by_path_and_id() {
        let mount = std::env::temp_dir().join(format!("nsl-cgroups-{}", std::process::id()));
        fs::create_dir_all(mount.join("a.slice/b.service")).unwrap();
        let tree = CgroupTree {
            mount: mount.clone(),
        };
        let below = Path::new("a.slice/b.service");
        let found = tree.id_of(below).unwrap();
        assert_eq!(found.level, 2);
        let id = found.id.unwrap();
        assert_eq!(id, fs::metadata(mount.join(below)).unwrap().ino());
        let read = |text: &str| tree.path_of(&text.parse().unwrap());
        assert_eq!(read("a.slice/b.service").unwrap(), below);
        assert_eq!(read("/a.slice/b.service").unwrap(), below);
        let absolute = mount.join(below).display().to_string();
        assert_eq!(read(&absolute).unwrap(), below);
        assert_eq!(read(&id.to_string()).unwrap(), below);
        for wrong in ["a.slice/none", "1"] {
            let error = read(wrong).unwrap_err();
            assert!(error.0.contains(wrong), "{error}");
        }
        assert_eq!(tree.names()[&id], "a.slice/b.service");
        fs::remove_dir_all(&mount).unwrap();
    }
}
