// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The description of a run: where and how it was measured.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::comparison::Comparison;
use crate::model::histogram::Resolution;
use crate::model::hooks::Hook;
use crate::model::selection::Selection;

/// The description of a run. It is known at the start and does not change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Version of netstacklat.
    pub version: String,
    /// The name of the host, as in `uname -n`.
    pub host: String,
    /// The kernel's release, as in `uname -r`.
    pub kernel: String,
    /// The machine, as in `uname -m`.
    pub arch: String,
    /// The number of CPUs that the kernel may ever bring up. Each map has so many
    /// slices.
    pub possible_cpus: usize,
    /// The time between reports. `None` if there is only the total.
    pub interval: Option<Duration>,
    /// The resolution of the histograms.
    pub resolution: Resolution,
    /// The clock that timestamps are compared with.
    pub clock: ClockInfo,
    /// The name that the user gave.
    pub name: Option<String>,
    /// The selection, as typed. By default everything is measured.
    pub selection: Selection,
    /// Settings of the host that latencies depend on, by name.
    pub facts: BTreeMap<String, String>,
    /// The plan, if the run is a comparison.
    pub comparison: Option<Comparison>,
    /// All hooks in path order, attached or not.
    pub hooks: Vec<HookStatus>,
}

/// The source of the programs' wall-clock time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClockInfo {
    /// `update_vsyscall`, or `tai-offset` if that function cannot be attached to.
    pub source: String,
    /// TAI minus UTC in the kernel, in seconds. 0 if nothing has set it.
    pub tai_offset_s: i64,
}

/// Whether a hook is attached, and to what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookStatus {
    /// The hook that the status is about.
    pub hook: Hook,
    /// The kernel functions attached to. Empty if the hook is off.
    pub functions: Vec<String>,
    /// Why the hook is off, or not attached to some functions.
    pub reason: Option<String>,
}

impl HookStatus {
    /// Whether the hook is attached to at least one function.
    pub fn attached(&self) -> bool {
        !self.functions.is_empty()
    }
}
