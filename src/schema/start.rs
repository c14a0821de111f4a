// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The line that a run begins with.

use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::comparison::{Comparison, Side};
use crate::model::histogram::Resolution;
use crate::model::hooks::Hook;
use crate::model::run::{ClockInfo, HookStatus, RunInfo};
use crate::model::selection::Selection;
use crate::schema::bounded::{List, Named};
use crate::schema::format::{Long, MANY, SCHEMA, Short, nanoseconds};

/// What a run is: the first line of a run, and of a run file.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Start")]
pub struct StartLine {
    /// Number of this format.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u64,
    /// `start`.
    #[schemars(extend("const" = "start"))]
    pub kind: Short,
    /// Version of netstacklat.
    pub version: Short,
    /// Host name (`uname -n`).
    pub host: Short,
    /// Kernel release (`uname -r`).
    pub kernel: Short,
    /// Machine (`uname -m`).
    pub arch: Short,
    /// CPUs that the kernel may ever bring up.
    pub possible_cpus: usize,
    /// Time between reports. Null: there is only the total, or it is a comparison.
    pub interval_ns: Option<u64>,
    /// Equal buckets per power of two: 16, or 1 in a log2 histogram.
    pub sub_buckets: u32,
    /// Where wall-clock time comes from: `update_vsyscall` (the kernel's own offsets) or `tai-offset` (the TAI clock minus the offset).
    pub clock_source: Short,
    /// TAI minus UTC as the kernel has it; 0 where nobody told the kernel.
    pub tai_offset_s: i64,
    /// What the user calls the run.
    pub name: Option<Short>,
    /// What the user selected to be measured.
    #[serde(default)]
    pub selection: SelectionFields,
    /// What else latencies depend on, text by name: [run-file.md](run-file.md#facts).
    #[serde(default)]
    pub facts: Named<Short, MANY>,
    /// Of `netstacklat compare`; else null.
    pub comparison: Option<ComparisonFields>,
    /// All hooks of the tool in path order, be they on or off.
    pub hooks: List<StartHook, MANY>,
}

/// What the user selected to be measured, and by what it is counted apart.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Selection")]
pub struct SelectionFields {
    /// The values of each option that was given, as typed, by its long name without `--`; none of an option that takes no value. `{}`: all packets at all hooks.
    pub options: Named<List<Short, MANY>, MANY>,
    /// The keys of the groups (`interface`, `cgroup`, ...) in their order. `[]`: nothing is grouped.
    pub by: List<Short, MANY>,
}

/// A hook at the start of a run.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
pub struct StartHook {
    /// Its name.
    pub hook: Short,
    /// Kernel functions attached to.
    pub functions: List<Short, MANY>,
    /// Whether it measures at all.
    #[serde(default)]
    pub attached: bool,
    /// Why it is off or lacks a function.
    pub reason: Option<Long>,
}

/// What is fixed before a comparison begins.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Comparison")]
pub struct ComparisonFields {
    /// Side A.
    pub a: SideFields,
    /// Side B.
    pub b: SideFields,
    /// The shell command that makes traffic.
    pub load: Option<Long>,
    /// Rounds that are meant to be made; with `auto_rounds` at most.
    pub rounds: u64,
    /// Whether it stops before that as soon as the answer is known.
    #[serde(default)]
    pub auto_rounds: bool,
    /// How long each period is measured.
    pub period_ns: u64,
    /// How long each period waits before that.
    pub settle_ns: u64,
    /// What the orders of the rounds are drawn from.
    pub seed: u64,
}

/// A side of a comparison.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ComparisonSide")]
pub struct SideFields {
    /// What the user calls it.
    pub name: Short,
    /// The shell command before each of its periods.
    pub start: Option<Long>,
    /// The shell command after each of its periods.
    pub stop: Option<Long>,
}

impl From<&RunInfo> for StartLine {
    fn from(run: &RunInfo) -> StartLine {
        let facts = run.facts.iter();
        StartLine {
            schema: SCHEMA,
            kind: "start".into(),
            version: run.version.as_str().into(),
            host: run.host.as_str().into(),
            kernel: run.kernel.as_str().into(),
            arch: run.arch.as_str().into(),
            possible_cpus: run.possible_cpus,
            interval_ns: run.interval.map(nanoseconds),
            sub_buckets: run.resolution.sub_buckets(),
            clock_source: run.clock.source.as_str().into(),
            tai_offset_s: run.clock.tai_offset_s,
            name: run.name.as_deref().map(Short::from),
            selection: SelectionFields::from(&run.selection),
            facts: facts
                .map(|(name, text)| (name.clone(), text.as_str().into()))
                .collect(),
            comparison: run.comparison.as_ref().map(ComparisonFields::from),
            hooks: run.hooks.iter().map(StartHook::from).collect(),
        }
    }
}

impl From<&Selection> for SelectionFields {
    fn from(selection: &Selection) -> SelectionFields {
        let texts = |texts: &[String]| texts.iter().map(|text| text.as_str().into()).collect();
        let options = selection.options.iter();
        SelectionFields {
            options: options
                .map(|(name, values)| (name.clone(), texts(values)))
                .collect(),
            by: texts(&selection.by),
        }
    }
}

impl From<&HookStatus> for StartHook {
    fn from(verdict: &HookStatus) -> StartHook {
        let functions = verdict.functions.iter();
        StartHook {
            hook: verdict.hook.name().into(),
            functions: functions.map(|name| name.as_str().into()).collect(),
            attached: verdict.attached(),
            reason: verdict.reason.as_deref().map(Long::from),
        }
    }
}

impl From<&Comparison> for ComparisonFields {
    fn from(comparison: &Comparison) -> ComparisonFields {
        ComparisonFields {
            a: SideFields::from(&comparison.a),
            b: SideFields::from(&comparison.b),
            load: comparison.load.as_deref().map(Long::from),
            rounds: comparison.rounds,
            auto_rounds: comparison.auto_rounds,
            period_ns: nanoseconds(comparison.period),
            settle_ns: nanoseconds(comparison.settle),
            seed: comparison.seed,
        }
    }
}

impl From<&Side> for SideFields {
    fn from(side: &Side) -> SideFields {
        SideFields {
            name: side.name.as_str().into(),
            start: side.start.as_deref().map(Long::from),
            stop: side.stop.as_deref().map(Long::from),
        }
    }
}

fn texts<const LIMIT: usize>(list: List<Short, LIMIT>) -> Vec<String> {
    list.0.into_iter().map(|text| text.0).collect()
}

impl StartLine {
    /// What it says, and the names of hooks that this version does not know.
    ///
    /// # Errors
    ///
    /// What cannot be.
    pub fn checked(self) -> Result<(RunInfo, Vec<String>), String> {
        let sub_buckets = self.sub_buckets;
        let resolution = sub_buckets
            .is_power_of_two()
            .then(|| Resolution::new(sub_buckets.ilog2()))
            .flatten()
            .ok_or_else(|| format!("sub_buckets cannot be {sub_buckets}"))?;
        let mut unknown_hooks = Vec::new();
        let mut hooks: Vec<HookStatus> = Vec::new();
        for line in self.hooks.0 {
            match Hook::named(&line.hook.0) {
                None => unknown_hooks.push(line.hook.0),
                Some(hook) if hooks.iter().any(|other| other.hook == hook) => {
                    return Err(format!("{hook} is there twice"));
                }
                Some(hook) => hooks.push(HookStatus {
                    hook,
                    functions: texts(line.functions),
                    reason: line.reason.map(|reason| reason.0),
                }),
            }
        }
        let facts = self.facts.0.into_iter();
        let info = RunInfo {
            version: self.version.0,
            host: self.host.0,
            kernel: self.kernel.0,
            arch: self.arch.0,
            possible_cpus: self.possible_cpus,
            interval: self.interval_ns.map(Duration::from_nanos),
            resolution,
            clock: ClockInfo {
                source: self.clock_source.0,
                tai_offset_s: self.tai_offset_s,
            },
            name: self.name.map(|name| name.0),
            selection: Selection::from(self.selection),
            facts: facts.map(|(name, text)| (name, text.0)).collect(),
            comparison: self.comparison.map(Comparison::from),
            hooks,
        };
        Ok((info, unknown_hooks))
    }
}

impl From<SelectionFields> for Selection {
    fn from(fields: SelectionFields) -> Selection {
        let options = fields.options.0.into_iter();
        Selection {
            options: options
                .map(|(name, values)| (name, texts(values)))
                .collect(),
            by: texts(fields.by),
        }
    }
}

impl From<ComparisonFields> for Comparison {
    fn from(fields: ComparisonFields) -> Comparison {
        Comparison {
            a: Side::from(fields.a),
            b: Side::from(fields.b),
            load: fields.load.map(|command| command.0),
            rounds: fields.rounds,
            auto_rounds: fields.auto_rounds,
            period: Duration::from_nanos(fields.period_ns),
            settle: Duration::from_nanos(fields.settle_ns),
            seed: fields.seed,
        }
    }
}

impl From<SideFields> for Side {
    fn from(fields: SideFields) -> Side {
        Side {
            name: fields.name.0,
            start: fields.start.map(|command| command.0),
            stop: fields.stop.map(|command| command.0),
        }
    }
}
