// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Slow packets in full: which they were, and when they passed each hook.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;
use std::time::{Duration, SystemTime};

use crate::model::hooks::Hook;
use crate::model::shares::SharesByAge;

/// From which age on a packet is slow: `1ms` at all reads, `udp-start:100us` at a
/// hook.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowLimit {
    /// `None`: at the hooks that packets reach last.
    pub hook: Option<Hook>,
    /// The age.
    pub age: Duration,
    /// As it was typed.
    text: String,
}

impl SlowLimit {
    /// Every packet is slow, at the hooks that packets reach last.
    pub fn any() -> SlowLimit {
        SlowLimit {
            hook: None,
            age: Duration::ZERO,
            text: "0s".into(),
        }
    }
}

impl FromStr for SlowLimit {
    type Err = String;

    /// # Errors
    ///
    /// Names the part that cannot be read, and says how it is written.
    fn from_str(text: &str) -> Result<SlowLimit, String> {
        let (hook, age) = match text.split_once(':') {
            Some((name, age)) => {
                let hook = Hook::named(name)
                    .ok_or_else(|| format!("no hook is called '{name}': -l lists them"))?;
                (Some(hook), age)
            }
            None => (None, text),
        };
        let age = humantime::parse_duration(age).map_err(|error| {
            format!("'{age}' is no time ({error}): write 1ms, or udp-socket-read:1ms")
        })?;
        Ok(SlowLimit {
            hook,
            age,
            text: text.into(),
        })
    }
}

impl fmt::Display for SlowLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A slow packet, and all that is known of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowPacket {
    /// The hook at which it was slow.
    pub hook: Hook,
    /// How old it was there, ns.
    pub age_ns: u64,
    /// Its timestamp: when it entered the stack.
    pub time: SystemTime,
    /// The hooks that it passed before, in that order, and how old it was there. Those
    /// that it did not pass are missing, and those of which the note was lost.
    pub passed: Vec<(Hook, u64)>,
    /// The CPU that the hook ran on.
    pub cpu: u32,
    /// The receive queue of the interface.
    pub rx_queue: Option<u32>,
    /// At reads: packets that were left in the socket's queue.
    pub queue_length: Option<u32>,
    /// Where it came from; port 0: it has none. `None`: not known, or hidden.
    pub remote: Option<SocketAddr>,
    /// Where it was sent to.
    pub local: Option<SocketAddr>,
    /// Whose it is: interface, cgroup, process.
    pub owner: Vec<(String, String)>,
}

impl SlowPacket {
    /// Its time in each stage, by the hook where the stage ends. The first one is the
    /// time from the timestamp.
    pub fn stages(&self) -> Vec<(Hook, u64)> {
        stages(&self.passed, (self.hook, self.age_ns))
    }
}

/// Times from hook to hook, from the ages at the hooks that were passed and at the
/// last one.
pub fn stages(passed: &[(Hook, u64)], last: (Hook, u64)) -> Vec<(Hook, u64)> {
    let mut before = 0;
    let ages = passed.iter().copied().chain([last]);
    ages.map(|(hook, age)| {
        let time = age.saturating_sub(before);
        before = age;
        (hook, time)
    })
    .collect()
}

/// The slowest packets of a span of time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlowPackets {
    /// So many are kept.
    most: usize,
    /// With their number since the start.
    packets: Vec<(u64, SlowPacket)>,
    /// Slow packets that were looked at.
    pub seen: u64,
    /// Slow packets that were not: there were too many.
    pub not_looked_at: u64,
    /// By hook, where the slowest hundredth of all packets there spent its time.
    pub shares: BTreeMap<Hook, SharesByAge>,
    /// How long readers of slow packets have waited for a CPU since the start, ns.
    pub cpu_waits: BTreeMap<String, u64>,
}

impl SlowPackets {
    /// Keeps so many.
    pub fn keeping(most: usize) -> SlowPackets {
        SlowPackets {
            most,
            ..SlowPackets::default()
        }
    }

    /// The same with packets that were read from a file.
    #[must_use]
    pub fn with(self, packets: Vec<SlowPacket>) -> SlowPackets {
        SlowPackets {
            packets: (0..).zip(packets).collect(),
            ..self
        }
    }

    /// Whether slow packets are shown.
    pub fn is_on(&self) -> bool {
        self.most > 0
    }

    /// How many are kept.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The packets, slowest first.
    pub fn iter(&self) -> impl Iterator<Item = &SlowPacket> {
        self.packets.iter().map(|(_, packet)| packet)
    }

    /// Adds a packet.
    pub fn add(&mut self, packet: SlowPacket) {
        self.seen += 1;
        self.packets.push((self.seen, packet));
    }

    /// Forgets all but the slowest since the start, and the slowest of those that
    /// came behind the first `earlier`.
    pub fn trim(&mut self, earlier: u64) {
        self.sort();
        let (mut overall, mut recent) = (0, 0);
        let most = self.most;
        self.packets.retain(|(number, _)| {
            overall += 1;
            recent += usize::from(*number > earlier);
            overall <= most || (*number > earlier && recent <= most)
        });
    }

    /// Forgets all packets, and not how many there were: a run begins now, and what
    /// came before is not among its slowest.
    pub fn begin(&mut self) {
        self.packets.clear();
    }

    /// Keeps the slowest of them, at most so many.
    pub fn keep(&mut self, most: usize) {
        self.most = self.most.min(most);
        self.sort();
        self.packets.truncate(self.most);
    }

    fn sort(&mut self) {
        self.packets
            .sort_by_key(|(number, packet)| (Reverse(packet.age_ns), *number));
    }

    /// What has come since `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &SlowPackets) -> SlowPackets {
        let packets = self.packets.iter();
        let new = packets.filter(|(number, _)| *number > earlier.seen);
        let shares = self.shares.iter().map(|(hook, now)| {
            let then = earlier.shares.get(hook);
            let since = then.map_or_else(|| now.clone(), |then| now.since(then));
            (*hook, since)
        });
        let shares = shares.filter(|(_, shares)| !shares.is_empty());
        let cpu_waits = self.cpu_waits.iter().map(|(process, now)| {
            let then = earlier.cpu_waits.get(process).copied().unwrap_or(0);
            (process.clone(), now.saturating_sub(then))
        });
        let mut found = SlowPackets {
            most: self.most,
            packets: new.cloned().collect(),
            seen: self.seen.saturating_sub(earlier.seen),
            not_looked_at: self.not_looked_at.saturating_sub(earlier.not_looked_at),
            shares: shares.collect(),
            cpu_waits: cpu_waits.filter(|(_, ns)| *ns > 0).collect(),
        };
        found.sort();
        found.packets.truncate(found.most);
        found
    }

    /// Adds those of another span. `None`: more than 64 bits hold.
    #[must_use]
    pub fn try_add(&mut self, other: &SlowPackets) -> Option<()> {
        self.most = self.most.max(other.most);
        self.seen = self.seen.checked_add(other.seen)?;
        self.not_looked_at = self.not_looked_at.checked_add(other.not_looked_at)?;
        for (hook, theirs) in &other.shares {
            self.shares.entry(*hook).or_default().try_add(theirs)?;
        }
        for (process, ns) in &other.cpu_waits {
            let sum = self.cpu_waits.entry(process.clone()).or_default();
            *sum = sum.checked_add(*ns)?;
        }
        self.packets.extend(other.packets.iter().cloned());
        self.sort();
        self.packets.truncate(self.most);
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn hook(name: &str) -> Hook {
        Hook::named(name).unwrap()
    }

    fn packet(age_ns: u64) -> SlowPacket {
        SlowPacket {
            hook: hook("udp-socket-read"),
            age_ns,
            time: UNIX_EPOCH,
            passed: vec![(hook("ip-start"), 10), (hook("udp-start"), 30)],
            cpu: 0,
            rx_queue: None,
            queue_length: None,
            remote: None,
            local: None,
            owner: Vec::new(),
        }
    }

    fn ages(packets: &SlowPackets) -> Vec<u64> {
        packets.iter().map(|packet| packet.age_ns).collect()
    }

    #[test]
    fn limits_are_written_with_or_without_a_hook() {
        let limit: SlowLimit = "udp-start:100us".parse().unwrap();
        assert_eq!(limit.hook, Some(hook("udp-start")));
        assert_eq!(limit.age, Duration::from_micros(100));
        assert_eq!(limit.to_string(), "udp-start:100us");
        assert_eq!("1ms".parse::<SlowLimit>().unwrap().hook, None);
        let refused = |text: &str| text.parse::<SlowLimit>().unwrap_err();
        assert!(refused("no-such:1ms").contains("'no-such'"));
        assert!(refused("udp-start:fast").contains("'fast'"));
        assert!(refused("").contains("write 1ms"));
    }

    #[test]
    fn stages_are_differences_of_one_packet() {
        let stages = packet(1000).stages();
        let expected = [
            ("ip-start", 10),
            ("udp-start", 20),
            ("udp-socket-read", 970),
        ];
        assert_eq!(stages, expected.map(|(name, ns)| (hook(name), ns)));
    }

    /// Packets from before the first report do not take the place of later ones; and a
    /// span without packets has no shares.
    #[test]
    fn what_came_before_the_beginning_is_in_no_report() {
        let mut all = SlowPackets::keeping(2);
        for age in [90, 80] {
            all.add(packet(age));
        }
        let shares = all.shares.entry(hook("udp-socket-read")).or_default();
        shares.add(&packet(90).stages());
        all.trim(0);
        all.begin();
        let begun = all.clone();
        for age in [5, 7, 6] {
            all.add(packet(age));
        }
        all.trim(begun.seen);
        let total = all.since(&begun);
        assert_eq!((ages(&total), total.seen), (vec![7, 6], 3));
        assert!(total.shares.is_empty());
    }

    /// The slowest of the last interval, and of all, whichever came when.
    #[test]
    fn intervals_and_the_total_have_their_slowest() {
        let mut all = SlowPackets::keeping(2);
        for age in [5, 9, 7, 1] {
            all.add(packet(age));
        }
        all.trim(0);
        let first = all.clone();
        assert_eq!((ages(&first), first.seen), (vec![9, 7], 4));
        for age in [3, 2, 8, 4] {
            all.add(packet(age));
        }
        all.not_looked_at = 6;
        all.trim(first.seen);
        let second = all.since(&first);
        assert_eq!((ages(&second), second.seen), (vec![8, 4], 4));
        assert_eq!(second.not_looked_at, 6);
        let total = all.since(&SlowPackets::keeping(2));
        assert_eq!((ages(&total), total.seen), (vec![9, 8], 8));
        let mut sum = first.since(&SlowPackets::keeping(2));
        sum.try_add(&second).unwrap();
        assert_eq!((ages(&sum), sum.seen), (vec![9, 8], 8));
    }
}
