// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Rounds of four periods, two of each side, so that a drift of the host
//! cancels: a linear one exactly, within each round.

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom as _;

use crate::model::comparison::Arm;

/// The sides of a round's periods, in their order.
pub type Order = [Arm; 4];

const ORDERS: [Order; 2] = {
    use Arm::{A, B};
    [[A, B, B, A], [B, A, A, B]]
};

/// Draws the orders of so many rounds: the same from the same seed.
pub fn orders(rounds: usize, seed: u64) -> Vec<Order> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let draw = |_| *ORDERS.choose(&mut rng).expect("there are two");
    (0..rounds).map(draw).collect()
}

/// What one side shows in one unit of repetition, a round or a file.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Level {
    /// Mean of ln q over the unit's periods.
    pub ln: f64,
    /// Mean of q, ns.
    pub ns: f64,
}

impl Level {
    /// Of a single period, or of a file.
    pub fn of(quantile_ns: f64) -> Level {
        Level {
            ln: quantile_ns.ln(),
            ns: quantile_ns,
        }
    }
}

/// A round's levels of A and B. `None` if a period has no such quantile.
pub fn levels(order: Order, quantiles: [Option<f64>; 4]) -> Option<[Level; 2]> {
    let mut levels = [Level { ln: 0.0, ns: 0.0 }; 2];
    for (arm, quantile) in order.into_iter().zip(quantiles) {
        let period = Level::of(quantile?);
        let level = &mut levels[arm as usize];
        level.ln += period.ln / 2.0;
        level.ns += period.ns / 2.0;
    }
    Some(levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_drift_cancels() {
        // ln q rises by 1 a period, and is 2 higher with B.
        for order in ORDERS {
            let level = |(period, arm)| f64::from(period) + if arm == Arm::B { 2.0 } else { 0.0 };
            let periods: Vec<_> = (0..4).zip(order).map(level).collect();
            let quantiles = [0, 1, 2, 3].map(|period: usize| Some(periods[period].exp()));
            let [a, b] = levels(order, quantiles).unwrap();
            assert!((b.ln - a.ln - 2.0).abs() < 1e-12, "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_period_without_the_quantile_takes_its_round_away() {
        assert_eq!(
            levels(ORDERS[0], [Some(1.0), None, Some(1.0), Some(1.0)]),
            None
        );
    }

    #[test]
    fn both_orders_are_drawn_and_again_the_same() {
        let drawn = orders(1000, 42);
        assert_eq!(drawn, orders(1000, 42));
        assert_ne!(drawn, orders(1000, 43));
        let first = drawn.iter().filter(|order| **order == ORDERS[0]).count();
        // Binomial: 500 -+ 5 standard deviations.
        assert!((421..=579).contains(&first), "{first}");
    }
}
