// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! From what users write to what the programs test: names become numbers, and
//! again when what has the name changes.

use std::collections::BTreeSet;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::error::UsageError;
use crate::host::cgroups::{self, CgroupTree};
use crate::host::container_names::ContainerNames;
use crate::host::link_monitor::LinkMonitor;
use crate::host::names::Names;
use crate::host::namespaces::Netns;
use crate::host::processes;
use crate::host::workloads::Workloads;
use crate::model::flow_choice::FlowChoice;
use crate::model::grouping::Grouping;
use crate::model::owner_choice::CommChoice;
use crate::model::packet_choice::{InterfaceChoice, PacketChoice};
use crate::model::packet_filter::{CgroupId, Interface, PacketFilter};
use crate::model::tables;

/// The packets that the user wants, on this host.
#[derive(Debug)]
pub struct Packets {
    filter: PacketFilter,
    interfaces: Vec<InterfaceChoice>,
    /// Where the interfaces are looked up.
    netns: Option<Netns>,
    /// By name; an index belongs to one interface for ever.
    links: Option<LinkMonitor>,
    cgroups: Vec<PathBuf>,
    tree: Option<CgroupTree>,
    cgroup_mount: Option<PathBuf>,
    /// Tells of new cgroups beside those: a service that is started again.
    new_cgroups: Option<Inotify>,
    /// The containers and pods.
    workloads: Option<Workloads>,
    /// The cgroups of those that are tested, each at its place for as long as it
    /// is there.
    places: Vec<Option<PathBuf>>,
    /// Of how many there was no place left.
    without_place: usize,
    told_without_place: usize,
    comms: Vec<CommChoice>,
}

impl Packets {
    /// Looks up what the user wrote.
    ///
    /// # Errors
    ///
    /// A [`UsageError`] that names what does not exist; or what the kernel said.
    pub fn resolve(choice: &PacketChoice) -> Result<Packets> {
        let netns = Netns::find(&choice.namespace)?;
        let mut filter = PacketFilter {
            netns: netns.as_ref().map(|netns| netns.inode),
            pids: pids(&choice.pids)?,
            min_queue: choice.min_queue.unwrap_or(0),
            include_hol_blocked: choice.include_hol_blocked,
            flow: flow(&choice.flow)?,
            comms: choice.comms.clone(),
            ..PacketFilter::default()
        };
        let mut packets = Packets {
            filter: PacketFilter::default(),
            interfaces: choice.interfaces.clone(),
            netns: None,
            links: None,
            cgroups: Vec::new(),
            tree: None,
            cgroup_mount: choice.cgroup_mount.clone(),
            new_cgroups: None,
            workloads: None,
            places: Vec::new(),
            without_place: 0,
            told_without_place: 0,
            comms: choice.comms.clone(),
        };
        if !choice.interfaces.is_empty() {
            check_number(
                "--interfaces",
                choice.interfaces.len(),
                tables::MAX_FILTER_INTERFACES,
            )?;
            let netns = match netns {
                Some(netns) => netns,
                None => Netns::own().context("looking up the own network namespace")?,
            };
            filter.interfaces = Some(first_interfaces(&netns, &choice.interfaces)?);
            filter.named_interfaces = choice.interfaces.len();
            if choice.interfaces.iter().any(is_name) {
                let links = LinkMonitor::new(&netns);
                packets.links = Some(links.context("watching for changes of interfaces")?);
            }
            packets.netns = Some(netns);
        }
        if !choice.cgroups.is_empty() {
            check_number(
                "--cgroups",
                choice.cgroups.len(),
                tables::MAX_FILTER_CGROUPS,
            )?;
            cgroups::refuse_namespace()?;
            let tree = CgroupTree::find(choice.cgroup_mount.as_deref())?;
            for cgroup in &choice.cgroups {
                packets.cgroups.push(tree.path_of(cgroup)?);
            }
            filter.cgroups = packets
                .cgroups
                .iter()
                .map(|path| id_of(&tree, path))
                .collect();
            filter.cgroup_places = packets.cgroups.len();
            filter.cgroup_options.push("--cgroups");
            let watch = watch_parents(&tree, &packets.cgroups);
            packets.new_cgroups = Some(watch.context("watching for new cgroups")?);
            packets.tree = Some(tree);
        }
        if !choice.containers.is_empty() || !choice.pods.is_empty() {
            packets.find_workloads(choice, &mut filter)?;
        }
        packets.filter = filter;
        Ok(packets)
    }

    /// Looks up containers and pods.
    fn find_workloads(&mut self, choice: &PacketChoice, filter: &mut PacketFilter) -> Result<()> {
        let options = [("--container", &choice.containers), ("--pod", &choice.pods)];
        let options = options.into_iter().filter(|(_, list)| !list.is_empty());
        filter
            .cgroup_options
            .extend(options.map(|(option, _)| option));
        filter.cgroup_places = tables::MAX_FILTER_CGROUPS;
        if self.tree.is_none() {
            cgroups::refuse_namespace()?;
            self.tree = Some(CgroupTree::find(self.cgroup_mount.as_deref())?);
        }
        let Some(tree) = self.tree.clone() else {
            return Ok(());
        };
        let names = ContainerNames::below(Path::new("/"));
        let workloads = Workloads::find(&choice.containers, &choice.pods, &tree, names)?;
        let wanted = within(workloads.cgroups(), &self.cgroups);
        let options = filter.cgroup_options.join(" and ");
        if wanted.is_empty() {
            return Err(UsageError(format!("{options}: no cgroup matches both")).into());
        }
        if wanted.len() > tables::MAX_FILTER_CGROUPS {
            return Err(UsageError(too_many(&options, &wanted)).into());
        }
        self.workloads = Some(workloads);
        filter.cgroups = self.take_places(&tree);
        Ok(())
    }

    /// The cgroups of containers and pods that are tested. One that stays keeps
    /// its place, so that no packet of it is missed.
    fn take_places(&mut self, tree: &CgroupTree) -> Vec<CgroupId> {
        let Some(workloads) = &self.workloads else {
            return Vec::new();
        };
        let mut wanted = within(workloads.cgroups(), &self.cgroups);
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
        let empty = CgroupId { id: None, level: 0 };
        let places = self.places.iter();
        places
            .map(|place| place.as_deref().map_or(empty, |path| id_of(tree, path)))
            .collect()
    }

    /// What is not measured of what the user wants; `None`: nothing, or hardly more
    /// than when it was last told.
    pub(crate) fn overflow(&mut self) -> Option<String> {
        let is_new = self.without_place > 2 * self.told_without_place;
        is_new.then(|| {
            self.told_without_place = self.without_place;
            format!(
                "{}: {} cgroups match now, and packets of {} of them are not measured: netstacklat \
                 tests at most {}",
                self.filter.cgroup_options.join(" and "),
                self.without_place + self.places.iter().flatten().count(),
                self.without_place,
                tables::MAX_FILTER_CGROUPS
            )
        })
    }

    /// What may be missed.
    pub(crate) fn blind_spots(&self) -> Option<String> {
        let blind = self.workloads.as_ref().is_some_and(|it| !it.sees_all());
        blind.then(|| {
            "not all cgroups can be watched: containers that are started may not be found (raise \
             the sysctl fs.inotify.max_user_watches)"
                .into()
        })
    }

    /// As the programs test it, by what was last looked up.
    pub fn filter(&self) -> &PacketFilter {
        &self.filter
    }

    /// Names of the groups that these packets are counted apart by.
    ///
    /// # Errors
    ///
    /// If cgroups are asked for, and there are none to tell apart.
    pub(crate) fn names(&self, grouping: &Grouping) -> Result<Names, UsageError> {
        let tree = if grouping.takes_cgroups() {
            Some(match &self.tree {
                Some(tree) => tree.clone(),
                None => CgroupTree::find(self.cgroup_mount.as_deref())?,
            })
        } else {
            None
        };
        let netns = self
            .filter
            .netns
            .or(self.netns.as_ref().map(|netns| netns.inode));
        Ok(Names::new(&grouping.keys, netns, tree))
    }

    /// What becomes readable when interfaces or cgroups may have changed.
    pub(crate) fn watched(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let links = self.links.iter().map(LinkMonitor::as_fd);
        let cgroups = self.new_cgroups.iter().map(Inotify::as_fd);
        links
            .chain(cgroups)
            .chain(self.workloads.iter().map(Workloads::as_fd))
    }

    /// Looks everything up again. Whether something has changed.
    ///
    /// # Errors
    ///
    /// If the interfaces cannot be read.
    pub(crate) fn look_again(&mut self) -> Result<bool> {
        let before = self.filter.clone();
        if let (Some(netns), Some(links)) = (&self.netns, &self.links) {
            links.drain().context("reading about changed interfaces")?;
            let known = netns.interfaces().context("listing the interfaces")?;
            self.filter.interfaces = Some(matching(netns, &self.interfaces, &known));
        }
        if let (Some(tree), Some(watch)) = (&self.tree, &self.new_cgroups) {
            // What they say does not matter: all are looked up.
            while match watch.read_events() {
                Ok(events) => !events.is_empty(),
                Err(Errno::EAGAIN) => false,
                Err(error) => return Err(error).context("reading about new cgroups"),
            } {}
            let cgroups = self.cgroups.iter();
            self.filter.cgroups = cgroups.map(|path| id_of(tree, path)).collect();
        }
        if let (Some(tree), Some(workloads)) = (self.tree.clone(), &mut self.workloads) {
            workloads.look_again()?;
            self.filter.cgroups = self.take_places(&tree);
        }
        Ok(self.filter != before)
    }

    /// Interfaces of the user that are not there, and cgroups.
    pub(crate) fn absent(&self) -> Vec<String> {
        let mut absent = Vec::new();
        let found = self.filter.interfaces.as_deref().unwrap_or_default();
        if let (Some(netns), true) = (&self.netns, found.len() < self.interfaces.len()) {
            let known = netns.interfaces().unwrap_or_default();
            let names = self
                .interfaces
                .iter()
                .filter(|choice| find(choice, &known).is_none());
            absent.extend(names.map(|choice| match choice {
                InterfaceChoice::Name(name) => format!("interface {name}"),
                InterfaceChoice::Index(index) => format!("interface {index}"),
            }));
        }
        let gone = |path: &&PathBuf| {
            let tree = self.tree.as_ref();
            tree.is_some_and(|tree| tree.id_of(path).is_err())
        };
        let gone = self.cgroups.iter().filter(gone);
        absent.extend(gone.map(|path| format!("cgroup {}", path.display())));
        if !self.comms.is_empty() {
            let running = processes::comms();
            let runs = |choice: &CommChoice| running.iter().any(|comm| choice.is(comm));
            let idle = self.comms.iter().filter(|choice| !runs(choice));
            absent.extend(idle.map(|choice| format!("process called {choice}")));
        }
        absent
    }
}

fn check_number(option: &str, number: usize, most: usize) -> Result<(), UsageError> {
    if number > most {
        return Err(UsageError(format!(
            "{option} takes at most {most}, not {number}"
        )));
    }
    Ok(())
}

/// What the headers say need not be looked up.
fn flow(wanted: &FlowChoice) -> Result<FlowChoice, UsageError> {
    check_number("--ip", wanted.networks.len(), tables::MAX_FILTER_NETWORKS)?;
    Ok(wanted.clone())
}

fn pids(wanted: &[u32]) -> Result<Vec<u32>, UsageError> {
    check_number("--pids", wanted.len(), tables::MAX_FILTER_PIDS)?;
    let wanted: BTreeSet<u32> = wanted.iter().copied().collect();
    if let Some(dead) = wanted.iter().find(|pid| !processes::exists(**pid)) {
        return Err(UsageError(format!(
            "--pids {dead}: there is no such process"
        )));
    }
    Ok(wanted.into_iter().collect())
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

fn is_name(choice: &InterfaceChoice) -> bool {
    matches!(choice, InterfaceChoice::Name(_))
}

/// The first time, one of the interfaces at least must be there: a name that is
/// wrong would measure nothing for ever.
fn first_interfaces(netns: &Netns, wanted: &[InterfaceChoice]) -> Result<Vec<Interface>> {
    let known = netns
        .interfaces()
        .context("listing the interfaces of the network namespace (takes CAP_SYS_ADMIN)")?;
    let found = matching(netns, wanted, &known);
    let wrong_index = wanted.iter().find_map(|choice| match choice {
        InterfaceChoice::Index(index) if find(choice, &known).is_none() => Some(index.to_string()),
        _ => None,
    });
    let wrong_name = || {
        wanted.iter().find_map(|choice| match choice {
            InterfaceChoice::Name(name) if found.is_empty() => Some(name.clone()),
            _ => None,
        })
    };
    if let Some(wrong) = wrong_index.or_else(wrong_name) {
        let names: Vec<_> = known.iter().map(|(_, name)| name.as_str()).collect();
        let here = match &netns.inode {
            inode if Netns::own().is_ok_and(|own| own.inode == *inode) => {
                "the network namespace that netstacklat runs in".into()
            }
            inode => format!("network namespace {inode}"),
        };
        return Err(UsageError(format!(
            "--interfaces {wrong}: there is no such interface in {here}; there are {}",
            names.join(", ")
        ))
        .into());
    }
    Ok(found)
}

fn find(choice: &InterfaceChoice, known: &BTreeSet<(u32, String)>) -> Option<u32> {
    let found = known.iter().find(|(index, name)| match choice {
        InterfaceChoice::Name(wanted) => wanted == name,
        InterfaceChoice::Index(wanted) => wanted == index,
    });
    found.map(|(index, _)| *index)
}

fn matching(
    netns: &Netns,
    wanted: &[InterfaceChoice],
    known: &BTreeSet<(u32, String)>,
) -> Vec<Interface> {
    let indexes: BTreeSet<u32> = wanted.iter().filter_map(|c| find(c, known)).collect();
    let interfaces = indexes.into_iter().map(|index| Interface {
        index,
        netns: netns.inode,
    });
    interfaces.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn choice() -> PacketChoice {
        PacketChoice::default()
    }

    fn error(choice: &PacketChoice) -> String {
        let error = Packets::resolve(choice).unwrap_err();
        assert!(error.is::<UsageError>(), "{error:#}");
        error.to_string()
    }

    #[test]
    fn by_default_all_packets_are_wanted() {
        let packets = Packets::resolve(&choice()).unwrap();
        assert!(!packets.filter().is_on());
        assert!(packets.absent().is_empty());
    }

    #[test]
    fn interfaces_are_those_of_the_own_namespace() {
        let mut wanted = choice();
        wanted.interfaces = vec!["lo".parse().unwrap(), "no-such".parse().unwrap()];
        let mut packets = Packets::resolve(&wanted).unwrap();
        let own = Netns::own().unwrap().inode;
        let lo = Interface {
            index: 1,
            netns: own,
        };
        assert_eq!(packets.filter().interfaces, Some(vec![lo]));
        // That is no filter of the namespace.
        assert_eq!(packets.filter().netns, None);
        assert_eq!(packets.absent(), ["interface no-such"]);
        assert!(!packets.look_again().unwrap());
    }

    #[test]
    fn what_does_not_exist_is_named() {
        let mut wanted = choice();
        wanted.interfaces = vec!["no-such".parse().unwrap()];
        let text = error(&wanted);
        assert!(text.contains("no-such") && text.contains("lo"), "{text}");
        wanted.interfaces = vec!["lo".parse().unwrap(), "77777".parse().unwrap()];
        assert!(error(&wanted).contains("77777"));
        let mut wanted = choice();
        wanted.pids = vec![std::process::id(), 4_194_304];
        assert!(error(&wanted).contains("4194304"));
        let mut wanted = choice();
        wanted.pids = vec![1; 5000];
        assert!(error(&wanted).contains("at most 4096"));
        let mut wanted = choice();
        wanted.flow.networks = vec!["10.0.0.0/8".parse().unwrap(); 17];
        assert!(error(&wanted).contains("--ip takes at most 16"));
    }

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

    #[test]
    fn a_process_that_does_not_run_is_named() {
        let mut wanted = choice();
        let own = processes::comm(std::process::id()).unwrap();
        wanted.comms = vec![own.parse().unwrap(), "nsl-no-such".parse().unwrap()];
        let packets = Packets::resolve(&wanted).unwrap();
        assert!(packets.filter().is_on());
        assert_eq!(packets.absent(), ["process called nsl-no-such"]);
    }
}
