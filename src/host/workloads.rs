// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The cgroups of the containers and pods that the user means, now and when
//! others are started: the kernel tells of each new cgroup (inotify(7)).
//!
//! A pod is one cgroup, with its containers below it. Without a cgroup of its
//! own it is not known as a pod.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use crate::error::UsageError;
use crate::host::cgroups::CgroupTree;
use crate::host::container_names::{ContainerNames, Known};
use crate::host::containers::Workload;
use crate::model::owner_choice::WorkloadChoice;
use crate::text::one_line;

/// Cgroups that are watched for new ones in them.
const MOST_WATCHED: usize = 16_384;
/// Containers that are looked at again because no file has told their names yet.
const MOST_UNNAMED: usize = 256;
/// How often, a second apart.
const TRIES: u32 = 5;
/// Names in an error.
const MOST_LISTED: usize = 20;
/// Characters of one of them.
const LONGEST: usize = 200;

/// Containers and pods, found and watched.
#[derive(Debug)]
pub(crate) struct Workloads {
    containers: Vec<WorkloadChoice>,
    pods: Vec<WorkloadChoice>,
    tree: CgroupTree,
    names: ContainerNames,
    watch: Inotify,
    watched: HashMap<WatchDescriptor, PathBuf>,
    /// Their cgroups.
    found: BTreeSet<PathBuf>,
    /// Those that no file has told the names of, and how often to look again: a
    /// runtime may write a file after it has made the cgroup.
    unnamed: BTreeMap<PathBuf, u32>,
    /// Runs while there are any.
    retry: TimerFd,
    /// Whether all cgroups could be watched.
    sees_all: bool,
    /// What the user could have meant.
    listed_containers: BTreeSet<String>,
    listed_pods: BTreeSet<String>,
    /// Choices that something was found for.
    met: BTreeSet<String>,
}

impl Workloads {
    /// Looks for those that the user means.
    ///
    /// # Errors
    ///
    /// A [`UsageError`] that names what does not exist, and what there is; or what
    /// the kernel said.
    pub(crate) fn find(
        containers: &[WorkloadChoice],
        pods: &[WorkloadChoice],
        tree: &CgroupTree,
        names: ContainerNames,
    ) -> Result<Workloads> {
        let flags = InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC;
        let watch = Inotify::init(flags).context("watching for new cgroups")?;
        let flags = TimerFlags::TFD_NONBLOCK | TimerFlags::TFD_CLOEXEC;
        let retry = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags);
        let retry = retry.context("making a timer")?;
        let mut workloads = Workloads {
            containers: containers.into(),
            pods: pods.into(),
            tree: tree.clone(),
            names,
            watch,
            watched: HashMap::new(),
            found: BTreeSet::new(),
            unnamed: BTreeMap::new(),
            retry,
            sees_all: true,
            listed_containers: BTreeSet::new(),
            listed_pods: BTreeSet::new(),
            met: BTreeSet::new(),
        };
        workloads.enter(Path::new(""));
        workloads.refuse_unknown()?;
        workloads.set_timer().context("setting a timer")?;
        Ok(workloads)
    }

    /// Their cgroups, as last looked up.
    pub(crate) fn cgroups(&self) -> &BTreeSet<PathBuf> {
        &self.found
    }

    /// Whether new ones are found wherever they are.
    pub(crate) fn sees_all(&self) -> bool {
        self.sees_all
    }

    /// What becomes readable when [`Workloads::look_again`] must be called.
    pub(crate) fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        [self.watch.as_fd(), self.retry.as_fd()].into_iter()
    }

    /// Takes over what the kernel tells of cgroups.
    ///
    /// # Errors
    ///
    /// What the kernel said to reading.
    pub(crate) fn look_again(&mut self) -> Result<()> {
        let mut new = Vec::new();
        loop {
            let events = match self.watch.read_events() {
                Ok(events) if events.is_empty() => break,
                Ok(events) => events,
                Err(Errno::EAGAIN) => break,
                Err(error) => return Err(error).context("reading about new cgroups"),
            };
            for event in events {
                if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
                    new.push(PathBuf::new());
                } else if event.mask.contains(AddWatchFlags::IN_IGNORED) {
                    self.watched.remove(&event.wd);
                } else if event.mask.contains(AddWatchFlags::IN_CREATE)
                    && let (Some(parent), Some(name)) = (self.watched.get(&event.wd), event.name)
                {
                    new.push(parent.join(name));
                }
            }
        }
        for path in new {
            self.enter(&path);
        }
        // Not blocking: it fails if no second has passed.
        if self.retry.wait().is_ok() {
            let unnamed: Vec<_> = self.unnamed.keys().cloned().collect();
            for path in unnamed {
                self.check(&path);
            }
        }
        // Those that have come and gone meanwhile, too.
        let tree = self.tree.clone();
        let is_there = |path: &PathBuf| tree.id_of(path).is_ok();
        self.found.retain(is_there);
        self.unnamed
            .retain(|path, tries| *tries > 0 && is_there(path));
        self.set_timer().context("setting a timer")
    }

    /// Once a second while somebody has no name.
    fn set_timer(&self) -> nix::Result<()> {
        if self.unnamed.is_empty() {
            return self.retry.unset();
        }
        if self.retry.get()?.is_some() {
            return Ok(());
        }
        let second = Expiration::Interval(TimeSpec::new(1, 0));
        self.retry.set(second, TimerSetTimeFlags::empty())
    }

    /// Watches a cgroup and all below it, and looks which of them are meant.
    fn enter(&mut self, path: &Path) {
        let tree = self.tree.clone();
        tree.walk(path, |below, directory| {
            // Before its children are listed: none can come unseen in between.
            self.watch(below, directory);
            self.check(below);
        });
    }

    fn watch(&mut self, below: &Path, directory: &Path) {
        if self.watched.len() >= MOST_WATCHED {
            self.sees_all = false;
            return;
        }
        let flags = AddWatchFlags::IN_CREATE | AddWatchFlags::IN_DELETE;
        match self
            .watch
            .add_watch(directory, flags | AddWatchFlags::IN_ONLYDIR)
        {
            Ok(watch) => drop(self.watched.insert(watch, below.into())),
            // It is gone already.
            Err(Errno::ENOENT) => {}
            Err(_) => self.sees_all = false,
        }
    }

    /// Whether the cgroup is that of a container or pod, and one that is meant.
    fn check(&mut self, below: &Path) {
        let text = below.to_string_lossy();
        let Workload { container, pod, .. } = Workload::of(&text);
        let depth = below.components().count();
        let (wants_container, wants_pod) = (!self.containers.is_empty(), !self.pods.is_empty());
        let is_container = wants_container && container.is_some_and(|it| it.depth == depth);
        let is_pod = wants_pod && pod.is_some_and(|it| it.depth == depth);
        if !is_container && !is_pod {
            return;
        }
        let names = &mut self.names;
        let pod = wants_pod.then(|| names.pod(&text)).flatten();
        let container = is_container.then(|| names.container(&text)).flatten();
        let has_no_name = |it: &Known| it.name.is_none();
        let unnamed = pod.iter().chain(&container).any(has_no_name);
        if !unnamed {
            self.unnamed.remove(below);
        } else if let Some(tries) = self.unnamed.get_mut(below) {
            *tries = tries.saturating_sub(1);
        } else if self.unnamed.len() < MOST_UNNAMED {
            self.unnamed.insert(below.into(), TRIES);
        }
        let in_pod = match &pod {
            Some(pod) => {
                list(&mut self.listed_pods, &pod.label);
                let name = pod.label.split_once('/').map(|(_, name)| name);
                let names = || [pod.label.as_str()].into_iter().chain(name);
                meets(&mut self.met, "--pod", &self.pods, &pod.id, names)
            }
            None => !wants_pod,
        };
        let Some(known) = container else {
            if is_pod && in_pod && !wants_container {
                self.found.insert(below.into());
            }
            return;
        };
        if !in_pod {
            return;
        }
        list(&mut self.listed_containers, &known.label);
        let names = || {
            let own = known.name.as_deref();
            [known.label.as_str()].into_iter().chain(own)
        };
        if meets(
            &mut self.met,
            "--container",
            &self.containers,
            &known.id,
            names,
        ) {
            self.found.insert(below.into());
        }
    }

    /// At first, something must be found for each choice: a name that is wrong
    /// would measure nothing for ever.
    fn refuse_unknown(&self) -> Result<(), UsageError> {
        let (containers, pods) = (&self.listed_containers, &self.listed_pods);
        let what = [
            ("--pod", "pod", &self.pods, pods),
            ("--container", "container", &self.containers, containers),
        ];
        for (option, kind, choices, there) in what {
            let wrong = choices
                .iter()
                .find(|choice| !self.met.contains(&met(option, choice)));
            if let Some(wrong) = wrong {
                let within = if kind == "container" && !self.pods.is_empty() {
                    " in these pods"
                } else {
                    ""
                };
                return Err(UsageError(format!(
                    "{option} {wrong}: no {kind}{within} has this name or id; {}",
                    listing(kind, there)
                )));
            }
        }
        Ok(())
    }
}

fn met(option: &str, choice: &WorkloadChoice) -> String {
    format!("{option} {choice}")
}

/// Whether one of the choices is met; notes all that are.
fn meets<'a, Names: Iterator<Item = &'a str>>(
    noted: &mut BTreeSet<String>,
    option: &str,
    choices: &[WorkloadChoice],
    id: &str,
    names: impl Fn() -> Names,
) -> bool {
    let choices: Vec<_> = choices.iter().filter(|it| it.is(id, names())).collect();
    noted.extend(choices.iter().map(|choice| met(option, choice)));
    !choices.is_empty()
}

/// Keeps one more than is shown, to know that there are more.
fn list(labels: &mut BTreeSet<String>, label: &str) {
    labels.insert(one_line(label, LONGEST));
    if labels.len() > MOST_LISTED + 1 {
        labels.pop_last();
    }
}

fn listing(kind: &str, there: &BTreeSet<String>) -> String {
    let shown: Vec<_> = there.iter().take(MOST_LISTED).map(String::as_str).collect();
    match (there.len(), shown.join(", ")) {
        (0, _) => format!("there are no {kind}s on this host"),
        (n, shown) if n > MOST_LISTED => format!("there are {shown}, and more"),
        (1, shown) => format!("there is only {shown}"),
        (_, shown) => format!("there are {shown}"),
    }
}

#[cfg(test)]
#[path = "workloads_tests.rs"]
mod tests;
