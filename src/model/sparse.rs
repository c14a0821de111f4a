// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A histogram's non-empty buckets: small enough to keep one for each hook and
//! period of a comparison.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::index;

use crate::model::histogram::{Histogram, MAX_NS, Resolution};
use crate::model::quantile::Quantile;

/// Non-empty buckets, and samples above them all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sparse {
    resolution: Resolution,
    /// Index and count, in their order.
    buckets: Box<[(u16, u64)]>,
    over_range: u64,
}

impl Sparse {
    /// Of a histogram, and so many samples over its range.
    pub fn new(histogram: &Histogram, over_range: u64) -> Sparse {
        let resolution = histogram.resolution();
        let buckets = histogram.buckets().map(|bucket| {
            let index = resolution.index(bucket.hi_ns).expect("it has the bucket");
            (u16::try_from(index).expect("below 2^13"), bucket.count)
        });
        Sparse {
            resolution,
            buckets: buckets.collect(),
            over_range,
        }
    }

    /// Samples, those over range too.
    pub fn count(&self) -> u64 {
        let counts = self.buckets.iter().map(|&(_, count)| count);
        counts.fold(self.over_range, u64::saturating_add)
    }

    /// The same without a sample.
    #[must_use]
    pub fn emptied(&self) -> Sparse {
        Sparse {
            resolution: self.resolution,
            buckets: Box::default(),
            over_range: 0,
        }
    }

    /// As [`Sparse::count`]; `None`: more than 64 bits hold.
    pub fn checked_count(&self) -> Option<u64> {
        let mut counts = self.buckets.iter().map(|&(_, count)| count);
        counts.try_fold(self.over_range, u64::checked_add)
    }

    /// Adds the samples of another one of the same resolution.
    pub fn merge(&mut self, other: &Sparse) {
        let mut sums: BTreeMap<u16, u64> = self.buckets.iter().copied().collect();
        for &(index, count) in &other.buckets {
            let sum = sums.entry(index).or_default();
            *sum = sum.saturating_add(count);
        }
        self.buckets = sums.into_iter().collect();
        self.over_range = self.over_range.saturating_add(other.over_range);
    }

    /// See [`Quantile::to_compare`].
    pub fn quantile(&self, quantile: Quantile) -> Option<f64> {
        let buckets = self.buckets.iter().map(|&(index, count)| {
            let (lo, hi) = self.resolution.bounds(index.into());
            (lo, hi, count)
        });
        quantile.of_buckets(buckets, self.count())
    }

    /// Samples above a bound, ns; it must be one of the resolution's.
    pub fn above(&self, bound_ns: u64) -> u64 {
        let above = self.buckets.iter().filter(|&&(index, _)| {
            let (lo, _) = self.resolution.bounds(index.into());
            lo >= bound_ns
        });
        above
            .map(|&(_, count)| count)
            .fold(self.over_range, u64::saturating_add)
    }

    /// Lower bounds of its buckets, ns, and their samples; those over range are
    /// above the largest bound.
    pub fn from_the_top(&self) -> impl Iterator<Item = (u64, u64)> {
        let over_range = (self.over_range > 0).then_some((MAX_NS, self.over_range));
        let buckets = self.buckets.iter().rev().map(|&(index, count)| {
            let (lo, _) = self.resolution.bounds(index.into());
            (lo, count)
        });
        over_range.into_iter().chain(buckets)
    }

    /// So many of its samples, drawn without replacement.
    #[must_use]
    pub fn thinned(&self, keep: u64, rng: &mut impl Rng) -> Sparse {
        let all = self.count();
        let (Ok(all), Ok(keep)) = (usize::try_from(all), usize::try_from(keep)) else {
            return self.clone();
        };
        if keep >= all {
            return self.clone();
        }
        let mut drawn = index::sample(rng, all, keep).into_vec();
        drawn.sort_unstable();
        let mut drawn = drawn.into_iter().peekable();
        let mut end = 0u64;
        let mut take = |count: u64| {
            end += count;
            let mut taken = 0;
            while drawn.next_if(|&place| (place as u64) < end).is_some() {
                taken += 1;
            }
            taken
        };
        let buckets: Vec<(u16, u64)> = self
            .buckets
            .iter()
            .map(|&(index, count)| (index, take(count)))
            .filter(|&(_, count)| count > 0)
            .collect();
        Sparse {
            resolution: self.resolution,
            buckets: buckets.into(),
            over_range: take(self.over_range),
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::Xoshiro256PlusPlus;

    use super::*;
    use crate::model::quantile::REPORTED;

    fn some() -> (Histogram, Sparse) {
        let mut histogram = Histogram::new(Resolution::FINE);
        for ns in 1..=4000u64 {
            assert!(histogram.record(ns));
        }
        let sparse = Sparse::new(&histogram, 40);
        (histogram, sparse)
    }

    #[test]
    fn it_says_what_the_histogram_says() {
        let (histogram, sparse) = some();
        assert_eq!(sparse.count(), 4040);
        for quantile in REPORTED {
            assert_eq!(
                sparse.quantile(quantile),
                quantile.to_compare(&histogram, 40)
            );
        }
        // 2048 is a bound: 1952 above it, and those over range.
        assert_eq!(sparse.above(2048), 1952 + 40);
        assert_eq!(sparse.above(1 << 34), 40);
    }

    #[test]
    fn it_is_added_up_as_the_histogram_is() {
        let (mut histogram, mut sparse) = some();
        let mut more = Histogram::new(Resolution::FINE);
        for ns in [3, 5000, 5000, 1 << 33] {
            assert!(more.record(ns));
        }
        sparse.merge(&Sparse::new(&more, 2));
        histogram.merge(&more);
        assert_eq!(sparse, Sparse::new(&histogram, 42));
        assert_eq!(sparse.checked_count(), Some(4004 + 42));
        assert_eq!(sparse.emptied().count(), 0);
    }

    #[test]
    fn thinning_keeps_as_many_and_the_shape() {
        let (_, sparse) = some();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
        let thinned = sparse.thinned(2020, &mut rng);
        assert_eq!(thinned.count(), 2020);
        // Hypergeometric: half of 1992 -+ 5 standard deviations of 16.
        assert!(thinned.above(2048).abs_diff(996) < 80);
        assert_eq!(sparse.thinned(5000, &mut rng), sparse);
        assert_eq!(sparse.thinned(0, &mut rng).count(), 0);
    }
}
