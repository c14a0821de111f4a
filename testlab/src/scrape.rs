// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What ebpf_exporter serves, as data: the text format of Prometheus, as far as
//! our series use it.

use std::collections::BTreeMap;

use netstacklat::model::hooks::Hook;

use crate::lines::Counts;

/// Finite bounds of a histogram: 2^0 to 2^34 ns.
pub const BOUNDS: usize = 35;
const PREFIX: &str = "ebpf_exporter_netstack_";

/// Labels in their order, and the value as it is written.
#[derive(Clone, Debug)]
struct Sample {
    labels: Vec<(String, String)>,
    value: String,
}

/// One scrape.
#[derive(Clone, Debug)]
pub struct Scrape {
    pub text: String,
    samples: BTreeMap<String, Vec<Sample>>,
}

/// What one hook has counted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Samples in (2^(b-1), 2^b] ns, or, for b = 0, in [0, 1].
    pub buckets: [u64; BOUNDS],
    pub sum_ns: u64,
}

impl Sample {
    fn label(&self, wanted: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels.find_map(|(key, value)| (key == wanted).then_some(value.as_str()))
    }
}

impl Scrape {
    pub fn parse(text: String) -> Scrape {
        let mut samples: BTreeMap<String, Vec<Sample>> = BTreeMap::new();
        for line in text.lines().filter(|line| !line.starts_with('#')) {
            let (series, value) = line.rsplit_once(' ').expect("a series and its value");
            let (name, labels) = match series.split_once('{') {
                Some((name, labels)) => (name, labels.strip_suffix('}').expect("a brace")),
                None => (series, ""),
            };
            samples.entry(name.into()).or_default().push(Sample {
                labels: split(labels),
                value: value.into(),
            });
        }
        Scrape { text, samples }
    }

    fn samples(&self, name: &str) -> &[Sample] {
        self.all(&format!("{PREFIX}{name}"))
    }

    fn all(&self, name: &str) -> &[Sample] {
        let found = self.samples.get(name);
        found.unwrap_or_else(|| panic!("no {name} in:\n{}", self.text))
    }

    /// The number under which the kernel knows a program of this exporter.
    pub fn program_id(&self, config: &str, name: &str) -> u32 {
        let mut programs = self.all("ebpf_exporter_ebpf_program_info").iter();
        let found = programs.find_map(|sample| {
            let ours = sample.label("program")? == name && sample.label("config")? == config;
            ours.then(|| sample.label("id"))?
        });
        found.and_then(|id| id.parse().ok()).expect("a program")
    }

    fn single(&self, name: &str) -> &str {
        match self.samples(name) {
            [one] if one.labels.is_empty() => &one.value,
            other => panic!("not one {name} without labels: {other:?}"),
        }
    }

    /// The value of a series without labels, without the common prefix.
    pub fn value(&self, name: &str) -> u64 {
        whole(self.single(name))
    }

    /// A counter or gauge by its only label, or by one of them.
    pub fn by_label(&self, name: &str, label: &str) -> BTreeMap<String, u64> {
        let samples = self.samples(name).iter();
        let pairs = samples.map(|sample| {
            let mut labels = sample.labels.iter();
            let found = labels.find(|(key, _)| key == label);
            let (_, value) = found.unwrap_or_else(|| panic!("{name} has no {label}"));
            (value.clone(), whole(&sample.value))
        });
        let map: BTreeMap<_, _> = pairs.collect();
        assert_eq!(map.len(), self.samples(name).len(), "{name}: {map:?}");
        map
    }

    /// Why a hook's packets were not measured: the reasons that occurred.
    pub fn skipped(&self, hook: &str) -> BTreeMap<String, u64> {
        let mut skipped = self.by_label(&format!("{}_skipped_total", ident(hook)), "reason");
        skipped.retain(|_, count| *count > 0);
        skipped
    }

    /// The grouped object's samples of a hook, by cgroup and interface.
    pub fn groups(&self, hook: &str) -> BTreeMap<(String, String), u64> {
        let groups = self.groups_by(["cgroup", "interface"], hook).into_iter();
        groups
            .map(|([cgroup, interface], count)| ((cgroup, interface), count))
            .collect()
    }

    /// The same by these labels, which must be all that there are.
    pub fn groups_by<const N: usize>(
        &self,
        labels: [&str; N],
        hook: &str,
    ) -> BTreeMap<[String; N], u64> {
        let name = format!("{PREFIX}group_{}_latency_seconds_count", ident(hook));
        // There are no series before there is a group.
        let samples = self.samples.get(&name).into_iter().flatten();
        let label = |sample: &Sample, name| sample.label(name).expect("a label").to_owned();
        samples
            .map(|sample| {
                assert_eq!(sample.labels.len(), N, "{sample:?}");
                (labels.map(|name| label(sample, name)), whole(&sample.value))
            })
            .collect()
    }

    /// Bounds as they are written, with the number of samples at or below.
    pub fn cumulative(&self, hook: &str) -> Vec<(&str, u64)> {
        let samples = self.samples(&format!("{}_latency_seconds_bucket", ident(hook)));
        let pairs = samples.iter().map(|sample| match &sample.labels[..] {
            [(name, bound)] if name == "le" => (bound.as_str(), whole(&sample.value)),
            other => panic!("{hook}: {other:?}"),
        });
        pairs.collect()
    }

    /// `_sum`, as it is written, and `_count`.
    pub fn sum_and_count(&self, hook: &str) -> (&str, u64) {
        let name = format!("{}_latency_seconds", ident(hook));
        let sum = self.single(&format!("{name}_sum"));
        (sum, self.value(&format!("{name}_count")))
    }

    /// What a hook has counted since `earlier`, as our tool would tell it with
    /// as few buckets.
    pub fn since(&self, earlier: &Scrape, hook: &str) -> Counts {
        let grown = self.histogram(hook).since(&earlier.histogram(hook));
        let buckets = grown.filled().into_iter();
        let mut skipped = self.skipped(hook);
        for (reason, before) in earlier.skipped(hook) {
            *skipped.get_mut(&reason).expect("counts only grow") -= before;
        }
        skipped.retain(|_, count| *count > 0);
        Counts {
            count: grown.count(),
            sum_ns: grown.sum_ns,
            buckets: buckets.map(|(b, n)| (((1 << b) / 2, 1 << b), n)).collect(),
            skipped,
            missed: 0,
            ..Counts::default()
        }
    }

    /// A hook's histogram, which must be one: bounds and counts that grow, and
    /// a count that is that of the last.
    pub fn histogram(&self, hook: &str) -> Histogram {
        let cumulative = self.cumulative(hook);
        assert_eq!(cumulative.len(), BOUNDS + 1, "{hook}: {cumulative:?}");
        let (sum, count) = self.sum_and_count(hook);
        assert_eq!(cumulative[BOUNDS], ("+Inf", count), "{hook}");
        let mut buckets = [0; BOUNDS];
        let mut below = 0;
        for (b, &(bound, at_or_below)) in cumulative[..BOUNDS].iter().enumerate() {
            let seconds: f64 = bound.parse().expect("a bound");
            assert_eq!(seconds, (1u64 << b) as f64 * 1e-9, "{hook}: {bound}");
            assert!(at_or_below >= below, "{hook}: {cumulative:?}");
            buckets[b] = at_or_below - below;
            below = at_or_below;
        }
        // No clamped samples: all are in finite buckets.
        assert_eq!(below, count, "{hook}: {cumulative:?}");
        let sum: f64 = sum.parse().expect("a sum");
        Histogram {
            buckets,
            sum_ns: (sum * 1e9).round() as u64,
        }
    }
}

impl Histogram {
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// What was counted since `earlier`.
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        let mut grown = self.clone();
        for (now, then) in grown.buckets.iter_mut().zip(earlier.buckets) {
            *now -= then;
        }
        grown.sum_ns -= earlier.sum_ns;
        grown
    }

    /// Whether at no bound more samples are at or below than in the other.
    pub fn nowhere_before(&self, other: &Histogram) -> bool {
        let (mut ours, mut theirs) = (0, 0);
        self.buckets.iter().zip(other.buckets).all(|(our, their)| {
            (ours, theirs) = (ours + our, theirs + their);
            ours <= theirs
        })
    }

    /// The buckets that hold any, by the exponent of their bound.
    pub fn filled(&self) -> Vec<(usize, u64)> {
        let all = self.buckets.iter().copied().enumerate();
        all.filter(|(_, count)| *count > 0).collect()
    }
}

/// The bucket (2^(b-1), 2^b] that holds it.
pub fn bucket_of(ns: u64) -> usize {
    ns.next_power_of_two().ilog2() as usize
}

fn ident(hook: &str) -> String {
    let name = Hook::find(hook).expect("a hook").name();
    name.replace('-', "_")
}

/// Our labels need no escapes.
fn split(labels: &str) -> Vec<(String, String)> {
    assert!(!labels.contains('\\'), "{labels}");
    let mut rest = labels;
    let mut pairs = Vec::new();
    while let Some((name, value)) = rest.split_once("=\"") {
        let (value, after) = value.split_once('"').expect("a closing quote");
        pairs.push((name.to_owned(), value.to_owned()));
        rest = after.strip_prefix(',').unwrap_or(after);
    }
    assert_eq!(rest, "", "{labels}");
    pairs
}

fn whole(value: &str) -> u64 {
    let number: f64 = value.parse().expect("a number");
    assert!(number >= 0.0 && number.fract() == 0.0, "{value}");
    number as u64
}
