// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Why a run of a program added no sample.

use std::ops::{AddAssign, Sub};

use crate::model::wire;

/// A reason, as declared in `src/bpf/netstacklat.h`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SkipReason(u8);

/// How many reasons there are.
pub const SKIP_COUNT: usize = wire::SKIPS.len();

impl SkipReason {
    /// The sample was longer than the histogram reaches.
    pub const OVER_RANGE: SkipReason = SkipReason(wire::SkipId::OVER_RANGE as u8);
    /// The stamp was a transmit time.
    pub const TX_TIMESTAMP: SkipReason = SkipReason(wire::SkipId::TX_TIMESTAMP as u8);
    /// The skb had no stamp.
    pub const NO_TIMESTAMP: SkipReason = SkipReason(wire::SkipId::NO_TIMESTAMP as u8);
    /// The wall clock was stepped, or may have been, since the stamp.
    pub const CLOCK_STEP: SkipReason = SkipReason(wire::SkipId::CLOCK_STEP as u8);

    /// All reasons.
    pub fn all() -> impl ExactSizeIterator<Item = SkipReason> {
        (0..SKIP_COUNT as u8).map(SkipReason)
    }

    /// The reason of a name.
    pub fn find(name: &str) -> Option<SkipReason> {
        SkipReason::all().find(|reason| reason.name() == name)
    }

    /// The reason's number in the BPF object.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }

    /// The name shown in every output.
    pub fn name(self) -> &'static str {
        wire::SKIPS[self.index()].0
    }

    /// Whether a packet that should have been measured was not. Otherwise
    /// there was none to measure: a peek, an empty read, a dropped packet.
    pub fn is_loss(self) -> bool {
        wire::SKIPS[self.index()].1
    }

    /// The reason in a few words.
    pub fn meaning(self) -> &'static str {
        wire::SKIPS[self.index()].2
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

    /// Packets that should have been measured and were not.
    pub fn lost(&self) -> u64 {
        self.iter()
            .filter(|(reason, _)| reason.is_loss())
            .map(|(_, count)| count)
            .sum()
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
