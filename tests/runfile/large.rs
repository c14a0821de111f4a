// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Files that are larger than memory should be.

use std::io::{self, BufReader, Read};
use std::path::Path;

use netstacklat::runfile::RunFile;

use super::{FIXTURE, hook, recording};

const GIB: u64 = 1 << 30;

/// The size of the file: a gibibyte in `make test-all`.
fn large() -> u64 {
    if testlab::at_full_length() {
        GIB
    } else {
        GIB / 8
    }
}

/// What one line, its typed form and the sums take, with room for the other
/// tests of this process.
const ROOM_KIB: u64 = 100 << 10;

/// A start line, and then intervals until there are `left` bytes: each as long
/// as one of ten busy hooks.
struct Recording {
    line: Vec<u8>,
    at: usize,
    seq: u64,
    left: u64,
}

impl Recording {
    fn new(length: u64) -> Recording {
        let start = FIXTURE.lines().next().unwrap();
        Recording {
            line: format!("{start}\n").into(),
            at: 0,
            seq: 0,
            left: length,
        }
    }

    fn next_line(&mut self) {
        self.seq += 1;
        let interval = FIXTURE.lines().nth(1).unwrap();
        let hook = &interval[interval.find("{\"hook\"").unwrap()..interval.len() - 2];
        let (tcp, _) = hook.split_once("},{\"hook\"").unwrap();
        // From 4096 ns up, 16 to a power of two.
        let bound = |i: u64| (4096 + 256 * (i % 16)) << (i / 16);
        let buckets = (0..100).map(|i| format!("[{},{},1]", bound(i), bound(i + 1)));
        let buckets: Vec<String> = buckets.collect();
        let names = ["ip-start", "tcp-start", "tcp-do-rcv", "udp-start"];
        let hooks = names.map(|name| {
            let full = tcp.replace("tcp-start", name).replace(
                "[[2944,3072,60],[4864,5120,40]]",
                &format!("[{}]", buckets.join(",")),
            );
            full + "}"
        });
        let head = &interval[..interval.find("{\"hook\"").unwrap()];
        let head = head.replace("\"seq\":1", &format!("\"seq\":{}", self.seq));
        self.line = format!("{head}{}]}}\n", hooks.join(",")).into();
        self.at = 0;
    }
}

impl Read for Recording {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.line.len() {
            if self.left < 1 << 16 {
                return Ok(0);
            }
            self.next_line();
        }
        let count = buffer.len().min(self.line.len() - self.at);
        buffer[..count].copy_from_slice(&self.line[self.at..self.at + count]);
        self.at += count;
        self.left -= count as u64;
        Ok(count)
    }
}

/// VmHWM: the most that this process has had in memory, KiB. The kernel adds up rough
/// counts of its threads, so it can be a little less than before.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix("VmHWM:"))
        .unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn many_intervals() {
    let before = peak_kib();
    let input = BufReader::with_capacity(1 << 16, Recording::new(large()));
    let file = RunFile::read_from(input, Path::new("large.nsl")).unwrap();
    let grown = peak_kib().saturating_sub(before);
    let totals = recording(&file);
    println!(
        "{} intervals, {grown} KiB more at the peak",
        totals.intervals
    );
    assert_eq!(file.problems, Vec::<String>::new());
    let count = totals.hook(hook("ip-start")).unwrap().histogram.count();
    assert!(totals.intervals > large() / 10_000);
    assert_eq!(count, 100 * totals.intervals);
    assert!(grown < ROOM_KIB, "{grown} KiB");
}

/// No newline in all of it, and no start line.
#[test]
fn a_gibibyte_of_something_else() {
    for byte in [b'[', b'{', b' ', 0] {
        let before = peak_kib();
        let input = BufReader::new(io::repeat(byte).take(GIB));
        let error = RunFile::read_from(input, Path::new("other")).unwrap_err();
        assert!(error.to_string().contains("not a run file"), "{error:#}");
        let grown = peak_kib().saturating_sub(before);
        assert!(grown < ROOM_KIB, "{grown} KiB");
    }
}
