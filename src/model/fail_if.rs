// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! `--fail-if`: limits that a change must not exceed.

use std::fmt;
use std::str::FromStr;

use crate::model::histogram::MAX_NS;
use crate::model::hooks::{Hook, parse_hook};
use crate::model::quantile::REPORTED;
use crate::model::quantity::Quantity;
use crate::text::truncated;

/// A limit as the user wrote it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// `None`: any hook.
    pub hook: Option<Hook>,
    /// The quantity, which is a quantile.
    pub quantity: Quantity,
    /// The value that must not be exceeded.
    pub bound: Bound,
}

/// The value of a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// The change from A to B, in percent.
    Percent(f64),
    /// The change from A to B, in ns.
    Slower(u64),
    /// The latency of B, in ns.
    Level(u64),
}

/// The highest limit in percent: a factor of a million.
const MAX_PERCENT: f64 = 1e8;
/// Errors repeat at most so many characters of a text.
const MAX_SHOWN: usize = 60;
const FORMS: &str = "'tcp-start:p99>+10%' (slower by more than 10 %), \
                     'tcp-start:p99>+50us' (by more than 50 us) or \
                     'tcp-start:p99>200us' (B above 200 us)";

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Limit, String> {
        let (place, bound) = text
            .split_once('>')
            .ok_or_else(|| format!("a limit needs a '>', as in {FORMS}"))?;
        let (hook, quantile) = place.split_once(':').ok_or_else(|| {
            let place = shortened(place.trim());
            format!("'{place}' has no quantile: write '{place}:p99' before the '>'")
        })?;
        let (hook, quantile, bound) = (hook.trim(), quantile.trim(), bound.trim());
        Ok(Limit {
            hook: match hook {
                "any" => None,
                name => Some(parse_hook(name).map_err(|error| {
                    format!("'{}': {error} ('any' stands for all)", shortened(name))
                })?),
            },
            quantity: read_quantile(quantile)?,
            bound: read_bound(bound)?,
        })
    }
}

fn read_quantile(name: &str) -> Result<Quantity, String> {
    let quantity = Quantity::find(name).filter(|found| found.quantile().is_some());
    quantity.ok_or_else(|| {
        let known = REPORTED.map(|quantile| quantile.name()).join(", ");
        format!("unknown quantile '{}': use one of {known}", shortened(name))
    })
}

fn read_bound(text: &str) -> Result<Bound, String> {
    let slower = text.strip_prefix('+');
    let number = slower.unwrap_or(text).trim_start();
    if number.starts_with(['-', '+']) || !number.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(format!(
            "'{}' is not a limit: write a number after the '>', as in {FORMS}",
            shortened(text)
        ));
    }
    let digits = number
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(number.len());
    let (digits, unit) = number.split_at(digits);
    let value: f64 = digits
        .parse()
        .map_err(|_| format!("'{}' is not a number", shortened(digits)))?;
    match (unit.trim_start(), slower) {
        ("%", Some(_)) if value <= MAX_PERCENT => Ok(Bound::Percent(value)),
        ("%", Some(_)) => Err(format!(
            "'{}' is too large: the highest limit is +{MAX_PERCENT}%",
            shortened(text)
        )),
        ("%", None) => Err(format!(
            "'{0}' is ambiguous: write '+{0}' for slower by more than {0}",
            shortened(text)
        )),
        ("", _) => Err(format!(
            "'{0}' has no unit: write '{0}%', '{0}us' or '{0}ms'",
            shortened(text)
        )),
        (unit, _) => {
            let one = match unit {
                "ns" => 1.0,
                "us" | "µs" => 1e3,
                "ms" => 1e6,
                "s" => 1e9,
                unit => {
                    let unit = shortened(unit);
                    return Err(format!("unknown unit '{unit}': use %, ns, us, ms or s"));
                }
            };
            let ns = (value * one).round();
            if ns > MAX_NS as f64 {
                let text = shortened(text);
                return Err(format!(
                    "'{text}' is above the measured range: at most 2^34 ns (17.2 s)"
                ));
            }
            if ns < 1.0 && value > 0.0 {
                return Err(format!("'{}' is too small: at least 1ns", shortened(text)));
            }
            Ok(match slower {
                Some(_) => Bound::Slower(ns as u64),
                None => Bound::Level(ns as u64),
            })
        }
    }
}

/// A text from the user, cut to a length that fits an error message.
fn shortened(text: &str) -> String {
    truncated(text, MAX_SHOWN)
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hook = self.hook.map_or("any", Hook::name);
        write!(f, "{hook}:{}>{}", self.quantity, self.bound)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Bound::Percent(percent) => write!(f, "+{percent}%"),
            Bound::Slower(ns) => write!(f, "+{}", Exact(ns)),
            Bound::Level(ns) => Exact(ns).fmt(f),
        }
    }
}

/// A time that is not rounded, in the largest unit that allows it.
struct Exact(u64);

impl fmt::Display for Exact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let units = [("s", 1_000_000_000), ("ms", 1_000_000), ("us", 1000)];
        let whole = units
            .iter()
            .find(|(_, one)| self.0 > 0 && self.0.is_multiple_of(*one));
        let (unit, one) = whole.unwrap_or(&("ns", 1));
        write!(f, "{}{unit}", self.0 / one)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Limit {
        text.parse().unwrap()
    }

    #[test]
    fn the_documented_forms() {
        let tcp_start = Hook::find("tcp-start");
        let limit = |hook, quantity, bound| Limit {
            hook,
            quantity,
            bound,
        };
        for (text, expected) in [
            (
                "tcp-start:p99>+10%",
                limit(tcp_start, Quantity::P99, Bound::Percent(10.0)),
            ),
            (
                "tcp_v4_rcv:p50>+2.5%",
                limit(tcp_start, Quantity::P50, Bound::Percent(2.5)),
            ),
            (
                "tcp-start:p99.9>+50us",
                limit(tcp_start, Quantity::P999, Bound::Slower(50_000)),
            ),
            (
                "any:p90>200us",
                limit(None, Quantity::P90, Bound::Level(200_000)),
            ),
            (
                " any : p90 > 1.5 ms ",
                limit(None, Quantity::P90, Bound::Level(1_500_000)),
            ),
            (
                "any:p50>+0%",
                limit(None, Quantity::P50, Bound::Percent(0.0)),
            ),
        ] {
            assert_eq!(read(text), limit_ok(text), "{text}");
            assert_eq!(read(text), expected, "{text}");
        }
    }

    fn limit_ok(text: &str) -> Limit {
        read(&read(text).to_string())
    }

    #[test]
    fn errors_name_the_value_and_the_fix() {
        for (text, expected) in [
            ("tcp-start", "'tcp-start:p99>+10%'"),
            ("tcp-start>+10%", "'tcp-start:p99'"),
            ("tcp-strat:p99>+10%", "'tcp-start'"),
            (
                "any:p98>+10%",
                "unknown quantile 'p98': use one of p50, p90, p99, p99.9",
            ),
            ("any:p99>10%", "write '+10%'"),
            ("any:p99>+10", "'+10%', '+10us' or '+10ms'"),
            ("any:p99>-10%", "'-10%'"),
            ("any:p99>+1h", "unknown unit 'h'"),
            ("any:p99>1.2.3us", "'1.2.3' is not a number"),
            ("any:p99>18s", "17.2 s"),
            ("any:p99>0.1ns", "at least 1ns"),
            ("any:p99>+1e9%", "unknown unit 'e9%'"),
            ("any:p99>+200000000%", "too large"),
            ("any:p99>", "'' is not a limit"),
        ] {
            let error = text.parse::<Limit>().unwrap_err();
            assert!(error.contains(expected), "{text}: {error}");
        }
        let long = format!("any:p99>+1{}", "x".repeat(100_000));
        assert!(long.parse::<Limit>().unwrap_err().len() < 300);
    }

    fn limits() -> impl Strategy<Value = Limit> {
        let bound = prop_oneof![
            (0.0..MAX_PERCENT).prop_map(Bound::Percent),
            (0u32..10_000).prop_map(|tenths| Bound::Percent(f64::from(tenths) / 10.0)),
            (0..=MAX_NS).prop_map(Bound::Slower),
            (0..=MAX_NS).prop_map(Bound::Level),
            (0u64..17_000).prop_map(|ms| Bound::Level(ms * 1_000_000)),
        ];
        let quantities = Quantity::ALL.into_iter().filter(|q| q.quantile().is_some());
        let quantities: Vec<Quantity> = quantities.collect();
        (
            0..=Hook::all().len(),
            prop::sample::select(quantities),
            bound,
        )
            .prop_map(|(hook, quantity, bound)| Limit {
                hook: Hook::all().nth(hook),
                quantity,
                bound,
            })
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(limit in limits()) {
            prop_assert_eq!(read(&limit.to_string()), limit);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,40}") {
            let _ = text.parse::<Limit>();
        }

        #[test]
        fn nearly_valid_limits_do_not_panic(
            text in "(any|tcp-start|x)?:?(p99|p50|p)?>?[+-]?[0-9.]{0,25}(%|us|µs|s|e9)?"
        ) {
            if let Ok(limit) = text.parse::<Limit>() {
                prop_assert_eq!(read(&limit.to_string()), limit);
            }
        }
    }
}
