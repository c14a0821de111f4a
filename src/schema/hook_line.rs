// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What one hook counted, in the line of an interval or of the total.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::group::Group;
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hook_counters::{Cost, HookCounters};
use crate::model::hooks::Hook;
use crate::model::quantile::{Beyond, Estimate, Quantile, REPORTED};
use crate::model::skips::{SkipReason, Skips};
use crate::model::stage::{Cause, Stage, Stageless};
use crate::schema::bounded::{List, Named};
use crate::schema::format::{MANY, Short};

/// Buckets of the finest resolution that there is.
const BUCKETS: usize = 8192;

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
    #[serde(default, skip_serializing_if = "List::is_empty")]
    pub stages: List<StageLine, MANY>,
    /// With `--stages`: packets in `count` that are in none of the stages, by cause; those that occurred only. Absent: there was none. At the first hook of a path all packets begin.
    #[serde(default, skip_serializing_if = "Named::is_empty")]
    pub stageless: Named<u64, MANY>,
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

impl HookLine {
    pub(super) fn new(
        hook: Hook,
        group: Option<&Group>,
        counters: &HookCounters,
        costs: bool,
    ) -> HookLine {
        let histogram = &counters.histogram;
        let buckets = histogram.buckets();
        let skipped = counters.skips.iter();
        // A program that is at work while it is read has added to the sum only.
        let stages = counters
            .stages
            .iter()
            .filter(|(_, times)| times.count() > 0 || times.sum_ns() > 0);
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
    pub(super) fn checked(
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
        for line in self.stages.0 {
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
        for (name, count) in self.stageless.0 {
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
            quantiles_ns: QuantileFields::of(|quantile| quantile.of(times, Beyond::default())),
        }
    }
}

/// An empty one is that of groups for which there was no room.
pub(super) fn group_of(values: Named<Short, MANY>) -> Group {
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
            Some(Estimate::Unknown | Estimate::OverRange) | None => None,
        });
        QuantileFields {
            p50,
            p90,
            p99,
            p999,
        }
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

    /// A program was at work while it was read: the sum is that of a packet which is
    /// counted in the next interval. Sums of intervals are those of the total.
    #[test]
    fn a_sum_without_a_packet_is_written() {
        let [from, to] = ["ip-start", "udp-start"].map(|name| Hook::named(name).unwrap());
        let mut times = Histogram::new(Resolution::FINE);
        times.add_sum(5000);
        let mut counters = HookCounters::new(Resolution::FINE);
        counters.stages.insert(from, times);
        let line = HookLine::new(to, None, &counters, false);
        let read = line.checked(to, Resolution::FINE, &mut Vec::new()).unwrap();
        assert_eq!(read, counters);
        counters
            .stages
            .insert(from, Histogram::new(Resolution::FINE));
        assert!(HookLine::new(to, None, &counters, false).stages.is_empty());
    }
}
