// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Network namespaces: which one the user means, and what its interfaces are
//! called.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, setns};

use crate::error::UsageError;
use crate::model::packet_choice::NamespaceChoice;

/// Where `ip netns` keeps namespaces that have names.
const NAMED: &str = "/run/netns";

/// A network namespace.
#[derive(Debug)]
pub(crate) struct Netns {
    /// The inode number, which is how the kernel's own structures name it.
    pub inode: u32,
    /// How to get in. `None`: this process is in it.
    entrance: Option<File>,
}

impl Netns {
    /// The one that this process is in.
    ///
    /// # Errors
    ///
    /// If /proc is not mounted.
    pub(crate) fn own() -> io::Result<Netns> {
        let inode = fs::metadata("/proc/self/ns/net")?.ino() as u32;
        Ok(Netns {
            inode,
            entrance: None,
        })
    }

    /// The one that the user means; `None`: all of them.
    ///
    /// # Errors
    ///
    /// Names the value, and what to write.
    pub(crate) fn find(choice: &NamespaceChoice) -> Result<Option<Netns>, UsageError> {
        let bad = |text: String| UsageError(format!("--network-namespace {text}"));
        match choice {
            NamespaceChoice::All => Ok(None),
            NamespaceChoice::Own => {
                let own = Netns::own();
                own.map(Some).map_err(|error| bad(format!("self: {error}")))
            }
            NamespaceChoice::Pid(pid) => {
                let path = PathBuf::from(format!("/proc/{pid}/ns/net"));
                let found = Netns::at(&path);
                found.map(Some).map_err(|error| {
                    bad(match error.kind() {
                        io::ErrorKind::NotFound => format!("pid:{pid}: there is no such process"),
                        io::ErrorKind::PermissionDenied => format!(
                            "pid:{pid}: {error}: to see the namespace of another user's process \
                             takes CAP_SYS_PTRACE"
                        ),
                        _ => format!("pid:{pid}: {error}"),
                    })
                })
            }
            NamespaceChoice::Path(path) => {
                let found = Netns::at(path);
                found
                    .map(Some)
                    .map_err(|error| bad(format!("{}: {error}", path.display())))
            }
            NamespaceChoice::Name(name) => {
                let found = Netns::at(&Path::new(NAMED).join(name));
                found.map(Some).map_err(|error| {
                    let known = names();
                    let known = if known.is_empty() {
                        "there is none".into()
                    } else {
                        format!("there are {}", known.join(", "))
                    };
                    bad(match error.kind() {
                        io::ErrorKind::NotFound => {
                            format!("{name}: no namespace of `ip netns` has this name: {known}")
                        }
                        _ => format!("{name}: {error}"),
                    })
                })
            }
            NamespaceChoice::Inode(inode) => Netns::by_inode(*inode).map(Some).ok_or_else(|| {
                bad(format!(
                    "{inode}: no process that this user may look at, and nothing in {NAMED}, is \
                     in a namespace with this inode number"
                ))
            }),
        }
    }

    /// The one whose file this is.
    ///
    /// # Errors
    ///
    /// If it cannot be opened, or is something else.
    fn at(path: &Path) -> io::Result<Netns> {
        // NSFS_MAGIC (linux/magic.h).
        const NSFS: i64 = 0x6e73_6673;
        let entrance = File::open(path)?;
        let kind = nix::sys::statfs::fstatfs(&entrance)?;
        if kind.filesystem_type().0 as i64 != NSFS {
            return Err(io::Error::other("this is no network namespace"));
        }
        let inode = entrance.metadata()?.ino() as u32;
        let own = Netns::own()?.inode == inode;
        Ok(Netns {
            inode,
            entrance: (!own).then_some(entrance),
        })
    }

    /// The one with this inode number, if something that can be seen is in it.
    pub(crate) fn by_inode(inode: u32) -> Option<Netns> {
        let is_it = |path: &Path| {
            let found = fs::metadata(path);
            found.is_ok_and(|found| found.ino() as u32 == inode)
        };
        let mut candidates = vec![PathBuf::from("/proc/self/ns/net")];
        candidates.extend(names().iter().map(|name| Path::new(NAMED).join(name)));
        let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = processes.map(|entry| entry.path().join("ns/net"));
        let found = candidates.into_iter().chain(processes).find(|p| is_it(p))?;
        Netns::at(&found).ok()
    }

    /// What `ip netns` calls it, if it does.
    pub(crate) fn name(inode: u32) -> Option<String> {
        names().into_iter().find(|name| {
            let found = fs::metadata(Path::new(NAMED).join(name));
            found.is_ok_and(|found| found.ino() as u32 == inode)
        })
    }

    /// Runs `f` in it: on a thread of its own, because a thread that has gone
    /// into a namespace may not come back.
    ///
    /// # Errors
    ///
    /// If it may not be entered: that takes CAP_SYS_ADMIN.
    pub(crate) fn run<T: Send>(&self, f: impl FnOnce() -> T + Send) -> io::Result<T> {
        let Some(entrance) = &self.entrance else {
            return Ok(f());
        };
        std::thread::scope(|scope| {
            let inside = scope.spawn(|| {
                setns(entrance, CloneFlags::CLONE_NEWNET)?;
                Ok(f())
            });
            inside
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// The interfaces in it, by index.
    ///
    /// # Errors
    ///
    /// As of [`Netns::run`].
    pub(crate) fn interfaces(&self) -> io::Result<BTreeSet<(u32, String)>> {
        self.run(|| {
            let interfaces = nix::net::if_::if_nameindex()?;
            let interfaces = interfaces.iter().map(|interface| {
                let name = interface.name().to_string_lossy().into_owned();
                (interface.index(), name)
            });
            Ok(interfaces.collect())
        })?
    }
}

/// The namespaces that have names, and may be entered, in the order of the names.
pub(crate) fn named() -> Vec<(String, Netns)> {
    let found = names().into_iter().filter_map(|name| {
        let netns = Netns::at(&Path::new(NAMED).join(&name)).ok()?;
        Some((name, netns))
    });
    found.collect()
}

/// Names of namespaces, in order.
fn names() -> Vec<String> {
    let entries = fs::read_dir(NAMED).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.collect::<BTreeSet<_>>().into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_namespace_is_found_in_all_ways() {
        let own = Netns::own().unwrap().inode;
        for choice in [
            NamespaceChoice::Own,
            NamespaceChoice::Pid(std::process::id()),
            NamespaceChoice::Inode(own),
            NamespaceChoice::Path("/proc/self/ns/net".into()),
        ] {
            let found = Netns::find(&choice).unwrap().expect("one namespace");
            assert_eq!(found.inode, own, "{choice:?}");
            assert!(found.interfaces().is_ok());
        }
        assert!(Netns::find(&NamespaceChoice::All).unwrap().is_none());
    }

    #[test]
    fn what_is_no_namespace_is_an_error_that_names_it() {
        for (choice, part) in [
            (NamespaceChoice::Name("no-such".into()), "no-such"),
            (
                NamespaceChoice::Path("/proc/self/status".into()),
                "no network namespace",
            ),
            (NamespaceChoice::Path("/no/such".into()), "/no/such"),
            (NamespaceChoice::Pid(u32::MAX), "no such process"),
            (NamespaceChoice::Inode(1), "inode number"),
        ] {
            let error = Netns::find(&choice).unwrap_err();
            assert!(error.0.contains(part), "{error}");
        }
    }
}
