// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Which share of the packets is measured (`--sample`), and what a count of these
//! stands for.

use std::fmt;
use std::str::FromStr;

use crate::model::tables;

/// Measures one packet in so many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    one_in: u32,
}

impl Default for Sampling {
    fn default() -> Sampling {
        Sampling::ALL
    }
}

impl Sampling {
    /// Every packet.
    pub const ALL: Sampling = Sampling { one_in: 1 };

    /// One packet in `one_in`; `None`: there is no such share.
    pub fn new(one_in: u32) -> Option<Sampling> {
        let valid = 1..=tables::MAX_SAMPLE_ONE_IN;
        valid.contains(&one_in).then_some(Sampling { one_in })
    }

    /// As an option of the command line: `with --sample 1/16`.
    pub fn option(self) -> String {
        if self.is_on() {
            format!("with --sample {self}")
        } else {
            "without --sample".into()
        }
    }

    /// In how many packets one is measured.
    pub fn one_in(self) -> u32 {
        self.one_in
    }

    /// Whether packets are left out.
    pub fn is_on(self) -> bool {
        self != Sampling::ALL
    }

    /// What the BPF programs compare a hash with: packets whose hash is below are
    /// measured. 0: all of them.
    pub fn hash_limit(self) -> u64 {
        if self.is_on() {
            // 2^64 / N, rounded up: N is 2 or more.
            u64::MAX / u64::from(self.one_in) + 1
        } else {
            0
        }
    }

    /// How many packets so many measured ones stand for.
    pub fn scale(self, count: u64) -> u64 {
        count.saturating_mul(self.one_in.into())
    }
}

/// As users write it.
impl fmt::Display for Sampling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "1/{}", self.one_in)
    }
}

impl FromStr for Sampling {
    type Err = String;

    /// Reads a share that leaves packets out: `1/16`.
    ///
    /// # Errors
    ///
    /// Says how a share is written.
    fn from_str(text: &str) -> Result<Sampling, String> {
        let most = tables::MAX_SAMPLE_ONE_IN;
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
        let how = || format!("write 1/N, with N from 2 to {most}: 1/16 measures one packet in 16");
        let (one, many) = text.split_once('/').ok_or_else(how)?;
        if !digits(one) || !digits(many) {
            return Err(how());
        }
        if one != "1" {
            return Err(format!("the share must be 1 in N: {}", how()));
        }
        match many.parse() {
            Ok(1) => Err("1/1 is every packet: leave --sample out".into()),
            Ok(one_in) if one_in >= 2 => Sampling::new(one_in).ok_or_else(how),
            _ => Err(how()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_read_as_documented() {
        for (text, one_in) in [
            ("1/2", 2),
            ("1/16", 16),
            ("1/1000", 1000),
            ("1/65536", 65536),
        ] {
            let sampling: Sampling = text.parse().unwrap();
            assert_eq!(sampling.one_in(), one_in);
            assert_eq!(sampling.to_string(), text);
        }
        for bad in [
            "",
            "x",
            "0",
            "16",
            "1/",
            "/2",
            "1/0",
            "1/65537",
            "2/3",
            "1/x",
            "1/-2",
            "1/+2",
            "1/2/3",
            " 1/2",
            "1/99999999999999999999",
            "01/2",
            "1/16.5",
        ] {
            let error = bad.parse::<Sampling>().unwrap_err();
            assert!(
                error.contains("1/N") && error.contains("65536"),
                "{bad}: {error}"
            );
        }
        let error = "1/1".parse::<Sampling>().unwrap_err();
        assert!(error.contains("leave --sample out"), "{error}");
    }

    #[test]
    fn counts_are_multiplied() {
        let sampling = Sampling::new(16).unwrap();
        assert_eq!(sampling.scale(3), 48);
        assert_eq!(sampling.scale(u64::MAX), u64::MAX);
        assert_eq!(Sampling::ALL.scale(3), 3);
        assert_eq!(Sampling::new(0), None);
    }

    #[test]
    fn limits_are_the_share_of_all_hashes() {
        assert_eq!(Sampling::ALL.hash_limit(), 0);
        assert_eq!(Sampling::new(2).unwrap().hash_limit(), 1 << 63);
        assert_eq!(Sampling::new(65536).unwrap().hash_limit(), 1 << 48);
        // 2^64 / 3 is 6148914691236517205.33.
        assert_eq!(Sampling::new(3).unwrap().hash_limit(), 6148914691236517206);
    }

    /// As `is_sampled_out()` of `src/bpf/sampling.bpf.h` has it.
    fn keeps(sampling: Sampling, tstamp: u64) -> bool {
        let hash = tstamp.wrapping_mul(tables::SAMPLE_MULTIPLIER);
        let hash = (hash ^ hash >> 32).wrapping_mul(tables::SAMPLE_MULTIPLIER);
        hash < sampling.hash_limit()
    }

    /// 2026-11-21 10:17:03 UTC.
    const START: u64 = 1_795_256_223_000_000_000;
    /// Packets of which this many are expected to be kept.
    const EXPECTED: u64 = 2000;

    /// How many are kept of packets at each tick, how many of those are at odd
    /// ticks, and the longest time without one, in expected times between two.
    fn kept(one_in: u64, tick: u64, keeps: impl Fn(u64) -> bool) -> (u64, u64, u64) {
        let (mut all, mut odd, mut gap, mut longest) = (0, 0, 0, 0);
        for number in 0..one_in * EXPECTED {
            gap += 1;
            if keeps(START / tick * tick + number * tick) {
                all += 1;
                odd += number % 2;
                gap = 0;
            }
            longest = longest.max(gap);
        }
        (all, odd, longest / one_in)
    }

    /// As if by chance: five standard deviations of 2000 of very many, and of half
    /// of them; a gap of 20 is less likely than one in 100,000.
    fn is_fair((all, odd, gap): (u64, u64, u64)) -> bool {
        all.abs_diff(EXPECTED) < 5 * 45 && odd.abs_diff(all / 2) < 5 * 23 && gap < 20
    }

    /// Whatever a clock ticks in, and however regular packets come.
    #[test]
    fn the_share_is_kept_on_coarse_clocks_too() {
        // Nanoseconds; a clock of 3 GHz; microseconds; 1024 ns; a millisecond, and the
        // ticks of HZ = 250 and 100; packets every 100 ms, every second, 30 seconds.
        let ticks = [1, 3, 1000, 1024, 1_000_000, 4_000_000, 10_000_000]
            .into_iter()
            .chain([100_000_000, 1_000_000_000, 30_000_000_000]);
        for tick in ticks {
            for one_in in [2, 3, 10, 16, 100, 1024] {
                let sampling = Sampling::new(one_in).unwrap();
                let kept = kept(one_in.into(), tick, |tstamp| keeps(sampling, tstamp));
                assert!(is_fair(kept), "{tick} ns, {sampling}: {kept:?}");
            }
        }
    }

    /// What the hash is for: the low bits of a coarse clock are always the same, and
    /// one multiplication is a pattern to whoever comes every 100 ms.
    #[test]
    fn simpler_hashes_are_not_fair() {
        let low_bits = kept(16, 1_000_000, |tstamp| tstamp % 16 == 0);
        assert!(!is_fair(low_bits), "{low_bits:?}");
        let limit = Sampling::new(16).unwrap().hash_limit();
        let once = |tstamp: u64| tstamp.wrapping_mul(tables::SAMPLE_MULTIPLIER) < limit;
        let once = kept(16, 100_000_000, once);
        assert!(!is_fair(once), "{once:?}");
    }

    /// All packets without a timestamp are seen.
    #[test]
    fn no_timestamp_is_always_kept() {
        assert!(keeps(Sampling::new(65536).unwrap(), 0));
    }
}
