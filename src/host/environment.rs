// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Reads settings of the host that latencies depend on, for the start line of a
//! run: `diff` warns if they differ. None of them is needed to measure.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use crate::host::settings::sysctl;

/// Names below `net.core`. Some are of the network namespace of this process, some
/// of the host.
const SETTINGS: [&str; 8] = [
    "bpf_jit_enable",
    "busy_poll",
    "busy_read",
    "default_qdisc",
    "netdev_budget",
    "netdev_budget_usecs",
    "netdev_tstamp_prequeue",
    "rps_sock_flow_entries",
];

const FILES: [(&str, &str); 5] = [
    (
        "clocksource",
        "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    ),
    ("cpus_isolated", "/sys/devices/system/cpu/isolated"),
    ("cpus_online", "/sys/devices/system/cpu/online"),
    (
        "idle_driver",
        "/sys/devices/system/cpu/cpuidle/current_driver",
    ),
    ("smt", "/sys/devices/system/cpu/smt/active"),
];

/// Reads all settings, by name. Those that cannot be read or are empty are missing.
pub(crate) fn read() -> BTreeMap<String, String> {
    let file = |path: &str| fs::read_to_string(path).ok();
    let settings = SETTINGS.map(|name| (name, sysctl(&format!("net/core/{name}"))));
    let files = FILES.map(|(name, path)| (name, file(path)));
    let others = [
        ("boot_options", file("/proc/cmdline").map(boot_options)),
        (
            "cpu_model",
            file("/proc/cpuinfo").and_then(|text| cpu_model(&text)),
        ),
        ("governor", governors()),
        ("napi_threaded", threaded_devices()),
    ];
    let all = settings.into_iter().chain(files).chain(others);
    let known = all.filter_map(|(name, value)| {
        let value = value?.trim().to_owned();
        (!value.is_empty()).then(|| (name.to_owned(), value))
    });
    known.collect()
}

/// Options of the kernel's command line that latencies depend on
/// (Documentation/admin-guide/kernel-parameters.txt). The others are not recorded:
/// run files are passed on, and some options are secrets.
const BOOT_OPTIONS: [&str; 23] = [
    "clocksource",
    "cpufreq.",
    "cpuidle.",
    "highres",
    "hz",
    "idle",
    "intel_idle.",
    "intel_pstate",
    "amd_pstate",
    "irqaffinity",
    "isolcpus",
    "maxcpus",
    "mitigations",
    "nohz",
    "nohz_full",
    "nosmt",
    "nr_cpus",
    "preempt",
    "processor.",
    "rcu_nocbs",
    "spectre_v2",
    "threadirqs",
    "tsc",
];

fn boot_options(line: String) -> String {
    let matters = |word: &&str| {
        let name = word.split_once('=').map_or(*word, |(name, _)| name);
        let is = |known: &&str| {
            if known.ends_with('.') {
                name.starts_with(*known)
            } else {
                name == *known
            }
        };
        BOOT_OPTIONS.iter().any(is)
    };
    let words: Vec<_> = line.split_whitespace().filter(matters).collect();
    words.join(" ")
}

/// The name of the CPU on x86-64, or its numbers on arm64, which has no name.
fn cpu_model(cpuinfo: &str) -> Option<String> {
    let field = |name: &str| {
        let (_, value) = cpuinfo
            .lines()
            .filter_map(|line| line.split_once(':'))
            .find(|(field, _)| field.trim() == name)?;
        Some(value.trim())
    };
    field("model name").map(str::to_owned).or_else(|| {
        let (implementer, part) = (field("CPU implementer")?, field("CPU part")?);
        Some(format!("implementer {implementer}, part {part}"))
    })
}

/// The devices whose packets are polled by threads of their own.
fn threaded_devices() -> Option<String> {
    let devices = fs::read_dir("/sys/class/net").ok()?;
    let threaded = devices.flatten().filter(|device| {
        let setting = fs::read_to_string(device.path().join("threaded"));
        setting.is_ok_and(|setting| setting.trim() != "0")
    });
    let names = threaded.map(|device| device.file_name().to_string_lossy().into_owned());
    let names: BTreeSet<String> = names.collect();
    Some(names.into_iter().collect::<Vec<_>>().join(","))
}

/// The governors of all CPUs, each once.
fn governors() -> Option<String> {
    let policies = fs::read_dir("/sys/devices/system/cpu/cpufreq").ok()?;
    let governors: BTreeSet<String> = policies
        .flatten()
        .filter_map(|policy| fs::read_to_string(policy.path().join("scaling_governor")).ok())
        .map(|governor| governor.trim().to_owned())
        .collect();
    Some(governors.into_iter().collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cpu_model_is_a_name_or_numbers() {
        let x86 =
            "processor\t: 0\nmodel name\t: AMD EPYC 7763\n\nprocessor\t: 1\nmodel name\t: x\n";
        assert_eq!(cpu_model(x86).unwrap(), "AMD EPYC 7763");
        let arm = "processor\t: 0\nCPU implementer\t: 0x41\nCPU part\t: 0xd0c\n";
        assert_eq!(cpu_model(arm).unwrap(), "implementer 0x41, part 0xd0c");
        assert_eq!(cpu_model("processor\t: 0\n"), None);
    }

    #[test]
    fn boot_options_are_those_that_matter_and_no_secrets() {
        let line = "root=UUID=1234 quiet mitigations=off intel_idle.max_cstate=1 \
                    rd.iscsi.password=x nosmt nohz_fuller=1\n";
        assert_eq!(
            boot_options(line.into()),
            "mitigations=off intel_idle.max_cstate=1 nosmt"
        );
    }
}
