// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! When a comparison may look at its result before the last round.
//!
//! Who looks several times has several chances to be wrong. So each look has a
//! part of the level, and the parts add up to it (Bonferroni; group-sequential
//! tests with a spending function are Lan and DeMets, "Discrete sequential
//! boundaries for clinical trials", Biometrika 70 (1983)). A bound that spends
//! next to nothing at the first look would be below the smallest p-value that
//! ten rounds can have (2/252 = 0.8 %) and could never stop there.

/// After how many rounds to look, and with which part of the level.
pub const LOOKS: [(usize, f64); 4] = [(10, 0.01), (16, 0.01), (24, 0.01), (40, 0.02)];

/// Rounds after the last look.
pub const MOST_ROUNDS: usize = LOOKS[LOOKS.len() - 1].0;

/// The place of the look that a round is first seen in, by its number from 1.
pub fn block(round: u64) -> usize {
    let later = LOOKS.iter().position(|&(rounds, _)| round <= rounds as u64);
    later.unwrap_or(LOOKS.len() - 1)
}

/// The level of a comparison that has ended after so many rounds.
pub fn level(rounds: usize) -> f64 {
    LOOKS[block(rounds as u64)].1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_share_the_level() {
        let spent: f64 = LOOKS.iter().map(|(_, level)| level).sum();
        assert!((spent - 0.05).abs() < 1e-12);
        assert_eq!(
            [1, 10, 11, 16, 17, 40, 99].map(block),
            [0, 0, 1, 1, 2, 3, 3]
        );
        assert_eq!([10, 13, 40].map(level), [0.01, 0.01, 0.02]);
    }
}
