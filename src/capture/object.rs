// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The BPF object: open, configure, load, attach. The only file that calls
//! libbpf to do so.

use std::ffi::c_void;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::sync::atomic::Ordering;

use anyhow::{Context as _, Result, bail};
use libbpf_rs::{Link, MapCore, MapFlags, MapHandle, PrintLevel, libbpf_sys};

use crate::capture::group_reader::GroupMaps;
use crate::capture::load_log::{
    explain_load, is_policy, keep_libbpf_log, refused_program, take_libbpf_log,
};
use crate::capture::map_sizes;
use crate::capture::plan::{ClockSource, Plan};
use crate::capture::shared_clock::SharedClock;
use crate::capture::shared_state::{HookCounts, SharedSelection, SlowBudget};
use crate::capture::skeleton::{OpenSkeleton, SharedState, Skeleton};
use crate::host::start_error::{StartError, StartErrorKind};
use crate::model::counters::SmallSteps;
use crate::model::hook_counters::Cost;
use crate::model::hooks::{Hook, Program};
use crate::model::names;
use crate::model::stage::STAGELESS_COUNT;

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
            plan.lay_out_stages();
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

    /// Packets without a stage, by cause, where the object can measure stages.
    pub(super) fn stageless(&self) -> Option<&[HookCounts; STAGELESS_COUNT]> {
        self.shared.stageless.as_ref()
    }

    /// What programs may send of slow packets, where the object can show them.
    pub(super) fn slow_budget(&self) -> Option<&SlowBudget> {
        self.shared.slow.as_ref()
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
    map_sizes::set(skel.object_mut(), plan)?;
    for mut program in skel.object_mut().progs_mut() {
        let name = program.name();
        let load = plan.programs.iter().any(|p| name == p.name)
            || (name == names::CLOCK_PROGRAM && plan.clock == ClockSource::UpdateVsyscall);
        program.set_autoload(load);
    }
    Ok(skel)
}
