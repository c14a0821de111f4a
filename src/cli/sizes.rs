// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Sizes of memory as users write them.

use std::fmt;

/// A size in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Size(pub u64);

const UNITS: [(&str, u32); 3] = [("KiB", 10), ("MiB", 20), ("GiB", 30)];
/// Limits: less holds no histograms of a few CPUs, more is a mistake.
const LEAST: u64 = 1 << 20;
const MOST: u64 = 16 << 30;

/// Reads `64MiB`, `1GiB`; also with one letter, `64M`.
///
/// # Errors
///
/// Says how sizes are written, or names the limit.
pub fn parse_size(text: &str) -> Result<Size, String> {
    const HOW: &str = "not a size: write 64MiB or 1GiB";
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = &text[digits.len()..];
    let is_it =
        |name: &str| unit.eq_ignore_ascii_case(name) || unit.eq_ignore_ascii_case(&name[..1]);
    let mut units = UNITS.iter();
    let (_, shift) = units.find(|(name, _)| is_it(name)).ok_or(HOW)?;
    let number: u64 = digits.parse().map_err(|_| HOW)?;
    let bytes = number.saturating_mul(1 << shift);
    match bytes {
        0..LEAST => Err("too small: 1MiB at least".into()),
        LEAST..=MOST => Ok(Size(bytes)),
        _ => Err("too large: 16GiB at most".into()),
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |(_, shift): &&(&str, u32)| self.0.is_multiple_of(1 << shift);
        match UNITS.iter().rev().find(whole) {
            Some((name, shift)) => write!(f, "{}{name}", self.0 >> shift),
            None => write!(f, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sizes_are_read_as_documented() {
        assert_eq!(parse_size("64MiB"), Ok(Size(64 << 20)));
        assert_eq!(parse_size("1g"), Ok(Size(1 << 30)));
        assert_eq!(parse_size("2048KiB").unwrap().to_string(), "2MiB");
        for bad in [
            "",
            "64",
            "0MiB",
            "1000KiB",
            "17GiB",
            "-1MiB",
            "MiB",
            "64MB",
            "99999999999999999999M",
        ] {
            assert!(parse_size(bad).is_err(), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(mebi in 1u64..=16_384) {
            let size = Size(mebi << 20);
            prop_assert_eq!(parse_size(&size.to_string()), Ok(size));
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,12}") {
            let _ = parse_size(&text);
        }
    }
}
