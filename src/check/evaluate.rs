// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Judges facts about the host one by one, for `netstacklat check`: the state of
//! each, its consequence and the fix. It only looks at the facts.

use crate::capture::hook_plan::HookPlan;
use crate::capture::plan::Plan;
use crate::host::facts::HostFacts;
use crate::host::links::listed;
use crate::host::preconditions::unmet;
use crate::host::settings::Settings;
use crate::host::start_error::StartErrorKind;
use crate::model::check::{CheckItem, CheckItems, Status};

const UNREADABLE: &str = "could not be read: /proc/sys may be hidden, or this is a container";

/// Findings from the facts alone, before a program is loaded.
pub(super) fn findings(facts: &HostFacts) -> CheckItems {
    let settings = &facts.settings;
    let errors = unmet(facts).into_iter().map(|r| r.check_item());
    let others = [
        confinement(settings),
        lockdown(facts),
        jit(settings),
        statistics(settings),
        prequeue(settings),
        fq(facts),
        renewed_timestamps(facts),
    ];
    let mut findings = CheckItems::default();
    for finding in errors.chain(met(facts)).chain(others) {
        findings.add(finding);
    }
    findings
}

/// The findings on preconditions that are met. They are dropped if an error has the
/// same subject.
fn met(facts: &HostFacts) -> Vec<CheckItem> {
    let held: Vec<_> = facts.capabilities.iter().copied().collect();
    let ftrace = match facts.settings.ftrace_enabled {
        Some(value) => CheckItem::ok("ftrace", format!("kernel.ftrace_enabled = {value}")),
        None => unread("ftrace", "kernel.ftrace_enabled"),
    };
    vec![
        CheckItem::ok("kernel", format!("Linux {} {}", facts.kernel, facts.arch)),
        CheckItem::ok(
            StartErrorKind::OpenFiles.subject(),
            format!("{} allowed", facts.open_files),
        ),
        CheckItem::ok(StartErrorKind::Privileges.subject(), held.join(", ")),
        CheckItem::ok(StartErrorKind::Btf.subject(), "type information found"),
        ftrace,
    ]
}

fn unread(subject: &'static str, name: &str) -> CheckItem {
    CheckItem::new(Status::Unknown, subject, name, UNREADABLE)
}

fn confinement(settings: &Settings) -> CheckItem {
    let subject = "confinement";
    match (settings.user_namespace, settings.seccomp_filter) {
        (Some(true), _) => CheckItem::new(
            Status::Warning,
            subject,
            "in a user namespace",
            "capabilities in a user namespace do not count for BPF",
        )
        .remedy("run netstacklat on the host, where it sees the containers' packets too"),
        (_, Some(true)) => CheckItem::new(
            Status::Ok,
            subject,
            "a seccomp filter",
            "tracing is refused if the filter forbids bpf(2)",
        ),
        (Some(false), Some(false)) => {
            CheckItem::ok(subject, "no user namespace, no seccomp filter")
        }
        _ => CheckItem::new(
            Status::Unknown,
            subject,
            "user namespace, seccomp",
            "/proc is not mounted",
        ),
    }
}

/// Lockdown does not forbid tracing, only `bpf_probe_read_kernel`
/// (`LOCKDOWN_BPF_READ_KERNEL`). Up to Linux 6.1 the hooks of forwarded packets use
/// that, and from 5.19 on `tcp-socket-read`.
fn lockdown(facts: &HostFacts) -> CheckItem {
    const REMEDY: &str = "if that matters, use Linux 6.2 or newer, which does not need that helper";
    let version = facts.version();
    let uses_it = version.is_some_and(|version| version < (6, 2));
    let reads_use_it = version.is_some_and(|version| version >= (5, 19));
    match facts.settings.lockdown.as_deref() {
        None => CheckItem::new(
            Status::Unknown,
            "lockdown",
            "/sys/kernel/security/lockdown",
            "could not be read: the kernel has no lockdown, or securityfs is not mounted",
        ),
        Some("confidentiality") if uses_it => CheckItem::new(
            Status::Warning,
            "lockdown",
            "confidentiality",
            if reads_use_it {
                "programs cannot use bpf_probe_read_kernel: tcp-socket-read is measured at \
                 tcp_recv_timestamp, where MSG_PEEK reads are counted as reads, and the hooks of \
                 -e forwarding are off; all other hooks are not affected"
            } else {
                "programs cannot use bpf_probe_read_kernel: the hooks of -e forwarding are off; \
                 all other hooks are not affected"
            },
        )
        .remedy(REMEDY),
        Some(mode) => CheckItem::ok("lockdown", mode),
    }
}

fn jit(settings: &Settings) -> CheckItem {
    match settings.bpf_jit_enable {
        None => unread("jit", "net.core.bpf_jit_enable"),
        Some(0) => CheckItem::new(
            Status::Warning,
            "jit",
            "net.core.bpf_jit_enable = 0",
            "programs are interpreted: each packet costs several times as much, which increases \
             the latencies",
        )
        .remedy("sysctl -w net.core.bpf_jit_enable=1"),
        Some(value) => CheckItem::ok("jit", format!("net.core.bpf_jit_enable = {value}")),
    }
}

fn statistics(settings: &Settings) -> CheckItem {
    match settings.bpf_stats_enabled {
        None => unread("bpf-stats", "kernel.bpf_stats_enabled"),
        Some(0) => CheckItem::ok("bpf-stats", "kernel.bpf_stats_enabled = 0"),
        Some(value) => CheckItem::new(
            Status::Warning,
            "bpf-stats",
            format!("kernel.bpf_stats_enabled = {value}"),
            "the kernel measures every run of every BPF program on the host, about 20 ns per run",
        )
        .remedy("sysctl -w kernel.bpf_stats_enabled=0, unless someone uses these statistics"),
    }
}

fn prequeue(settings: &Settings) -> CheckItem {
    let subject = "tstamp-prequeue";
    match settings.tstamp_prequeue {
        None => unread(subject, "net.core.netdev_tstamp_prequeue"),
        Some(0) => CheckItem::new(
            Status::Warning,
            subject,
            "net.core.netdev_tstamp_prequeue = 0",
            "packets get their timestamp after RPS, on the CPU that RPS chose: latencies do not \
             include the way to that CPU and the wait in its backlog",
        )
        .remedy("sysctl -w net.core.netdev_tstamp_prequeue=1"),
        Some(value) => CheckItem::ok(
            subject,
            format!("net.core.netdev_tstamp_prequeue = {value}"),
        ),
    }
}

/// fq sends packets by their timestamp, and drops those that are far in the future. The
/// kernel clears an RX timestamp before a packet that `tc` redirects comes to a queueing
/// discipline, if it has been built with CONFIG_NET_REDIRECT (`skb_set_redirected()`).
fn fq(facts: &HostFacts) -> CheckItem {
    let subject = "fq";
    let links = match &facts.links {
        Ok(links) => links,
        Err(why) => {
            return CheckItem::new(Status::Unknown, subject, "network devices", why.clone());
        }
    };
    let with_fq = links.iter().filter(|link| link.has_fq);
    let with_fq: Vec<String> = with_fq.map(|link| link.name.clone()).collect();
    if with_fq.is_empty() {
        return CheckItem::ok(subject, "attached to no device");
    }
    let found = format!("attached to {}", listed(&with_fq));
    match &facts.btf {
        Ok(btf) if btf.clears_redirected => CheckItem::ok(subject, found),
        _ => CheckItem::new(
            Status::Warning,
            subject,
            found,
            "fq sends packets by their timestamp, and this kernel does not clear the RX \
             timestamp of packets that tc redirects to a device: fq can drop all of them for as \
             long as RX timestamping is on",
        )
        .remedy(
            "if tc redirects packets to these devices (some container networks do), use fq_codel \
             there: tc qdisc replace dev DEVICE root fq_codel",
        ),
    }
}

fn renewed_timestamps(facts: &HostFacts) -> CheckItem {
    let subject = "renewed-timestamps";
    let renewals = &facts.renewals;
    let devices = [&renewals.redirected, &renewals.tunnels, &renewals.cpumap];
    let devices: Vec<String> = devices.into_iter().flatten().cloned().collect();
    match &facts.links {
        Err(why) => CheckItem::new(Status::Unknown, subject, "network devices", why.clone()),
        Ok(_) if devices.is_empty() => CheckItem::ok(subject, "by no device that is up"),
        Ok(_) => CheckItem::new(
            Status::Warning,
            subject,
            listed(&devices),
            renewals.sentences().join(". "),
        )
        .remedy("see what-is-counted.md: from where the hooks measure"),
    }
}

/// The state of each hook: as attached (`tried`), or as planned.
pub(super) fn hooks(plan: &Plan, tried: bool) -> Vec<CheckItem> {
    plan.hooks.iter().map(|plan| hook(plan, tried)).collect()
}

fn hook(plan: &HookPlan, tried: bool) -> CheckItem {
    let subject = plan.hook.name();
    let functions = plan.functions.join(", ");
    match plan.reason() {
        Some(reason) if plan.functions.is_empty() => {
            // Nobody misses an optional hook without having asked for it.
            let state = if plan.hook.is_optional() {
                Status::Warning
            } else {
                Status::Problem
            };
            CheckItem::new(state, subject, CheckItem::OFF, reason).remedy(
                "none on this kernel; Debian's kernels from 5.10 on have all hooks. The other \
                 hooks are not affected",
            )
        }
        Some(reason) => CheckItem::new(
            Status::Warning,
            subject,
            functions,
            match plan.difference() {
                Some(difference) => format!("{reason}. {difference}"),
                None => reason,
            },
        ),
        None => CheckItem {
            state: if tried { Status::Ok } else { Status::Unknown },
            meaning: plan.difference().map(Into::into),
            ..CheckItem::ok(subject, functions)
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::facts::test_facts::facts;
    use crate::host::links::Link;

    fn healthy() -> HostFacts {
        HostFacts {
            settings: Settings {
                ftrace_enabled: Some(1),
                bpf_jit_enable: Some(1),
                bpf_stats_enabled: Some(0),
                tstamp_prequeue: Some(1),
                lockdown: Some("integrity".into()),
                user_namespace: Some(false),
                seccomp_filter: Some(false),
            },
            ..facts()
        }
    }

    fn with(change: impl FnOnce(&mut Settings)) -> Vec<CheckItem> {
        let mut facts = healthy();
        change(&mut facts.settings);
        warned(&facts)
    }

    fn warned(facts: &HostFacts) -> Vec<CheckItem> {
        let findings = findings(facts).into_vec();
        findings
            .into_iter()
            .filter(|f| f.state != Status::Ok)
            .collect()
    }

    #[test]
    fn a_healthy_host_needs_no_explanation() {
        assert_eq!(with(|_| ()), []);
    }

    #[test]
    fn each_setting_that_distorts_is_found() {
        type Change = fn(&mut Settings);
        let changes: [(&str, Change); 4] = [
            ("confinement", |s| s.user_namespace = Some(true)),
            ("jit", |s| s.bpf_jit_enable = Some(0)),
            ("bpf-stats", |s| s.bpf_stats_enabled = Some(1)),
            ("tstamp-prequeue", |s| s.tstamp_prequeue = Some(0)),
        ];
        for (subject, change) in changes {
            let found = with(change);
            assert_eq!(found.len(), 1, "{subject}: {found:?}");
            assert_eq!(found[0].subject, subject);
            assert_eq!(found[0].state, Status::Warning);
            assert!(found[0].meaning.is_some() && found[0].remedy.is_some());
        }
    }

    #[test]
    fn fq_matters_where_the_kernel_leaves_the_timestamp() {
        let mut facts = healthy();
        facts.links = Ok(vec![Link {
            name: "eth0".into(),
            has_fq: true,
            ..Link::default()
        }]);
        let found = warned(&facts);
        assert_eq!((found.len(), found[0].subject), (1, "fq"), "{found:?}");
        assert!(found[0].found.contains("eth0"));
        facts.btf.as_mut().unwrap().clears_redirected = true;
        assert_eq!(warned(&facts), []);
    }

    #[test]
    fn devices_that_renew_timestamps_are_a_warning() {
        let mut facts = healthy();
        facts.renewals.tunnels = vec!["wg0".into()];
        let found = warned(&facts);
        assert_eq!(found[0].subject, "renewed-timestamps");
        assert!(found[0].meaning.as_ref().unwrap().starts_with("wg0: "));
    }

    #[test]
    fn lockdown_matters_if_a_program_uses_probe_read() {
        let mut facts = healthy();
        facts.settings.lockdown = Some("confidentiality".into());
        for (kernel, warnings) in [("5.18.0", 1), ("5.19.0", 1), ("6.1.0-50", 1), ("6.2.0", 0)] {
            facts.kernel = kernel.into();
            assert_eq!(warned(&facts).len(), warnings, "{kernel}");
        }
    }

    #[test]
    fn unreadable_settings_are_unknown_not_ok() {
        let unread = with(|settings| *settings = Settings::default());
        assert_eq!(unread.len(), 6, "{unread:?}");
        assert!(unread.iter().all(|f| f.state == Status::Unknown));
    }

    #[test]
    fn an_error_replaces_the_finding_on_its_subject() {
        let found = with(|settings| settings.ftrace_enabled = Some(0));
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(found[0].state, Status::Problem);
    }
}
