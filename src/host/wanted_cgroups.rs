// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The cgroups that packets' sockets must be in: those that the user named, and
//! those of containers and pods. They are found again when one is started again.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::error::UsageError;
use crate::host::cgroups::{self, CgroupTree};
use crate::host::container_names::ContainerNames;
use crate::host::workloads::Workloads;
use crate::model::packet_choice::PacketChoice;
use crate::model::packet_filter::CgroupId;
use crate::model::tables;

/// The cgroups that are wanted.
#[derive(Debug)]
pub(super) struct WantedCgroups {
    tree: CgroupTree,
    /// The options that ask for them.
    options: Vec<&'static str>,
    /// Those that the user named.
    paths: Vec<PathBuf>,
    /// Tells of new cgroups beside those: a service that is started again.
    beside: Inotify,
    /// The containers and pods.
    workloads: Option<Workloads>,
    /// What is tested, each at its place for as long as it is there.
    places: Vec<Option<PathBuf>>,
    /// Of how many there was no place left.
    without_place: usize,
    told_without_place: usize,
}

impl WantedCgroups {
    /// Looks up what the user wrote; `None`: packets of all cgroups are wanted.
    ///
    /// # Errors
    ///
    /// A [`UsageError`] that names what does not exist; or what the kernel said.
    pub(super) fn find(choice: &PacketChoice) -> Result<Option<WantedCgroups>> {
        let asked = [
            ("--cgroups", !choice.cgroups.is_empty()),
            ("--container", !choice.containers.is_empty()),
            ("--pod", !choice.pods.is_empty()),
        ];
        let asked = asked.into_iter().filter(|(_, on)| *on);
        let options: Vec<_> = asked.map(|(option, _)| option).collect();
        if options.is_empty() {
            return Ok(None);
        }
        let (number, most) = (choice.cgroups.len(), tables::MAX_FILTER_CGROUPS);
        UsageError::check_number("--cgroups", number, most)?;
        cgroups::refuse_namespace()?;
        let tree = CgroupTree::find(choice.cgroup_mount.as_deref())?;
        let paths = choice.cgroups.iter();
        let paths: Vec<_> = paths.map(|it| tree.path_of(it)).collect::<Result<_, _>>()?;
        let beside = watch_parents(&tree, &paths).context("watching for new cgroups")?;
        let workloads = if choice.containers.is_empty() && choice.pods.is_empty() {
            None
        } else {
            let names = ContainerNames::below(Path::new("/"));
            let found = Workloads::find(&choice.containers, &choice.pods, &tree, names)?;
            let wanted = within(found.cgroups(), &paths);
            let options = options.join(" and ");
            if wanted.is_empty() {
                let text = format!("{options}: no cgroup matches all of them");
                return Err(UsageError(text).into());
            }
            if wanted.len() > most {
                return Err(UsageError(too_many(&options, &wanted)).into());
            }
            Some(found)
        };
        let mut wanted = WantedCgroups {
            tree,
            options,
            // Those that are named stay, be they there or not.
            places: match workloads {
                None => paths.iter().cloned().map(Some).collect(),
                Some(_) => Vec::new(),
            },
            paths,
            beside,
            workloads,
            without_place: 0,
            told_without_place: 0,
        };
        wanted.take_places();
        Ok(Some(wanted))
    }

    /// The options that ask for cgroups.
    pub(super) fn options(&self) -> &[&'static str] {
        &self.options
    }

    /// How many can be tested at the same time.
    pub(super) fn number_of_places(&self) -> usize {
        match self.workloads {
            // They come and go.
            Some(_) => tables::MAX_FILTER_CGROUPS,
            None => self.places.len(),
        }
    }

    /// As the programs test them, each at its place.
    pub(super) fn ids(&self) -> Vec<CgroupId> {
        let empty = CgroupId { id: None, level: 0 };
        let places = self.places.iter();
        let ids = places.map(|place| place.as_deref().map(|path| id_of(&self.tree, path)));
        ids.map(|id| id.unwrap_or(empty)).collect()
    }

    /// The tree that they are in.
    pub(super) fn tree(&self) -> &CgroupTree {
        &self.tree
    }

    /// Gives containers and pods their places. A cgroup that stays keeps its place,
    /// so that no packet of it is missed.
    fn take_places(&mut self) {
        let Some(workloads) = &self.workloads else {
            return;
        };
        let mut wanted = within(workloads.cgroups(), &self.paths);
        for place in &mut self.places {
            if place.as_ref().is_some_and(|path| !wanted.remove(path)) {
                *place = None;
            }
        }
        let mut wanted = wanted.into_iter();
        for place in self.places.iter_mut().filter(|place| place.is_none()) {
            *place = wanted.next();
        }
        let left = tables::MAX_FILTER_CGROUPS.saturating_sub(self.places.len());
        self.places.extend(wanted.by_ref().take(left).map(Some));
        self.without_place = wanted.count();
    }

    /// What becomes readable when there may be new cgroups.
    pub(super) fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let workloads = self.workloads.iter().flat_map(Workloads::watched);
        [self.beside.as_fd()].into_iter().chain(workloads)
    }

    /// Looks for new containers and pods; [`WantedCgroups::ids`] may be others then.
    ///
    /// # Errors
    ///
    /// If the kernel does not tell of new cgroups.
    pub(super) fn look_again(&mut self) -> Result<()> {
        // What they say does not matter: all are looked up.
        while match self.beside.read_events() {
            Ok(events) => !events.is_empty(),
            Err(Errno::EAGAIN) => false,
            Err(error) => return Err(error).context("reading about new cgroups"),
        } {}
        if let Some(workloads) = &mut self.workloads {
            workloads.look_again()?;
            self.take_places();
        }
        Ok(())
    }

    /// What is not measured of what the user wants; `None`: nothing new. It is told
    /// again when more than twice as many cgroups have no place.
    pub(super) fn overflow(&mut self) -> Option<String> {
        let is_new = self.without_place > 2 * self.told_without_place;
        is_new.then(|| {
            self.told_without_place = self.without_place;
            format!(
                "{}: {} cgroups match now, and packets of {} of them are not measured: netstacklat \
                 tests at most {}",
                self.options.join(" and "),
                self.without_place + self.places.iter().flatten().count(),
                self.without_place,
                tables::MAX_FILTER_CGROUPS
            )
        })
    }

    /// What may be missed.
    pub(super) fn blind_spots(&self) -> Option<String> {
        let blind = self.workloads.as_ref().is_some_and(|it| !it.sees_all());
        blind.then(|| {
            "not all cgroups can be watched: containers that are started may not be found (raise \
             the sysctl fs.inotify.max_user_watches)"
                .into()
        })
    }

    /// Those of the user's that are not there.
    pub(super) fn absent(&self) -> impl Iterator<Item = String> {
        let gone = |path: &&PathBuf| self.tree.id_of(path).is_err();
        let gone = self.paths.iter().filter(gone);
        gone.map(|path| format!("cgroup {}", path.display()))
    }
}

/// Those of the containers and pods that are in one of the cgroups, or have one of
/// them in themselves: packets must match both.
fn within(workloads: &BTreeSet<PathBuf>, cgroups: &[PathBuf]) -> BTreeSet<PathBuf> {
    if cgroups.is_empty() {
        return workloads.clone();
    }
    let pairs = workloads
        .iter()
        .flat_map(|workload| cgroups.iter().map(move |cgroup| (workload, cgroup)));
    let inner = pairs.filter_map(|(workload, cgroup)| {
        if workload.starts_with(cgroup) {
            Some(workload.clone())
        } else {
            cgroup.starts_with(workload).then(|| cgroup.clone())
        }
    });
    inner.collect()
}

/// What to do instead, where more match than are tested.
fn too_many(options: &str, cgroups: &BTreeSet<PathBuf>) -> String {
    let mut paths = cgroups.iter();
    let mut common = paths.next().cloned().unwrap_or_default();
    for path in paths {
        while !path.starts_with(&common) {
            common.pop();
        }
    }
    let remedy = if common.as_os_str().is_empty() {
        "select fewer, or none and group the packets with --by container".into()
    } else {
        format!(
            "select fewer, or what is above them all: --cgroups {}",
            common.display()
        )
    };
    format!(
        "{options}: {} cgroups match, and netstacklat tests at most {}: {remedy}",
        cgroups.len(),
        tables::MAX_FILTER_CGROUPS
    )
}

/// A cgroup is made by mkdir(2), of which inotify tells.
fn watch_parents(tree: &CgroupTree, paths: &[PathBuf]) -> nix::Result<Inotify> {
    let watch = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
    for path in paths {
        if let Some(parent) = path.parent() {
            watch.add_watch(&tree.directory(parent), AddWatchFlags::IN_CREATE)?;
        }
    }
    Ok(watch)
}

/// A cgroup that is gone keeps its level.
fn id_of(tree: &CgroupTree, path: &Path) -> CgroupId {
    tree.id_of(path).unwrap_or(CgroupId {
        id: None,
        level: path.components().count() as u32,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(texts: &[&str]) -> BTreeSet<PathBuf> {
        texts.iter().map(PathBuf::from).collect()
    }

    #[test]
    fn packets_must_match_cgroup_and_container() {
        let containers = paths(&["a.slice/one", "b.slice/two", "c.slice/three"]);
        let cgroups = |texts: &[&str]| texts.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(within(&containers, &[]), containers);
        let found = within(
            &containers,
            &cgroups(&["a.slice", "b.slice/two/inner", "d.slice"]),
        );
        assert_eq!(found, paths(&["a.slice/one", "b.slice/two/inner"]));
        assert!(within(&containers, &cgroups(&["a.slic"])).is_empty());
    }

    #[test]
    fn the_remedy_of_too_many_is_what_is_above_them() {
        let text = too_many("--pod", &paths(&["k.slice/q/one", "k.slice/q/two"]));
        assert!(
            text.contains("--pod: 2 cgroups") && text.contains("--cgroups k.slice/q"),
            "{text}"
        );
        let text = too_many("--container", &paths(&["k.slice/one", "l.slice/two"]));
        assert!(
            text.contains("--by container") && !text.contains("--cgroups"),
            "{text}"
        );
    }
}
