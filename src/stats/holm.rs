// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Many questions at once: each has its chance to be answered wrongly, and
//! together they must not have more than a given one.

/// Which of the hypotheses with these p-values are rejected so that, if all
/// were true, the chance to reject any is at most `level`: Holm, "A simple
/// sequentially rejective multiple test procedure", Scandinavian Journal of
/// Statistics 6 (1979). Holds however the questions depend on each other.
pub fn rejected(p_values: &[f64], level: f64) -> Vec<bool> {
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|&a, &b| p_values[a].total_cmp(&p_values[b]));
    let mut rejected = vec![false; p_values.len()];
    for (tried, &index) in order.iter().enumerate() {
        let left = (p_values.len() - tried) as f64;
        let p_value = p_values[index];
        if p_value.is_nan() || p_value > level / left {
            break;
        }
        rejected[index] = true;
    }
    rejected
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::rejected;

    /// Holm's rule by hand: 0.01 <= 0.05/4, 0.015 <= 0.05/3, 0.03 > 0.05/2,
    /// and what comes after a stop is not looked at.
    #[test]
    fn stops_at_the_first_that_holds() {
        let decided = rejected(&[0.03, 0.01, 0.04, 0.015], 0.05);
        assert_eq!(decided, [false, true, false, true]);
    }

    #[test]
    fn odd_cases() {
        assert!(rejected(&[], 0.05).is_empty());
        assert_eq!(rejected(&[0.05], 0.05), [true]);
        assert_eq!(rejected(&[f64::NAN, 0.001], 0.05), [false, true]);
    }

    proptest! {
        /// Never more than without correction, never less than Bonferroni's.
        #[test]
        fn between_bonferroni_and_none(p in prop::collection::vec(0.0..1.0, 1..30)) {
            let decided = rejected(&p, 0.05);
            for (p_value, decided) in p.iter().zip(decided) {
                prop_assert!(!decided || *p_value <= 0.05);
                prop_assert!(decided || *p_value > 0.05 / p.len() as f64);
            }
        }
    }
}
