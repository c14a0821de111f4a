// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Where the counters are in the BPF maps. Pure arithmetic.

use crate::model::hooks::HOOK_COUNT;
use crate::model::skips::SKIP_COUNT;
use crate::model::tables;

/// u64 values in a cache line: slices of different CPUs share none.
const LINE: usize = 8;

/// Where things are in the maps: one slice per possible CPU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// Slices in each map.
    pub cpus: usize,
    /// Entries from one CPU's slice of a histogram to the next.
    pub histogram_stride: usize,
    /// Entries from one CPU's slice of the skip counters to the next.
    pub skip_stride: usize,
}

impl Layout {
    /// The layout for `cpus` possible CPUs.
    pub fn new(cpus: usize) -> Layout {
        Layout {
            cpus,
            histogram_stride: tables::SLICE_ENTRIES,
            skip_stride: (HOOK_COUNT * SKIP_COUNT).next_multiple_of(LINE),
        }
    }

    /// Entries of one histogram map.
    pub fn histogram_entries(&self) -> usize {
        self.cpus * self.histogram_stride
    }

    /// Entries of the map of skip counters.
    pub fn skip_entries(&self) -> usize {
        self.cpus * self.skip_stride
    }
}
