// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Facts about this host. [`crate::capture::plan`] decides from them what to load.

use std::collections::BTreeSet;

use anyhow::{Context as _, Result};
use caps::{CapSet, Capability};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use crate::host::btf::BtfFacts;
use crate::host::links::{self, Link, Renewals};
use crate::host::settings::Settings;

/// An environment variable for tests: kernel functions, separated by commas, that
/// are treated as if this kernel did not have them.
pub const HIDE_FUNCTIONS: &str = "NETSTACKLAT_TEST_HIDE";

/// Facts about this host and this process.
#[derive(Clone, Debug)]
pub struct HostFacts {
    /// `uname -r`.
    pub kernel: String,
    /// `uname -m`.
    pub arch: String,
    /// `uname -n`.
    pub host: String,
    /// The number of possible CPUs: one more than the highest CPU number. Or the
    /// reason why it is unknown.
    pub possible_cpus: Result<usize, String>,
    /// The effective capabilities of this process, of those that matter.
    pub capabilities: BTreeSet<&'static str>,
    /// Whether RLIMIT_MEMLOCK is unlimited.
    pub memlock_unlimited: bool,
    /// The hard limit RLIMIT_NOFILE.
    pub open_files: u64,
    /// Settings of the kernel, and restrictions on this process.
    pub settings: Settings,
    /// The network devices in the namespace of this process, or the reason why they are
    /// unknown.
    pub links: Result<Vec<Link>, String>,
    /// What makes the kernel take timestamps late.
    pub renewals: Renewals,
    /// The kernel's functions and features, or the reason why they are unknown.
    pub btf: Result<BtfFacts, String>,
}

const CAPABILITIES: [(&str, Capability); 4] = [
    ("CAP_BPF", Capability::CAP_BPF),
    ("CAP_PERFMON", Capability::CAP_PERFMON),
    ("CAP_SYS_ADMIN", Capability::CAP_SYS_ADMIN),
    ("CAP_SYS_RESOURCE", Capability::CAP_SYS_RESOURCE),
];

impl HostFacts {
    /// Adds the devices in other namespaces, which takes a while where there are many.
    pub(crate) fn look_into_namespaces(&mut self) {
        if let Ok(known) = &mut self.links {
            known.extend(links::in_named_namespaces());
            self.renewals = Renewals::of(known, links::has_cpumap_threads);
        }
    }

    /// Reads the facts. A fact that cannot be read is recorded as unknown.
    ///
    /// # Errors
    ///
    /// Only if uname(2) fails.
    pub fn probe() -> Result<HostFacts> {
        let uname = nix::sys::utsname::uname().context("uname")?;
        let effective = caps::read(None, CapSet::Effective).unwrap_or_default();
        let held = CAPABILITIES
            .iter()
            .filter(|(_, cap)| effective.contains(cap));
        let mut btf = BtfFacts::probe();
        if let (Ok(btf), Ok(hidden)) = (&mut btf, std::env::var(HIDE_FUNCTIONS)) {
            hidden.split(',').for_each(|name| {
                btf.functions.remove(name);
            });
        }
        let links = links::own();
        let known = links.as_deref().unwrap_or_default();
        Ok(HostFacts {
            renewals: Renewals::of(known, links::has_cpumap_threads),
            links: links.map_err(|error| error.to_string()),
            kernel: uname.release().to_string_lossy().into_owned(),
            arch: uname.machine().to_string_lossy().into_owned(),
            host: uname.nodename().to_string_lossy().into_owned(),
            possible_cpus: possible_cpus().map_err(|error| format!("{error:#}")),
            capabilities: held.map(|(name, _)| *name).collect(),
            memlock_unlimited: getrlimit(Resource::RLIMIT_MEMLOCK)
                .is_ok_and(|(soft, _)| soft == RLIM_INFINITY),
            open_files: getrlimit(Resource::RLIMIT_NOFILE).map_or(0, |(_, hard)| hard),
            settings: Settings::probe(),
            btf,
        })
    }

    /// The number of slices of each map, or 0 if the number of CPUs is unknown.
    pub fn cpus(&self) -> usize {
        self.possible_cpus.as_ref().map_or(0, |&cpus| cpus)
    }

    /// Whether this process has a capability.
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.contains(capability)
    }

    /// Whether the capabilities are enough to load and attach programs.
    pub fn privileged(&self) -> bool {
        self.has("CAP_SYS_ADMIN") || (self.has("CAP_BPF") && self.has("CAP_PERFMON"))
    }

    /// `(major, minor)` of the running kernel.
    pub fn version(&self) -> Option<(u32, u32)> {
        let mut parts = self.kernel.split(|c: char| !c.is_ascii_digit());
        Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
    }
}

const POSSIBLE_CPUS: &str = "/sys/devices/system/cpu/possible";

/// One more than the highest CPU number. Slices are indexed by CPU number, and the
/// list may have gaps, such as `0-3,8-11`.
fn possible_cpus() -> Result<usize> {
    let list = std::fs::read_to_string(POSSIBLE_CPUS)
        .with_context(|| format!("reading {POSSIBLE_CPUS}"))?;
    highest_number(&list)
        .map(|highest| highest + 1)
        .with_context(|| format!("{POSSIBLE_CPUS} is not a list of CPUs: {list:?}"))
}

fn highest_number(list: &str) -> Option<usize> {
    list.trim().rsplit([',', '-']).next()?.parse().ok()
}

/// Facts of a host on which nothing is missing, for tests.
#[cfg(test)]
pub(crate) mod test_facts {
    use super::*;
    use crate::model::hooks::programs;

    pub(crate) fn facts() -> HostFacts {
        let mut btf = BtfFacts {
            tai_helper: true,
            ..BtfFacts::default()
        };
        for program in programs() {
            btf.functions.insert(program.btf_name().into_owned(), 2);
        }
        btf.functions.insert("tcp_recvmsg_locked".into(), 6);
        btf.functions.insert("update_vsyscall".into(), 1);
        HostFacts {
            kernel: "6.12.1-test".into(),
            arch: "x86_64".into(),
            host: "test".into(),
            possible_cpus: Ok(2),
            capabilities: ["CAP_BPF", "CAP_PERFMON"].into(),
            memlock_unlimited: false,
            open_files: 1024,
            settings: Settings::default(),
            links: Ok(Vec::new()),
            renewals: Renewals::default(),
            btf: Ok(btf),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::highest_number;

    #[test]
    fn slices_reach_the_highest_cpu() {
        assert_eq!(highest_number("0-3\n"), Some(3));
        assert_eq!(highest_number("0-3,8-11\n"), Some(11));
        assert_eq!(highest_number("0\n"), Some(0));
        assert_eq!(highest_number("\n"), None);
    }
}
