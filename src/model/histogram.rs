// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Log-linear latency histograms with right-inclusive buckets.
//!
//! Each power of two is divided into 2^g equal buckets `(lo, hi]` (an "H2"
//! histogram: <https://h2histogram.org>); below 2^g ns each bucket is 1 ns
//! wide. A bucket is at most 2^-g of its lower bound wide, so its middle is
//! within 2^-(g+1) of any sample in it: 3.125 % for g = 4. The BPF side
//! (`src/bpf/histogram/bucket.bpf.h`) computes the same index.

use crate::model::tables;

/// Samples above this are counted as `over-range`: 2^34 ns, 17.2 s.
pub const MAX_NS: u64 = 1 << tables::MAX_BITS;

/// How finely a power of two is divided: into 2^g buckets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resolution(u32);

impl Resolution {
    const MAX_SUB_BITS: u32 = 8;

    /// One bucket per power of two: what the object for ebpf_exporter records.
    pub const LOG2: Resolution = Resolution(0);
    /// 16 buckets per power of two: what the loader records.
    pub const FINE: Resolution = Resolution(tables::FINE_SUB_BITS);

    /// 2^`sub_bits` buckets per power of two; `None` beyond 2^8.
    pub fn new(sub_bits: u32) -> Option<Resolution> {
        (sub_bits <= Self::MAX_SUB_BITS).then_some(Resolution(sub_bits))
    }

    /// log2 of the number of buckets per power of two.
    pub fn sub_bits(self) -> u32 {
        self.0
    }

    /// Buckets per power of two.
    pub fn sub_buckets(self) -> u32 {
        1 << self.0
    }

    /// Buckets that cover (0, [`MAX_NS`]].
    pub fn buckets(self) -> usize {
        ((tables::MAX_BITS - self.0 + 1) << self.0) as usize
    }

    /// The bucket of a latency; `None` when it is over range. 0 ns, which only
    /// the lag between two CPUs' clocks produces, counts as 1 ns.
    pub fn index(self, ns: u64) -> Option<usize> {
        let below = ns.saturating_sub(1);
        if ns > MAX_NS {
            None
        } else if below < 1 << self.0 {
            Some(below as usize)
        } else {
            let shift = below.ilog2() - self.0;
            Some((u64::from(shift) << self.0) as usize + (below >> shift) as usize)
        }
    }

    /// The bounds `(lo, hi]` of a bucket, in ns.
    pub fn bounds(self, index: usize) -> (u64, u64) {
        let index = index as u64;
        let linear = 1 << self.0;
        if index < linear {
            return (index, index + 1);
        }
        let shift = (index >> self.0) - 1;
        let mantissa = (index & (linear - 1)) + linear;
        (mantissa << shift, (mantissa + 1) << shift)
    }
}

/// Counts by bucket, and the sum of the samples.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Histogram {
    resolution: Resolution,
    counts: Vec<u64>,
    sum_ns: u64,
}

/// A non-empty bucket `(lo_ns, hi_ns]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bucket {
    /// Exclusive lower bound, ns.
    pub lo_ns: u64,
    /// Inclusive upper bound, ns.
    pub hi_ns: u64,
    /// Samples in the bucket.
    pub count: u64,
}

impl Histogram {
    /// An empty histogram.
    pub fn new(resolution: Resolution) -> Histogram {
        Histogram {
            resolution,
            counts: vec![0; resolution.buckets()],
            sum_ns: 0,
        }
    }

    /// The resolution it was recorded with.
    pub fn resolution(&self) -> Resolution {
        self.resolution
    }

    /// Adds one CPU's slice: the buckets, then the sum.
    ///
    /// # Panics
    ///
    /// If the slice is shorter than the buckets and the sum.
    pub fn add_slice(&mut self, slice: impl IntoIterator<Item = u64>) {
        let mut slice = slice.into_iter();
        for (count, more) in self.counts.iter_mut().zip(slice.by_ref()) {
            *count += more;
        }
        let sum = slice
            .next()
            .expect("a slice holds every bucket, then the sum");
        self.sum_ns = self.sum_ns.wrapping_add(sum);
    }

    /// Adds by how much each bucket has grown since it was `seen`, and makes
    /// that what it is `now`. The samples added.
    pub fn add_growth(&mut self, now: impl IntoIterator<Item = u64>, seen: &mut [u64]) -> u64 {
        let mut samples = 0_u64;
        for ((count, seen), now) in self.counts.iter_mut().zip(seen).zip(now) {
            let growth = now.wrapping_sub(*seen);
            *count += growth;
            samples = samples.wrapping_add(growth);
            *seen = now;
        }
        samples
    }

    /// Adds one sample; `false` when it is over range.
    pub fn record(&mut self, ns: u64) -> bool {
        let Some(index) = self.resolution.index(ns) else {
            return false;
        };
        self.counts[index] += 1;
        self.sum_ns += ns;
        true
    }

    /// Adds another histogram of the same resolution.
    ///
    /// # Panics
    ///
    /// If the resolutions differ.
    pub fn merge(&mut self, other: &Histogram) {
        assert_eq!(self.resolution, other.resolution, "resolutions differ");
        for (mine, theirs) in self.counts.iter_mut().zip(&other.counts) {
            *mine += theirs;
        }
        self.sum_ns = self.sum_ns.wrapping_add(other.sum_ns);
    }

    /// Adds `count` samples to the bucket `(lo_ns, hi_ns]`; their sum is
    /// [`Histogram::add_sum`]'s to add. `None`: there is no such bucket, or
    /// its count would exceed 64 bits.
    #[must_use]
    pub fn add_bucket(&mut self, lo_ns: u64, hi_ns: u64, count: u64) -> Option<()> {
        let index = self.resolution.index(hi_ns)?;
        if self.resolution.bounds(index) != (lo_ns, hi_ns) {
            return None;
        }
        let bucket = &mut self.counts[index];
        *bucket = bucket.checked_add(count)?;
        Some(())
    }

    /// Adds to the sum, which wraps as those of slices do.
    pub fn add_sum(&mut self, ns: u64) {
        self.sum_ns = self.sum_ns.wrapping_add(ns);
    }

    /// What was added since `earlier`, of the same resolution.
    ///
    /// # Panics
    ///
    /// If the resolutions differ.
    #[must_use]
    pub fn since(&self, earlier: &Histogram) -> Histogram {
        assert_eq!(self.resolution, earlier.resolution, "resolutions differ");
        let counts = self.counts.iter().zip(&earlier.counts);
        Histogram {
            resolution: self.resolution,
            counts: counts
                .map(|(now, then)| now.saturating_sub(*then))
                .collect(),
            sum_ns: self.sum_ns.wrapping_sub(earlier.sum_ns),
        }
    }

    /// The same samples in one bucket per power of two.
    #[must_use]
    pub fn to_log2(&self) -> Histogram {
        let mut coarse = Histogram::new(Resolution::LOG2);
        for bucket in self.buckets() {
            let index = Resolution::LOG2
                .index(bucket.hi_ns)
                .expect("bounds are in range");
            coarse.counts[index] += bucket.count;
        }
        coarse.sum_ns = self.sum_ns;
        coarse
    }

    /// Samples recorded.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The same; `None`: more than 64 bits hold.
    pub fn checked_count(&self) -> Option<u64> {
        let mut counts = self.counts.iter();
        counts.try_fold(0, |sum: u64, &count| sum.checked_add(count))
    }

    /// Sum of the samples, ns.
    pub fn sum_ns(&self) -> u64 {
        self.sum_ns
    }

    /// Mean of the samples, ns; `None` without samples.
    pub fn mean_ns(&self) -> Option<u64> {
        self.sum_ns.checked_div(self.count())
    }

    /// The non-empty buckets, lowest first.
    pub fn buckets(&self) -> impl DoubleEndedIterator<Item = Bucket> {
        let filled = self.counts.iter().enumerate().filter(|(_, n)| **n > 0);
        filled.map(|(index, &count)| {
            let (lo_ns, hi_ns) = self.resolution.bounds(index);
            Bucket {
                lo_ns,
                hi_ns,
                count,
            }
        })
    }

    /// Upper bound of the highest non-empty bucket: no sample is above it.
    pub fn max_le_ns(&self) -> Option<u64> {
        self.buckets().next_back().map(|bucket| bucket.hi_ns)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn resolutions() -> impl Strategy<Value = Resolution> {
        (0..=Resolution::MAX_SUB_BITS).prop_map(|bits| Resolution::new(bits).unwrap())
    }

    /// Latencies of every magnitude, not only huge ones, powers of two and
    /// their neighbours included.
    fn latencies() -> impl Strategy<Value = u64> {
        prop_oneof![
            (any::<u64>(), 0u32..64).prop_map(|(bits, shift)| bits >> shift),
            (0u32..64, -2i64..=2)
                .prop_map(|(exponent, off)| { (1u64 << exponent).saturating_add_signed(off) }),
        ]
    }

    #[test]
    fn log2_bounds_are_powers_of_two() {
        // 2^b is the largest value of bucket b, as ebpf_exporter's exp2 reads.
        for exponent in 0..=34u32 {
            let le = 1u64 << exponent;
            assert_eq!(Resolution::LOG2.index(le), Some(exponent as usize));
            let above = Resolution::LOG2.index(le + 1);
            assert_eq!(above, (exponent < 34).then_some(exponent as usize + 1));
        }
        assert_eq!(Resolution::LOG2.buckets(), 35);
    }

    #[test]
    fn buckets_tile_the_range() {
        for bits in 0..=Resolution::MAX_SUB_BITS {
            let resolution = Resolution::new(bits).unwrap();
            let mut end = 0;
            for index in 0..resolution.buckets() {
                let (lo, hi) = resolution.bounds(index);
                assert_eq!(lo, end, "g = {bits}, bucket {index}");
                assert!(hi > lo);
                end = hi;
            }
            assert_eq!(end, MAX_NS);
        }
    }

    #[test]
    fn only_true_buckets_can_be_added_to() {
        let mut histogram = Histogram::new(Resolution::FINE);
        for (lo, hi) in [(16, 18), (17, 18), (4096, 4352)] {
            let added = histogram.add_bucket(lo, hi, 2);
            assert_eq!(added.is_some(), lo != 16, "({lo}, {hi}]");
        }
        for (lo, hi) in [(0, 0), (5, 4), (4096, 4353), (MAX_NS, MAX_NS + 1)] {
            assert_eq!(histogram.add_bucket(lo, hi, 1), None, "({lo}, {hi}]");
        }
        assert_eq!(histogram.add_bucket(17, 18, u64::MAX - 1), None);
        assert_eq!(histogram.count(), 4);
    }

    proptest! {
        #[test]
        fn a_sample_lies_within_its_bucket(ns in latencies(), res in resolutions()) {
            match res.index(ns) {
                None => prop_assert!(ns > MAX_NS),
                Some(index) => {
                    let (lo, hi) = res.bounds(index);
                    prop_assert!(lo < ns.max(1) && ns <= hi);
                }
            }
        }

        #[test]
        fn bounds_are_inclusive_above(index in 0usize..7000, res in resolutions()) {
            let index = index % res.buckets();
            let (lo, hi) = res.bounds(index);
            prop_assert_eq!(res.index(hi), Some(index));
            prop_assert_eq!(res.index(lo + 1), Some(index));
        }

        #[test]
        fn the_middle_is_within_half_a_bucket(ns in 1..=MAX_NS, res in resolutions()) {
            let (lo, hi) = res.bounds(res.index(ns).unwrap());
            // The width is at most 2^-g of any sample in the bucket, or 1 ns.
            prop_assert!(hi - lo == 1 || (hi - lo) << res.sub_bits() <= ns);
        }

        #[test]
        fn merging_and_subtracting_are_inverse(
            a in prop::collection::vec(0..=MAX_NS, 0..200),
            b in prop::collection::vec(0..=MAX_NS, 0..200),
            res in resolutions(),
        ) {
            let of = |samples: &[u64]| {
                let mut histogram = Histogram::new(res);
                samples.iter().for_each(|&ns| assert!(histogram.record(ns)));
                histogram
            };
            let (first, second) = (of(&a), of(&b));
            let mut both = first.clone();
            both.merge(&second);
            prop_assert_eq!(both.count(), (a.len() + b.len()) as u64);
            prop_assert_eq!(both.sum_ns(), a.iter().chain(&b).sum::<u64>());
            prop_assert_eq!(&both.since(&first), &second);
            prop_assert_eq!(both.to_log2().count(), both.count());
            prop_assert_eq!(both.max_le_ns().is_none(), a.is_empty() && b.is_empty());
        }

        #[test]
        fn coarse_buckets_hold_the_same_samples(
            samples in prop::collection::vec(0..=MAX_NS, 0..200),
        ) {
            let mut fine = Histogram::new(Resolution::FINE);
            let mut coarse = Histogram::new(Resolution::LOG2);
            for &ns in &samples {
                fine.record(ns);
                coarse.record(ns);
            }
            prop_assert_eq!(fine.to_log2(), coarse);
        }
    }
}
