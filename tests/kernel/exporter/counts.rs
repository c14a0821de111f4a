// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Each datagram is served once at each hook, by each of the exporters that
//! run.

use testlab::Family;
use testlab::exporter::{Exporter, Listen, config};
use testlab::hooks::{hooks_of, left_out};
use testlab::scrape::Histogram;
use testlab::udp::{Flow, exchange};

/// Datagrams, of both IP versions together.
const ALL: u64 = 4000;

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
    let [first, second] = counted_by(&exporters).try_into().expect("two");
    for (hook, (first, second)) in hooks_of("UDP")
        .into_iter()
        .zip(first.into_iter().zip(second))
    {
        // The kernel runs the program that was attached last first: by its
        // clock no packet is later than by the other's, if both have them all.
        if [&first, &second].map(Histogram::count) == [ALL; 2] {
            let (sum, least) = (first.sum_ns, second.sum_ns);
            assert!(sum >= least, "{hook}: {sum} ns, and {least} before");
            assert!(
                first.nowhere_before(&second),
                "{hook}: {first:?} {second:?}"
            );
        }
    }
}

/// Of each exporter, each hook's new samples.
fn counted_by(exporters: &[Exporter]) -> Vec<Vec<Histogram>> {
    let _stamping = Flow::open(Family::V4, 6200).with_stamps();
    exporters.iter().for_each(Exporter::measures);
    let before: Vec<_> = exporters
        .iter()
        .map(|exporter| (exporter.scrape(), exporter.missed_reads()))
        .collect();
    for family in Family::BOTH {
        exchange(&Flow::several(family, 6201..6205), ALL / 2);
    }
    let counted = exporters.iter().zip(before);
    let counted = counted.map(|(exporter, (before, missed_before))| {
        let after = exporter.scrape();
        let hooks = hooks_of("UDP").into_iter().map(|hook| {
            let name = hook.name();
            let new = after.histogram(name).since(&before.histogram(name));
            println!("{hook}: {:?}, sum {} ns", new.filled(), new.sum_ns);
            let missed = left_out(hook, exporter.missed_reads() - missed_before);
            assert_eq!(new.count() + missed, ALL, "{hook}");
            assert_eq!(after.skipped(name), before.skipped(name), "{hook}");
            // What is in a bucket is at most its bound and above the one before.
            let most: u64 = new.filled().into_iter().map(|(b, n)| n << b).sum();
            assert!((most / 2..=most).contains(&new.sum_ns), "{hook}");
            new
        });
        hooks.collect()
    });
    counted.collect()
}
