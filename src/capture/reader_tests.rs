// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! A reader that skips what has not changed says what one would say that reads
//! everything, while others write.

use std::sync::atomic::AtomicBool;
use std::thread;

use proptest::prelude::*;

use super::*;
use crate::capture::layout::Layout;
use crate::model::hooks::HookSet;
use crate::model::tables;

const CPUS: usize = 3;
const FINE: Resolution = Resolution::FINE;
/// A slice behind another, as those of stages are.
const OFFSET: usize = tables::SLICE_ENTRIES;
const STRIDE: usize = 2 * tables::SLICE_ENTRIES;

/// The memory of one hook, and how programs write to it.
struct Memory(Vec<AtomicU64>);

impl Memory {
    fn new() -> Memory {
        Memory((0..CPUS * STRIDE).map(|_| AtomicU64::new(0)).collect())
    }

    fn word(&self, cpu: usize, index: usize) -> &AtomicU64 {
        &self.0[cpu * STRIDE + OFFSET + index]
    }

    /// The first half of what a program does, as in mmap.bpf.h.
    fn add_to_bucket(&self, cpu: usize, ns: u64) {
        let index = FINE.index(ns).unwrap();
        self.word(cpu, index).fetch_add(1, Ordering::SeqCst);
    }

    /// The second.
    fn add_to_marks(&self, cpu: usize, ns: u64) {
        let sum = FINE.buckets();
        if ns > 0 {
            self.word(cpu, sum).fetch_add(ns, Ordering::SeqCst);
        } else {
            self.word(cpu, sum + 1).fetch_add(1, Ordering::SeqCst);
        }
    }

    fn add(&self, cpu: usize, ns: u64) {
        self.add_to_bucket(cpu, ns);
        self.add_to_marks(cpu, ns);
    }

    fn reader(&self) -> HistogramReader {
        HistogramReader::new(FINE, CPUS, OFFSET)
    }
}

#[test]
fn a_sample_that_is_half_written_is_there_once_in_the_end() {
    for ns in [0, 5000] {
        let memory = Memory::new();
        let mut reader = memory.reader();
        memory.add(1, 700);
        memory.add_to_bucket(1, ns);
        // Read in between: it may be there, and its sum is not.
        let count = reader.read(&memory.0).count();
        assert!((1..=2).contains(&count));
        memory.add_to_marks(1, ns);
        for _ in 0..3 {
            let now = reader.read(&memory.0);
            assert_eq!((now.count(), now.sum_ns()), (2, 700 + ns), "{ns} ns");
        }
        // By itself, on a CPU where nothing else happens.
        memory.add_to_bucket(0, ns);
        reader.read(&memory.0);
        memory.add_to_marks(0, ns);
        assert_eq!(reader.read(&memory.0).count(), 3, "{ns} ns");
    }
}

/// Else there would be no point in it.
#[test]
fn what_has_not_changed_is_not_read_again() {
    let memory = Memory::new();
    let mut reader = memory.reader();
    let behind_its_back = || {
        memory.add_to_bucket(2, 9000);
        memory.add_to_bucket(0, 9000);
    };
    memory.add(2, 9000);
    reader.read(&memory.0);
    // Once more after the change, then no longer. CPU 0 had no sample at all.
    behind_its_back();
    assert_eq!(reader.read(&memory.0).count(), 2);
    behind_its_back();
    assert_eq!(reader.read(&memory.0).count(), 2);
    assert!(reader.slices[0].seen.is_empty());
}

#[test]
fn nothing_is_missed_while_others_write() {
    const SAMPLES: u64 = 200_000;
    let latency = |thread: u64, n: u64| match (thread + n) % 7 {
        // With pauses in which only samples of 0 ns come.
        0..=2 => 0,
        step => (n % 977) << step,
    };
    let memory = Memory::new();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        // Two on one CPU: a task, and the softirq that interrupts it.
        let writers = [0, 1, 1].into_iter().zip(0..).map(|(cpu, number)| {
            let memory = &memory;
            scope.spawn(move || {
                for n in 0..SAMPLES {
                    memory.add(cpu, latency(number, n));
                    if n % 5000 == 0 {
                        thread::yield_now();
                    }
                }
            })
        });
        let writers: Vec<_> = writers.collect();
        let reading = scope.spawn(|| {
            let (mut reader, mut before, mut reads) = (memory.reader(), 0, 0u64);
            while !done.load(Ordering::SeqCst) {
                let count = reader.read(&memory.0).count();
                assert!((before..=3 * SAMPLES).contains(&count));
                (before, reads) = (count, reads + 1);
            }
            // Nothing has changed since the writers' last samples, but what the
            // reader had not read yet.
            let last = reader.read(&memory.0);
            (last.clone(), reads)
        });
        for writer in writers {
            writer.join().unwrap();
        }
        done.store(true, Ordering::SeqCst);
        let (last, reads) = reading.join().unwrap();
        assert!(reads > 1, "the reader did not get to read");
        let mut expected = Histogram::new(FINE);
        for number in 0..3 {
            (0..SAMPLES).for_each(|n| assert!(expected.record(latency(number, n))));
        }
        assert_eq!(last, expected);
    });
}

proptest! {
    /// Any samples, with reads at any time in between.
    #[test]
    fn it_says_what_is_there(
        steps in prop::collection::vec(
            prop_oneof![
                (0..CPUS, prop_oneof![Just(0), 1u64..1 << 34]).prop_map(Some),
                Just(None),
            ],
            0..200,
        ),
    ) {
        let memory = Memory::new();
        let mut reader = memory.reader();
        let mut expected = Histogram::new(FINE);
        for step in steps {
            match step {
                Some((cpu, ns)) => {
                    memory.add(cpu, ns);
                    prop_assert!(expected.record(ns));
                }
                None => prop_assert_eq!(reader.read(&memory.0), &expected),
            }
        }
        prop_assert_eq!(reader.read(&memory.0), &expected);
    }

    #[test]
    fn skips_are_those_of_all_cpus(
        steps in prop::collection::vec(
            prop::option::of((0..CPUS, 0..COUNTERS)), 0..200),
    ) {
        let layout = Layout::new(CPUS);
        let words: Vec<_> = (0..layout.skip_entries()).map(|_| AtomicU64::new(0)).collect();
        let mut reader = SkipReader::new(CPUS, layout.skip_stride);
        let mut expected = vec![0; COUNTERS];
        for step in steps.into_iter().chain([None]) {
            if let Some((cpu, counter)) = step {
                words[cpu * layout.skip_stride + counter].fetch_add(1, Ordering::SeqCst);
                expected[counter] += 1;
                continue;
            }
            let mut counters = Counters::new(FINE, HookSet::ALL);
            reader.read(&words, &mut counters);
            let pairs = Hook::all().flat_map(|hook| SkipReason::all().map(move |r| (hook, r)));
            let found: Vec<u64> = pairs
                .map(|(hook, reason)| counters.hook(hook).skips.get(reason))
                .collect();
            prop_assert_eq!(&found, &expected);
        }
    }
}
