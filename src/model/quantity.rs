// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The quantities that are compared at a hook.

use std::fmt;

use crate::model::quantile::{Quantile, REPORTED};

/// A quantity that is compared at a hook.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Quantity {
    /// The median.
    P50,
    /// The 90th percentile.
    P90,
    /// The 99th percentile.
    P99,
    /// The 99.9th percentile. It is shown, but gets no verdict.
    P999,
    /// The share of latencies above the p99.9 of both sides together.
    Tail,
}

impl Quantity {
    /// All quantities, in the order of the table's rows.
    pub const ALL: [Quantity; 5] = [
        Quantity::P50,
        Quantity::P90,
        Quantity::P99,
        Quantity::P999,
        Quantity::Tail,
    ];

    /// The quantities that get verdicts.
    pub const JUDGED: [Quantity; 4] = [Quantity::P50, Quantity::P90, Quantity::P99, Quantity::Tail];

    /// The quantile. `None` for the tail.
    pub fn quantile(self) -> Option<Quantile> {
        REPORTED.get(self as usize).copied()
    }

    /// The name in every output: `p50`, `p99.9`, `tail`.
    pub fn name(self) -> String {
        self.quantile().map_or("tail".into(), Quantile::name)
    }

    /// Finds a quantity by its name.
    pub fn find(name: &str) -> Option<Quantity> {
        Quantity::ALL.into_iter().find(|known| known.name() == name)
    }

    /// The number of latencies that each period needs: 30 above a quantile. The tail
    /// is one in 1,000 and needs three.
    pub fn samples_to_compare(self) -> u64 {
        self.quantile().map_or(3_000, Quantile::samples_to_compare)
    }
}

impl fmt::Display for Quantity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_reports() {
        let names = Quantity::ALL.map(Quantity::name);
        assert_eq!(names, ["p50", "p90", "p99", "p99.9", "tail"]);
        for quantity in Quantity::ALL {
            assert_eq!(Quantity::find(&quantity.name()), Some(quantity));
            assert_eq!(Quantity::ALL[quantity as usize], quantity);
        }
    }
}
