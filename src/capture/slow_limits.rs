// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Which slow packets are looked at, when there are more than can be: the slowest, as
//! far as the histograms of the last look tell. Pure.

use std::collections::{BTreeMap, VecDeque};

use crate::model::histogram::Histogram;
use crate::model::hooks::Hook;
use crate::model::quantile::{Beyond, Estimate, Quantile};

/// The p99 is that of so many looks: of a minute.
const WINDOW: usize = 60;

/// What may be sent from look to look.
pub(super) struct Room {
    /// Slow packets that each CPU may send.
    pub per_cpu: u64,
    /// Its size: a power of two.
    pub bytes: u32,
}

impl Room {
    /// For so many CPUs, and packets of so many bytes.
    pub(super) fn for_cpus(cpus: usize, packet_bytes: usize) -> Room {
        const PER_CPU: usize = 1024;
        // Those that it sends beyond: each is slower by a quarter than the one before.
        const BEYOND: usize = 64;
        const MOST: usize = 8 << 20;
        // The kernel puts a header before each.
        const HEADER: usize = 8;
        let packet_bytes = packet_bytes + HEADER;
        let cpus = cpus.max(1);
        let wanted = ((PER_CPU + BEYOND) * cpus * packet_bytes).next_power_of_two();
        let bytes = wanted.min(MOST);
        let of_cpu = bytes / packet_bytes / cpus;
        let per_cpu = of_cpu.saturating_sub(BEYOND).clamp(1, PER_CPU);
        Room {
            per_cpu: per_cpu as u64,
            bytes: bytes as u32,
        }
    }
}

/// What is known of a hook at which packets are slow.
pub(super) struct Limit {
    /// From which age on the user wants to see packets, ns.
    wanted: u64,
    /// From which age on they are looked at.
    pub from: u64,
    /// What the hook had counted at the last looks, oldest first.
    counted: VecDeque<Histogram>,
}

impl Limit {
    pub(super) fn new(wanted: u64) -> Limit {
        Limit {
            wanted,
            from: wanted,
            counted: VecDeque::new(),
        }
    }

    /// Whether the user has not said from which age on a packet is slow.
    pub(super) fn is_any(&self) -> bool {
        self.wanted == 0
    }

    /// Whether some slow packets are not looked at now.
    pub(super) fn is_raised(&self) -> bool {
        self.from > self.wanted
    }

    /// Packets that were slow since the last look, at most: with those of the bucket that
    /// the limit divides.
    fn slow_since(&self, now: &Histogram) -> u64 {
        let new = self.since(now);
        let slow = new.buckets().filter(|bucket| bucket.hi_ns > self.wanted);
        slow.map(|bucket| bucket.count).sum()
    }

    fn since(&self, now: &Histogram) -> Histogram {
        let then = self.counted.back();
        then.map_or_else(|| now.clone(), |then| now.since(then))
    }

    /// Takes what the hook has counted by now. So many packets can be looked at until
    /// the next time: if as many come as since the last one, they are the slowest.
    fn look(&mut self, now: &Histogram, room: u64) {
        let new = self.since(now);
        let mut above = 0;
        self.from = self.wanted;
        for bucket in new.buckets().rev() {
            above += bucket.count;
            if bucket.hi_ns <= self.wanted {
                break;
            }
            if above > room {
                // Of the last bucket that there is room for; at least the first.
                let lowest = if above == bucket.count {
                    bucket.lo_ns
                } else {
                    bucket.hi_ns
                };
                self.from = self.wanted.max(lowest + 1);
                break;
            }
        }
        if self.counted.len() > WINDOW {
            self.counted.pop_front();
        }
        self.counted.push_back(now.clone());
    }

    /// From which age on packets are among the slowest hundredth of the last minute: the
    /// lower bound of the bucket that holds its p99; or, where that bucket holds many
    /// more, its upper bound. `None`: there were too few.
    pub(super) fn slowest_hundredth(&self, now: &Histogram) -> Option<u64> {
        const MANY_MORE: u64 = 10;
        let oldest = self.counted.front();
        let oldest = oldest.filter(|_| self.counted.len() > WINDOW);
        let window = oldest.map_or_else(|| now.clone(), |oldest| now.since(oldest));
        let Estimate::Ns(p99) = Quantile::P99.of(&window, Beyond::default())? else {
            return None;
        };
        let (resolution, all) = (window.resolution(), window.count());
        let (lo, hi) = resolution.bounds(resolution.index(p99)?);
        let slowest = window.buckets().filter(|bucket| bucket.hi_ns > lo);
        let slowest: u64 = slowest.map(|bucket| bucket.count).sum();
        Some(if slowest * 100 > all * MANY_MORE {
            hi
        } else {
            lo
        })
    }

    /// Packets that were slow since the start, for certain: those of the bucket that
    /// the limit divides are not counted.
    pub(super) fn above(&self, now: &Histogram) -> u64 {
        let above = now.buckets().filter(|bucket| bucket.lo_ns >= self.wanted);
        above.map(|bucket| bucket.count).sum()
    }
}

/// Looks at all hooks. Together they may send so many packets: if fewer were slow, no
/// limit is raised; otherwise each has the same share.
pub(super) fn look(
    limits: &mut BTreeMap<Hook, Limit>,
    counted: &BTreeMap<Hook, Histogram>,
    room: u64,
) {
    let slow = limits
        .iter()
        .map(|(hook, limit)| limit.slow_since(&counted[hook]));
    let share = if slow.sum::<u64>() <= room {
        u64::MAX
    } else {
        room / limits.len().max(1) as u64
    };
    for (hook, limit) in limits {
        limit.look(&counted[hook], share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::histogram::Resolution;

    fn add(histogram: &mut Histogram, ns: u64, count: u64) {
        (0..count).for_each(|_| assert!(histogram.record(ns)));
    }

    #[test]
    fn the_slowest_are_looked_at() {
        let mut counted = Histogram::new(Resolution::FINE);
        let mut limit = Limit::new(0);
        add(&mut counted, 1000, 500);
        add(&mut counted, 50_000, 40);
        limit.look(&counted, 1000);
        assert_eq!((limit.from, limit.is_raised()), (0, false));
        assert_eq!(limit.above(&counted), 540);
        add(&mut counted, 1000, 500);
        add(&mut counted, 50_000, 40);
        limit.look(&counted, 100);
        // Those of 50 us and not those of 1 us.
        assert!((1001..=50_000).contains(&limit.from), "{}", limit.from);
        // The same comes again, and the limit stays where it is.
        let before = limit.from;
        add(&mut counted, 1000, 500);
        add(&mut counted, 50_000, 40);
        limit.look(&counted, 100);
        assert_eq!(limit.from, before);
        // When there are few, all are looked at.
        add(&mut counted, 1000, 5);
        limit.look(&counted, 100);
        assert!(!limit.is_raised());
    }

    #[test]
    fn a_bucket_too_full_is_looked_at_all_the_same() {
        let mut counted = Histogram::new(Resolution::FINE);
        let mut limit = Limit::new(0);
        add(&mut counted, 50_000, 1000);
        limit.look(&counted, 100);
        assert!(limit.is_raised() && limit.from <= 50_000, "{}", limit.from);
    }

    #[test]
    fn what_is_below_the_users_limit_does_not_matter() {
        let mut counted = Histogram::new(Resolution::FINE);
        let mut limit = Limit::new(1_000_000);
        add(&mut counted, 1000, 100_000);
        add(&mut counted, 5_000_000, 10);
        limit.look(&counted, 100);
        assert_eq!((limit.from, limit.above(&counted)), (1_000_000, 10));
    }

    #[test]
    fn the_slowest_hundredth_is_that_of_a_minute() {
        let mut counted = Histogram::new(Resolution::FINE);
        let mut limit = Limit::new(0);
        add(&mut counted, 1_000_000, 99);
        limit.look(&counted, 1000);
        assert_eq!(limit.slowest_hundredth(&counted), None);
        for _ in 0..=WINDOW + 1 {
            add(&mut counted, 1000, 10);
            limit.look(&counted, 1000);
        }
        // All of a minute are alike: none is slower than the others.
        assert_eq!(limit.slowest_hundredth(&counted).unwrap(), 1024);
        add(&mut counted, 1100, 2);
        let from = limit.slowest_hundredth(&counted).unwrap();
        assert!((1024..1100).contains(&from), "{from}");
    }

    /// A hook with many packets may have the room that another does not need.
    #[test]
    fn hooks_share_the_room() {
        let hooks = ["tcp-socket-read", "udp-socket-read"].map(|name| Hook::named(name).unwrap());
        let mut limits = BTreeMap::from(hooks.map(|hook| (hook, Limit::new(0))));
        let mut counted =
            BTreeMap::from(hooks.map(|hook| (hook, Histogram::new(Resolution::FINE))));
        add(counted.get_mut(&hooks[0]).unwrap(), 1000, 90);
        add(counted.get_mut(&hooks[1]).unwrap(), 1000, 10);
        super::look(&mut limits, &counted, 100);
        assert!(limits.values().all(|limit| !limit.is_raised()));
        add(counted.get_mut(&hooks[0]).unwrap(), 1000, 90);
        add(counted.get_mut(&hooks[1]).unwrap(), 1000, 11);
        super::look(&mut limits, &counted, 100);
        assert_eq!(hooks.map(|hook| limits[&hook].is_raised()), [true, false]);
    }

    #[test]
    fn there_is_room_for_all_cpus() {
        let two = Room::for_cpus(2, 168);
        assert_eq!((two.per_cpu, two.bytes), (1024, 1 << 19));
        let many = Room::for_cpus(256, 168);
        assert_eq!((many.per_cpu, many.bytes), (122, 8 << 20));
        // Each may send one at least.
        assert_eq!(Room::for_cpus(100_000, 168).per_cpu, 1);
    }
}
