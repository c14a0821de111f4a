// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The line of an interval, and of the total.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::comparison::{Arm, Place};
use crate::model::counters::{Counters, SmallSteps};
use crate::model::group::Group;
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hook_counters::{Cost, HookCounters};
use crate::model::hooks::Hook;
use crate::model::quantile::{Estimate, Quantile, REPORTED};
use crate::model::report::{Kind, Report};
use crate::model::sampling::Sampling;
use crate::model::shares::Shares;
use crate::model::skips::{SkipReason, Skips};
use crate::model::slow::{SlowPacket, SlowPackets};
use crate::model::snapshot::Interval;
use crate::model::stage::{Cause, Stage, Stageless};
use crate::schema::bounded::{List, Named};
use crate::schema::format::{MANY, SCHEMA, Short, time_of_text, time_to_text};

/// Hooks of a line: with groups, as many for each.
const HOOKS: usize = 1 << 16;
/// Buckets of the finest resolution that there is.
const BUCKETS: usize = 8192;

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

/// What a hook counted.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "HookCounts")]
pub struct HookLine {
    /// Its name.
    pub hook: Short,
    /// Whose packets these are: the group's value of each key in `by` of the start line. Null: all packets. `{}`: those of groups for which there was no room.
    pub group: Option<Named<Short, MANY>>,
    /// Latencies recorded: with `--sample`, the number of samples, not multiplied.
    pub count: u64,
    /// With `--sample 1/N`: about how many packets these stand for, N times `count`. Absent: every packet was measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimated_count: Option<u64>,
    /// Their sum; `sum_ns / count` is the mean.
    pub sum_ns: u64,
    /// `[lo_ns, hi_ns, count]`: so many latencies in `(lo, hi]`, upper bound included. Non-empty buckets only, lowest first.
    pub buckets: List<[u64; 3], BUCKETS>,
    /// Upper bound of the highest bucket: no recorded latency is longer. Null without one.
    #[serde(default)]
    pub max_le_ns: Option<u64>,
    /// Quantiles of the latencies, those over range included.
    #[serde(default)]
    pub quantiles_ns: QuantileFields,
    /// Program runs that recorded nothing, by reason; those that occurred only. With `--sample` too, as they were counted: [json.md](json.md#sampling).
    pub skipped: Named<u64, MANY>,
    /// Program runs that the kernel left out because the program was re-entered on its CPU (Linux 5.12 and newer count them).
    pub missed: u64,
    /// With `--bpf-stats`, what the hook's programs cost. Else null.
    #[serde(default)]
    pub cost: Option<CostFields>,
    /// With `--stages`: the stages that end here, and in which there was a packet. Absent: there was none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 256))]
    pub stages: Vec<StageLine>,
    /// With `--stages`: packets in `count` that are in none of the stages, by cause; those that occurred only. Absent: there was none. At the first hook of a path all packets begin.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub stageless: BTreeMap<String, u64>,
}

/// How long packets took from another hook to this one.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Stage")]
pub struct StageLine {
    /// The hook that these packets passed before.
    pub from: Short,
    /// Packets: with `--sample`, the number of samples, not multiplied.
    pub count: u64,
    /// The sum of their times; `sum_ns / count` is the mean.
    pub sum_ns: u64,
    /// As those of the hook.
    pub buckets: List<[u64; 3], BUCKETS>,
    /// Upper bound of the highest bucket: no time is longer. Null without one.
    #[serde(default)]
    pub max_le_ns: Option<u64>,
    /// Quantiles of the times.
    #[serde(default)]
    pub quantiles_ns: QuantileFields,
}

/// Quantiles, each null where too few latencies say nothing about it, or where it is over range.
#[derive(Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
#[schemars(rename = "Quantiles")]
pub struct QuantileFields {
    /// The median, in ns.
    pub p50: Option<u64>,
    /// The 90th percentile, in ns.
    pub p90: Option<u64>,
    /// The 99th percentile, in ns.
    pub p99: Option<u64>,
    /// The 99.9th percentile, in ns.
    #[serde(rename = "p99.9")]
    pub p999: Option<u64>,
}

/// What programs cost, as the kernel measures it.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Cost")]
pub struct CostFields {
    /// Program runs.
    pub runs: u64,
    /// Time spent in them.
    pub time_ns: u64,
}

impl From<Cost> for CostFields {
    fn from(Cost { runs, time_ns }: Cost) -> CostFields {
        CostFields { runs, time_ns }
    }
}

impl From<CostFields> for Cost {
    fn from(CostFields { runs, time_ns }: CostFields) -> Cost {
        Cost { runs, time_ns }
    }
}

/// The slowest packets of a report.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Slow")]
pub struct SlowFields {
    /// Packets above the limit that were looked at.
    pub seen: u64,
    /// Packets above the limit that were not, because there were too many.
    pub not_looked_at: u64,
    /// The slowest of those that were, the slowest first.
    pub packets: List<SlowLine, MANY>,
    /// By hook, where the slowest hundredth of all packets there spent its time, as far as they were looked at.
    #[serde(default)]
    pub shares: List<SharesFields, MANY>,
    /// How long readers of slow packets have waited for a CPU in this time, ns, by process.
    #[serde(default)]
    pub cpu_waits_ns: Named<u64, MANY>,
}

/// Where the slowest hundredth of the packets at a hook spent its time.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Shares")]
pub struct SharesFields {
    /// The hook.
    pub hook: Short,
    /// Packets of which the way is known.
    pub packets: u64,
    /// Packets without notes.
    pub incomplete: u64,
    /// The parts of the way.
    pub parts: List<PartFields, MANY>,
}

/// A part of the way.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Part")]
pub struct PartFields {
    /// The hook where it begins. Null: at the timestamp.
    pub from: Option<Short>,
    /// The hook where it ends.
    pub to: Short,
    /// The median over all these packets of the share of their age that they spent there, in percent.
    pub median_percent: u8,
    /// `[percent, packets]`: so many packets spent this share there, rounded down.
    pub packets: List<[u64; 2], MANY>,
}

/// A slow packet.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SlowPacket")]
pub struct SlowLine {
    /// The hook at which it was slow.
    pub hook: Short,
    /// How old it was there, from its timestamp.
    pub age_ns: u64,
    /// Its timestamp: when it entered the stack.
    pub time: Short,
    /// The hooks that it passed before, in that order. Those that it did not pass are missing, and those of which the note was lost.
    pub passed: List<PassedFields, MANY>,
    /// The CPU that the hook ran on.
    pub cpu: u32,
    /// The receive queue of the interface, or null.
    pub rx_queue: Option<u32>,
    /// At reads, how many packets were left in the socket's queue. Else null.
    pub queue_length: Option<u32>,
    /// Where it came from: address and port (0: it has none). Null: not known, or hidden (`--redact`).
    pub remote: Option<Short>,
    /// Where it was sent to, in the same way.
    pub local: Option<Short>,
    /// Whose it is, as groups say it: interface, cgroup, process.
    pub owner: Named<Short, MANY>,
}

/// A hook that a slow packet passed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Passed")]
pub struct PassedFields {
    /// Its name.
    pub hook: Short,
    /// How old the packet was there.
    pub age_ns: u64,
}

impl From<&SlowPackets> for SlowFields {
    fn from(slow: &SlowPackets) -> SlowFields {
        SlowFields {
            seen: slow.seen,
            not_looked_at: slow.not_looked_at,
            packets: slow.iter().map(SlowLine::from).collect(),
            shares: slow.shares.iter().map(SharesFields::from).collect(),
            cpu_waits_ns: slow
                .cpu_waits
                .iter()
                .map(|(process, ns)| (process.clone(), *ns))
                .collect(),
        }
    }
}

impl From<&SlowPacket> for SlowLine {
    fn from(packet: &SlowPacket) -> SlowLine {
        let end = |end: Option<SocketAddr>| end.map(|end| end.to_string().into());
        let owner = packet.owner.iter();
        SlowLine {
            hook: packet.hook.name().into(),
            age_ns: packet.age_ns,
            time: time_to_text(packet.time),
            passed: packet
                .passed
                .iter()
                .map(|(hook, age_ns)| PassedFields {
                    hook: hook.name().into(),
                    age_ns: *age_ns,
                })
                .collect(),
            cpu: packet.cpu,
            rx_queue: packet.rx_queue,
            queue_length: packet.queue_length,
            remote: end(packet.remote),
            local: end(packet.local),
            owner: owner
                .map(|(key, value)| (key.clone(), value.as_str().into()))
                .collect(),
        }
    }
}

impl From<(&Hook, &Shares)> for SharesFields {
    fn from((hook, shares): (&Hook, &Shares)) -> SharesFields {
        let parts = shares.parts().map(|(part, counts)| PartFields {
            from: part.0.map(|hook| hook.name().into()),
            to: part.1.name().into(),
            median_percent: shares.median(part),
            packets: counts
                .iter()
                .map(|(percent, count)| [(*percent).into(), *count])
                .collect(),
        });
        SharesFields {
            hook: hook.name().into(),
            packets: shares.packets,
            incomplete: shares.incomplete,
            parts: parts.collect(),
        }
    }
}

impl SharesFields {
    fn checked(self) -> Result<(Hook, Shares), String> {
        let hook = |name: &Short| {
            let found = Hook::named(&name.0);
            found.ok_or_else(|| format!("shares: no hook is called '{}'", name.0))
        };
        let mut parts = BTreeMap::new();
        for part in self.parts.0 {
            let from = part.from.as_ref().map(hook).transpose()?;
            let counts = part.packets.0.into_iter().map(|[percent, count]| {
                let percent = u8::try_from(percent).ok().filter(|percent| *percent <= 100);
                Ok((percent.ok_or("shares: more than 100 percent")?, count))
            });
            let counts = counts.collect::<Result<BTreeMap<u8, u64>, &str>>()?;
            if parts.insert((from, hook(&part.to)?), counts).is_some() {
                return Err("shares: a part is there twice".into());
            }
        }
        let shares = Shares::of(self.packets, self.incomplete, parts);
        Ok((hook(&self.hook)?, shares))
    }
}

impl SlowFields {
    fn checked(self) -> Result<SlowPackets, String> {
        let packets = self.packets.0.into_iter().map(SlowLine::checked);
        let packets = packets.collect::<Result<_, _>>()?;
        let shares = self.shares.0.into_iter().map(SharesFields::checked);
        let mut slow = SlowPackets::of(packets, self.seen, self.not_looked_at);
        slow.shares = shares.collect::<Result<_, _>>()?;
        slow.cpu_waits = self.cpu_waits_ns.0;
        Ok(slow)
    }
}

impl SlowLine {
    fn checked(self) -> Result<SlowPacket, String> {
        let hook = |name: &Short| {
            let found = Hook::named(&name.0);
            found.ok_or_else(|| format!("slow packet: no hook is called '{}'", name.0))
        };
        let end = |text: Option<Short>| {
            let read = |text: Short| {
                let parsed = text.0.parse();
                parsed.map_err(|_| format!("slow packet: '{}' is no address", text.0))
            };
            text.map(read).transpose()
        };
        let passed = self.passed.0.iter();
        let owner = self.owner.0.into_iter();
        Ok(SlowPacket {
            hook: hook(&self.hook)?,
            age_ns: self.age_ns,
            time: time_of_text(&self.time)?,
            passed: passed
                .map(|passed| Ok((hook(&passed.hook)?, passed.age_ns)))
                .collect::<Result<_, String>>()?,
            cpu: self.cpu,
            rx_queue: self.rx_queue,
            queue_length: self.queue_length,
            remote: end(self.remote)?,
            local: end(self.local)?,
            owner: owner.map(|(key, value)| (key, value.0)).collect(),
        })
    }
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

impl HookLine {
    fn new(hook: Hook, group: Option<&Group>, counters: &HookCounters, costs: bool) -> HookLine {
        let histogram = &counters.histogram;
        let buckets = histogram.buckets();
        let skipped = counters.skips.iter();
        let stages = counters
            .stages
            .iter()
            .filter(|(_, times)| times.count() > 0);
        let stageless = counters.stageless.iter();
        HookLine {
            hook: hook.name().into(),
            group: group.map(|group| match group {
                Group::Of(values) => {
                    let values = values.iter();
                    values
                        .map(|(key, value)| (key.clone(), value.as_str().into()))
                        .collect()
                }
                Group::Other => Named::default(),
            }),
            count: histogram.count(),
            estimated_count: None,
            sum_ns: histogram.sum_ns(),
            buckets: buckets.map(|b| [b.lo_ns, b.hi_ns, b.count]).collect(),
            max_le_ns: histogram.max_le_ns(),
            quantiles_ns: QuantileFields::from(counters),
            skipped: skipped.map(|(r, count)| (r.name().into(), count)).collect(),
            missed: counters.missed,
            cost: costs.then(|| counters.cost.into()),
            stages: stages
                .map(|(from, times)| StageLine::new(*from, times))
                .collect(),
            stageless: stageless
                .map(|(cause, count)| (cause.name().into(), count))
                .collect(),
        }
    }

    /// All its counts together stay within 64 bits.
    fn checked(
        self,
        hook: Hook,
        resolution: Resolution,
        unknown: &mut Vec<String>,
    ) -> Result<HookCounters, String> {
        let histogram = histogram_of(resolution, self.buckets, self.count, self.sum_ns)?;
        let mut skips = Skips::default();
        let mut runs = self.count.checked_add(self.missed).ok_or(TOO_MANY)?;
        for (name, count) in self.skipped.0 {
            runs = runs.checked_add(count).ok_or(TOO_MANY)?;
            match SkipReason::find(&name) {
                Some(reason) => skips.add(reason, count),
                None => unknown.push(format!("reason {name}")),
            }
        }
        let mut stages = BTreeMap::new();
        let mut staged: u64 = 0;
        for line in self.stages {
            staged = staged.checked_add(line.count).ok_or(TOO_MANY)?;
            let Some(from) = Hook::named(&line.from.0) else {
                unknown.push(format!("hook {}", line.from.0));
                continue;
            };
            if Stage::between(from, hook).is_none() {
                return Err(format!("no stage leads there from {from}"));
            }
            let times = histogram_of(resolution, line.buckets, line.count, line.sum_ns)
                .map_err(|what| format!("stage from {from}: {what}"))?;
            if stages.insert(from, times).is_some() {
                return Err(format!("the stage from {from} is there twice"));
            }
        }
        let mut stageless = Stageless::default();
        for (name, count) in self.stageless {
            staged = staged.checked_add(count).ok_or(TOO_MANY)?;
            match Cause::find(&name) {
                Some(cause) => stageless.add(cause, count),
                None => unknown.push(format!("cause {name}")),
            }
        }
        Ok(HookCounters {
            histogram,
            skips,
            missed: self.missed,
            cost: self.cost.map(Cost::from).unwrap_or_default(),
            stages,
            stageless,
        })
    }
}

const TOO_MANY: &str = "counts beyond 64 bits";

/// The histogram of a line's buckets.
fn histogram_of(
    resolution: Resolution,
    buckets: List<[u64; 3], BUCKETS>,
    count: u64,
    sum_ns: u64,
) -> Result<Histogram, String> {
    let mut histogram = Histogram::new(resolution);
    let mut counted: u64 = 0;
    let mut end = 0;
    for [lo, hi, count] in buckets.0 {
        counted = counted.checked_add(count).ok_or(TOO_MANY)?;
        if lo < end || histogram.add_bucket(lo, hi, count).is_none() {
            return Err(format!("no bucket ({lo}, {hi}] belongs there"));
        }
        end = hi;
    }
    if counted != count {
        return Err(format!("count is {count}, its buckets hold {counted}"));
    }
    // The programs may be at work while they are read, so that the sum need not be
    // that of the buckets.
    histogram.add_sum(sum_ns);
    Ok(histogram)
}

impl StageLine {
    fn new(from: Hook, times: &Histogram) -> StageLine {
        StageLine {
            from: from.name().into(),
            count: times.count(),
            sum_ns: times.sum_ns(),
            buckets: times
                .buckets()
                .map(|b| [b.lo_ns, b.hi_ns, b.count])
                .collect(),
            max_le_ns: times.max_le_ns(),
            quantiles_ns: QuantileFields::of(|quantile| quantile.of(times, 0)),
        }
    }
}

/// An empty one is that of groups for which there was no room.
fn group_of(values: Named<Short, MANY>) -> Group {
    if values.0.is_empty() {
        return Group::Other;
    }
    let values = values.0.into_iter();
    Group::Of(values.map(|(key, value)| (key, value.0)).collect())
}

impl From<&HookCounters> for QuantileFields {
    fn from(counters: &HookCounters) -> QuantileFields {
        QuantileFields::of(|quantile| counters.quantile(quantile))
    }
}

impl QuantileFields {
    fn of(estimate: impl Fn(Quantile) -> Option<Estimate>) -> QuantileFields {
        let [p50, p90, p99, p999] = REPORTED.map(|quantile| match estimate(quantile) {
            Some(Estimate::Ns(ns)) => Some(ns),
            Some(Estimate::OverRange) | None => None,
        });
        QuantileFields {
            p50,
            p90,
            p99,
            p999,
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
            counters.slow = slow.checked()?;
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The fields are the quantiles that reports show, by their names.
    #[test]
    fn quantiles_are_those_of_the_reports() {
        let mut counters = HookCounters::new(Resolution::FINE);
        for ns in 1..=100_000u64 {
            assert!(counters.histogram.record(ns));
        }
        let fields = serde_json::to_value(QuantileFields::from(&counters)).unwrap();
        let fields = fields.as_object().unwrap();
        assert_eq!(fields.len(), REPORTED.len());
        for quantile in REPORTED {
            let Some(Estimate::Ns(ns)) = counters.quantile(quantile) else {
                panic!("{} is in range", quantile.name());
            };
            assert_eq!(fields[&quantile.name()], ns);
        }
    }
}
