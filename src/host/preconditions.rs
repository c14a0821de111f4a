// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Decides which facts prevent measuring. It only looks at the facts, so each case
//! is tested on any host.

use crate::host::facts::HostFacts;
use crate::host::start_error::{StartError, StartErrorKind};
use crate::model::names;

/// The oldest kernel that netstacklat supports.
const OLDEST: (u32, u32) = (5, 10);
/// From this version on, BPF maps count as memory of the cgroup, not as locked
/// memory.
const MEMCG_SINCE: (u32, u32) = (5, 11);
/// The number of file descriptors that all hooks need, with a margin: programs,
/// links, maps and timers take 60 on the tested kernels.
const OPEN_FILES: u64 = 72;

/// All unmet preconditions, in the order in which to fix them. Whether the kernel
/// accepts the programs is not among them: only loading them shows it.
pub(crate) fn unmet(facts: &HostFacts) -> Vec<StartError> {
    let checks = [
        old_kernel,
        open_files,
        privileges,
        locked_memory,
        sysfs,
        btf,
        ftrace,
        clock,
    ];
    checks.iter().filter_map(|check| check(facts)).collect()
}

fn old_kernel(facts: &HostFacts) -> Option<StartError> {
    facts.version().filter(|version| *version < OLDEST)?;
    Some(StartError::new(
        StartErrorKind::OldKernel,
        format!("Linux {}", facts.kernel),
        "the programs need newer kernel features, and older kernels are not tested",
        format!("use Linux {}.{} or newer", OLDEST.0, OLDEST.1),
    ))
}

fn open_files(facts: &HostFacts) -> Option<StartError> {
    (facts.open_files < OPEN_FILES).then(|| {
        StartError::new(
            StartErrorKind::OpenFiles,
            format!("{} allowed", facts.open_files),
            format!(
                "each BPF program, link and map takes a file descriptor, {OPEN_FILES} in total"
            ),
            "ulimit -n 1024 (systemd: LimitNOFILE=1024)",
        )
    })
}

fn privileges(facts: &HostFacts) -> Option<StartError> {
    if facts.privileged() {
        return None;
    }
    let missing: Vec<_> = ["CAP_BPF", "CAP_PERFMON"]
        .into_iter()
        .filter(|capability| !facts.has(capability))
        .collect();
    let more = if maps_count_as_locked(facts) {
        ",cap_sys_resource"
    } else {
        ""
    };
    let container = match facts.settings.seccomp_filter {
        // Neither sudo nor setcap can add a capability that the container lacks.
        Some(true) => {
            "; in a container: run netstacklat on the host, where it sees the containers' packets \
             too, or start the container with --cap-add BPF --cap-add PERFMON -v /sys:/sys:ro"
        }
        _ => "",
    };
    Some(StartError::new(
        StartErrorKind::Privileges,
        missing.join(" and "),
        "loading and attaching tracing programs needs CAP_BPF and CAP_PERFMON",
        format!(
            "run as root (sudo netstacklat ...), or once: \
             sudo setcap cap_bpf,cap_perfmon{more}=ep /path/to/netstacklat{container}"
        ),
    ))
}

fn maps_count_as_locked(facts: &HostFacts) -> bool {
    facts.version().is_some_and(|version| version < MEMCG_SINCE)
}

fn locked_memory(facts: &HostFacts) -> Option<StartError> {
    let limited = !facts.has("CAP_SYS_RESOURCE") && !facts.memlock_unlimited;
    (maps_count_as_locked(facts) && limited).then(|| {
        StartError::new(
            StartErrorKind::LockedMemory,
            format!("Linux {} counts BPF maps as locked memory", facts.kernel),
            "RLIMIT_MEMLOCK is set, and without CAP_SYS_RESOURCE netstacklat cannot lift it",
            "run as root, or with ulimit -l unlimited (systemd: LimitMEMLOCK=infinity), or once: \
             sudo setcap cap_bpf,cap_perfmon,cap_sys_resource=ep /path/to/netstacklat",
        )
    })
}

fn sysfs(facts: &HostFacts) -> Option<StartError> {
    let why = facts.possible_cpus.as_ref().err()?;
    Some(StartError::new(
        StartErrorKind::Sysfs,
        why,
        "netstacklat reads the number of CPUs and the kernel's type information there",
        "mount -t sysfs sysfs /sys; in a container: mount the host's /sys, read-only is enough \
         (-v /sys:/sys:ro)",
    ))
}

fn btf(facts: &HostFacts) -> Option<StartError> {
    let why = facts.btf.as_ref().err()?;
    Some(StartError::new(
        StartErrorKind::Btf,
        why,
        "libbpf needs it to adapt the programs to the running kernel",
        "use a kernel built with CONFIG_DEBUG_INFO_BTF=y (distribution kernels are); in a \
         container: mount the host's /sys (-v /sys:/sys:ro)",
    ))
}

fn ftrace(facts: &HostFacts) -> Option<StartError> {
    (facts.settings.ftrace_enabled == Some(0)).then(|| {
        StartError::new(
            StartErrorKind::Ftrace,
            "kernel.ftrace_enabled = 0",
            "the kernel attaches programs but never runs them (5.10: does not attach them)",
            "sysctl -w kernel.ftrace_enabled=1",
        )
    })
}

fn clock(facts: &HostFacts) -> Option<StartError> {
    let btf = facts.btf.as_ref().ok()?;
    (!btf.has_clock() && !btf.tai_helper).then(|| {
        StartError::new(
            StartErrorKind::Clock,
            format!("Linux {}", facts.kernel),
            format!(
                "the kernel has neither the function {} nor bpf_ktime_get_tai_ns (Linux 6.1)",
                names::CLOCK_FUNCTION
            ),
            "use Linux 6.1 or newer",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::facts::test_facts::facts;

    fn only(facts: &HostFacts) -> StartError {
        let mut all = unmet(facts);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[test]
    fn a_good_host_has_no_unmet_precondition() {
        assert_eq!(unmet(&facts()), []);
    }

    #[test]
    fn each_capability_is_named_when_it_is_missing() {
        for (held, missing) in [
            (&["CAP_PERFMON"][..], "CAP_BPF"),
            (&["CAP_BPF"], "CAP_PERFMON"),
            (&[], "CAP_BPF and CAP_PERFMON"),
        ] {
            let mut facts = facts();
            facts.capabilities = held.iter().copied().collect();
            let error = only(&facts);
            assert_eq!(error.kind, StartErrorKind::Privileges);
            assert_eq!(error.detail, missing);
            assert!(error.remedy.contains("setcap cap_bpf,cap_perfmon=ep "));
        }
        let mut container = facts();
        container.capabilities.clear();
        container.settings.seccomp_filter = Some(true);
        assert!(only(&container).remedy.contains("--cap-add BPF"));
        let mut admin = facts();
        admin.capabilities = ["CAP_SYS_ADMIN"].into();
        assert_eq!(unmet(&admin), []);
    }

    #[test]
    fn locked_memory_matters_before_5_11() {
        let mut old = facts();
        old.kernel = "5.10.0-32-cloud-amd64".into();
        assert_eq!(only(&old).kind, StartErrorKind::LockedMemory);
        old.memlock_unlimited = true;
        assert_eq!(unmet(&old), []);
        old.capabilities.remove("CAP_BPF");
        assert!(only(&old).remedy.contains("cap_sys_resource"));
    }

    #[test]
    fn unmet_preconditions_are_in_the_order_in_which_to_fix_them() {
        let mut facts = facts();
        facts.kernel = "5.4.0".into();
        facts.memlock_unlimited = true;
        facts.open_files = 3;
        facts.capabilities.clear();
        facts.possible_cpus = Err("gone".into());
        facts.btf = Err("gone".into());
        facts.settings.ftrace_enabled = Some(0);
        let all: Vec<_> = unmet(&facts).iter().map(|r| r.kind).collect();
        assert_eq!(
            all,
            [
                StartErrorKind::OldKernel,
                StartErrorKind::OpenFiles,
                StartErrorKind::Privileges,
                StartErrorKind::Sysfs,
                StartErrorKind::Btf,
                StartErrorKind::Ftrace,
            ]
        );
    }

    #[test]
    fn one_of_two_clocks_is_needed() {
        let mut facts = facts();
        let btf = facts.btf.as_mut().unwrap();
        btf.functions.remove("update_vsyscall");
        assert_eq!(unmet(&facts), []);
        facts.btf.as_mut().unwrap().tai_helper = false;
        assert_eq!(only(&facts).kind, StartErrorKind::Clock);
    }
}
