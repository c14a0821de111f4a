// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Quantiles of a histogram.

use crate::model::histogram::Histogram;

/// A quantile that reports show, in tenths of a percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quantile(u32);

/// The quantiles that reports show.
pub const REPORTED: [Quantile; 4] = [Quantile(500), Quantile(900), Quantile(990), Quantile(999)];

/// The number of samples above a quantile that a comparison needs.
const ABOVE_TO_COMPARE: u64 = 30;

/// The value of a quantile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Estimate {
    /// The middle of the bucket that holds the quantile, ns.
    Ns(u64),
    /// Among late samples of unknown age.
    Unknown,
    /// Above the histogram's range, 2^34 ns.
    OverRange,
}

/// Samples that are in no bucket of the histogram, and are taken for larger ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Beyond {
    /// Late ones of unknown age.
    pub unknown: u64,
    /// Those above the histogram's range.
    pub over_range: u64,
}

impl Beyond {
    /// Both together.
    pub fn total(self) -> u64 {
        self.unknown.saturating_add(self.over_range)
    }
}

impl Quantile {
    /// The median.
    pub const P50: Quantile = REPORTED[0];
    /// The 99th percentile.
    pub const P99: Quantile = REPORTED[2];
    /// The 99.9th percentile.
    pub const P999: Quantile = REPORTED[3];

    /// The name in every output: `p50`, `p99.9`.
    pub fn name(self) -> String {
        match self.0 % 10 {
            0 => format!("p{}", self.0 / 10),
            tenth => format!("p{}.{tenth}", self.0 / 10),
        }
    }

    /// Whether it could be another if so many of all samples, which are missing, were
    /// the largest.
    pub fn depends_on(self, missing: u64, all: u64) -> bool {
        let above = u128::from(1000 - self.0) * u128::from(all);
        missing > 0 && 1000 * u128::from(missing) >= above
    }

    /// The number of samples that quantile q needs to be shown: 1/(1-q).
    pub fn samples_to_show(self) -> u64 {
        1000u64.div_ceil(u64::from(1000 - self.0))
    }

    /// The quantile of the samples in `histogram` and of those beyond: the sample of
    /// rank ceil(q n), as the middle of its bucket. `None` if n < 1/(1-q).
    pub fn of(self, histogram: &Histogram, beyond: Beyond) -> Option<Estimate> {
        let n = histogram.count() + beyond.total();
        if n < self.samples_to_show() {
            return None;
        }
        let rank = (u128::from(n) * u128::from(self.0)).div_ceil(1000);
        let mut seen = 0u128;
        for bucket in histogram.buckets() {
            seen += u128::from(bucket.count);
            if seen >= rank {
                let half = (bucket.hi_ns - bucket.lo_ns).div_ceil(2);
                return Some(Estimate::Ns(bucket.lo_ns + half));
            }
        }
        if seen + u128::from(beyond.unknown) >= rank {
            Some(Estimate::Unknown)
        } else {
            Some(Estimate::OverRange)
        }
    }

    /// The number of samples that a comparison needs, if none is over range.
    pub fn samples_to_compare(self) -> u64 {
        (1000 * ABOVE_TO_COMPARE).div_ceil(u64::from(1000 - self.0))
    }

    /// The quantile for comparisons, in ns. The samples of its bucket are taken to lie
    /// evenly between the bounds, so a shift of less than a bucket is not lost. `None`
    /// if fewer than 30 samples are above it, or if it is one of those beyond.
    pub fn to_compare(self, histogram: &Histogram, beyond: u64) -> Option<f64> {
        let buckets = histogram
            .buckets()
            .map(|bucket| (bucket.lo_ns, bucket.hi_ns, bucket.count));
        self.of_buckets(buckets, histogram.count() + beyond)
    }

    /// The same from non-empty buckets `(lo, hi, count)`. `n` also counts the samples
    /// over range, which are in no bucket.
    pub(super) fn of_buckets(
        self,
        buckets: impl Iterator<Item = (u64, u64, u64)>,
        n: u64,
    ) -> Option<f64> {
        if n.checked_mul(u64::from(1000 - self.0))? < 1000 * ABOVE_TO_COMPARE {
            return None;
        }
        let rank = n as f64 * f64::from(self.0) / 1000.0;
        let mut seen = 0.0;
        for (lo, hi, count) in buckets {
            let count = count as f64;
            if seen + count >= rank {
                let width = (hi - lo) as f64;
                return Some(lo as f64 + width * (rank - seen) / count);
            }
            seen += count;
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::histogram::{MAX_NS, Resolution};

    #[test]
    fn too_few_samples_give_no_quantile() {
        let mut histogram = Histogram::new(Resolution::FINE);
        for n in 1..=1000u64 {
            histogram.record(1000);
            for (quantile, needed) in REPORTED.into_iter().zip([2, 10, 100, 1000]) {
                let estimate = quantile.of(&histogram, Beyond::default());
                assert_eq!(estimate.is_some(), n >= needed);
            }
        }
    }

    #[test]
    fn names() {
        let names = REPORTED.map(Quantile::name);
        assert_eq!(names, ["p50", "p90", "p99", "p99.9"]);
    }

    #[test]
    fn over_range_samples_have_the_highest_ranks() {
        let mut histogram = Histogram::new(Resolution::FINE);
        (0..95).for_each(|_| assert!(histogram.record(5)));
        let of = |place: usize, unknown, over_range| {
            let beyond = Beyond {
                unknown,
                over_range,
            };
            REPORTED[place].of(&histogram, beyond)
        };
        assert_eq!(of(1, 0, 5), Some(Estimate::Ns(5)));
        assert_eq!(of(2, 0, 5), Some(Estimate::OverRange));
        assert_eq!(of(2, 5, 0), Some(Estimate::Unknown));
        assert_eq!(of(2, 3, 2), Some(Estimate::OverRange));
        assert_eq!(of(0, 95, 2), Some(Estimate::Unknown));
    }

    #[test]
    fn a_compared_quantile_needs_thirty_samples_above_it() {
        let mut histogram = Histogram::new(Resolution::FINE);
        let p99 = REPORTED[2];
        (0..2999).for_each(|_| assert!(histogram.record(1000)));
        assert_eq!(p99.to_compare(&histogram, 0), None);
        // 1000 ns is in (992, 1024], and 2970 of 3000 lie 99 % up in it.
        assert!(histogram.record(1000));
        assert_eq!(p99.to_compare(&histogram, 0), Some(992.0 + 32.0 * 0.99));
        // Of 3500 with those over range, rank 3465 is one of them.
        assert_eq!(p99.to_compare(&histogram, 500), None);
    }

    proptest! {
        /// Against the definition: sort, and take the sample of rank ceil(qn).
        #[test]
        fn estimates_are_within_3_2_percent(
            bits in prop::collection::vec((1..=MAX_NS, 0u32..34), 1..2000),
        ) {
            let mut samples: Vec<u64> = bits.iter().map(|(v, s)| (v >> s).max(1)).collect();
            let mut histogram = Histogram::new(Resolution::FINE);
            samples.iter().for_each(|&ns| assert!(histogram.record(ns)));
            samples.sort_unstable();
            for (quantile, q) in REPORTED.into_iter().zip([0.5, 0.9, 0.99, 0.999]) {
                let Some(Estimate::Ns(estimate)) = quantile.of(&histogram, Beyond::default()) else { continue };
                let rank = (q * samples.len() as f64 - 1e-9).ceil() as usize;
                let exact = samples[rank - 1] as f64;
                let error = (estimate as f64 - exact).abs() / exact;
                prop_assert!(error <= 0.032, "{} for {exact}, off by {error}", estimate);
            }
        }
    }
}
