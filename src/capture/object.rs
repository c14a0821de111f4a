// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The BPF object: open, configure, load, attach. The only file that calls
//! libbpf to do so.

use std::ffi::c_void;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::sync::Mutex;
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result, bail};
use libbpf_rs::{
    ErrorKind, Link, MapCore, MapFlags, MapHandle, OpenMapMut, PrintLevel, libbpf_sys,
};

use crate::capture::group_reader::GroupMaps;
use crate::capture::plan::{ClockSource, Plan};
use crate::capture::shared_clock::SharedClock;
use crate::capture::skeleton::{HookCounts, OpenSkeleton, SharedSelection, SharedState, Skeleton};
use crate::host::settings::Settings;
use crate::host::start_error::{StartError, StartErrorKind};
use crate::model::counters::{Cost, SmallSteps};
use crate::model::hooks::{Hook, Program};
use crate::model::names;

/// What libbpf last said: shown when something fails, and only then.
static LIBBPF_LOG: Mutex<Vec<String>> = Mutex::new(Vec::new());
const LOG_LINES: usize = 200;

fn keep_libbpf_log(_level: PrintLevel, message: String) {
    if let Ok(mut log) = LIBBPF_LOG.lock() {
        if log.len() == LOG_LINES {
            log.remove(0);
        }
        log.push(message);
    }
}

fn take_libbpf_log() -> Vec<String> {
    let taken = LIBBPF_LOG.lock().map(|mut log| std::mem::take(&mut *log));
    taken.unwrap_or_default()
}

/// A program's runs.
#[derive(Clone, Copy, Debug, Default)]
pub struct Runs {
    /// Left out: from Linux 5.12 on a program is not re-entered on one CPU.
    /// 0 on older kernels.
    pub missed: u64,
    /// Counted only while run-time statistics are on.
    pub cost: Cost,
}

/// The loaded object with its attached programs.
pub struct Loaded {
    // Links first: programs are detached before the object goes.
    links: Vec<(Program, Link)>,
    clock_link: Option<Link>,
    shared: SharedState,
    skel: Skeleton,
}

impl Loaded {
    /// Loads what `plan` says. A program that this kernel does not take is
    /// struck from the plan, and the rest loaded without it.
    ///
    /// # Errors
    ///
    /// What the kernel said to the load, and what to do about it.
    pub fn load(plan: &mut Plan) -> Result<Loaded> {
        libbpf_rs::set_print(Some((PrintLevel::Warn, keep_libbpf_log)));
        let mut skel = loop {
            take_libbpf_log();
            let error = match open(plan)?.load() {
                Ok(skel) => break skel,
                Err(error) => error,
            };
            let log = take_libbpf_log();
            if is_policy(error.kind(), &log) {
                return Err(explain_load(&error, &log));
            }
            // One failed program fails the object: leave it out, try again.
            let culprit = log.iter().find_map(|line| refused_program(line));
            let why = format!("the kernel refused the program ({error})");
            match culprit {
                Some(names::CLOCK_PROGRAM) if plan.use_tai(&why) => {}
                Some(name) if plan.programs.iter().any(|p| p.name == name) => {
                    plan.use_fallback(name, &why);
                }
                _ => return Err(explain_load(&error, &log)),
            }
            if plan.enabled().is_empty() {
                return Err(explain_load(&error, &log));
            }
        };
        Ok(Loaded {
            links: Vec::new(),
            clock_link: None,
            shared: skel.take_shared()?,
            skel,
        })
    }

    /// Attaches the clock program.
    ///
    /// # Errors
    ///
    /// What the kernel said.
    pub fn attach_clock(&mut self) -> Result<()> {
        let link = self.attach(names::CLOCK_PROGRAM);
        self.clock_link = Some(link.with_context(|| {
            format!("attaching to the kernel function {}", names::CLOCK_FUNCTION)
        })?);
        Ok(())
    }

    /// Attaches the hooks. One that the kernel refuses is struck from `plan`.
    ///
    /// # Errors
    ///
    /// When no hook is left.
    pub fn attach_hooks(&mut self, plan: &mut Plan) -> Result<()> {
        for program in plan.programs.clone() {
            if !plan.programs.contains(&program) {
                // It relied on one that did not attach.
                continue;
            }
            match self.attach(program.name) {
                Ok(link) => self.links.push((program, link)),
                Err(error) => {
                    plan.drop_program(program.name, &format!("did not attach: {error:#}"));
                }
            }
        }
        if plan.enabled().is_empty() {
            let wanted = plan.hooks.iter().filter(|verdict| verdict.wanted);
            let reasons: Vec<_> = wanted.filter_map(|verdict| verdict.reason()).collect();
            bail!(StartError::new(
                StartErrorKind::NotAttached,
                reasons.join("; "),
                "the kernel took the programs and refused to attach each of them; on arm64 it \
                 attaches such programs from Linux 6.4 on",
                "a newer kernel; where several tools trace the same functions, end the others",
            ));
        }
        Ok(())
    }

    fn attach(&self, name: &str) -> Result<Link> {
        let mut programs = self.skel.object().progs_mut();
        let program = programs
            .find(|program| program.name() == name)
            .with_context(|| format!("the BPF object has no program {name}"))?;
        program
            .attach_trace()
            .with_context(|| format!("attaching program {name}"))
    }

    /// The clock state that the programs use.
    pub fn clock(&self) -> SharedClock<'_> {
        SharedClock::new(self.shared.clock)
    }

    /// How often the clock program has run; `None`: there is none.
    pub fn clock_updates(&self) -> Option<u64> {
        let attached = self.clock_link.as_ref();
        attached.map(|_| self.shared.clock_updates.load(Ordering::Relaxed))
    }

    /// Steps of the wall clock that were too small to matter.
    pub fn small_steps(&self) -> SmallSteps {
        let [count, sum_ns] = self.shared.small_steps.map(|it| it.load(Ordering::Relaxed));
        SmallSteps { count, sum_ns }
    }

    /// The descriptor of a map; libbpf owns it.
    ///
    /// # Errors
    ///
    /// If the object has no such map.
    pub fn map_fd(&self, name: &str) -> Result<BorrowedFd<'_>> {
        let fd = self.map(name)?.as_fd().as_raw_fd();
        // SAFETY: the descriptor belongs to the object, which self keeps.
        Ok(unsafe { BorrowedFd::borrow_raw(fd) })
    }

    /// Writes a value into a map.
    ///
    /// # Errors
    ///
    /// What the kernel said; names the map.
    pub(super) fn write(&self, map: &str, key: &[u8], value: &[u8]) -> Result<()> {
        self.map(map)?
            .update(key, value, MapFlags::ANY)
            .with_context(|| format!("writing to BPF map {map}"))
    }

    /// Takes a key out of a map. That it is not there is no error.
    pub(super) fn erase(&self, map: &str, key: &[u8]) -> Result<()> {
        // The map is a hash, of which only "no such key" can come.
        let _ = self.map(map)?.delete(key);
        Ok(())
    }

    /// The maps of groups, by descriptors of their own.
    ///
    /// # Errors
    ///
    /// If the object has none, or there is no descriptor left.
    pub(super) fn group_maps(&self) -> Result<GroupMaps> {
        let handle = |name: &str| self.map_handle(name);
        let shared = self.selection().context("the BPF object has no groups")?;
        Ok(GroupMaps {
            slots: handle(names::GROUP_SLOTS_MAP)?,
            groups: handle(names::GROUPS_MAP)?,
            slices: handle(names::GROUP_SLICES_MAP)?,
            free: handle(names::FREE_SLICES_MAP)?,
            reader_names: handle(names::READER_NAMES_MAP)?,
            no_room: shared.no_room,
        })
    }

    /// A map, by a descriptor of its own.
    ///
    /// # Errors
    ///
    /// If the object has no such map, or there is no descriptor left.
    pub(super) fn map_handle(&self, name: &str) -> Result<MapHandle> {
        let handle = MapHandle::try_from(&self.map(name)?);
        handle.with_context(|| format!("copying the descriptor of BPF map {name}"))
    }

    /// The keys of a map.
    pub(super) fn keys(&self, map: &str) -> Result<Vec<Vec<u8>>> {
        Ok(self.map(map)?.keys().collect())
    }

    /// What the loader may change of the selection while it measures.
    pub(super) fn selection(&self) -> Option<&SharedSelection> {
        self.shared.selection.as_ref()
    }

    /// Packets that are not in the sample; `None`: all packets are measured.
    pub(super) fn sampled_out(&self) -> Option<&HookCounts> {
        self.shared.sampled_out.as_ref()
    }

    fn map(&self, name: &str) -> Result<libbpf_rs::Map<'_>> {
        let map = self.skel.object().maps().find(|map| map.name() == name);
        map.with_context(|| format!("the BPF object has no map {name}"))
    }

    /// What the kernel knows of the runs of each hook's program since the load.
    ///
    /// # Errors
    ///
    /// If the kernel refuses information about a program.
    pub fn runs(&self) -> Result<Vec<(Hook, Runs)>> {
        let programs = self.links.iter();
        programs
            .map(|(program, _)| Ok((program.hook, self.runs_of(program.name)?)))
            .collect()
    }

    /// The same of the clock's program, where there is one.
    ///
    /// # Errors
    ///
    /// If the kernel refuses information about it.
    pub fn clock_runs(&self) -> Result<Runs> {
        match self.clock_link {
            Some(_) => self.runs_of(names::CLOCK_PROGRAM),
            None => Ok(Runs::default()),
        }
    }

    fn runs_of(&self, name: &str) -> Result<Runs> {
        let mut programs = self.skel.object().progs();
        let program = programs
            .find(|program| program.name() == name)
            .with_context(|| format!("the BPF object has no program {name}"))?;
        let mut info = libbpf_sys::bpf_prog_info::default();
        let mut size = size_of_val(&info) as u32;
        // SAFETY: info is plain data of the size given, and outlives the call.
        let status = unsafe {
            libbpf_sys::bpf_obj_get_info_by_fd(
                program.as_fd().as_raw_fd(),
                (&raw mut info).cast::<c_void>(),
                &raw mut size,
            )
        };
        if status < 0 {
            let error = std::io::Error::from_raw_os_error(-status);
            return Err(error).with_context(|| format!("reading the info of program {name}"));
        }
        Ok(Runs {
            missed: info.recursion_misses,
            cost: Cost {
                runs: info.run_cnt,
                time_ns: info.run_time_ns,
            },
        })
    }
}

/// Opens the object and sets everything that must be set before load.
fn open(plan: &Plan) -> Result<OpenSkeleton> {
    let mut skel = OpenSkeleton::open(plan)?;
    let enabled = plan.enabled();
    for mut map in skel.object_mut().maps_mut() {
        let hook = Hook::all().find(|hook| map.name() == hook.map_name().as_str());
        let entries = match hook {
            Some(hook) if enabled.contains(hook) => plan.layout.cpus as u32,
            // A disabled hook's map stays, as small as it can be.
            Some(_) => continue,
            None => match group_map(&map, plan) {
                Some((entries, None)) => entries,
                Some((entries, Some(key_size))) => {
                    map.set_key_size(key_size)
                        .with_context(|| size_of_map(&map))?;
                    entries
                }
                None => continue,
            },
        };
        map.set_max_entries(entries)
            .with_context(|| size_of_map(&map))?;
    }
    for mut program in skel.object_mut().progs_mut() {
        let name = program.name();
        let load = plan.programs.iter().any(|p| name == p.name)
            || (name == names::CLOCK_PROGRAM && plan.clock == ClockSource::UpdateVsyscall);
        program.set_autoload(load);
    }
    Ok(skel)
}

fn size_of_map(map: &OpenMapMut<'_>) -> String {
    format!("setting the size of BPF map {}", map.name().display())
}

/// Entries, and the size of the key, of a map that is not a hook's; `None`: as
/// they are. Maps of groups stay as small as can be where nothing is grouped.
fn group_map(map: &OpenMapMut<'_>, plan: &Plan) -> Option<(u32, Option<u32>)> {
    let name = map.name();
    if name == names::SKIPPED_MAP {
        return Some((plan.layout.skip_entries() as u32, None));
    }
    let is_of_readers = name == names::READERS_MAP || name == names::READER_NAMES_MAP;
    if is_of_readers && !plan.asks_for_processes() {
        return Some((1, None));
    }
    if plan.filter.comms.is_empty() {
        if name == names::PROCESS_NAMES_MAP {
            return Some((1, None));
        }
        if name == names::NEW_NAMES_MAP {
            // libbpf makes it a page, which is the least.
            return Some((1, None));
        }
    }
    let groups = plan.groups.as_ref()?;
    if name == names::GROUP_SLOTS_MAP {
        Some((groups.slices, Some(groups.key_size())))
    } else if name == names::GROUPS_MAP {
        Some((groups.max_groups, Some(groups.key_size())))
    } else if name == names::GROUP_SLICES_MAP || name == names::FREE_SLICES_MAP {
        Some((groups.slices, None))
    } else {
        None
    }
}

/// The program that a line of libbpf's log says has failed to load.
fn refused_program(line: &str) -> Option<&str> {
    let rest = line.trim().strip_prefix("libbpf: prog '")?;
    let (name, what) = rest.split_once("': ")?;
    let failed =
        what.starts_with("failed to load") || what.starts_with("failed to find kernel BTF");
    failed.then_some(name)
}

/// Whether a policy stands behind a error: EPERM, or EACCES (SELinux), which
/// are one to libbpf-rs; and not the verifier, whose answers can be the same,
/// but which gives its reasons.
fn is_policy(kind: ErrorKind, log: &[String]) -> bool {
    let reasons = |line: &String| line.contains("BEGIN PROG LOAD LOG");
    kind == ErrorKind::PermissionDenied && !log.iter().any(reasons)
}

/// What a failed load means for the user.
fn explain_load(error: &libbpf_rs::Error, log: &[String]) -> anyhow::Error {
    if is_policy(error.kind(), log) {
        return StartError::policy(error, &Settings::probe()).into();
    }
    if error.kind() == ErrorKind::OutOfMemory {
        let cause = "maps and programs count as memory of this cgroup, whose limit is reached, or \
                     the host has none left";
        let remedy = "raise the cgroup's memory limit (systemd: MemoryMax=)";
        return StartError::new(StartErrorKind::Memory, error.to_string(), cause, remedy).into();
    }
    let mut text = error.to_string();
    let tail = log.len().saturating_sub(12);
    for line in log[tail..].iter().flat_map(|message| message.lines()) {
        text.push_str("\n  ");
        text.push_str(line.trim_end());
    }
    let cause = "this kernel differs from those that netstacklat is tested with";
    let remedy = "please report this with the lines above";
    StartError::new(StartErrorKind::Rejected, text, cause, remedy).into()
}

#[cfg(test)]
mod tests {
    use libbpf_rs::ErrorKind;

    use super::{is_policy, refused_program};

    #[test]
    fn a_policy_gives_no_reasons_and_the_verifier_does() {
        let policy = |lines: &[&str]| {
            let log: Vec<_> = lines.iter().map(|line| line.to_string()).collect();
            is_policy(ErrorKind::PermissionDenied, &log)
        };
        let probing = "libbpf: Error in bpf_object__probe_loading(): ";
        assert!(policy(&[&format!(
            "{probing}-EPERM. Couldn't load trivial BPF program."
        )]));
        assert!(policy(&[&format!(
            "{probing}-EACCES. Couldn't load trivial BPF program."
        )]));
        assert!(!policy(&[
            "libbpf: prog 'nsl_udp_rcv': BPF program load failed: -EACCES\n",
            "libbpf: prog 'nsl_udp_rcv': -- BEGIN PROG LOAD LOG --\n0: R1=ctx() R10=fp0\n",
        ]));
    }

    #[test]
    fn the_refused_program_is_read_from_libbpfs_log() {
        let line =
            "libbpf: prog 'nsl_udp_rcv': failed to find kernel BTF type ID of 'udp_rcv': -3\n";
        assert_eq!(refused_program(line), Some("nsl_udp_rcv"));
        assert_eq!(
            refused_program("libbpf: prog 'nsl_tcp_v4_rcv': failed to load: -22\n"),
            Some("nsl_tcp_v4_rcv")
        );
        assert_eq!(
            refused_program("libbpf: prog 'x': BPF program load failed: EPERM"),
            None
        );
        assert_eq!(refused_program("libbpf: failed to load object"), None);
    }
}
