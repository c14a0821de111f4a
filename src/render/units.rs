// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Numbers for people: three significant digits and a unit.

use crate::model::histogram::{Bucket, MAX_NS};
use crate::model::quantile::Estimate;
use crate::model::sampling::Sampling;

/// Stands for a number that does not exist.
pub(crate) const NONE: &str = "-";
/// A quantile of which it is only known that it is late.
pub(crate) const UNKNOWN: &str = "?";

/// A duration in ns: `0ns`, `999ns`, `4.10us`, `17.2s`, `86400s`.
///
/// Rounded half up, in integers: 9995 ns is 9.995 us is `10.0us`.
pub(crate) fn duration(ns: u64) -> String {
    if ns < 1000 {
        return format!("{ns}ns");
    }
    let ns = u128::from(ns);
    for (unit, one) in [("us", 1_000u128), ("ms", 1_000_000), ("s", 1_000_000_000)] {
        for (decimals, scale) in [(2, 100), (1, 10), (0, 1)] {
            let scaled = (ns * scale + one / 2) / one;
            if scaled < 1000 {
                return format!("{:.decimals$}{unit}", scaled as f64 / scale as f64);
            }
        }
    }
    format!("{}s", (ns + 500_000_000) / 1_000_000_000)
}

/// A duration or `-`.
pub(crate) fn optional(ns: Option<u64>) -> String {
    ns.map_or_else(|| NONE.into(), duration)
}

/// A quantile: `4.89us`, `>17.2s` above the histogram's range, or `-`.
pub(crate) fn estimate(estimate: Option<Estimate>) -> String {
    match estimate {
        None => NONE.into(),
        Some(Estimate::Ns(ns)) => duration(ns),
        Some(Estimate::Unknown) => UNKNOWN.into(),
        Some(Estimate::OverRange) => over_range(),
    }
}

/// A latency above the histogram's range.
pub(crate) fn over_range() -> String {
    format!(">{}", duration(MAX_NS))
}

/// The bounds of a bucket: `(1.02us, 2.05us]`.
pub(crate) fn bounds(bucket: &Bucket) -> String {
    format!("({}, {}]", duration(bucket.lo_ns), duration(bucket.hi_ns))
}

/// A number per second, without the `/s`: `0`, `<0.01`, `6.60`, `43.4k`.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second <= 0.0 {
        return "0".into();
    }
    if per_second < 0.01 {
        return "<0.01".into();
    }
    for (suffix, one) in [("", 1.0), ("k", 1e3), ("M", 1e6), ("G", 1e9), ("T", 1e12)] {
        for (decimals, scale) in [(2, 100.0), (1, 10.0), (0, 1.0)] {
            let scaled = (per_second / one * scale).round();
            if scaled < 1000.0 {
                return format!("{:.decimals$}{suffix}", scaled / scale);
            }
        }
    }
    format!("{per_second:.2e}")
}

/// A number of packets: `160`, and `~160` where a sample stands for so many.
pub(crate) fn packets(samples: u64, sampling: Sampling) -> String {
    format!("{}{}", about(sampling), sampling.scale(samples))
}

/// What marks a number that a sample stands for.
pub(crate) fn about(sampling: Sampling) -> &'static str {
    if sampling.is_on() { "~" } else { "" }
}

/// A change of at least so much is shown as a factor.
const FACTOR_FROM_PERCENT: f64 = 999.5;

/// Whether [`change`] shows a factor.
pub(crate) fn is_factor(percent: f64) -> bool {
    percent >= FACTOR_FROM_PERCENT
}

/// A change in percent: `+0.04%`, `+1.20%`, `-12.3%`, `+250%`. From eleven times on
/// it is a factor: `x11.0`, `x206`, `>x9999`.
pub(crate) fn change(percent: f64) -> String {
    let size = percent.abs();
    let factor = 1.0 + percent / 100.0;
    let decimals = match size {
        _ if size < 9.995 => 2,
        _ if size < 99.95 => 1,
        _ => 0,
    };
    if percent.is_nan() {
        NONE.into()
    } else if factor >= 9999.5 {
        ">x9999".into()
    } else if is_factor(percent) {
        let decimals = usize::from(factor < 99.95);
        format!("x{factor:.decimals$}")
    } else if percent > -100.0 && percent <= -99.95 {
        "<-99.9%".into()
    } else if size < 0.005 {
        "0.00%".into()
    } else {
        format!("{percent:+.decimals$}%")
    }
}

/// A computed time, in ns.
pub(crate) fn computed(ns: f64) -> String {
    // The conversion saturates, and makes NaN 0.
    duration(ns.round() as u64)
}

/// `1 round`, `2 rounds`.
pub(crate) fn count(n: u64, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        n => format!("{n} {what}s"),
    }
}

/// A part of a whole: `0%`, `<0.01%`, `0.05%`, `12.3%`, `>99.9%`, `100%`.
///
/// Only nothing is `0%`, and only everything is `100%`. A whole of 0 gives `-`.
pub(crate) fn percentage(part: u64, whole: u64) -> String {
    if whole == 0 {
        return NONE.into();
    }
    if part == 0 || part >= whole {
        return if part == 0 { "0%" } else { "100%" }.into();
    }
    between(part as f64 * 100.0 / whole as f64)
}

/// A share from 0 to 1 that was computed, in the same form.
pub(crate) fn share(share: f64) -> String {
    match share {
        share if share <= 0.0 => "0%".into(),
        share if share >= 1.0 => "100%".into(),
        share => between(share * 100.0),
    }
}

fn between(percent: f64) -> String {
    if percent < 0.01 {
        "<0.01%".into()
    } else if percent < 9.995 {
        format!("{percent:.2}%")
    } else if percent < 99.95 {
        format!("{percent:.1}%")
    } else {
        ">99.9%".into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn durations_have_three_digits() {
        for (ns, shown) in [
            (0, "0ns"),
            (1, "1ns"),
            (999, "999ns"),
            (1000, "1.00us"),
            (1004, "1.00us"),
            (1005, "1.01us"),
            (4096, "4.10us"),
            (9994, "9.99us"),
            (9995, "10.0us"),
            (99_949, "99.9us"),
            (99_950, "100us"),
            (999_499, "999us"),
            (999_500, "1.00ms"),
            (262_144, "262us"),
            (999_499_999, "999ms"),
            (999_500_000, "1.00s"),
            (10_000_012_345, "10.0s"),
            (MAX_NS, "17.2s"),
            (35_200_000_000, "35.2s"),
            (999_499_999_999, "999s"),
            (999_500_000_000, "1000s"),
            (86_400_000_000_000, "86400s"),
            (u64::MAX, "18446744074s"),
        ] {
            assert_eq!(duration(ns), shown, "{ns} ns");
        }
    }

    #[test]
    fn quantiles_can_be_unknown_or_over_range() {
        assert_eq!(estimate(None), "-");
        assert_eq!(estimate(Some(Estimate::Ns(4890))), "4.89us");
        assert_eq!(estimate(Some(Estimate::OverRange)), ">17.2s");
        assert_eq!(optional(None), "-");
    }

    #[test]
    fn bounds_show_which_end_is_included() {
        let bucket = |lo_ns, hi_ns| Bucket {
            lo_ns,
            hi_ns,
            count: 1,
        };
        assert_eq!(bounds(&bucket(0, 1)), "(0ns, 1ns]");
        assert_eq!(bounds(&bucket(512, 1024)), "(512ns, 1.02us]");
        assert_eq!(bounds(&bucket(MAX_NS / 2, MAX_NS)), "(8.59s, 17.2s]");
    }

    #[test]
    fn rates_have_three_digits() {
        for (per_second, shown) in [
            (0.0, "0"),
            (0.001, "<0.01"),
            (0.1, "0.10"),
            (6.6, "6.60"),
            (9.996, "10.0"),
            (434.0, "434"),
            (999.6, "1.00k"),
            (43_402.3, "43.4k"),
            (1_230_000.0, "1.23M"),
            (2e9, "2.00G"),
        ] {
            assert_eq!(rate(per_second), shown);
        }
    }

    #[test]
    fn changes_have_a_sign_and_three_digits() {
        for (percent, shown) in [
            (0.0, "0.00%"),
            (-0.004, "0.00%"),
            (0.04, "+0.04%"),
            (-1.2, "-1.20%"),
            (9.994, "+9.99%"),
            (9.996, "+10.0%"),
            (-12.34, "-12.3%"),
            (99.96, "+100%"),
            (999.4, "+999%"),
            (999.6, "x11.0"),
            (9893.0, "x99.9"),
            (9896.0, "x100"),
            (20_464.0, "x206"),
            (1e300, ">x9999"),
            (f64::INFINITY, ">x9999"),
            (-99.99, "<-99.9%"),
            (-100.0, "-100%"),
            (f64::NAN, "-"),
        ] {
            assert_eq!(change(percent), shown, "{percent}");
        }
        assert_eq!(computed(1499.6), "1.50us");
    }

    #[test]
    fn percentages_never_round_to_0_or_100() {
        for (part, whole, shown) in [
            (0, 7, "0%"),
            (7, 7, "100%"),
            (212, 434_235, "0.05%"),
            (1, 1_000_000, "<0.01%"),
            (1, 3, "33.3%"),
            (1, 20, "5.00%"),
            (999_999, 1_000_000, ">99.9%"),
            (0, 0, "-"),
        ] {
            assert_eq!(percentage(part, whole), shown);
        }
    }

    proptest! {
        /// The parsed text is within half a unit of the third digit.
        #[test]
        fn durations_round_to_the_third_digit(bits in any::<u64>(), shift in 24u32..64) {
            let ns = (bits >> shift).max(1);
            let shown = duration(ns);
            let digits = shown.find(|c: char| c.is_ascii_alphabetic()).unwrap();
            let one = match &shown[digits..] {
                "ns" => 1.0,
                "us" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                unit => panic!("unit {unit}"),
            };
            let read: f64 = shown[..digits].parse::<f64>().unwrap() * one;
            let error = (read - ns as f64).abs() / ns as f64;
            prop_assert!(error <= 0.005 + 1e-12, "{ns} ns is not {shown}");
            prop_assert!(shown.len() <= 6, "{shown}");
        }
    }
}
