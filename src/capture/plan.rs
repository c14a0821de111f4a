// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What to load and attach, decided from the facts. Nothing is asked here, so
//! that each decision can be tested without a kernel.

use crate::capture::layout::Layout;
use crate::host::btf::BtfFacts;
use crate::host::facts::HostFacts;
use crate::host::preconditions::unmet;
use crate::host::start_error::{StartError, StartErrorKind};
use crate::model::histogram::Resolution;
use crate::model::hooks::{Hook, HookSet, Program, Role, programs};
use crate::model::names;

/// Transmit times in `skb->tstamp` came with this kernel.
const TX_STAMPS_SINCE: (u32, u32) = (5, 18);
/// BPF trampolines pass on no more arguments (x86-64 before 6.6).
const TRAMPOLINE_ARGS: usize = 6;

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

/// What is to be loaded for one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookPlan {
    /// The hook.
    pub hook: Hook,
    /// The kernel functions that it is measured at.
    pub functions: Vec<&'static str>,
    /// Functions of the hook that this kernel lacks, or refused.
    pub missing: Vec<String>,
    /// Whether the user asked for the hook.
    pub wanted: bool,
}

impl HookPlan {
    /// Why the hook is off, or measures only a part; `None`: all is well.
    pub fn reason(&self) -> Option<String> {
        if !self.wanted {
            Some("not selected".into())
        } else if self.missing.is_empty() {
            None
        } else if self.functions.is_empty() {
            Some(self.missing.join("; "))
        } else {
            let how = match self.stand_in() {
                Some(function) => format!("measured at {function} instead"),
                None => "only in part".into(),
            };
            Some(format!("{how}: {}", self.missing.join("; ")))
        }
    }

    /// The function that the hook is measured at where its regular one cannot
    /// be had.
    pub fn stand_in(&self) -> Option<&'static str> {
        let mut programs = self.hook.programs();
        let stand_in = programs.find(|program| {
            program.role == Role::StandsIn && self.functions.contains(&program.function)
        });
        stand_in.map(|program| program.function)
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
    /// The programs to load; without the clock's.
    pub programs: Vec<Program>,
    /// Programs to load in place of one that the kernel refuses.
    stand_ins: Vec<Program>,
    /// Whether the TAI path is open if the clock program is refused.
    tai_helper: bool,
    /// One for each hook, in path order.
    pub hooks: Vec<HookPlan>,
}

impl Plan {
    /// The hooks that measure.
    pub fn enabled(&self) -> HookSet {
        let on = self
            .hooks
            .iter()
            .filter(|v| v.wanted && !v.functions.is_empty());
        on.map(|verdict| verdict.hook).collect()
    }

    /// Takes out a program that the kernel refused to load. What can stand in
    /// for it is put in its place.
    pub fn use_fallback(&mut self, name: &str, why: &str) {
        let Some(program) = self.drop_program(name, why) else {
            return;
        };
        let at = self.stand_ins.iter().position(|p| p.hook == program.hook);
        if let Some(at) = at {
            let stand_in = self.stand_ins.remove(at);
            self.hooks[stand_in.hook.index()]
                .functions
                .push(stand_in.function);
            self.programs.push(stand_in);
        }
    }

    /// Takes a program out, and those that cannot do without it.
    pub fn drop_program(&mut self, name: &str, why: &str) -> Option<Program> {
        let at = self.programs.iter().position(|p| p.name == name)?;
        let program = self.programs.remove(at);
        let verdict = &mut self.hooks[program.hook.index()];
        verdict.functions.retain(|f| *f != program.function);
        verdict.missing.push(format!("{}: {why}", program.function));
        self.drop_dependents();
        Some(program)
    }

    /// Goes on without the clock program, if that can be; `why` it must.
    pub fn use_tai(&mut self, why: &str) -> bool {
        if self.tai_helper {
            self.clock = ClockSource::TaiOffset;
            self.clock_reason = Some(why.to_owned());
        }
        self.tai_helper
    }

    /// Datagrams are recorded as enqueued with the stamp that the programs at
    /// `udp-queue-rcv` have noted: none of those, none of these.
    fn drop_dependents(&mut self) {
        let noting = self.hooks[Hook::UDP_QUEUE_RCV.index()].missing.clone();
        let relying = &mut self.hooks[Hook::UDP_SOCKET_ENQUEUED.index()];
        for missing in noting {
            let needs = format!("needs {missing}");
            if !relying.missing.contains(&needs) {
                relying.missing.push(needs);
            }
        }
        if !self.programs.iter().any(|p| p.hook == Hook::UDP_QUEUE_RCV) {
            relying.functions.clear();
            self.programs
                .retain(|p| p.hook != Hook::UDP_SOCKET_ENQUEUED);
        }
    }
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
    let on = |hook: Hook| hooks[hook.index()].wanted;
    let watch_tx = facts
        .version()
        .is_none_or(|version| version >= TX_STAMPS_SINCE)
        && Hook::all().any(|hook| hook.is_tcp() && on(hook));
    // Two hooks' programs serve others too, also when the hook itself is off.
    let serves = |hook| {
        (hook == Hook::IP_START && watch_tx)
            || (hook == Hook::UDP_QUEUE_RCV && on(Hook::UDP_SOCKET_ENQUEUED))
    };
    let (loaded, spare): (Vec<_>, Vec<_>) = programs()
        .filter(|program| match program.role {
            Role::Serves => !on(program.hook) && serves(program.hook),
            Role::Records | Role::StandsIn => on(program.hook),
        })
        .partition(|p| hooks[p.hook.index()].functions.contains(&p.function));
    let stands_by = |p: &Program| p.role == Role::StandsIn && btf.fits(p);
    let mut plan = Plan {
        clock,
        clock_reason,
        resolution: Resolution::FINE,
        layout: Layout::new(facts.cpus()),
        programs: loaded,
        stand_ins: spare.into_iter().filter(stands_by).collect(),
        tai_helper: btf.tai_helper,
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

impl BtfFacts {
    /// Whether the program's function exists and a trampoline takes it.
    fn fits(&self, program: &Program) -> bool {
        let parameters = self.functions.get(program.function);
        parameters.is_some_and(|&count| count <= TRAMPOLINE_ARGS)
    }
}

/// Which of a hook's functions this kernel has.
fn hook_plan(btf: &BtfFacts, hook: Hook, wanted: bool) -> HookPlan {
    let mut verdict = HookPlan {
        hook,
        functions: Vec::new(),
        missing: Vec::new(),
        wanted,
    };
    let (fallbacks, regular): (Vec<_>, Vec<_>) = hook
        .programs()
        .partition(|program| program.role == Role::StandsIn);
    // Where it is needed and there, the fallback stands for the regular one.
    let fits = |program: &Program| btf.fits(program);
    let stands_in = fallbacks.iter().any(fits) && !regular.iter().any(fits);
    for program in if stands_in { fallbacks } else { regular } {
        let function = program.function;
        if fits(&program) {
            verdict.functions.push(function);
        } else {
            verdict
                .missing
                .push(format!("{function} is not in this kernel's BTF"));
        }
    }
    verdict
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::facts::test_facts::facts;

    fn without(function: &str) -> HostFacts {
        let mut facts = facts();
        facts.btf.as_mut().unwrap().functions.remove(function);
        facts
    }

    fn functions(plan: &Plan) -> Vec<&str> {
        plan.programs.iter().map(|p| p.function).collect()
    }

    #[test]
    fn all_hooks_and_one_read_program_on_a_new_kernel() {
        let plan = decide(&facts(), HookSet::ALL).unwrap();
        assert_eq!(plan.enabled(), HookSet::ALL);
        assert!(functions(&plan).contains(&"tcp_recvmsg_locked"));
        assert!(!functions(&plan).contains(&"tcp_recv_timestamp"));
        assert_eq!(plan.clock, ClockSource::UpdateVsyscall);
        assert!(plan.hooks.iter().all(|v| v.reason().is_none()));
    }

    #[test]
    fn reads_fall_back_where_the_function_is_missing_or_has_7_parameters() {
        let mut seven = facts();
        let functions_of = |facts: &mut HostFacts| {
            let functions = &mut facts.btf.as_mut().unwrap().functions;
            functions.insert("tcp_recvmsg_locked".into(), 7);
        };
        functions_of(&mut seven);
        for facts in [without("tcp_recvmsg_locked"), seven] {
            let plan = decide(&facts, HookSet::ALL).unwrap();
            assert!(functions(&plan).contains(&"tcp_recv_timestamp"));
            assert!(!functions(&plan).contains(&"tcp_recvmsg_locked"));
            assert!(plan.hooks.iter().all(|v| v.reason().is_none()));
        }
    }

    #[test]
    fn a_refused_program_is_replaced_and_the_reason_told() {
        let mut plan = decide(&facts(), HookSet::ALL).unwrap();
        plan.use_fallback("nsl_tcp_recvmsg_locked", "no");
        let hook = Hook::find("tcp-socket-read").unwrap();
        let verdict = &plan.hooks[hook.index()];
        assert_eq!(verdict.functions, ["tcp_recv_timestamp"]);
        let reason = "measured at tcp_recv_timestamp instead: tcp_recvmsg_locked: no";
        assert_eq!(verdict.reason().as_deref(), Some(reason));
    }

    #[test]
    fn a_missing_function_turns_its_hook_off_and_no_other() {
        let plan = decide(&without("tcp_data_queue"), HookSet::ALL).unwrap();
        let hook = Hook::find("tcp-data-queue").unwrap();
        assert_eq!(plan.enabled(), HookSet::ALL.without(hook));
        let reason = plan.hooks[hook.index()].reason().unwrap();
        assert!(reason.contains("tcp_data_queue is not in this kernel"));
        let plan = decide(&without("tcp_v6_rcv"), HookSet::ALL).unwrap();
        assert_eq!(plan.enabled(), HookSet::ALL);
    }

    #[test]
    fn no_hook_left_is_an_error() {
        let only: HookSet = Hook::find("udp-socket-read").into_iter().collect();
        let error = decide(&without("skb_consume_udp"), only).unwrap_err();
        assert!(error.detail.contains("skb_consume_udp"));
    }

    #[test]
    fn transmit_stamps_are_watched_for_tcp_hooks_from_5_18() {
        let tcp: HookSet = Hook::find("tcp-start").into_iter().collect();
        let udp: HookSet = Hook::find("udp-start").into_iter().collect();
        assert!(functions(&decide(&facts(), tcp).unwrap()).contains(&"ip_rcv_core"));
        assert!(!functions(&decide(&facts(), udp).unwrap()).contains(&"ip_rcv_core"));
        let mut old = facts();
        old.kernel = "5.10.0-8".into();
        old.memlock_unlimited = true;
        assert!(!functions(&decide(&old, tcp).unwrap()).contains(&"ip_rcv_core"));
    }

    #[test]
    fn enqueued_datagrams_need_the_stamp_noted_before() {
        let only: HookSet = [Hook::UDP_SOCKET_ENQUEUED].into_iter().collect();
        let plan = decide(&facts(), only).unwrap();
        assert_eq!(plan.enabled(), only);
        assert!(functions(&plan).contains(&"udp_queue_rcv_one_skb"));
        let mut facts = without("udp_queue_rcv_one_skb");
        let btf = facts.btf.as_mut().unwrap();
        btf.functions.remove("udpv6_queue_rcv_one_skb");
        let error = decide(&facts, only).unwrap_err();
        assert!(
            error
                .detail
                .contains("udp_queue_rcv_one_skb is not in this kernel")
        );
    }

    #[test]
    fn the_tai_path_needs_its_helper() {
        let mut facts = without("update_vsyscall");
        assert_eq!(
            decide(&facts, HookSet::ALL).unwrap().clock,
            ClockSource::TaiOffset
        );
        facts.btf.as_mut().unwrap().tai_helper = false;
        let error = decide(&facts, HookSet::ALL).unwrap_err();
        assert_eq!(error.kind, StartErrorKind::Clock);
    }
}
