// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What to load and attach, decided from the facts. Nothing is asked here, so
//! that each decision can be tested without a kernel.

use std::iter::successors;

use crate::capture::hook_plan::{HookPlan, hook_plan};
use crate::capture::layout::{GroupLayout, Layout};
use crate::capture::slow_plan::SlowPlan;
use crate::capture::stage_layout::StageLayout;
use crate::host::btf::BtfFacts;
use crate::host::facts::HostFacts;
use crate::host::links::Renewals;
use crate::host::preconditions::unmet;
use crate::host::start_error::{StartError, StartErrorKind};
use crate::model::grouping::Grouping;
use crate::model::histogram::Resolution;
use crate::model::hooks::{Hook, HookSet, Needs, Program, Role, programs};
use crate::model::names;
use crate::model::packet_filter::PacketFilter;
use crate::model::sampling::Sampling;
use crate::model::slow::SlowLimit;
use crate::model::tables;

/// From a1ac9c8acec1 on, `skb->tstamp` can be a transmit time until local delivery.
const RESTAMPS_SINCE: (u32, u32) = (5, 18);

/// Where the programs get the clock offset from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockSource {
    /// From the kernel itself, at every update of its clock.
    UpdateVsyscall,
    /// CLOCK_TAI less the TAI offset that the loader sets.
    TaiOffset,
}

impl ClockSource {
    /// The name shown in outputs.
    pub fn name(self) -> &'static str {
        match self {
            ClockSource::UpdateVsyscall => "update_vsyscall",
            ClockSource::TaiOffset => "tai-offset",
        }
    }
}

/// What to load and attach.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the clock offset comes from.
    pub clock: ClockSource,
    /// Why it is not the kernel's own offset.
    pub clock_reason: Option<String>,
    /// How fine the histograms are.
    pub resolution: Resolution,
    /// Where things are in the maps.
    pub layout: Layout,
    /// Which packets are measured.
    pub filter: PacketFilter,
    /// Which share of them is measured.
    pub sampling: Sampling,
    /// How many notes there is room for, where stages are measured.
    pub notes: Option<u32>,
    /// How slow packets are looked for, if they are.
    pub slow: Option<SlowPlan>,
    /// How they are measured; see [`Plan::lay_out_stages`].
    pub stages: Option<StageLayout>,
    /// What they are counted apart by.
    pub grouping: Option<Grouping>,
    /// Where the counters of groups are.
    pub groups: Option<GroupLayout>,
    /// The programs to load; without the clock's.
    pub programs: Vec<Program>,
    /// Programs to load in place of one that the kernel refuses.
    fallbacks: Vec<Program>,
    /// Helpers that the kernel refused, with the reasons.
    lost_helpers: Vec<(Hook, String)>,
    /// Whether the TAI path is open if the clock program is refused.
    tai_helper: bool,
    /// Whether the kernel gives packets with a transmit timestamp another one.
    restamps: bool,
    /// What makes the kernel take timestamps late.
    pub renewals: Renewals,
    /// One for each hook, in path order.
    pub hooks: Vec<HookPlan>,
}

impl Plan {
    /// The same for these packets only, counted apart by `grouping`.
    pub fn of_packets(mut self, filter: PacketFilter, grouping: Option<Grouping>) -> Plan {
        let layout = |grouping: &Grouping| GroupLayout::new(grouping, &filter);
        let by_programs = |grouping: &&Grouping| !grouping.is_by_cpu_only();
        self.groups = grouping.as_ref().filter(by_programs).map(layout);
        self.filter = filter;
        self.grouping = grouping;
        if self.groups.is_some() {
            self.turn_off_where_no_packet_is("--by");
        }
        self
    }

    /// Whether packets are told apart by the CPU alone, for which the programs
    /// need do nothing.
    pub fn is_by_cpu_only(&self) -> bool {
        self.grouping.as_ref().is_some_and(Grouping::is_by_cpu_only)
    }

    /// Words from one CPU's histograms of a hook to the next: the hook's own, and those
    /// of the stages that end there.
    pub fn histogram_stride(&self, hook: Hook) -> usize {
        let stages = self.stages.as_ref();
        tables::SLICE_ENTRIES * stages.map_or(1, |stages| stages.slices_at(hook))
    }

    /// The same for this share of the packets.
    pub fn sampled(mut self, sampling: Sampling) -> Plan {
        self.sampling = sampling;
        if sampling.is_on() {
            self.turn_off_where_no_packet_is("--sample");
        }
        self
    }

    /// The same, with stages for as many notes, or without.
    pub fn staged(mut self, notes: Option<u32>) -> Plan {
        self.notes = notes;
        self
    }

    /// The same, with slow packets from these ages on, if there are any. So many are
    /// kept, and addresses and processes are hidden if `redact`.
    pub fn showing_slow(mut self, limits: &[SlowLimit], most: usize, redact: bool) -> Plan {
        self.slow = (!limits.is_empty()).then(|| SlowPlan::new(limits, most, redact));
        self
    }

    /// Numbers the stages of the hooks that are left, and finds the last ones, where
    /// packets can be slow. Before the object is loaded: the programs know this from
    /// then on.
    pub fn lay_out_stages(&mut self) {
        let layout = |notes| StageLayout {
            ways: self.slow.is_some(),
            ..StageLayout::new(self.enabled(), notes, self.restamps)
        };
        self.stages = self.notes.map(layout);
        let enabled = self.enabled();
        if let Some(slow) = &mut self.slow {
            slow.apply_to(enabled);
        }
    }

    /// Whether it takes the object that has filters and groups.
    pub fn is_selective(&self) -> bool {
        self.filter.is_on() || self.groups.is_some() || self.slow.is_some()
    }

    /// The hooks that measure.
    pub fn enabled(&self) -> HookSet {
        let on = self.hooks.iter().filter(|verdict| verdict.measures());
        on.map(|verdict| verdict.hook).collect()
    }

    /// Takes out a program that the kernel refused to load. What can stand in
    /// for it is put in its place.
    pub fn use_fallback(&mut self, name: &str, why: &str) {
        let Some(program) = self.drop_program(name, why) else {
            return;
        };
        let at = self.fallbacks.iter().position(|p| p.hook == program.hook);
        if let Some(at) = at {
            let fallback = self.fallbacks.remove(at);
            self.hooks[fallback.hook.index()]
                .functions
                .push(fallback.function);
            self.programs.push(fallback);
        }
    }

    /// Takes a program out, and those that cannot do without it.
    pub fn drop_program(&mut self, name: &str, why: &str) -> Option<Program> {
        let at = self.programs.iter().position(|p| p.name == name)?;
        let program = self.programs.remove(at);
        let why = format!("{}: {why}", program.place());
        let verdict = &mut self.hooks[program.hook.index()];
        match program.role {
            Role::Helper { .. } => self.lost_helpers.push((program.hook, why)),
            Role::Primary | Role::Fallback { .. } => {
                verdict.functions.retain(|f| *f != program.function);
                verdict.missing.push(why);
            }
            Role::Notes { .. } => self.turn_off(program.hook, why),
        }
        self.drop_dependents();
        Some(program)
    }

    /// Takes out what measures at a hook.
    fn turn_off(&mut self, hook: Hook, why: String) {
        let verdict = &mut self.hooks[hook.index()];
        verdict.functions.clear();
        verdict.missing.push(why);
        self.programs.retain(|p| p.hook != hook || p.is_helper());
    }

    /// Takes out the hooks that count no packets: those cannot be put into a group, and
    /// all of them are counted.
    fn turn_off_where_no_packet_is(&mut self, option: &str) {
        for hook in Hook::all().filter(|hook| !hook.is_of_packets()) {
            if self.hooks[hook.index()].measures() {
                let why = format!("it measures the time of CPUs, to which {option} does not apply");
                self.turn_off(hook, why);
            }
        }
    }

    /// Goes on without the clock program, if that can be; `why` it must.
    pub fn use_tai(&mut self, why: &str) -> bool {
        if self.tai_helper {
            self.clock = ClockSource::TaiOffset;
            self.clock_reason = Some(why.to_owned());
        }
        self.tai_helper
    }

    /// What the programs of a hook lack on which others rely, and those on which they
    /// rely themselves.
    fn lacking(&self, provider: Hook) -> Vec<String> {
        let lost = self.lost_helpers.iter().filter(|(of, _)| *of == provider);
        let mut lacking: Vec<_> = lost.map(|(_, why)| why.clone()).collect();
        let provides = &self.hooks[provider.index()];
        if provides.measures() {
            lacking.extend_from_slice(&provides.missing);
        }
        lacking.extend(
            provider
                .needs()
                .required()
                .into_iter()
                .flat_map(|next| self.lacking(next)),
        );
        lacking
    }

    /// A hook that cannot be measured without what another hook's programs do
    /// lacks what they lack: none of those, none of these.
    fn drop_dependents(&mut self) {
        for hook in Hook::all() {
            let Needs::Requires(provider) = hook.needs() else {
                continue;
            };
            let lacking = self.lacking(provider);
            let needy = &mut self.hooks[hook.index()];
            for missing in lacking {
                let needs = match missing.strip_prefix("needs ") {
                    Some(_) => missing.clone(),
                    None => format!("needs {missing}"),
                };
                if !needy.missing.contains(&needs) {
                    needy.missing.push(needs);
                }
            }
            if !self.programs.iter().any(|p| p.hook == provider) {
                needy.functions.clear();
                self.programs.retain(|p| p.hook != hook);
            }
        }
    }
}

/// The hooks that must do something for this one, and those that must for them.
fn providers(hook: Hook) -> impl Iterator<Item = Hook> {
    successors(hook.needs().hook(), |hook| hook.needs().hook())
}

/// Decides what to load for the hooks that the user wants.
///
/// # Errors
///
/// A `StartError` when nothing can be measured here.
pub fn decide(facts: &HostFacts, wanted: HookSet) -> Result<Plan, StartError> {
    match (unmet(facts).into_iter().next(), &facts.btf) {
        (None, Ok(btf)) => plan(facts, btf, wanted),
        (Some(obstacle), _) => Err(obstacle),
        (None, Err(why)) => unreachable!("no BTF is an obstacle: {why}"),
    }
}

/// What this kernel can measure, whatever else is in the way.
///
/// # Errors
///
/// A `StartError` when it has none of the functions.
pub fn plan(facts: &HostFacts, btf: &BtfFacts, wanted: HookSet) -> Result<Plan, StartError> {
    let (clock, clock_reason) = if btf.has_clock() {
        (ClockSource::UpdateVsyscall, None)
    } else {
        let why = format!("{} is not in this kernel's BTF", names::CLOCK_FUNCTION);
        (ClockSource::TaiOffset, Some(why))
    };
    let hooks: Vec<HookPlan> = Hook::all()
        .map(|hook| hook_plan(btf, hook, wanted.contains(hook)))
        .collect();
    let version = facts.version();
    let on = |hook: Hook| hooks[hook.index()].measures();
    // Programs of some hooks do something for others, also when they are off.
    let needed = |hook| Hook::all().any(|other| on(other) && providers(other).any(|it| it == hook));
    let (loaded, spare): (Vec<_>, Vec<_>) = programs()
        .filter(|program| match program.role {
            Role::Helper { since } => {
                !on(program.hook)
                    && needed(program.hook)
                    && version.is_none_or(|version| version >= since)
                    && btf.fits(program)
            }
            Role::Notes { .. } => on(program.hook) && btf.fits(program),
            Role::Primary | Role::Fallback { .. } => hooks[program.hook.index()].wanted,
        })
        .partition(|p| match p.role {
            Role::Helper { .. } | Role::Notes { .. } => true,
            _ => hooks[p.hook.index()].functions.contains(&p.function),
        });
    let stands_by = |p: &Program| p.is_fallback() && btf.fits(p);
    let mut plan = Plan {
        clock,
        clock_reason,
        resolution: Resolution::FINE,
        layout: Layout::new(facts.cpus()),
        filter: PacketFilter::default(),
        sampling: Sampling::ALL,
        notes: None,
        slow: None,
        stages: None,
        restamps: version.is_none_or(|version| version >= RESTAMPS_SINCE),
        grouping: None,
        groups: None,
        programs: loaded,
        fallbacks: spare.into_iter().filter(stands_by).collect(),
        lost_helpers: Vec::new(),
        tai_helper: btf.tai_helper,
        renewals: facts.renewals.clone(),
        hooks,
    };
    plan.drop_dependents();
    if plan.enabled().is_empty() {
        let wanted = plan.hooks.iter().filter(|verdict| verdict.wanted);
        let reasons: Vec<_> = wanted.flat_map(|v| v.missing.clone()).collect();
        return Err(StartError::new(
            StartErrorKind::NothingLeft,
            reasons.join("; "),
            "this kernel has none of the functions that the selected hooks attach to",
            "select other hooks (netstacklat -l lists them), or boot another kernel",
        ));
    }
    Ok(plan)
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
