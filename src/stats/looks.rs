// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The rounds after which a comparison looks at its result and may stop.
//!
//! Each look is another chance of a wrong verdict. So each look gets a part of
//! the significance level, and the parts add up to it (Bonferroni). Group-
//! sequential tests with a spending function would be an alternative: Lan and
//! DeMets, "Discrete sequential boundaries for clinical trials", Biometrika 70
//! (1983). But a function that spends next to nothing at the first look could
//! never stop there: ten rounds have no p-value below 2/252 = 0.8 %.

/// The rounds after which to look, and the part of the level for each look.
pub const LOOKS: [(usize, f64); 4] = [(10, 0.01), (16, 0.01), (24, 0.01), (40, 0.02)];

/// The number of rounds at the last look.
pub const MOST_ROUNDS: usize = LOOKS[LOOKS.len() - 1].0;

/// The index of the first look that includes a round. Rounds count from 1.
pub fn block(round: u64) -> usize {
    let later = LOOKS.iter().position(|&(rounds, _)| round <= rounds as u64);
    later.unwrap_or(LOOKS.len() - 1)
}

/// The level of a comparison that ended after so many rounds.
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
