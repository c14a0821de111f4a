// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Which facts keep this host from measuring. Nothing is asked here, so that
//! each can be tested on a host that is well.

use crate::capture::preflight::Facts;
use crate::capture::refusal::{Obstacle, Refusal};
use crate::capture::skeleton::names;

/// The oldest kernel that this is built and tested for.
const OLDEST: (u32, u32) = (5, 10);
/// BPF maps count as memory of the cgroup, not as locked, from here on.
const MEMCG_SINCE: (u32, u32) = (5, 11);
/// Descriptors that all hooks take: programs, their links, maps, timers. 60 on
/// the tested kernels.
const OPEN_FILES: u64 = 72;

/// All that is in the way as far as facts tell, what has to be mended first
/// in front. Whether the kernel takes the programs shows only when it is asked.
pub fn obstacles(facts: &Facts) -> Vec<Refusal> {
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

fn old_kernel(facts: &Facts) -> Option<Refusal> {
    facts.version().filter(|version| *version < OLDEST)?;
    Some(Refusal::new(
        Obstacle::OldKernel,
        format!("Linux {}", facts.kernel),
        "what the programs are built on came later, and nothing older is tested",
        format!("Linux {}.{} or newer", OLDEST.0, OLDEST.1),
    ))
}

fn open_files(facts: &Facts) -> Option<Refusal> {
    (facts.open_files < OPEN_FILES).then(|| {
        Refusal::new(
            Obstacle::OpenFiles,
            format!("{} allowed", facts.open_files),
            format!("each BPF program, link and map takes a descriptor, {OPEN_FILES} in all"),
            "ulimit -n 1024 (systemd: LimitNOFILE=1024)",
        )
    })
}

fn privileges(facts: &Facts) -> Option<Refusal> {
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
        // Inside, neither sudo nor setcap can add what the container lacks.
        Some(true) => {
            "; in a container: run it on the host itself, which sees the containers' packets too, \
             or start it with --cap-add BPF --cap-add PERFMON -v /sys:/sys:ro"
        }
        _ => "",
    };
    Some(Refusal::new(
        Obstacle::Privileges,
        missing.join(" and "),
        "loading and attaching BPF programs of tracing type needs CAP_BPF and CAP_PERFMON",
        format!(
            "run as root (sudo netstacklat ...), or once: \
             sudo setcap cap_bpf,cap_perfmon{more}=ep /path/to/netstacklat{container}"
        ),
    ))
}

fn maps_count_as_locked(facts: &Facts) -> bool {
    facts.version().is_some_and(|version| version < MEMCG_SINCE)
}

fn locked_memory(facts: &Facts) -> Option<Refusal> {
    let limited = !facts.has("CAP_SYS_RESOURCE") && !facts.memlock_unlimited;
    (maps_count_as_locked(facts) && limited).then(|| {
        Refusal::new(
            Obstacle::LockedMemory,
            format!("Linux {} counts BPF maps in it", facts.kernel),
            "RLIMIT_MEMLOCK is set, and without CAP_SYS_RESOURCE netstacklat cannot lift it",
            "run as root, or with ulimit -l unlimited (systemd: LimitMEMLOCK=infinity), or once: \
             sudo setcap cap_bpf,cap_perfmon,cap_sys_resource=ep /path/to/netstacklat",
        )
    })
}

fn sysfs(facts: &Facts) -> Option<Refusal> {
    let why = facts.possible_cpus.as_ref().err()?;
    Some(Refusal::new(
        Obstacle::Sysfs,
        why,
        "the number of CPUs and the kernel's type information are read from there",
        "mount -t sysfs sysfs /sys; in a container: mount the host's /sys, read-only will do \
         (-v /sys:/sys:ro)",
    ))
}

fn btf(facts: &Facts) -> Option<Refusal> {
    let why = facts.btf.as_ref().err()?;
    Some(Refusal::new(
        Obstacle::Btf,
        why,
        "the programs are fitted to the running kernel by it",
        "a kernel built with CONFIG_DEBUG_INFO_BTF=y (the distributions' are), and all of its \
         /sys to be seen",
    ))
}

fn ftrace(facts: &Facts) -> Option<Refusal> {
    (facts.settings.ftrace_enabled == Some(0)).then(|| {
        Refusal::new(
            Obstacle::Ftrace,
            "kernel.ftrace_enabled = 0",
            "the kernel then attaches programs and never runs them (5.10: does not attach them)",
            "sysctl -w kernel.ftrace_enabled=1",
        )
    })
}

fn clock(facts: &Facts) -> Option<Refusal> {
    let btf = facts.btf.as_ref().ok()?;
    (!btf.has_clock() && !btf.tai_helper).then(|| {
        Refusal::new(
            Obstacle::Clock,
            format!("Linux {}", facts.kernel),
            format!(
                "it has neither {} to attach to nor bpf_ktime_get_tai_ns (Linux 6.1)",
                names::CLOCK_FUNCTION
            ),
            "Linux 6.1 or newer",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::preflight::testing::facts;

    fn only(facts: &Facts) -> Refusal {
        let mut all = obstacles(facts);
        assert_eq!(all.len(), 1, "{all:?}");
        all.remove(0)
    }

    #[test]
    fn nothing_is_in_the_way_of_a_good_host() {
        assert_eq!(obstacles(&facts()), []);
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
            let refusal = only(&facts);
            assert_eq!(refusal.obstacle, Obstacle::Privileges);
            assert_eq!(refusal.detail, missing);
            assert!(refusal.remedy.contains("setcap cap_bpf,cap_perfmon=ep "));
        }
        let mut container = facts();
        container.capabilities.clear();
        container.settings.seccomp_filter = Some(true);
        assert!(only(&container).remedy.contains("--cap-add BPF"));
        let mut admin = facts();
        admin.capabilities = ["CAP_SYS_ADMIN"].into();
        assert_eq!(obstacles(&admin), []);
    }

    #[test]
    fn locked_memory_matters_before_5_11() {
        let mut old = facts();
        old.kernel = "5.10.0-32-cloud-amd64".into();
        assert_eq!(only(&old).obstacle, Obstacle::LockedMemory);
        old.memlock_unlimited = true;
        assert_eq!(obstacles(&old), []);
        old.capabilities.remove("CAP_BPF");
        assert!(only(&old).remedy.contains("cap_sys_resource"));
    }

    #[test]
    fn every_obstacle_is_told_the_first_to_mend_first() {
        let mut facts = facts();
        facts.kernel = "5.4.0".into();
        facts.memlock_unlimited = true;
        facts.open_files = 3;
        facts.capabilities.clear();
        facts.possible_cpus = Err("gone".into());
        facts.btf = Err("gone".into());
        facts.settings.ftrace_enabled = Some(0);
        let all: Vec<_> = obstacles(&facts).iter().map(|r| r.obstacle).collect();
        assert_eq!(
            all,
            [
                Obstacle::OldKernel,
                Obstacle::OpenFiles,
                Obstacle::Privileges,
                Obstacle::Sysfs,
                Obstacle::Btf,
                Obstacle::Ftrace,
            ]
        );
    }

    #[test]
    fn a_clock_is_needed_one_or_the_other() {
        let mut facts = facts();
        let btf = facts.btf.as_mut().unwrap();
        btf.functions.remove("update_vsyscall");
        assert_eq!(obstacles(&facts), []);
        facts.btf.as_mut().unwrap().tai_helper = false;
        assert_eq!(only(&facts).obstacle, Obstacle::Clock);
    }
}
