// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What to load and attach, decided from the facts. Nothing is asked here, so
//! that each decision can be tested without a kernel.

use crate::capture::layout::{GroupLayout, Layout};
use crate::host::btf::BtfFacts;
use crate::host::facts::HostFacts;
use crate::host::preconditions::unmet;
use crate::host::start_error::{StartError, StartErrorKind};
use crate::model::grouping::Grouping;
use crate::model::histogram::Resolution;
use crate::model::hooks::{Hook, HookSet, Needs, Program, Role, programs};
use crate::model::names;
use crate::model::packet_filter::PacketFilter;

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
    /// Whether the hook is on.
    fn measures(&self) -> bool {
        self.wanted && !self.functions.is_empty()
    }

    /// Why the hook is off, or measures only a part; `None`: all is well.
    pub fn reason(&self) -> Option<String> {
        if !self.wanted {
            Some("not selected".into())
        } else if self.missing.is_empty() {
            None
        } else if self.functions.is_empty() {
            Some(self.missing.join("; "))
        } else {
            let how = match self.fallback() {
                Some(program) => format!("measured at {} instead", program.function),
                None => "only in part".into(),
            };
            Some(format!("{how}: {}", self.missing.join("; ")))
        }
    }

    /// The program that measures where the primary one cannot.
    fn fallback(&self) -> Option<Program> {
        let mut programs = self.hook.programs();
        programs.find(|program| program.is_fallback() && self.functions.contains(&program.function))
    }

    /// What is then different, as a sentence without its full stop.
    pub fn difference(&self) -> Option<&'static str> {
        match self.fallback()?.role {
            Role::Fallback { difference } => Some(difference),
            Role::Primary | Role::Helper { .. } => None,
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
    /// One for each hook, in path order.
    pub hooks: Vec<HookPlan>,
}

impl Plan {
    /// The same for these packets only, counted apart by `grouping`.
    pub fn of_packets(mut self, filter: PacketFilter, grouping: Option<Grouping>) -> Plan {
        let layout = |grouping: &Grouping| GroupLayout::new(grouping, &filter);
        self.groups = grouping.as_ref().map(layout);
        self.filter = filter;
        self.grouping = grouping;
        self
    }

    /// Whether it takes the object that has filters and groups.
    pub fn is_selective(&self) -> bool {
        self.filter.is_on() || self.groups.is_some()
    }

    /// Whether it matters which process reads from a socket.
    pub fn asks_for_processes(&self) -> bool {
        let by_process = self.groups.as_ref().is_some_and(|groups| groups.by_process);
        by_process || !self.filter.pids.is_empty()
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
        let why = format!("{}: {why}", program.function);
        if program.is_helper() {
            self.lost_helpers.push((program.hook, why));
        } else {
            let verdict = &mut self.hooks[program.hook.index()];
            verdict.functions.retain(|f| *f != program.function);
            verdict.missing.push(why);
        }
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

    /// A hook that cannot be measured without what another hook's programs do
    /// lacks what they lack: none of those, none of these.
    fn drop_dependents(&mut self) {
        for hook in Hook::all() {
            let Needs::Requires(provider) = hook.needs() else {
                continue;
            };
            let lost = self.lost_helpers.iter().filter(|(of, _)| *of == provider);
            let mut lacking: Vec<_> = lost.map(|(_, why)| why.clone()).collect();
            let provides = &self.hooks[provider.index()];
            if provides.measures() {
                lacking.extend_from_slice(&provides.missing);
            }
            let needy = &mut self.hooks[hook.index()];
            for missing in lacking {
                let needs = format!("needs {missing}");
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
    let needed = |hook| Hook::all().any(|other| on(other) && other.needs().hook() == Some(hook));
    let (loaded, spare): (Vec<_>, Vec<_>) = programs()
        .filter(|program| match program.role {
            Role::Helper { since } => {
                !on(program.hook)
                    && needed(program.hook)
                    && version.is_none_or(|version| version >= since)
                    && btf.fits(program)
            }
            Role::Primary | Role::Fallback { .. } => hooks[program.hook.index()].wanted,
        })
        .partition(|p| p.is_helper() || hooks[p.hook.index()].functions.contains(&p.function));
    let stands_by = |p: &Program| p.is_fallback() && btf.fits(p);
    let mut plan = Plan {
        clock,
        clock_reason,
        resolution: Resolution::FINE,
        layout: Layout::new(facts.cpus()),
        filter: PacketFilter::default(),
        grouping: None,
        groups: None,
        programs: loaded,
        fallbacks: spare.into_iter().filter(stands_by).collect(),
        lost_helpers: Vec::new(),
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
    let (fallbacks, regular): (Vec<_>, Vec<_>) = hook.programs().partition(Program::is_fallback);
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
    use crate::model::grouping::GroupKey;

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
    fn enqueued_datagrams_need_the_timestamp_noted_before() {
        let only: HookSet = Hook::find("udp-socket-enqueued").into_iter().collect();
        let programs = |plan: &Plan| plan.programs.iter().map(|p| p.name).collect::<Vec<_>>();
        let helper = "nsl_for___udp_enqueue_schedule_skb";
        let recording = "nsl___udp_enqueue_schedule_skb";
        let mut plan = decide(&facts(), only).unwrap();
        assert_eq!(plan.enabled(), only);
        // The helper first: a packet in between would have no note.
        assert_eq!(programs(&plan), [helper, recording]);
        plan.use_fallback(helper, "no");
        assert!(plan.enabled().is_empty() && plan.programs.is_empty());
        let reason = plan
            .hooks
            .iter()
            .find_map(|v| v.reason().filter(|_| v.wanted));
        let expected = "needs __udp_enqueue_schedule_skb: no";
        assert_eq!(reason.as_deref(), Some(expected));
        // Where the hook before it measures, its programs take the note.
        let plan = decide(&facts(), HookSet::ALL).unwrap();
        assert!(!programs(&plan).contains(&helper));
        // And where it cannot, the helper does.
        let mut facts = without("udp_queue_rcv_one_skb");
        let btf = facts.btf.as_mut().unwrap();
        btf.functions.remove("udpv6_queue_rcv_one_skb");
        let plan = decide(&facts, HookSet::ALL).unwrap();
        assert!(programs(&plan).contains(&helper) && programs(&plan).contains(&recording));
    }

    #[test]
    fn a_hook_lacks_what_the_one_that_it_needs_lacks() {
        let facts = without("udpv6_queue_rcv_one_skb");
        let plan = decide(&facts, HookSet::ALL).unwrap();
        let hook = Hook::find("udp-socket-enqueued").unwrap();
        let reason = plan.hooks[hook.index()].reason().unwrap();
        assert!(reason.starts_with("only in part: needs udpv6_queue_rcv_one_skb"));
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

    #[test]
    fn filters_and_groups_take_the_other_object() {
        let plan = || decide(&facts(), HookSet::ALL).unwrap();
        let none = PacketFilter::default();
        assert!(!plan().of_packets(none.clone(), None).is_selective());
        // It is no filter of packets.
        let late = PacketFilter {
            include_hol_blocked: true,
            ..none.clone()
        };
        assert!(!plan().of_packets(late, None).is_selective());
        let pids = PacketFilter {
            pids: vec![1],
            ..none.clone()
        };
        let plan_of_pids = plan().of_packets(pids, None);
        assert!(plan_of_pids.is_selective() && plan_of_pids.asks_for_processes());
        let grouping = Grouping {
            keys: vec![GroupKey::Interface],
            max_groups: 256,
            memory: 64 << 20,
        };
        let grouped = plan().of_packets(none, Some(grouping));
        assert!(grouped.is_selective() && !grouped.asks_for_processes());
        assert_eq!(grouped.groups.unwrap().slices, 16_384);
    }
}
