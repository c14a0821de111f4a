// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The line of an interval, and of the total.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::comparison::{Arm, Place};
use crate::model::counters::{Counters, SmallSteps};
use crate::model::group::Group;
use crate::model::histogram::Resolution;
use crate::model::hook_counters::{Cost, HookCounters};
use crate::model::hooks::Hook;
use crate::model::report::{Kind, Report};
use crate::model::sampling::Sampling;
use crate::model::skips::SkipReason;
use crate::model::snapshot::Interval;
use crate::schema::bounded::List;
use crate::schema::format::{SCHEMA, Short, time_of_text, time_to_text};
use crate::schema::hook_line::{CostFields, HookLine, group_of};
use crate::schema::slow::SlowFields;

/// Hooks of a line: with groups, as many for each.
const HOOKS: usize = 1 << 16;

/// What was counted in an interval, or in all of them.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Report")]
pub struct ReportLine {
    /// Number of this format.
    #[schemars(extend("const" = SCHEMA))]
    pub schema: u64,
    /// `interval` or `total`.
    #[schemars(extend("enum" = ["interval", "total"]))]
    pub kind: Short,
    /// Number of the interval, from 1; in a total, how many intervals came before it.
    pub seq: u64,
    /// The run ended before the interval did.
    pub partial: bool,
    /// Counts are since the start of the run, not since the line before; always so in a total.
    pub cumulative: bool,
    /// When it began by the wall clock: RFC 3339 in UTC with nine decimals, so that times sort as text.
    pub start: Short,
    /// When it ended, in the same form.
    pub end: Short,
    /// Monotonic time between the two. It differs from `end` - `start` when the clock was stepped.
    pub duration_ns: u64,
    /// Reports that fell due before this one and were not made: without `cumulative` this line covers that many intervals more; in a total, those of the whole run.
    pub missed_intervals: u64,
    /// Steps of the wall clock in this time that packets were refused for (`clock-step`).
    pub clock_steps: u64,
    /// Steps that are too small for that: at most 100 us, also together with the others of 34 s. Not in files of older versions.
    #[serde(default)]
    pub clock_small_steps: u64,
    /// Their sizes together, in ns. The latency of a packet that was on its way at a small step is wrong by at most this, and never by more than 100 us.
    #[serde(default)]
    pub clock_small_steps_ns: u64,
    /// How often the program that follows the clock has run. 0 over 0.9 s and more: the kernel calls no program at all (`kernel.ftrace_enabled` = 0), and all counts have stopped (judge lines without `cumulative`). Null: there is no such program (`tai-offset`).
    pub clock_updates: Option<u64>,
    /// Side of a comparison, `a` or `b`. A comparison has a `total` per side. Null outside of one.
    pub arm: Option<Short>,
    /// Number of the round in a comparison, from 1. Null in its totals, and outside of one.
    pub round: Option<u64>,
    /// With `--sample 1/N`: N. One in N packets was measured, and `count`, `sum_ns` and `buckets` are of these. Absent: every packet was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_one_in: Option<u32>,
    /// skbs that arrived at IP with a transmit timestamp: TCP over loopback or veth. Their timestamp is renewed at local delivery, so for them the `tcp-*` hooks measure from there and not from the device. Counted when `ip-start` or a `tcp-*` hook is on (from Linux 5.18); skbs that are only forwarded are in it too. With `--sample`, of the packets measured.
    pub tx_stamped: u64,
    /// With `--bpf-stats`, what all programs cost: those of the hooks, the one that follows the clock, and those of hooks that are off but serve another. Else null.
    pub cost: Option<CostFields>,
    /// The hooks that are on, in path order, those without a sample too. Then, where packets are grouped, the hooks of each group that have counted something.
    pub hooks: List<HookLine, HOOKS>,
    /// With `--slower-than` or `--slowest`: the slowest packets. Absent: none was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slow: Option<SlowFields>,
}

impl From<&Report<&Interval>> for ReportLine {
    fn from(report: &Report<&Interval>) -> ReportLine {
        let interval = report.interval;
        let counters = &interval.counters;
        let costs = counters.clock_cost.is_some();
        let of_all = counters.hooks();
        let of_all = of_all.map(|(hook, counted)| HookLine::new(hook, None, counted, costs));
        let of_groups = counters.groups();
        let of_groups = of_groups
            .map(|(group, hook, counted)| HookLine::new(hook, Some(group), counted, false));
        let sampling = counters.sampling;
        let with_estimate = |line: HookLine| HookLine {
            estimated_count: sampling.is_on().then(|| sampling.scale(line.count)),
            ..line
        };
        ReportLine {
            schema: SCHEMA,
            kind: match report.kind {
                Kind::Interval => "interval",
                Kind::Total => "total",
            }
            .into(),
            seq: report.seq,
            partial: report.partial,
            cumulative: report.since_start(),
            start: time_to_text(interval.start),
            end: time_to_text(interval.end),
            duration_ns: interval.duration_ns,
            missed_intervals: report.missed_intervals,
            clock_steps: counters.clock_steps,
            clock_small_steps: counters.small_steps.count,
            clock_small_steps_ns: counters.small_steps.sum_ns,
            clock_updates: counters.clock_updates,
            arm: report.place.map(|place| place.arm.name().into()),
            round: report.place.and_then(|place| place.round),
            sample_one_in: sampling.is_on().then(|| sampling.one_in()),
            tx_stamped: counters.tx_timestamped(),
            cost: counters.total_cost().map(CostFields::from),
            hooks: of_all.chain(of_groups).map(with_estimate).collect(),
            slow: counters
                .slow
                .is_on()
                .then(|| SlowFields::from(&counters.slow)),
        }
    }
}

impl ReportLine {
    /// The report, and what was left out of it because this version does not
    /// know it.
    ///
    /// # Errors
    ///
    /// What cannot be.
    pub fn checked(self, resolution: Resolution) -> Result<(Report, Vec<String>), String> {
        let kind = match self.kind.0.as_str() {
            "interval" => Kind::Interval,
            "total" => Kind::Total,
            _ => return Err("kind is neither interval nor total".into()),
        };
        let place = match (self.arm, self.round) {
            (None, None) => None,
            (None, Some(_)) => return Err("it has a round and no arm".into()),
            (Some(arm), round) => {
                let arm = Arm::find(&arm.0).ok_or("arm is neither a nor b")?;
                Some(Place { arm, round })
            }
        };
        let mut unknown = Vec::new();
        let mut groups: BTreeMap<(Group, Hook), HookCounters> = BTreeMap::new();
        let mut hooks: BTreeMap<Hook, HookCounters> = BTreeMap::new();
        for mut line in self.hooks.0 {
            let Some(hook) = Hook::named(&line.hook.0) else {
                unknown.push(format!("hook {}", line.hook.0));
                continue;
            };
            if line.group.is_some() && !(line.stages.is_empty() && line.stageless.is_empty()) {
                return Err(format!("{hook}: a group has no stages"));
            }
            let group = line.group.take().map(group_of);
            let counters = line
                .checked(hook, resolution, &mut unknown)
                .map_err(|what| format!("{hook}: {what}"))?;
            let known = match group {
                None => hooks.insert(hook, counters).is_some(),
                Some(group) => groups.insert((group, hook), counters).is_some(),
            };
            if known {
                return Err(format!("{hook} is there twice"));
            }
        }
        let enabled = hooks.keys().copied().collect();
        let mut counters = Counters::of(enabled, |hook| {
            let found = hooks.remove(&hook);
            found.unwrap_or_else(|| HookCounters::new(resolution))
        });
        for ((group, hook), counted) in groups {
            let sum = counters.group_mut(&group, hook);
            // Groups of which there are too many are in one.
            sum.try_add(&counted)
                .ok_or_else(|| format!("{hook}: counts beyond 64 bits"))?;
        }
        counters.sampling = match self.sample_one_in {
            None => Sampling::ALL,
            Some(n) => Sampling::new(n).ok_or_else(|| format!("sample_one_in cannot be {n}"))?,
        };
        if let Some(slow) = self.slow {
            counters.slow = slow.checked(&mut unknown)?;
        }
        counters.clock_steps = self.clock_steps;
        counters.small_steps = SmallSteps {
            count: self.clock_small_steps,
            sum_ns: self.clock_small_steps_ns,
        };
        counters.clock_updates = self.clock_updates;
        // What is not the hooks': of the clock, and of hooks that are off.
        counters.clock_cost = self.cost.map(|total| {
            let hooks = counters.hooks().map(|(_, counters)| counters.cost);
            hooks.fold(Cost::from(total), |rest, cost| rest - cost)
        });
        let seen_at = Hook::of_tx_timestamps();
        if counters.measured(seen_at).is_none() {
            let skips = &mut counters.hook_mut(seen_at).skips;
            skips.add(SkipReason::TX_TIMESTAMP, self.tx_stamped);
        }
        let report = Report {
            kind,
            seq: self.seq,
            partial: self.partial,
            missed_intervals: self.missed_intervals,
            cumulative: self.cumulative,
            place,
            interval: Interval {
                start: time_of_text(&self.start)?,
                end: time_of_text(&self.end)?,
                duration_ns: self.duration_ns,
                counters,
            },
        };
        Ok((report, unknown))
    }
}
