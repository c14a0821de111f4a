// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Which process reads from which socket, as the programs keep it
//! (`socket_readers.bpf.h`): what is known from /proc before they run.

use std::collections::BTreeMap;

use crate::model::tables;

/// Rows that there are.
pub(super) const ROWS: u32 = 1 << tables::READER_ROW_BITS;
const TAG_BITS: u32 = u64::BITS - tables::PID_BITS;

/// The rows in which there is somebody.
#[derive(Default)]
pub(super) struct SocketReaders(BTreeMap<u32, [u64; tables::READERS_IN_ROW]>);

impl SocketReaders {
    /// Notes the process of a socket; of several, the last. In a row that is full it
    /// takes the place of another, of which the process is not known until it reads.
    pub(super) fn note(&mut self, inode: u64, pid: u32) {
        let mixed = inode.wrapping_mul(tables::SAMPLE_MULTIPLIER);
        let tag = mixed << tables::PID_BITS;
        let row = (mixed >> TAG_BITS) as u32 & (ROWS - 1);
        let row = self.0.entry(row).or_default();
        let word = tag | u64::from(pid);
        let home = (mixed as usize) % tables::READERS_IN_ROW;
        let own = row
            .iter()
            .position(|other| *other != 0 && (other ^ tag) >> tables::PID_BITS == 0);
        let free = || row.iter().position(|other| *other == 0);
        let place = own
            .or((row[home] == 0).then_some(home))
            .or_else(free)
            .unwrap_or(home);
        row[place] = word;
    }

    /// The rows by their number, as they are in the map.
    pub(super) fn rows(self) -> impl Iterator<Item = (u32, Vec<u8>)> {
        self.0.into_iter().map(|(number, words)| {
            let bytes = words.into_iter().flat_map(u64::to_ne_bytes).collect();
            (number, bytes)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(readers: SocketReaders) -> Vec<(u32, Vec<u64>)> {
        let words = |bytes: &[u8]| {
            let (words, _) = bytes.as_chunks::<8>();
            words.iter().map(|word| u64::from_ne_bytes(*word)).collect()
        };
        readers
            .rows()
            .map(|(row, bytes)| (row, words(&bytes)))
            .collect()
    }

    /// Row and tag together say which socket it is: none is taken for another.
    #[test]
    fn each_socket_has_a_place_of_its_own() {
        let mut readers = SocketReaders::default();
        for inode in 1..=20_000 {
            readers.note(inode, 7);
        }
        let rows = words(readers);
        let places = rows.iter().flat_map(|(row, words)| {
            let used = words.iter().filter(|word| **word != 0);
            used.map(|word| (*row, word >> tables::PID_BITS))
        });
        let places: Vec<_> = places.collect();
        // Consecutive numbers are spread evenly: no row of eight is full.
        assert_eq!(places.len(), 20_000);
        let distinct: std::collections::BTreeSet<_> = places.iter().collect();
        assert_eq!(distinct.len(), places.len());
    }

    #[test]
    fn a_socket_has_its_last_reader() {
        let mut readers = SocketReaders::default();
        readers.note(4711, 100);
        readers.note(4711, 4_194_303);
        let rows = words(readers);
        assert_eq!(rows.len(), 1);
        let (_, words) = &rows[0];
        let used: Vec<_> = words.iter().filter(|word| **word != 0).collect();
        assert_eq!(used.len(), 1);
        assert_eq!(used[0] & ((1 << tables::PID_BITS) - 1), 4_194_303);
    }

    #[test]
    fn a_row_holds_eight() {
        let mut readers = SocketReaders::default();
        // Sockets whose numbers differ by 2^55 have the same row and tag, so take
        // such as have the same row.
        let row_of = |inode: u64| {
            let mut one = SocketReaders::default();
            one.note(inode, 1);
            words(one)[0].0
        };
        let same: Vec<u64> = (1..200_000)
            .filter(|inode| row_of(*inode) == row_of(1))
            .collect();
        assert!(same.len() > 8, "{}", same.len());
        for inode in same {
            readers.note(inode, 1);
        }
        let rows = words(readers);
        assert_eq!(rows.len(), 1);
        assert!(rows[0].1.iter().all(|word| *word != 0));
    }
}
