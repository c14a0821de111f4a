// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! What the programs have counted, read out of memory that they go on writing
//! to. A report on a host with many CPUs is cheap because most of that memory
//! has not changed since the one before, and is not looked at again.
//!
//! `src/bpf/histogram/mmap.bpf.h` says in which order the programs write.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::model::counters::Counters;
use crate::model::histogram::{Histogram, Resolution};
use crate::model::hooks::{HOOK_COUNT, Hook};
use crate::model::skips::{SKIP_COUNT, SkipReason};

/// A histogram, of a hook or of a stage that ends there: a slice for each CPU.
pub(super) struct HistogramReader {
    /// Words before it in what a CPU has at the hook.
    offset: usize,
    slices: Vec<Slice>,
    /// All slices together, as last read.
    total: Histogram,
}

/// What is known of a slice.
#[derive(Clone, Default)]
pub(super) struct Slice {
    /// The sum of the latencies and the number of samples of 0 ns, as they were
    /// before the buckets were last read. A slice that nobody has written to has
    /// zeros everywhere, so that is where it begins.
    marks: [u64; 2],
    /// The marks had changed when the buckets were last read. They are read
    /// once more after a change: on arm64 other CPUs may see the adds in another
    /// order.
    unsettled: bool,
    /// The buckets, as last read; empty: there never was a sample.
    seen: Box<[u64]>,
}

impl HistogramReader {
    /// Nothing read yet, of so many CPUs.
    pub(super) fn new(resolution: Resolution, cpus: usize, offset: usize) -> HistogramReader {
        HistogramReader {
            offset,
            slices: vec![Slice::default(); cpus],
            total: Histogram::new(resolution),
        }
    }

    /// All samples that have been counted, those of slices that have not changed
    /// from memory. `words` are those of all CPUs.
    pub(super) fn read(&mut self, words: &[AtomicU64]) -> &Histogram {
        let stride = words.len() / self.slices.len().max(1);
        for (slice, words) in self.slices.iter_mut().zip(words.chunks_exact(stride)) {
            slice.read(&words[self.offset..], &mut self.total);
        }
        &self.total
    }
}

impl Slice {
    /// Adds to `total` what has come since the slice was last read: how many samples
    /// that is.
    pub(super) fn read(&mut self, words: &[AtomicU64], total: &mut Histogram) -> u64 {
        let buckets = total.resolution().buckets();
        let (words, rest) = words.split_at(buckets);
        // Before the buckets are read: whoever adds to a bucket later than that
        // also adds to one of these later than that.
        let marks = [&rest[0], &rest[1]].map(|word| word.load(Ordering::Acquire));
        let changed = marks != self.marks;
        if !changed && !self.unsettled {
            return 0;
        }
        if self.seen.is_empty() {
            self.seen = vec![0; buckets].into();
        }
        let now = words.iter().map(|word| word.load(Ordering::Relaxed));
        let samples = total.add_growth(now, &mut self.seen);
        total.add_sum(marks[0].wrapping_sub(self.marks[0]));
        self.marks = marks;
        self.unsettled = changed;
        samples
    }
}

/// The skip counters of all hooks: a block for each CPU.
pub(super) struct SkipReader {
    stride: usize,
    blocks: Vec<Block>,
    /// All blocks together, as last read.
    total: Vec<u64>,
}

#[derive(Clone, Default)]
struct Block {
    /// All counters of it together, as last read. They only grow, so when the
    /// sum is the same, all of them are.
    sum: u64,
    /// The counters, as last read; empty: there never was a skip.
    seen: Box<[u64]>,
}

const COUNTERS: usize = HOOK_COUNT * SKIP_COUNT;

impl SkipReader {
    /// Nothing read yet, of so many CPUs with so many words each.
    pub(super) fn new(cpus: usize, stride: usize) -> SkipReader {
        SkipReader {
            stride,
            blocks: vec![Block::default(); cpus],
            total: vec![0; COUNTERS],
        }
    }

    /// Adds all skips to `counters`.
    pub(super) fn read(&mut self, words: &[AtomicU64], counters: &mut Counters) {
        for (block, words) in self.blocks.iter_mut().zip(words.chunks_exact(self.stride)) {
            let now = words[..COUNTERS].iter();
            let now = now.map(|word| word.load(Ordering::Relaxed));
            if now.clone().fold(0, u64::wrapping_add) == block.sum {
                continue;
            }
            if block.seen.is_empty() {
                block.seen = vec![0; COUNTERS].into();
            }
            block.sum = 0;
            for ((total, seen), now) in self.total.iter_mut().zip(&mut block.seen).zip(now) {
                *total += now.wrapping_sub(*seen);
                *seen = now;
                block.sum = block.sum.wrapping_add(now);
            }
        }
        let reasons = Hook::all().flat_map(|hook| SkipReason::all().map(move |r| (hook, r)));
        for ((hook, reason), &count) in reasons.zip(&self.total) {
            if count > 0 {
                counters.hook_mut(hook).skips.add(reason, count);
            }
        }
    }
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
