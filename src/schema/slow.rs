// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The slowest packets of a report.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::hooks::Hook;
use crate::model::shares::{Shares, SharesByAge};
use crate::model::slow::{SlowPacket, SlowPackets};
use crate::schema::bounded::{List, Named};
use crate::schema::format::{MANY, Short, time_of_text, time_to_text};

/// The slowest packets of a report.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Slow")]
pub struct SlowFields {
    /// How many packets a report has at most (`--slowest`).
    #[serde(default)]
    pub limit: u32,
    /// Packets above the limit that were looked at.
    pub seen: u64,
    /// Packets above the limit that were not, because there were too many.
    pub not_looked_at: u64,
    /// The slowest of those that were, the slowest first.
    pub packets: List<SlowLine, MANY>,
    /// By hook, where the slowest hundredth of the packets there in the last minute spent its time, as far as they were looked at.
    #[serde(default)]
    pub shares: List<SharesFields, MANY>,
    /// How long readers of slow packets have waited for a CPU in this time, ns, by process. Without those that did not wait.
    #[serde(default)]
    pub cpu_waits_ns: Named<u64, MANY>,
}

/// Where the slowest hundredth of the packets at a hook spent its time.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Shares")]
pub struct SharesFields {
    /// The hook.
    pub hook: Short,
    /// Packets of which the way is known.
    pub packets: u64,
    /// Packets without notes.
    pub incomplete: u64,
    /// Of `packets`, those younger than 1 ms; or all, if the p99 of the hook in this time is below 1 ms. 0 with `--slower-than`. If more than half of them are, text names no part.
    #[serde(default)]
    pub quick: u64,
    /// The parts of the way.
    pub parts: List<PartFields, MANY>,
}

/// A part of the way.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Part")]
pub struct PartFields {
    /// The hook where it begins. Null: at the timestamp.
    pub from: Option<Short>,
    /// The hook where it ends.
    pub to: Short,
    /// The median over all these packets of the share of their age that they spent there, in percent.
    pub median_percent: u8,
    /// `[percent, packets]`: so many packets spent this share there, rounded down.
    pub packets: List<[u64; 2], MANY>,
}

/// A slow packet.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "SlowPacket")]
pub struct SlowLine {
    /// The hook at which it was slow.
    pub hook: Short,
    /// How old it was there, from its timestamp.
    pub age_ns: u64,
    /// Its timestamp: when it entered the stack.
    pub time: Short,
    /// The hooks that it passed before, in that order. Those that it did not pass are missing, and those of which the note was lost.
    pub passed: List<PassedFields, MANY>,
    /// The CPU that the hook ran on.
    pub cpu: u32,
    /// The receive queue of the interface, or null.
    pub rx_queue: Option<u32>,
    /// At reads, how many packets were left in the socket's queue. Else null.
    pub queue_length: Option<u32>,
    /// Where it came from: address and port (0: it has none). Null: not known, or hidden (`--redact`).
    pub remote: Option<Short>,
    /// Where it was sent to, in the same way.
    pub local: Option<Short>,
    /// Whose it is, as groups say it: interface, cgroup, process.
    pub owner: Named<Short, MANY>,
}

/// A hook that a slow packet passed.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Passed")]
pub struct PassedFields {
    /// Its name.
    pub hook: Short,
    /// How old the packet was there.
    pub age_ns: u64,
}

impl From<&SlowPackets> for SlowFields {
    fn from(slow: &SlowPackets) -> SlowFields {
        SlowFields {
            limit: u32::try_from(slow.most()).unwrap_or(u32::MAX),
            seen: slow.seen,
            not_looked_at: slow.not_looked_at,
            packets: slow.iter().map(SlowLine::from).collect(),
            shares: slow
                .shares
                .iter()
                .map(|(hook, shares)| SharesFields::of(*hook, &shares.slowest()))
                .collect(),
            cpu_waits_ns: slow
                .cpu_waits
                .iter()
                .map(|(process, ns)| (process.clone(), *ns))
                .collect(),
        }
    }
}

impl From<&SlowPacket> for SlowLine {
    fn from(packet: &SlowPacket) -> SlowLine {
        let end = |end: Option<SocketAddr>| end.map(|end| end.to_string().into());
        let owner = packet.owner.iter();
        SlowLine {
            hook: packet.hook.name().into(),
            age_ns: packet.age_ns,
            time: time_to_text(packet.time),
            passed: packet
                .passed
                .iter()
                .map(|(hook, age_ns)| PassedFields {
                    hook: hook.name().into(),
                    age_ns: *age_ns,
                })
                .collect(),
            cpu: packet.cpu,
            rx_queue: packet.rx_queue,
            queue_length: packet.queue_length,
            remote: end(packet.remote),
            local: end(packet.local),
            owner: owner
                .map(|(key, value)| (key.clone(), value.as_str().into()))
                .collect(),
        }
    }
}

impl SharesFields {
    fn of(hook: Hook, shares: &Shares) -> SharesFields {
        let parts = shares.parts().map(|(part, counts)| PartFields {
            from: part.0.map(|hook| hook.name().into()),
            to: part.1.name().into(),
            median_percent: shares.median(part),
            packets: counts
                .iter()
                .map(|(percent, count)| [(*percent).into(), *count])
                .collect(),
        });
        SharesFields {
            hook: hook.name().into(),
            packets: shares.packets,
            incomplete: shares.incomplete,
            quick: shares.quick,
            parts: parts.collect(),
        }
    }
}

/// The hook of a name that this version knows; otherwise `unknown` has it.
fn known(name: &Short, unknown: &mut Vec<String>) -> Option<Hook> {
    let found = Hook::named(&name.0);
    if found.is_none() {
        unknown.push(format!("hook {}", name.0));
    }
    found
}

impl SharesFields {
    fn checked(self, unknown: &mut Vec<String>) -> Result<Option<(Hook, Shares)>, String> {
        let Some(hook) = known(&self.hook, unknown) else {
            return Ok(None);
        };
        let mut parts = BTreeMap::new();
        for part in self.parts.0 {
            let from = match &part.from {
                None => None,
                Some(name) => match known(name, unknown) {
                    Some(hook) => Some(hook),
                    None => continue,
                },
            };
            let Some(to) = known(&part.to, unknown) else {
                continue;
            };
            let mut counts = BTreeMap::new();
            let mut sum: u64 = 0;
            for [percent, count] in part.packets.0 {
                let percent = u8::try_from(percent).ok().filter(|percent| *percent <= 100);
                let percent = percent.ok_or("shares: more than 100 percent")?;
                sum = sum.saturating_add(count);
                if counts.insert(percent, count).is_some() {
                    return Err(format!("shares: {percent} percent is there twice"));
                }
            }
            if sum > self.packets {
                return Err(format!(
                    "shares: {sum} packets of {} went there",
                    self.packets
                ));
            }
            if parts.insert((from, to), counts).is_some() {
                return Err("shares: a part is there twice".into());
            }
        }
        if self.quick > self.packets {
            return Err(format!(
                "shares: of {} packets, {} are quick",
                self.packets, self.quick
            ));
        }
        let shares = Shares::of(self.packets, self.incomplete, self.quick, parts);
        Ok(Some((hook, shares)))
    }
}

impl SlowFields {
    pub(super) fn checked(self, unknown: &mut Vec<String>) -> Result<SlowPackets, String> {
        let lines = self.packets.0;
        // Whatever a file says, reports are no longer than those of netstacklat.
        let limit = (self.limit as usize).clamp(lines.len(), MANY);
        let mut packets = Vec::new();
        for line in lines {
            packets.extend(line.checked(unknown)?);
        }
        let mut slow = SlowPackets::keeping(limit).with(packets);
        slow.seen = self.seen;
        slow.not_looked_at = self.not_looked_at;
        slow.cpu_waits = self.cpu_waits_ns.0;
        for line in self.shares.0 {
            let Some((hook, shares)) = line.checked(unknown)? else {
                continue;
            };
            let shares = SharesByAge::of(shares);
            if slow.shares.insert(hook, shares).is_some() {
                return Err(format!("shares: {hook} is there twice"));
            }
        }
        Ok(slow)
    }
}

impl SlowLine {
    fn checked(self, unknown: &mut Vec<String>) -> Result<Option<SlowPacket>, String> {
        let end = |text: Option<Short>| {
            let read = |text: Short| {
                let parsed = text.0.parse();
                parsed.map_err(|_| format!("slow packet: '{}' is no address", text.0))
            };
            text.map(read).transpose()
        };
        let Some(hook) = known(&self.hook, unknown) else {
            return Ok(None);
        };
        let passed = self.passed.0.iter();
        let passed = passed.filter_map(|at| Some((known(&at.hook, unknown)?, at.age_ns)));
        let passed = passed.collect();
        let owner = self.owner.0.into_iter();
        Ok(Some(SlowPacket {
            hook,
            age_ns: self.age_ns,
            time: time_of_text(&self.time)?,
            passed,
            cpu: self.cpu,
            rx_queue: self.rx_queue,
            queue_length: self.queue_length,
            remote: end(self.remote)?,
            local: end(self.local)?,
            owner: owner.map(|(key, value)| (key, value.0)).collect(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use serde_json::{Value, json};

    use super::*;
    use crate::model::slow::stages;

    fn hook(name: &str) -> Hook {
        Hook::named(name).unwrap()
    }

    /// So many packets, of which all are kept.
    fn slow(packets: usize) -> SlowPackets {
        let mut slow = SlowPackets::keeping(3);
        for age_ns in (1000..).take(packets) {
            let packet = SlowPacket {
                hook: hook("udp-socket-read"),
                age_ns,
                time: UNIX_EPOCH + Duration::from_nanos(1_795_256_223_123_456_789),
                passed: vec![(hook("ip-start"), 10), (hook("udp-start"), 30)],
                cpu: 3,
                rx_queue: Some(1),
                queue_length: Some(7),
                remote: Some("192.0.2.1:40000".parse().unwrap()),
                local: Some("[2001:db8::7]:53".parse().unwrap()),
                owner: vec![("interface".into(), "eth0".into())],
            };
            let shares = slow.shares.entry(packet.hook).or_default();
            shares.add(&stages(&packet.passed, (packet.hook, packet.age_ns)));
            slow.add(packet);
        }
        slow.not_looked_at = 5;
        slow.cpu_waits.insert("dns(7)".into(), 9);
        slow.trim(0);
        slow
    }

    fn written(slow: &SlowPackets) -> Value {
        serde_json::to_value(SlowFields::from(slow)).unwrap()
    }

    fn read(fields: Value) -> Result<(SlowPackets, Vec<String>), String> {
        let fields: SlowFields = serde_json::from_value(fields).map_err(|e| e.to_string())?;
        let mut unknown = Vec::new();
        Ok((fields.checked(&mut unknown)?, unknown))
    }

    /// Also that none was slow, and how many a report can have: sums of reports have as
    /// many.
    #[test]
    fn what_is_written_is_read() {
        for packets in 0..=3 {
            let slow = slow(packets);
            let (again, unknown) = read(written(&slow)).unwrap();
            assert!(again.is_on() && unknown.is_empty());
            assert_eq!(again.most(), 3);
            assert!(again.iter().eq(slow.iter()));
            assert_eq!((again.seen, again.not_looked_at), (packets as u64, 5));
            let slowest = |slow: &SlowPackets| -> Vec<_> {
                let shares = slow.shares.iter();
                shares.map(|(hook, all)| (*hook, all.slowest())).collect()
            };
            assert_eq!(slowest(&again), slowest(&slow));
            assert_eq!(again.cpu_waits, slow.cpu_waits);
            let mut sum = again.clone();
            sum.try_add(&again).unwrap();
            assert_eq!(sum.iter().count(), (2 * packets).min(3));
        }
    }

    /// Files of a newer version: what it does not know is left out, and named.
    #[test]
    fn hooks_of_another_version_are_left_out() {
        let mut fields = written(&slow(2));
        fields["packets"][0]["hook"] = json!("xdp-start");
        fields["packets"][1]["passed"][0]["hook"] = json!("tc-start");
        fields["shares"][0]["parts"][0]["to"] = json!("tc-end");
        let (again, unknown) = read(fields).unwrap();
        assert_eq!(unknown, ["hook xdp-start", "hook tc-start", "hook tc-end"]);
        let left: Vec<_> = again.iter().map(|packet| packet.passed.clone()).collect();
        assert_eq!(left, [vec![(hook("udp-start"), 30)]]);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |damage: &dyn Fn(&mut Value)| {
            let mut fields = written(&slow(2));
            damage(&mut fields);
            read(fields).expect_err("it is refused")
        };
        let twice = |list: &mut Value| {
            let first = list[0].clone();
            list.as_array_mut().unwrap().push(first);
        };
        type Damage<'a> = &'a dyn Fn(&mut Value);
        let cases: [(Damage, &str); 6] = [
            (
                &|it| twice(&mut it["shares"]),
                "udp-socket-read is there twice",
            ),
            (
                &|it| twice(&mut it["shares"][0]["parts"]),
                "a part is there twice",
            ),
            (
                &|it| twice(&mut it["shares"][0]["parts"][0]["packets"]),
                "is there twice",
            ),
            (
                &|it| it["shares"][0]["parts"][0]["packets"] = json!([[101, 1]]),
                "more than 100 percent",
            ),
            (
                &|it| it["shares"][0]["parts"][0]["packets"] = json!([[9, u64::MAX], [10, 2]]),
                "packets of 2 went there",
            ),
            (
                &|it| it["packets"][0]["local"] = json!("nowhere"),
                "'nowhere'",
            ),
        ];
        for (damage, words) in cases {
            let error = refused(damage);
            assert!(error.contains(words), "{error}");
        }
        // No file makes reports longer than netstacklat's.
        let mut fields = written(&slow(2));
        fields["limit"] = json!(4_000_000_000_u32);
        assert_eq!(read(fields).unwrap().0.most(), MANY);
    }
}
