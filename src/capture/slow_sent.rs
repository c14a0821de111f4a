// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Slow packets as the programs send them (`src/bpf/slow.bpf.h`).

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use crate::capture::slow_limits::Room;
use crate::model::hooks::{HOOK_COUNT, Hook};
use crate::model::owner_choice::COMM;
use crate::model::tables;

/// Of a note, see `src/bpf/stages.bpf.h`.
const TAG_SHIFT: u32 = tables::NOTE_TIME_BITS + tables::NOTE_HOOK_BITS;
const TIME_MASK: u64 = (1 << tables::NOTE_TIME_BITS) - 1;
const HOOK_MASK: usize = (1 << tables::NOTE_HOOK_BITS) - 1;

/// Slow packets that each CPU may send in a second, and bytes of the ring buffer.
pub(super) fn room(cpus: usize) -> Room {
    Room::for_cpus(cpus, size_of::<Sent>())
}

/// What the program sends: `struct netstacklat_slow_packet`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Sent {
    pub tstamp: u64,
    pub age: u64,
    mono: u64,
    way: [u64; tables::WAY_NOTES],
    hook: u32,
    pub cpu: u32,
    pub netns: u32,
    pub interface: u32,
    pub cgroup: u32,
    pub pid: u32,
    pub queue_length: u32,
    /// In readers: what the process calls itself.
    pub reader: [u8; COMM + 1],
    pub flow: Flow,
}

/// `struct packet_flow`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct Flow {
    family: u32,
    ports_known: u8,
    addresses_known: u8,
    pub local_port: u16,
    pub remote_port: u16,
    pub queue: u16,
    pub local: [u32; 4],
    pub remote: [u32; 4],
}

impl Sent {
    /// `None`: it is of another length, which cannot be.
    pub(super) fn read(bytes: &[u8]) -> Option<Sent> {
        debug_assert_eq!(bytes.len(), size_of::<Sent>());
        if bytes.len() != size_of::<Sent>() {
            return None;
        }
        // SAFETY: as many bytes are there, and all bits of the fields are numbers.
        Some(unsafe { bytes.as_ptr().cast::<Sent>().read_unaligned() })
    }

    /// Where it was slow.
    pub(super) fn hook(&self) -> Hook {
        Hook::at((self.hook as usize).min(HOOK_COUNT - 1))
    }

    /// The hooks that the packet passed before, with its ages there. A word of
    /// another packet has another tag.
    pub(super) fn passed(&self) -> Vec<(Hook, u64)> {
        let tag = self.tstamp.wrapping_mul(tables::SAMPLE_MULTIPLIER) << TAG_SHIFT;
        let own = self
            .way
            .iter()
            .filter(|note| (*note ^ tag) >> TAG_SHIFT == 0);
        let mut passed: Vec<(Hook, u64)> = own
            .filter_map(|note| {
                let hook = (note >> tables::NOTE_TIME_BITS) as usize & HOOK_MASK;
                let since = self.mono.wrapping_sub(*note) & TIME_MASK;
                let hook = (hook < HOOK_COUNT).then(|| Hook::at(hook))?;
                Some((hook, self.age.checked_sub(since)?))
            })
            .collect();
        // Of an earlier packet with this timestamp there may be notes that come later.
        passed.retain(|(hook, _)| self.hook().is_behind(*hook));
        passed.sort_unstable();
        passed
    }
}

impl Flow {
    /// An address with its port. `None`: they are not known.
    pub(super) fn end(&self, words: [u32; 4], port: u16) -> Option<SocketAddr> {
        if self.addresses_known == 0 {
            return None;
        }
        // In the network's byte order, as they are in memory.
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_ne_bytes()).collect();
        let address = Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?);
        let address = IpAddr::V6(address).to_canonical();
        Some(SocketAddr::new(address, port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TSTAMP: u64 = 1_795_256_223_123_456_789;

    fn note(tstamp: u64, hook: Hook, mono: u64) -> u64 {
        let tag = tstamp.wrapping_mul(tables::SAMPLE_MULTIPLIER) << TAG_SHIFT;
        tag | (hook.index() as u64) << tables::NOTE_TIME_BITS | (mono & TIME_MASK)
    }

    fn hook(name: &str) -> Hook {
        Hook::named(name).unwrap()
    }

    fn sent() -> Sent {
        // SAFETY: all bits zero are numbers.
        let mut sent: Sent = unsafe { std::mem::zeroed() };
        (sent.tstamp, sent.age) = (TSTAMP, 5000);
        // Just behind a wrap of the notes' 35 bits.
        sent.mono = (7 << tables::NOTE_TIME_BITS) + 1000;
        sent.hook = hook("udp-socket-read").index() as u32;
        sent
    }

    #[test]
    fn ages_come_from_the_notes_of_the_packet_only() {
        let mut sent = sent();
        sent.way[0] = note(TSTAMP, hook("ip-start"), sent.mono - 4900);
        sent.way[1] = note(TSTAMP, hook("udp-start"), sent.mono - 3000);
        sent.way[2] = note(TSTAMP + 1, hook("udp-queue-rcv"), sent.mono - 2000);
        let expected = [(hook("ip-start"), 100), (hook("udp-start"), 2000)];
        assert_eq!(sent.passed(), expected);
        // What is not on the way to this hook was another packet.
        sent.way[3] = note(TSTAMP, hook("tcp-start"), sent.mono - 10);
        assert_eq!(sent.passed(), expected);
    }

    #[test]
    fn ends_are_addresses_with_ports() {
        let mut flow = sent().flow;
        assert_eq!(flow.end(flow.local, 53), None);
        flow.addresses_known = 1;
        let mapped = "::ffff:192.0.2.1".parse::<Ipv6Addr>().unwrap().octets();
        let words = mapped.as_chunks::<4>().0;
        let words: Vec<u32> = words.iter().map(|word| u32::from_ne_bytes(*word)).collect();
        let words = <[u32; 4]>::try_from(words).unwrap();
        assert_eq!(flow.end(words, 53).unwrap().to_string(), "192.0.2.1:53");
    }
}
