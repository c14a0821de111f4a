// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Each datagram is served once at each hook, by each of the exporters that
//! run.

use crate::lab::Family;
use crate::lab::exporter::{Exporter, Listen, config};
use crate::lab::udp::{Flow, exchange};

pub const UDP_HOOKS: [&str; 4] = [
    "udp-start",
    "udp-queue-rcv",
    "udp-socket-enqueued",
    "udp-socket-read",
];

#[test]
fn each_datagram_once_at_each_hook() {
    let exporter = [Exporter::start()];
    counted_by(&exporter);
    exporter.into_iter().for_each(Exporter::stop);
}

/// On ports, as operators run them.
#[test]
fn by_two_exporters_at_once() {
    let exporters =
        [9435, 9436].map(|port| Exporter::start_with(&config(), "netstacklat", Listen::Port(port)));
    counted_by(&exporters);
}

fn counted_by(exporters: &[Exporter]) {
    const N: u64 = 2000;
    let _stamping = Flow::open(Family::V4, 6200).with_stamps();
    exporters.iter().for_each(Exporter::measures);
    let before: Vec<_> = exporters
        .iter()
        .map(|exporter| (exporter.scrape(), exporter.missed_reads()))
        .collect();
    for family in Family::BOTH {
        exchange(&Flow::several(family, 6201..6205), N);
    }
    for (exporter, (before, missed_before)) in exporters.iter().zip(before) {
        let after = exporter.scrape();
        for hook in UDP_HOOKS {
            let new = after.histogram(hook).since(&before.histogram(hook));
            println!("{hook}: {:?}, sum {} ns", new.filled(), new.sum_ns);
            // Only reads run in tasks.
            let missed = match hook {
                "udp-socket-read" => exporter.missed_reads() - missed_before,
                _ => 0,
            };
            assert_eq!(new.count() + missed, 2 * N, "{hook}");
            assert_eq!(after.skipped(hook), before.skipped(hook), "{hook}");
            // What is in a bucket is at most its bound and above the one before.
            let most: u64 = new.filled().into_iter().map(|(b, n)| n << b).sum();
            assert!((most / 2..=most).contains(&new.sum_ns), "{hook}");
        }
    }
}
