// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The tool's JSON lines as data, and what must hold of each of them.

use std::collections::BTreeMap;
use std::iter::Sum;

use serde::Deserialize;

pub use crate::counts::{Counts, skipped};

/// The largest sample that is recorded.
pub const MAX_NS: u64 = 1 << 34;

/// One line of output.
#[derive(Clone, Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Line {
    Start(Start),
    Interval(Report),
    Total(Report),
}

#[derive(Clone, Debug, Deserialize)]
pub struct Start {
    pub schema: u32,
    pub sub_buckets: u64,
    pub clock_source: String,
    /// What was selected: the values of each option.
    #[serde(default)]
    pub selection: serde_json::Value,
    pub hooks: Vec<StartHook>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct StartHook {
    pub hook: String,
    pub attached: bool,
    pub reason: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    pub seq: u64,
    pub partial: bool,
    pub start: String,
    pub end: String,
    pub duration_ns: u64,
    pub missed_intervals: u64,
    pub clock_steps: u64,
    pub clock_small_steps: u64,
    pub clock_small_steps_ns: u64,
    pub clock_updates: Option<u64>,
    pub cost: Option<Cost>,
    pub arm: Option<String>,
    pub round: Option<u64>,
    pub tx_stamped: u64,
    /// With `--sample 1/N`: N.
    pub sample_one_in: Option<u64>,
    pub hooks: Vec<HookLine>,
    /// With `--slower-than`.
    pub slow: Option<serde_json::Value>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct HookLine {
    pub hook: String,
    /// Key to value; `None`: all packets; empty: the group "other".
    pub group: Option<BTreeMap<String, String>>,
    pub count: u64,
    pub estimated_count: Option<u64>,
    pub sum_ns: u64,
    pub buckets: Vec<[u64; 3]>,
    pub max_le_ns: Option<u64>,
    pub quantiles_ns: BTreeMap<String, Option<u64>>,
    pub skipped: BTreeMap<String, u64>,
    pub missed: u64,
    pub cost: Option<Cost>,
    /// With `--stages`.
    #[serde(default)]
    pub stages: Vec<StageLine>,
    #[serde(default)]
    pub stageless: BTreeMap<String, u64>,
}

/// What came from another hook to this one.
#[derive(Clone, Debug, Deserialize)]
pub struct StageLine {
    pub from: String,
    pub count: u64,
    pub sum_ns: u64,
    pub buckets: Vec<[u64; 3]>,
}

/// What programs cost (`--bpf-stats`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Cost {
    pub runs: u64,
    pub time_ns: u64,
}

impl Sum for Cost {
    fn sum<I: Iterator<Item = Cost>>(costs: I) -> Cost {
        costs.fold(Cost::default(), |a, b| Cost {
            runs: a.runs + b.runs,
            time_ns: a.time_ns + b.time_ns,
        })
    }
}

/// What all hooks have counted.
pub type Totals = BTreeMap<String, Counts>;

pub fn totals<'a>(reports: impl IntoIterator<Item = &'a Report>) -> Totals {
    let mut totals = Totals::new();
    for line in reports.into_iter().flat_map(Report::of_all) {
        totals.entry(line.hook.clone()).or_default().add(line);
    }
    totals
}

/// A whole run of the tool, from its start line to its end.
#[derive(Debug)]
pub struct Run {
    pub start: Start,
    pub intervals: Vec<Report>,
    pub total: Report,
    pub stderr: String,
}

impl Report {
    /// What hooks have counted of all packets.
    pub fn of_all(&self) -> impl Iterator<Item = &HookLine> {
        self.hooks.iter().filter(|line| line.group.is_none())
    }

    /// What they have counted by group, of all packets together: the same as
    /// [`Report::of_all`] where packets are grouped.
    fn sum_of_groups(&self) -> Totals {
        let mut totals = Totals::new();
        for line in self.hooks.iter().filter(|line| line.group.is_some()) {
            totals.entry(line.hook.clone()).or_default().add(line);
        }
        totals
    }
}

/// Values of a group in the order of their keys' names.
pub type Values = Vec<String>;

/// What groups have counted at a hook in these reports together.
pub fn groups<'a>(
    reports: impl IntoIterator<Item = &'a Report>,
    name: &str,
) -> BTreeMap<Values, u64> {
    let lines = reports.into_iter().flat_map(|report| &report.hooks);
    let mut groups = BTreeMap::new();
    for line in lines.filter(|line| line.hook == name && line.count > 0) {
        let Some(group) = &line.group else {
            continue;
        };
        let values = if group.is_empty() {
            vec!["other".into()]
        } else {
            group.values().cloned().collect()
        };
        *groups.entry(values).or_insert(0) += line.count;
    }
    groups
}

impl Run {
    /// A hook's total by group; `other` of what found no room.
    pub fn groups(&self, name: &str) -> BTreeMap<Values, u64> {
        groups([&self.total], name)
    }

    /// Checks the order of lines and everything that must hold of them.
    pub fn checked(lines: Vec<Line>, stderr: String) -> Run {
        let mut lines = lines.into_iter();
        let Some(Line::Start(start)) = lines.next() else {
            panic!("the first line is not the start line");
        };
        let Some(Line::Total(total)) = lines.next_back() else {
            panic!("the last line is not the total: {stderr}");
        };
        let intervals = lines.map(|line| match line {
            Line::Interval(report) => report,
            other => panic!("not an interval: {other:?}"),
        });
        let run = Run {
            start,
            intervals: intervals.collect(),
            total,
            stderr,
        };
        run.check();
        run
    }

    /// One hook's total.
    pub fn hook(&self, name: &str) -> Counts {
        let line = self.total.of_all().find(|line| line.hook == name);
        let mut counts = Counts::default();
        counts.add(line.unwrap_or_else(|| panic!("no {name} in the total")));
        counts
    }

    fn check(&self) {
        assert_eq!(self.start.schema, 2);
        let sub_buckets = self.start.sub_buckets;
        for report in self.intervals.iter().chain([&self.total]) {
            // The kernel updates its clock all the time, idle or not.
            let stalled = report.clock_updates == Some(0) && report.duration_ns >= 900_000_000;
            assert!(!stalled, "no program was called: {report:?}");
            for line in &report.hooks {
                check_hook(line, sub_buckets);
            }
            // Each packet is in one group.
            for (hook, sum) in report.sum_of_groups() {
                let all = report.of_all().find(|line| line.hook == hook);
                let mut counts = Counts::default();
                counts.add(all.expect("the hook is on"));
                assert_eq!(
                    (sum.count, sum.sum_ns, &sum.buckets),
                    (counts.count, counts.sum_ns, &counts.buckets),
                    "groups of {hook}"
                );
            }
        }
        // The programs may be at work while an interval is read; at the end
        // of a test they are not.
        self.total.hooks.iter().for_each(check_sum);

        let (intervals, total) = (&self.intervals, &self.total);
        let sum = totals(intervals);
        assert_eq!(sum, totals([total]), "the intervals do not add up");
        let add = |field: fn(&Report) -> u64| intervals.iter().map(field).sum::<u64>();
        assert_eq!(add(|r| r.duration_ns), total.duration_ns);
        assert_eq!(add(|r| r.missed_intervals), total.missed_intervals);
        assert_eq!(add(|r| r.clock_steps), total.clock_steps);
        let small: [fn(&Report) -> u64; 2] = [|r| r.clock_small_steps, |r| r.clock_small_steps_ns];
        for field in small {
            assert_eq!(add(field), field(total));
        }
        assert_eq!(add(|r| r.tx_stamped), total.tx_stamped);
        // There in every line, or in none.
        let updates: Option<u64> = intervals.iter().map(|r| r.clock_updates).sum();
        assert_eq!(updates, total.clock_updates);
        let cost: Option<Cost> = intervals.iter().map(|r| r.cost).sum();
        assert_eq!(cost, total.cost);
        for hook in total.of_all() {
            let name = &hook.hook;
            let lines = intervals.iter().flat_map(Report::of_all);
            let of_it = lines.filter(|line| line.hook == *name);
            let cost: Option<Cost> = of_it.map(|line| line.cost).sum();
            assert_eq!(cost, hook.cost, "what {name} costs does not add up");
        }
        for (report, seq) in intervals.iter().zip(1..) {
            assert_eq!(report.seq, seq, "interval numbers");
            assert!(!report.partial || seq == intervals.len() as u64);
        }
        for pair in intervals.windows(2) {
            assert_eq!(pair[0].end, pair[1].start, "a gap between intervals");
        }
        assert_eq!(total.seq, intervals.len() as u64);
    }
}

/// The bucket scheme, written again after the documentation: up to the number
/// of sub-buckets they are 1 ns wide, above each power of two is divided.
fn bucket_after(lo: u64, sub_buckets: u64) -> u64 {
    if lo < sub_buckets {
        return lo + 1;
    }
    let width = (1 << lo.ilog2()) / sub_buckets;
    assert_eq!(lo % width, 0, "no bucket begins at {lo} ns");
    lo + width
}

fn check_hook(line: &HookLine, sub_buckets: u64) {
    let buckets = &line.buckets;
    let counted: u64 = buckets.iter().map(|[_, _, count]| count).sum();
    assert_eq!(line.count, counted, "{line:?}");
    for [lo, hi, count] in buckets {
        assert_eq!(*hi, bucket_after(*lo, sub_buckets), "{line:?}");
        assert!(*count > 0 && *hi <= MAX_NS, "{line:?}");
    }
    assert!(buckets.windows(2).all(|pair| pair[0][1] <= pair[1][0]));
    assert_eq!(line.max_le_ns, buckets.last().map(|[_, hi, _]| *hi));
    assert!(line.skipped.values().all(|count| *count > 0));
    for (name, thousandths) in [("p50", 500), ("p90", 900), ("p99", 990), ("p99.9", 999)] {
        let expected = quantile(line, thousandths);
        assert_eq!(line.quantiles_ns[name], expected, "{name} of {line:?}");
    }
}

fn check_sum(line: &HookLine) {
    let bound = |i: usize| line.buckets.iter().map(|b| b[i] * b[2]).sum::<u64>();
    let plausible = bound(0)..=bound(1);
    assert!(plausible.contains(&line.sum_ns), "sum of {line:?}");
}

/// The middle of the bucket with the sample of rank ceil(q n); over-range and collapsed
/// samples have the highest ranks.
fn quantile(line: &HookLine, thousandths: u64) -> Option<u64> {
    let beyond = ["over-range", "collapsed"].map(|reason| skipped(&line.skipped, reason));
    let n = line.count + beyond.iter().sum::<u64>();
    if n * (1000 - thousandths) < 1000 {
        return None;
    }
    let rank = (n * thousandths).div_ceil(1000);
    let mut seen = 0;
    let holder = line.buckets.iter().find(|[_, _, count]| {
        seen += count;
        seen >= rank
    });
    holder.map(|[lo, hi, _]| lo + (hi - lo).div_ceil(2))
}
