// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Where slow packets spent their time: the share of each stage, packet by packet.

use std::collections::BTreeMap;

use crate::model::histogram::Histogram;
use crate::model::hooks::Hook;
use crate::model::quantile::{Beyond, Estimate, Quantile};

/// A part of a packet's way: from a hook, or from its timestamp, to a hook.
pub type Part = (Option<Hook>, Hook);

/// Packets below this age, 1 ms, are no reason to name a part of their way, unless the
/// user has said from which age on a packet is slow.
pub const QUICK_NS: u64 = 1_000_000;

/// For each part of the way, how many packets spent which share of their age in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shares {
    /// Packets of which the way is known.
    pub packets: u64,
    /// Packets without a note: nothing is known of where they were.
    pub incomplete: u64,
    /// Of `packets`, those that were too quick for anybody to look for a reason: see
    /// [`QUICK_NS`].
    pub quick: u64,
    /// Packets by their share in percent, rounded down.
    parts: BTreeMap<Part, BTreeMap<u8, u64>>,
}

impl Shares {
    /// As read from a file.
    pub fn of(
        packets: u64,
        incomplete: u64,
        quick: u64,
        parts: BTreeMap<Part, BTreeMap<u8, u64>>,
    ) -> Shares {
        Shares {
            packets,
            incomplete,
            quick,
            parts,
        }
    }

    /// Whether there was no packet.
    pub fn is_empty(&self) -> bool {
        self.packets == 0 && self.incomplete == 0
    }

    /// Adds a packet, by its times from hook to hook. If there is only one, of the
    /// whole way, its notes were lost.
    fn add(&mut self, stages: &[(Hook, u64)]) {
        if stages.len() < 2 {
            self.incomplete += 1;
            return;
        }
        self.packets += 1;
        let age: u64 = stages.iter().map(|(_, time)| time).sum();
        let mut from = None;
        for &(hook, time) in stages {
            let percent = time.saturating_mul(100) / age.max(1);
            let percent = u8::try_from(percent.min(100)).unwrap_or(100);
            let counts = self.parts.entry((from, hook)).or_default();
            *counts.entry(percent).or_default() += 1;
            from = Some(hook);
        }
    }

    /// Counts the packet that was added last as too quick, if its way is known.
    fn mark_quick(&mut self, stages: &[(Hook, u64)]) {
        self.quick += u64::from(stages.len() >= 2);
    }

    /// Whether more than half of the packets were too quick.
    pub fn are_quick(&self) -> bool {
        self.quick > self.packets / 2
    }

    /// The parts, with the packets that spent a share in percent there. Packets that
    /// are missing did not go that way.
    pub fn parts(&self) -> impl Iterator<Item = (Part, &BTreeMap<u8, u64>)> {
        self.parts.iter().map(|(part, counts)| (*part, counts))
    }

    /// The median over all packets of the share that a part has, in percent. Of a
    /// packet that did not go that way it is 0.
    pub fn median(&self, part: Part) -> u8 {
        let Some(counts) = self.parts.get(&part) else {
            return 0;
        };
        let add = |sum: u64, count: &u64| sum.saturating_add(*count);
        let there = counts.values().fold(0, add);
        let mut seen = self.packets.saturating_sub(there);
        let middle = self.packets.div_ceil(2);
        if seen >= middle {
            return 0;
        }
        for (percent, count) in counts {
            seen = add(seen, count);
            if seen >= middle {
                return *percent;
            }
        }
        100
    }

    /// The part with the largest median share; `None`: no packet is known.
    pub fn largest(&self) -> Option<(Part, u8)> {
        let parts = self.parts.keys().map(|part| (*part, self.median(*part)));
        parts.max_by_key(|(_, percent)| *percent)
    }

    /// What has come since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Shares) -> Shares {
        let parts = self.parts.iter().map(|(part, counts)| {
            let before = earlier.parts.get(part);
            let counts = counts.iter().map(|(percent, now)| {
                let then = before.and_then(|counts| counts.get(percent)).copied();
                (*percent, now.saturating_sub(then.unwrap_or(0)))
            });
            (*part, counts.filter(|(_, count)| *count > 0).collect())
        });
        let parts: BTreeMap<Part, BTreeMap<u8, u64>> = parts.collect();
        Shares {
            packets: self.packets.saturating_sub(earlier.packets),
            incomplete: self.incomplete.saturating_sub(earlier.incomplete),
            quick: self.quick.saturating_sub(earlier.quick),
            parts: parts
                .into_iter()
                .filter(|(_, counts)| !counts.is_empty())
                .collect(),
        }
    }

    /// Adds those of another span. `None`: more than 64 bits hold.
    #[must_use]
    pub fn try_add(&mut self, other: &Shares) -> Option<()> {
        self.packets = self.packets.checked_add(other.packets)?;
        self.incomplete = self.incomplete.checked_add(other.incomplete)?;
        self.quick = self.quick.checked_add(other.quick)?;
        for (part, counts) in &other.parts {
            let mine = self.parts.entry(*part).or_default();
            for (percent, count) in counts {
                let sum = mine.entry(*percent).or_default();
                *sum = sum.checked_add(*count)?;
            }
        }
        Some(())
    }
}

/// The same, apart by how old the packets were: what was among the slowest hundredth in
/// a quiet second is not when others come that are much slower.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SharesByAge {
    /// The ages of all packets that the hook has counted in this time. `None`: read from
    /// a file, which has the shares of the slowest only.
    pub counted: Option<Histogram>,
    /// Whether nothing is to be named if the p99 of these is below [`QUICK_NS`].
    pub may_be_quick: bool,
    /// By the logarithm to base 2 of the age in ns, rounded down.
    octaves: BTreeMap<u32, Shares>,
}

impl SharesByAge {
    /// As read from a file.
    pub fn of(slowest: Shares) -> SharesByAge {
        SharesByAge {
            octaves: [(0, slowest)].into(),
            ..SharesByAge::default()
        }
    }

    /// Whether there was no packet.
    pub fn is_empty(&self) -> bool {
        self.octaves.values().all(Shares::is_empty)
    }

    /// Adds a packet, by its times from hook to hook. If there is only one, of the
    /// whole way, its notes were lost.
    pub fn add(&mut self, stages: &[(Hook, u64)]) {
        let age: u64 = stages.iter().map(|(_, time)| time).sum();
        let shares = self.octaves.entry(age.max(1).ilog2()).or_default();
        shares.add(stages);
        if self.may_be_quick && age < QUICK_NS {
            shares.mark_quick(stages);
        }
    }

    /// Those of the packets that are as old as the p99 of all, or older; within a factor
    /// of two. If that is below [`QUICK_NS`], all of them count as quick.
    pub fn slowest(&self) -> Shares {
        let counted = self.counted.as_ref();
        let p99 =
            counted.and_then(
                |counted| match Quantile::P99.of(counted, Beyond::default())? {
                    Estimate::Ns(p99) => Some(p99),
                    Estimate::Unknown | Estimate::OverRange => Some(u64::MAX),
                },
            );
        let from = p99.map_or(0, |p99| p99.max(1).ilog2());
        // The p99 is the middle of a bucket, and may be older than all that were found.
        let found = self
            .octaves
            .iter()
            .rev()
            .find(|(_, shares)| !shares.is_empty());
        let from = from.min(found.map_or(0, |(octave, _)| *octave));
        let mut slowest = Shares::default();
        for (_, shares) in self.octaves.range(from..) {
            // Counters of one run: no sum is more than 64 bits hold.
            let _ = slowest.try_add(shares);
        }
        if self.may_be_quick && p99.is_some_and(|p99| p99 < QUICK_NS) {
            slowest.quick = slowest.packets;
        }
        slowest
    }

    /// What has come since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &SharesByAge) -> SharesByAge {
        let octaves = self.octaves.iter().map(|(octave, now)| {
            let then = earlier.octaves.get(octave);
            let since = then.map_or_else(|| now.clone(), |then| now.since(then));
            (*octave, since)
        });
        let counted = match (&self.counted, &earlier.counted) {
            (Some(now), Some(then)) => Some(now.since(then)),
            (now, _) => now.clone(),
        };
        SharesByAge {
            counted,
            may_be_quick: self.may_be_quick,
            octaves: octaves.filter(|(_, shares)| !shares.is_empty()).collect(),
        }
    }

    /// Adds those of another span. `None`: more than 64 bits hold.
    #[must_use]
    pub fn try_add(&mut self, other: &SharesByAge) -> Option<()> {
        match (&mut self.counted, &other.counted) {
            (Some(mine), Some(theirs)) => mine.merge(theirs),
            (mine @ None, Some(theirs)) if self.octaves.is_empty() => *mine = Some(theirs.clone()),
            // Of a part it is not known.
            (mine, _) => *mine = None,
        }
        self.may_be_quick |= other.may_be_quick;
        for (octave, shares) in &other.octaves {
            self.octaves.entry(*octave).or_default().try_add(shares)?;
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::histogram::Resolution;

    fn hook(name: &str) -> Hook {
        Hook::named(name).unwrap()
    }

    /// 100 ns to IP, and then so much in netfilter; the rest of 1000 ns is waiting.
    fn packet(netfilter: u64) -> [(Hook, u64); 3] {
        [
            (hook("ip-start"), 100),
            (hook("udp-start"), netfilter),
            (hook("udp-socket-read"), 900 - netfilter),
        ]
    }

    #[test]
    fn the_median_share_is_that_of_single_packets() {
        let mut shares = Shares::default();
        for netfilter in [800, 100, 100] {
            shares.add(&packet(netfilter));
        }
        let netfilter = (Some(hook("ip-start")), hook("udp-start"));
        let waiting = (Some(hook("udp-start")), hook("udp-socket-read"));
        assert_eq!(shares.median((None, hook("ip-start"))), 10);
        assert_eq!(shares.median(netfilter), 10);
        assert_eq!(shares.median(waiting), 80);
        assert_eq!(shares.largest(), Some((waiting, 80)));
        // Packets that went another way spent nothing there.
        for _ in 0..3 {
            shares.add(&[(hook("ip-start"), 100), (hook("udp-socket-read"), 900)]);
        }
        assert_eq!(shares.median(waiting), 0);
        assert_eq!(shares.packets, 6);
    }

    #[test]
    fn packets_without_notes_tell_nothing() {
        let mut shares = Shares::default();
        shares.add(&[(hook("udp-socket-read"), 1000)]);
        assert_eq!((shares.packets, shares.incomplete), (0, 1));
        assert_eq!(shares.largest(), None);
    }

    #[test]
    fn spans_add_up() {
        let mut all = Shares::default();
        all.add(&packet(800));
        let first = all.clone();
        all.add(&packet(100));
        let second = all.since(&first);
        let mut expected = Shares::default();
        expected.add(&packet(100));
        assert_eq!(second, expected);
        let mut sum = first;
        sum.try_add(&second).unwrap();
        assert_eq!(sum, all);
    }

    fn counted(ages: &[(u64, u64)]) -> Option<Histogram> {
        let mut histogram = Histogram::new(Resolution::FINE);
        for &(ns, count) in ages {
            (0..count).for_each(|_| assert!(histogram.record(ns)));
        }
        Some(histogram)
    }

    /// Those of a quiet second are not among the slowest hundredth of all when others
    /// come that waited long.
    #[test]
    fn the_slowest_of_a_quiet_second_make_way() {
        let (start, read) = (hook("udp-start"), hook("udp-socket-read"));
        let mut shares = SharesByAge {
            may_be_quick: true,
            ..SharesByAge::default()
        };
        for _ in 0..20 {
            shares.add(&[(start, 9_000), (read, 1_000)]);
        }
        shares.counted = counted(&[(1_000, 480), (10_000, 20)]);
        let quiet = shares.clone();
        assert_eq!((quiet.slowest().packets, quiet.slowest().quick), (20, 20));
        for _ in 0..11 {
            shares.add(&[(start, 1_000), (read, 400_000_000)]);
        }
        shares.counted = counted(&[(1_000, 969), (10_000, 20), (400_001_000, 11)]);
        let slowest = shares.slowest();
        assert_eq!((slowest.packets, slowest.quick), (11, 0));
        assert_eq!(slowest.largest(), Some(((Some(start), read), 99)));
        // Fewer than a hundredth are slow: the p99 is quick.
        shares.counted = counted(&[(1_000, 1969), (10_000, 20), (400_001_000, 11)]);
        let slowest = shares.slowest();
        assert_eq!((slowest.packets, slowest.quick), (31, 31));
        let mut sum = quiet.clone();
        sum.try_add(&shares.since(&quiet)).unwrap();
        assert_eq!(sum, shares);
        assert!(shares.since(&shares).is_empty());
        assert!(SharesByAge::default().slowest().is_empty());
    }

    /// So many packets are slow that only some of them are looked at: they are slow.
    #[test]
    fn few_of_many_slow_packets_are_not_quick() {
        let mut shares = SharesByAge {
            may_be_quick: true,
            ..SharesByAge::default()
        };
        for _ in 0..5 {
            shares.add(&[
                (hook("udp-start"), 1_000),
                (hook("udp-socket-read"), 50_000_000),
            ]);
        }
        shares.counted = counted(&[(50_001_000, 5000)]);
        assert_eq!((shares.slowest().packets, shares.slowest().quick), (5, 0));
        // Also if none of those was found that are as old as the p99.
        shares.counted = counted(&[(50_001_000, 4000), (500_001_000, 1000)]);
        assert_eq!((shares.slowest().packets, shares.slowest().quick), (5, 0));
    }

    #[test]
    fn packets_are_quick_if_most_of_them_are() {
        let mut shares = Shares::default();
        assert!(!shares.are_quick());
        for (is_quick, are_quick) in [(true, true), (false, false), (true, true)] {
            shares.add(&packet(800));
            if is_quick {
                shares.mark_quick(&packet(800));
            }
            assert_eq!(shares.are_quick(), are_quick, "{shares:?}");
        }
        // Of a packet without notes nothing is said anyway.
        let lost = [(hook("udp-socket-read"), 1000)];
        shares.add(&lost);
        shares.mark_quick(&lost);
        assert_eq!((shares.packets, shares.quick), (3, 2));
        let none = shares.since(&shares);
        assert_eq!(none.quick, 0);
    }
}
