// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Slow packets: two lines for each, which it was and where its time went.

use std::time::Duration;

use crate::model::shares::{Part, QUICK_NS};
use crate::model::slow::{SlowPacket, SlowPackets};
use crate::model::stage::Stage;
use crate::render::{Screen, units};

/// A part of the way with this share of the time or more is named.
const CLEAR_PERCENT: u8 = 50;

/// What happens in a part of the way.
fn meaning((from, to): Part) -> String {
    let stage = from.and_then(|from| Stage::between(from, to));
    stage.map_or_else(|| format!("the way before {to}"), Stage::meaning)
}

/// So many readers are named that waited for a CPU.
const READERS: usize = 3;

impl Screen {
    /// Adds where the slowest packets spent their time, and the packets, if they are to
    /// be shown.
    pub(super) fn slow(&self, page: &mut String, slow: &SlowPackets) {
        self.waits(page, slow);
        if !slow.is_on() {
            return;
        }
        let all = slow.seen.saturating_add(slow.not_looked_at);
        let shown = slow.iter().count() as u64;
        let mut text = match all {
            0 => "none".to_owned(),
            all => format!("the slowest {shown} of {all}"),
        };
        if slow.not_looked_at > 0 {
            text += &format!(
                "; {} were not looked at, and slower ones may be among them",
                slow.not_looked_at
            );
        }
        self.labelled(page, &self.dim("slow packets:"), &text);
        self.slow_packets(page, slow.iter());
    }

    /// Adds two lines for each packet: which it was, and its way.
    pub(super) fn slow_packets<'a>(
        &self,
        page: &mut String,
        packets: impl Iterator<Item = &'a SlowPacket>,
    ) {
        for packet in packets {
            self.flow(page, "  ", self.which(packet));
            self.flow(page, " ", self.way(packet));
        }
    }

    fn way(&self, packet: &SlowPacket) -> Vec<String> {
        let mut words = vec![self.dim("way:")];
        // Where nothing comes before, there is nothing to know.
        if packet.passed.is_empty() && packet.hook.after().is_some() {
            words.push("not known, the notes were lost".into());
            return words;
        }
        let stages = packet.stages();
        let mut way = stages
            .iter()
            .map(|(hook, time)| (hook, units::duration(*time)));
        if let Some((hook, time)) = way.next() {
            words.extend([hook.to_string(), time]);
        }
        for (hook, time) in way {
            words.extend(["->".into(), hook.to_string(), format!("+{time}")]);
        }
        words
    }

    /// One sentence for each hook: where the slowest hundredth of the packets spent
    /// its time. And how long readers waited for a CPU, which can be the reason.
    fn waits(&self, page: &mut String, slow: &SlowPackets) {
        for (hook, shares) in &slow.shares {
            let shares = shares.slowest();
            let notes = match shares.incomplete {
                0 => String::new(),
                lost => format!(", and {lost} without notes"),
            };
            let packets = units::count(shares.packets, "packet");
            let text = match shares.largest() {
                Some(_) if shares.are_quick() => format!(
                    "most of the slowest packets took less than {} ({packets}{notes})",
                    humantime::format_duration(Duration::from_nanos(QUICK_NS))
                ),
                Some((part, percent)) if percent >= CLEAR_PERCENT => format!(
                    "the slowest packets spent {percent} % of their time in: {} (median of \
                     {packets}{notes})",
                    meaning(part)
                ),
                Some(_) => format!(
                    "the slowest packets did not spend most of their time in one part of the way \
                     ({packets}{notes})"
                ),
                None => format!("where the slowest packets were is not known ({packets}{notes})"),
            };
            self.labelled(page, &self.bold(&format!("{hook}:")), &text);
        }
        let waits = slow.cpu_waits.iter();
        let mut waits: Vec<_> = waits.filter(|(_, ns)| **ns > 0).collect();
        waits.sort_by_key(|(_, ns)| std::cmp::Reverse(**ns));
        let waits: Vec<_> = waits
            .iter()
            .take(READERS)
            .map(|(process, ns)| format!("{process} {}", units::duration(**ns)))
            .collect();
        if !waits.is_empty() {
            self.labelled(
                page,
                &self.dim("readers that waited for a CPU:"),
                &waits.join(", "),
            );
        }
    }

    fn which(&self, packet: &SlowPacket) -> Vec<String> {
        let mut items = vec![
            self.bold(&units::duration(packet.age_ns)),
            packet.hook.name().to_owned(),
        ];
        if let (Some(remote), Some(local)) = (packet.remote, packet.local) {
            items.push(format!("{remote} -> {local}"));
        }
        let owner = packet.owner.iter();
        items.extend(owner.map(|(key, value)| format!("{key} {value}")));
        items.push(format!("CPU {}", packet.cpu));
        if let Some(queue) = packet.rx_queue {
            items.push(format!("RX queue {queue}"));
        }
        if let Some(left) = packet.queue_length {
            items.push(format!("{left} more in the socket's queue"));
        }
        items
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use crate::model::hooks::Hook;

    use super::*;
    use crate::model::slow::stages;
    use crate::test_support::*;

    fn packet() -> SlowPacket {
        SlowPacket {
            hook: hook("udp-socket-read"),
            age_ns: 1_500_000,
            time: UNIX_EPOCH,
            passed: vec![(hook("ip-start"), 1100), (hook("udp-start"), 4100)],
            cpu: 1,
            rx_queue: Some(0),
            queue_length: Some(12),
            remote: Some("192.0.2.1:40000".parse().unwrap()),
            local: Some("[2001:db8::7]:53".parse().unwrap()),
            owner: vec![
                ("interface".into(), "eth0".into()),
                ("process".into(), "dns(7)".into()),
            ],
        }
    }

    fn page(slow: &SlowPackets) -> String {
        let mut page = String::new();
        Screen::new(80, false).utc().slow(&mut page, slow);
        page
    }

    #[test]
    fn a_slow_packet_shows_its_way() {
        let mut slow = SlowPackets::keeping(10);
        slow.add(packet());
        let expected = "\
slow packets: the slowest 1 of 1
1.50ms  udp-socket-read  192.0.2.1:40000 -> [2001:db8::7]:53  interface eth0
  process dns(7)  CPU 1  RX queue 0  12 more in the socket's queue
way: ip-start 1.10us -> udp-start +3.00us -> udp-socket-read +1.50ms
";
        assert_eq!(page(&slow), expected);
    }

    #[test]
    fn one_sentence_says_where_the_slowest_were() {
        let mut slow = SlowPackets::keeping(10);
        let shares = slow.shares.entry(hook("udp-socket-read")).or_default();
        for _ in 0..3 {
            shares.add(&stages(&packet().passed, (packet().hook, packet().age_ns)));
        }
        shares.add(&[(hook("udp-socket-read"), 7)]);
        slow.cpu_waits.insert("dns(7)".into(), 2_000_000);
        slow.cpu_waits.insert("idle(8)".into(), 0);
        let expected = "\
udp-socket-read: the slowest packets spent 99 % of their time in: socket lookup;
  enqueuing; waiting for the reader (median of 3 packets, and 1 without notes)
readers that waited for a CPU: dns(7) 2.00ms
slow packets: none
";
        assert_eq!(page(&slow), expected);
    }

    #[test]
    fn packets_that_were_too_many_are_told() {
        assert_eq!(page(&SlowPackets::default()), "");
        let mut slow = SlowPackets::keeping(10);
        assert_eq!(page(&slow), "slow packets: none\n");
        slow.not_looked_at = 30;
        slow.seen = 12;
        let page = page(&slow);
        assert!(
            page.starts_with("slow packets: the slowest 0 of 42; 30 were not looked at, and"),
            "{page}"
        );
    }

    fn sentence(packets: &[&[(Hook, u64)]]) -> String {
        let mut slow = SlowPackets::keeping(10);
        let shares = slow.shares.entry(hook("udp-socket-read")).or_default();
        for packet in packets {
            shares.add(packet);
        }
        let mut page = String::new();
        Screen::new(200, false).utc().slow(&mut page, &slow);
        page.lines().next().expect("a line").into()
    }

    /// Without packets that are to be shown, the sentence stands alone.
    #[test]
    fn where_the_slowest_were_is_told_without_them() {
        let mut slow = SlowPackets::keeping(0);
        let read = hook("udp-socket-read");
        let shares = slow.shares.entry(read).or_default();
        shares.add(&[(hook("udp-start"), 10), (read, 90)]);
        slow.seen = 1;
        let page = page(&slow);
        assert!(
            page.starts_with("udp-socket-read: the slowest packets spent 90 % "),
            "{page}"
        );
        assert!(!page.contains("slow packets:"), "{page}");
    }

    /// Hooks that are off, or that packets did not pass, are in the part that is named.
    #[test]
    fn a_part_is_named_by_all_that_lies_in_it() {
        let (ip, enqueued) = (hook("ip-start"), hook("udp-socket-enqueued"));
        let read = hook("udp-socket-read");
        let line = sentence(&[&[(ip, 10), (enqueued, 900), (read, 90)]]);
        let meaning = Stage::between(ip, enqueued).unwrap().meaning();
        assert!(meaning.starts_with("netfilter, routing; "), "{meaning}");
        assert!(
            line.contains(&format!("90 % of their time in: {meaning} (")),
            "{line}"
        );
        let line = sentence(&[&[(ip, 900), (read, 100)]]);
        assert!(line.contains("in: the way before ip-start ("), "{line}");
    }

    #[test]
    fn no_part_is_named_that_has_less_than_half() {
        let (ip, start, read) = (hook("ip-start"), hook("udp-start"), hook("udp-socket-read"));
        let line = sentence(&[&[(ip, 300), (start, 300), (read, 400)]]);
        assert!(
            line.contains("did not spend most of their time in one part"),
            "{line}"
        );
        let line = sentence(&[&[(read, 400)]]);
        assert!(
            line.contains("not known (0 packets, and 1 without notes)"),
            "{line}"
        );
    }

    /// On a quiet host there is nothing to look for.
    #[test]
    fn no_part_is_named_of_packets_that_were_quick() {
        let mut slow = SlowPackets::keeping(0);
        let read = hook("udp-socket-read");
        let shares = slow.shares.entry(read).or_default();
        let stages = [(hook("udp-start"), 10), (read, 90)];
        shares.may_be_quick = true;
        shares.add(&stages);
        assert_eq!(
            page(&slow),
            "udp-socket-read: most of the slowest packets took less than 1ms (1 packet)\n"
        );
    }

    #[test]
    fn a_way_that_nobody_knows_is_not_made_up() {
        let mut slow = SlowPackets::keeping(10);
        slow.add(SlowPacket {
            passed: Vec::new(),
            ..packet()
        });
        assert!(page(&slow).ends_with("way: not known, the notes were lost\n"));
        let mut slow = SlowPackets::keeping(10);
        slow.add(SlowPacket {
            passed: Vec::new(),
            hook: hook("ip-start"),
            ..packet()
        });
        assert!(
            page(&slow).ends_with("way: ip-start 1.50ms\n"),
            "{}",
            page(&slow)
        );
    }
}
