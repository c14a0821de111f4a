// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Rounds of four periods, two of each side, ABBA or BAAB.
//!
//! The contrast of a round is its first and last period against the two in the
//! middle. A drift that is linear within a round cancels in it exactly. An effect
//! of the place in the round (such as interference that repeats with each round)
//! is the same in the contrasts of both orders, and cancels between them: the
//! change is half the difference between the mean contrasts of BAAB and of ABBA.

use rand::RngExt as _;
use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom as _;

use crate::model::comparison::Arm;
use crate::stats::looks::LOOKS;

/// The side of each period of a round, in the order of time.
pub type Order = [Arm; 4];

const ABBA: Order = [Arm::A, Arm::B, Arm::B, Arm::A];
const BAAB: Order = [Arm::B, Arm::A, Arm::A, Arm::B];

/// Draws the orders of so many rounds. The same seed gives the same orders. Both
/// orders occur as often; if the number is odd, the one more is drawn too.
pub fn orders(rounds: usize, seed: u64) -> Vec<Order> {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
    let odd_one: bool = rng.random();
    let of_baab = (rounds + usize::from(odd_one)) / 2;
    let mut orders = vec![ABBA; rounds];
    orders[..of_baab].fill(BAAB);
    orders.shuffle(&mut rng);
    orders
}

/// Draws the orders for a comparison that looks at its result and may stop early.
/// Both orders occur as often between two looks.
pub fn orders_of_looks(seed: u64) -> Vec<Order> {
    let mut before = 0;
    let blocks = LOOKS.iter().zip(0..).flat_map(|(&(rounds, _), block)| {
        let more = rounds - before;
        before = rounds;
        orders(more, seed.wrapping_add(block))
    });
    blocks.collect()
}

/// Whether B is measured first and last.
pub fn is_baab(order: Order) -> bool {
    order[0] == Arm::B
}

/// The first and the last period against the two in the middle.
pub fn contrast([first, second, third, last]: [f64; 4]) -> f64 {
    (first + last - second - third) / 2.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_linear_drift_cancels() {
        // ln q rises by 1 a period, and is 2 higher with B.
        for order in [ABBA, BAAB] {
            let mut values = [0.0; 4];
            for (period, arm) in order.into_iter().enumerate() {
                values[period] = period as f64 + if arm == Arm::B { 2.0 } else { 0.0 };
            }
            let sign = if is_baab(order) { 1.0 } else { -1.0 };
            assert_eq!(contrast(values), sign * 2.0);
        }
    }

    #[test]
    fn both_orders_are_as_often_and_the_seed_decides() {
        for rounds in [1, 2, 9, 10, 1000] {
            let drawn = orders(rounds, 42);
            assert_eq!(drawn, orders(rounds, 42));
            let baab = drawn.iter().filter(|order| is_baab(**order)).count();
            assert!(baab.abs_diff(rounds - baab) <= 1, "{baab} of {rounds}");
        }
        assert_ne!(orders(1000, 42), orders(1000, 43));
        // The first order, and the more frequent one, are drawn.
        let many = || (0..1000).map(|seed| orders(9, seed));
        let first = many().filter(|drawn| is_baab(drawn[0])).count();
        let more = many().filter(|drawn| drawn.iter().filter(|o| is_baab(**o)).count() == 5);
        // Binomial: 500 -+ 5 standard deviations.
        assert!((421..=579).contains(&first), "{first}");
        let more = more.count();
        assert!((421..=579).contains(&more), "{more}");
    }
}
