// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The slowest packets of a report.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::hooks::Hook;
use crate::model::shares::Shares;
use crate::model::slow::{SlowPacket, SlowPackets};
use crate::schema::bounded::{List, Named};
use crate::schema::format::{MANY, Short, time_of_text, time_to_text};

/// The slowest packets of a report.
#[derive(Debug, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Slow")]
pub struct SlowFields {
    /// Packets above the limit that were looked at.
    pub seen: u64,
    /// Packets above the limit that were not, because there were too many.
    pub not_looked_at: u64,
    /// The slowest of those that were, the slowest first.
    pub packets: List<SlowLine, MANY>,
    /// By hook, where the slowest hundredth of all packets there spent its time, as far as they were looked at.
    #[serde(default)]
    pub shares: List<SharesFields, MANY>,
    /// How long readers of slow packets have waited for a CPU in this time, ns, by process.
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
            seen: slow.seen,
            not_looked_at: slow.not_looked_at,
            packets: slow.iter().map(SlowLine::from).collect(),
            shares: slow.shares.iter().map(SharesFields::from).collect(),
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

impl From<(&Hook, &Shares)> for SharesFields {
    fn from((hook, shares): (&Hook, &Shares)) -> SharesFields {
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
            parts: parts.collect(),
        }
    }
}

impl SharesFields {
    fn checked(self) -> Result<(Hook, Shares), String> {
        let hook = |name: &Short| {
            let found = Hook::named(&name.0);
            found.ok_or_else(|| format!("shares: no hook is called '{}'", name.0))
        };
        let mut parts = BTreeMap::new();
        for part in self.parts.0 {
            let from = part.from.as_ref().map(hook).transpose()?;
            let counts = part.packets.0.into_iter().map(|[percent, count]| {
                let percent = u8::try_from(percent).ok().filter(|percent| *percent <= 100);
                Ok((percent.ok_or("shares: more than 100 percent")?, count))
            });
            let counts = counts.collect::<Result<BTreeMap<u8, u64>, &str>>()?;
            if parts.insert((from, hook(&part.to)?), counts).is_some() {
                return Err("shares: a part is there twice".into());
            }
        }
        let shares = Shares::of(self.packets, self.incomplete, parts);
        Ok((hook(&self.hook)?, shares))
    }
}

impl SlowFields {
    pub(super) fn checked(self) -> Result<SlowPackets, String> {
        let packets = self.packets.0.into_iter().map(SlowLine::checked);
        let packets = packets.collect::<Result<_, _>>()?;
        let shares = self.shares.0.into_iter().map(SharesFields::checked);
        let mut slow = SlowPackets::of(packets, self.seen, self.not_looked_at);
        slow.shares = shares.collect::<Result<_, _>>()?;
        slow.cpu_waits = self.cpu_waits_ns.0;
        Ok(slow)
    }
}

impl SlowLine {
    fn checked(self) -> Result<SlowPacket, String> {
        let hook = |name: &Short| {
            let found = Hook::named(&name.0);
            found.ok_or_else(|| format!("slow packet: no hook is called '{}'", name.0))
        };
        let end = |text: Option<Short>| {
            let read = |text: Short| {
                let parsed = text.0.parse();
                parsed.map_err(|_| format!("slow packet: '{}' is no address", text.0))
            };
            text.map(read).transpose()
        };
        let passed = self.passed.0.iter();
        let owner = self.owner.0.into_iter();
        Ok(SlowPacket {
            hook: hook(&self.hook)?,
            age_ns: self.age_ns,
            time: time_of_text(&self.time)?,
            passed: passed
                .map(|passed| Ok((hook(&passed.hook)?, passed.age_ns)))
                .collect::<Result<_, String>>()?,
            cpu: self.cpu,
            rx_queue: self.rx_queue,
            queue_length: self.queue_length,
            remote: end(self.remote)?,
            local: end(self.local)?,
            owner: owner.map(|(key, value)| (key, value.0)).collect(),
        })
    }
}
