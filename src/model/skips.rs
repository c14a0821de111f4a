// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Why a run of a program added no sample.

use std::ops::{AddAssign, Sub};

use crate::model::quantile::Beyond;
use crate::model::sampling::Sampling;
use crate::model::tables::{self, find_row};

/// A reason, as declared in `src/bpf/tables.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SkipReason(u8);

/// How many reasons there are.
pub const SKIP_COUNT: usize = tables::SKIPS.len();

impl SkipReason {
    /// The sample was longer than the histogram reaches.
    pub const OVER_RANGE: SkipReason = SkipReason(tables::SkipId::OVER_RANGE as u8);
    /// The timestamp was a transmit time.
    pub const TX_TIMESTAMP: SkipReason = SkipReason(tables::SkipId::TX_TIMESTAMP as u8);
    /// The skb had no timestamp.
    pub const NO_TIMESTAMP: SkipReason = SkipReason(tables::SkipId::NO_TIMESTAMP as u8);
    /// A late read, of unknown age.
    pub const COLLAPSED: SkipReason = SkipReason(tables::SkipId::COLLAPSED as u8);
    /// The wall clock was stepped, or may have been, since the timestamp.
    pub const CLOCK_STEP: SkipReason = SkipReason(tables::SkipId::CLOCK_STEP as u8);

    /// The user did not select the packet.
    pub const FILTERED: SkipReason = SkipReason(tables::SkipId::FILTERED as u8);

    /// The packet is not in the sample.
    pub const SAMPLED_OUT: SkipReason = SkipReason(tables::SkipId::SAMPLED_OUT as u8);

    /// All reasons.
    pub fn all() -> impl ExactSizeIterator<Item = SkipReason> {
        (0..SKIP_COUNT as u8).map(SkipReason)
    }

    /// The reason of a name, or of a former one.
    pub fn find(name: &str) -> Option<SkipReason> {
        let row = find_row(name, tables::SKIPS, |row| (row.name, row.aliases));
        row.map(|index| SkipReason(index as u8))
    }

    /// The reason's number in the BPF object.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The name shown in every output.
    pub fn name(self) -> &'static str {
        tables::SKIPS[self.index()].name
    }

    /// Whether a packet that should have been measured was not. Otherwise
    /// there was none to measure (a peek, an empty read, a dropped packet), or
    /// the user did not want it.
    pub fn is_loss(self) -> bool {
        tables::SKIPS[self.index()].lost
    }

    /// Whether only packets of the sample are counted under it: then so many stand
    /// for more. Others are found before it is asked which packets are measured.
    pub fn is_sampled(self) -> bool {
        tables::SAMPLED_SKIPS.contains(&self.index())
    }

    /// About how many packets so many stand for, where a sample is measured.
    pub fn estimate(self, count: u64, sampling: Sampling) -> u64 {
        if self.is_sampled() {
            sampling.scale(count)
        } else {
            count
        }
    }

    /// The reason in a few words.
    pub fn meaning(self) -> &'static str {
        tables::SKIPS[self.index()].meaning
    }
}

/// Counts by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Skips([u64; SKIP_COUNT]);

impl Skips {
    /// The count of one reason.
    pub fn get(&self, reason: SkipReason) -> u64 {
        self.0[reason.index()]
    }

    /// Adds to the count of one reason.
    pub fn add(&mut self, reason: SkipReason, count: u64) {
        self.0[reason.index()] += count;
    }

    /// Samples that are in no histogram, and have a rank all the same: those over range,
    /// and late ones of unknown age.
    pub fn beyond(&self) -> Beyond {
        Beyond {
            unknown: self.get(SkipReason::COLLAPSED),
            over_range: self.get(SkipReason::OVER_RANGE),
        }
    }

    /// Reasons that occurred, with their counts.
    pub fn iter(&self) -> impl Iterator<Item = (SkipReason, u64)> {
        SkipReason::all()
            .map(|reason| (reason, self.get(reason)))
            .filter(|&(_, count)| count > 0)
    }

    /// All skipped runs.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// The same; `None`: more than 64 bits hold.
    pub fn checked_total(&self) -> Option<u64> {
        let mut counts = self.0.iter();
        counts.try_fold(0, |sum: u64, &count| sum.checked_add(count))
    }

    /// Packets that should have been measured and were not: of a sample, about how
    /// many.
    pub fn lost(&self, sampling: Sampling) -> u64 {
        let lost = self.iter().filter(|(reason, _)| reason.is_loss());
        lost.map(|(reason, count)| reason.estimate(count, sampling))
            .fold(0, u64::saturating_add)
    }
}

impl AddAssign<&Skips> for Skips {
    fn add_assign(&mut self, other: &Skips) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

impl Sub for Skips {
    type Output = Skips;

    /// What was added since `earlier`; counters only grow.
    fn sub(mut self, earlier: Skips) -> Skips {
        for (mine, theirs) in self.0.iter_mut().zip(earlier.0) {
            *mine = mine.saturating_sub(theirs);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_name_means_two_reasons() {
        let mut names = BTreeSet::new();
        for row in tables::SKIPS {
            for name in std::iter::once(&row.name).chain(row.aliases) {
                assert!(names.insert(*name), "{name}");
            }
        }
    }

    /// What the user did not select is no loss, but a run all the same.
    #[test]
    fn what_is_filtered_is_not_lost() {
        let mut skips = Skips::default();
        let filtered = SkipReason::find("filtered").unwrap();
        skips.add(filtered, 7);
        skips.add(SkipReason::NO_TIMESTAMP, 2);
        assert_eq!((skips.lost(Sampling::ALL), skips.total()), (2, 9));
    }

    /// One packet in 16 that is over range stands for 16. What is found before it is
    /// asked which packets are measured is found of all.
    #[test]
    fn only_what_is_found_in_the_sample_stands_for_more() {
        let sampling = Sampling::new(16).unwrap();
        let mut skips = Skips::default();
        skips.add(SkipReason::OVER_RANGE, 2);
        skips.add(SkipReason::TX_TIMESTAMP, 3);
        skips.add(SkipReason::find("hol-blocked").unwrap(), 5);
        skips.add(SkipReason::NO_TIMESTAMP, 1);
        skips.add(SkipReason::SAMPLED_OUT, 1000);
        assert_eq!(skips.lost(sampling), (2 + 3) * 16 + 5 + 1);
        assert_eq!(skips.total(), 1011);
    }
}
