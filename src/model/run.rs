// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What a run is: where and how it was measured.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::comparison::Comparison;
use crate::model::histogram::Resolution;
use crate::model::hooks::Hook;

/// What a run is: known at its start, and true until its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Version of netstacklat.
    pub version: String,
    /// The host's name.
    pub host: String,
    /// The kernel's release, as in `uname -r`.
    pub kernel: String,
    /// The machine, as in `uname -m`.
    pub arch: String,
    /// CPUs that the kernel may ever bring up: how many slices each map has.
    pub possible_cpus: usize,
    /// Time between reports; `None` when there is only the total.
    pub interval: Option<Duration>,
    /// How finely latencies are recorded.
    pub resolution: Resolution,
    /// The clock that stamps are compared with.
    pub clock: ClockInfo,
    /// What the user calls this run.
    pub name: Option<String>,
    /// What the user selected, by the long name of the option; empty: everything.
    pub filters: BTreeMap<String, String>,
    /// What else latencies depend on, by name, as the host says it.
    pub facts: BTreeMap<String, String>,
    /// The comparison that this run is, if it is one.
    pub comparison: Option<Comparison>,
    /// All hooks of the tool in path order, attached or not.
    pub hooks: Vec<HookStatus>,
}

impl RunInfo {
    /// What was selected, as the options that users type; `None`: everything.
    pub fn selected(&self) -> Option<String> {
        let options = self.filters.iter();
        let options: Vec<_> = options
            .map(|(name, value)| format!("--{name} {value}"))
            .collect();
        (!options.is_empty()).then(|| options.join(" "))
    }
}

/// Where the programs get wall-clock time from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockInfo {
    /// `update_vsyscall`, or `tai-offset` where that cannot be attached to.
    pub source: String,
    /// TAI minus UTC as the kernel has it, seconds. 0: nobody told the kernel.
    pub tai_offset_s: i64,
}

/// What became of one hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookStatus {
    /// The hook.
    pub hook: Hook,
    /// The kernel functions attached to; none when the hook is off.
    pub functions: Vec<String>,
    /// Why the hook is off, wholly or for some functions.
    pub reason: Option<String>,
}

impl HookStatus {
    /// Whether the hook measures at all.
    pub fn attached(&self) -> bool {
        !self.functions.is_empty()
    }
}
