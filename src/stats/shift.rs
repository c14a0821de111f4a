// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The shift between two sides, A and B, as a mean with a confidence interval.
//!
//! Values are logarithms, so a shift is a ratio: ln q(B) - ln q(A). The variation
//! is that of units, which are rounds or run files. Packets and seconds depend on
//! each other, so they are never the unit (docs/statistics.md).

use statrs::distribution::{ContinuousCDF as _, StudentsT};

/// The confidence of intervals and bounds.
const CONFIDENCE: f64 = 0.95;

/// An estimate of ln(B / A) by Student's t.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shift {
    /// The estimate, a natural logarithm.
    pub ln: f64,
    /// The standard error of the estimate.
    pub error: f64,
    /// Degrees of freedom, at least 1, not always an integer.
    pub dof: f64,
    /// The buckets of the histogram may have moved the estimate by this, up or down.
    /// Intervals and bounds are wider by it.
    pub bucket: f64,
    /// A test has shown that the shift is not 0, so the interval ends at 0.
    pub direction_is_sure: bool,
}

/// The mean, and the square of its standard error.
fn mean(values: &[f64]) -> (f64, f64) {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, squares / (n - 1.0) / n)
}

impl Shift {
    /// From values that estimate the same quantity; n - 1 degrees of freedom. `None`
    /// if there are fewer than two values: no variance can be estimated.
    pub fn of_levels(values: &[f64]) -> Option<Shift> {
        if values.len() < 2 {
            return None;
        }
        let (ln, variance) = mean(values);
        Some(Shift {
            ln,
            error: variance.sqrt(),
            dof: values.len() as f64 - 1.0,
            bucket: 0.0,
            direction_is_sure: false,
        })
    }

    /// From the contrasts of rounds (see [`super::rounds`]): half the difference
    /// between the mean of BAAB rounds and that of ABBA rounds, with a pooled
    /// variance; n - 2 degrees of freedom. `None` if an order is missing, or if both
    /// have only one round.
    pub fn of_contrasts(abba: &[f64], baab: &[f64]) -> Option<Shift> {
        let (n_abba, n_baab) = (abba.len() as f64, baab.len() as f64);
        if abba.is_empty() || baab.is_empty() || abba.len() + baab.len() < 3 {
            return None;
        }
        let of = |values: &[f64]| {
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
            (mean, squares)
        };
        let ((mean_abba, sq_abba), (mean_baab, sq_baab)) = (of(abba), of(baab));
        let dof = n_abba + n_baab - 2.0;
        let variance = (sq_abba + sq_baab) / dof;
        Some(Shift {
            ln: (mean_baab - mean_abba) / 2.0,
            error: (variance * (1.0 / n_abba + 1.0 / n_baab)).sqrt() / 2.0,
            dof,
            bucket: 0.0,
            direction_is_sure: false,
        })
    }

    /// From independent runs, whose sides may have different variances: Welch,
    /// "The generalization of Student's problem", Biometrika 34 (1947), with the
    /// degrees of freedom after Satterthwaite. `None` if a side has
    /// fewer than two.
    pub fn of_runs(a: &[f64], b: &[f64]) -> Option<Shift> {
        if a.len() < 2 || b.len() < 2 {
            return None;
        }
        let ((mean_a, a_var), (mean_b, b_var)) = (mean(a), mean(b));
        let (a_free, b_free) = (a.len() as f64 - 1.0, b.len() as f64 - 1.0);
        let variance = a_var + b_var;
        let spread = a_var.powi(2) / a_free + b_var.powi(2) / b_free;
        Some(Shift {
            ln: mean_b - mean_a,
            error: variance.sqrt(),
            // Neither side varies. The smaller number is the careful choice.
            dof: if spread > 0.0 {
                variance.powi(2) / spread
            } else {
                a_free.min(b_free)
            },
            bucket: 0.0,
            direction_is_sure: false,
        })
    }

    /// The same with another [`Shift::bucket`].
    #[must_use]
    pub fn with_bucket(self, bucket: f64) -> Shift {
        Shift { bucket, ..self }
    }

    /// The change in percent: 10.0 if B is 1.1 A.
    pub fn percent(&self) -> f64 {
        percent(self.ln)
    }

    /// The same with [`Shift::direction_is_sure`].
    #[must_use]
    pub fn with_sure_direction(self) -> Shift {
        Shift {
            direction_is_sure: true,
            ..self
        }
    }

    /// The 95 % interval of the estimate.
    pub fn interval(&self) -> (f64, f64) {
        let half = self.t(0.5 + CONFIDENCE / 2.0) * self.error + self.bucket;
        let (low, high) = (self.ln - half, self.ln + half);
        if !self.direction_is_sure {
            (low, high)
        } else if self.ln > 0.0 {
            (low.max(0.0), high)
        } else {
            (low, high.min(0.0))
        }
    }

    /// The true shift is above this with 95 % confidence.
    pub fn lower_bound(&self) -> f64 {
        self.ln - self.t(CONFIDENCE) * self.error - self.bucket
    }

    /// The 95 % interval of [`Shift::percent`].
    pub fn interval_percent(&self) -> (f64, f64) {
        let (low, high) = self.interval();
        (percent(low), percent(high))
    }

    /// The probability of an estimate at least as large if the true shift is `limit`
    /// (a natural logarithm). It is small if the true shift is surely above.
    pub fn p_above(&self, limit: f64) -> f64 {
        1.0 - self.below(self.ln - limit)
    }

    /// The share of the error's distribution that is below `distance`.
    fn below(&self, distance: f64) -> f64 {
        if self.error > 0.0 {
            self.distribution().cdf(distance / self.error)
        } else if distance == 0.0 {
            0.5
        } else {
            f64::from(u8::from(distance > 0.0))
        }
    }

    fn t(&self, probability: f64) -> f64 {
        self.distribution().inverse_cdf(probability)
    }

    fn distribution(&self) -> StudentsT {
        StudentsT::new(0.0, 1.0, self.dof).expect("one degree of freedom and more")
    }
}

/// Converts ln(B / A) to a change in percent.
pub(crate) fn percent(ln: f64) -> f64 {
    ln.exp_m1() * 100.0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Two-sided, against a shift of 0.
    fn p_value(shift: &Shift) -> f64 {
        let there = Shift {
            ln: shift.ln.abs(),
            ..*shift
        };
        (2.0 * there.p_above(0.0)).min(1.0)
    }

    fn close(value: f64, expected: f64) {
        assert!((value - expected).abs() < 5e-4, "{value}, not {expected}");
    }

    /// Student's own example, the hours of sleep that ten patients gained by
    /// two drugs ("The probable error of a mean", 1908): mean of the
    /// differences 1.58, t = 4.0621, 9 degrees of freedom, p = 0.00283.
    #[test]
    fn students_own_example() {
        let differences = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
        let shift = Shift::of_levels(&differences).unwrap();
        close(shift.ln, 1.58);
        close(shift.ln / shift.error, 4.0621);
        assert_eq!(shift.dof, 9.0);
        assert!((p_value(&shift) - 0.00283).abs() < 5e-6);
        // 1.58 -+ 2.2622 * 0.38896, from the tables of t.
        let (low, high) = shift.interval_percent();
        close((low / 100.0).ln_1p(), 0.7001);
        close((high / 100.0).ln_1p(), 2.4599);
    }

    /// The same two columns as if of twenty patients: t = 1.8608, 17.776
    /// degrees of freedom, p = 0.07939, as R's documentation of t.test prints.
    #[test]
    fn the_same_by_welch() {
        let a = [0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0];
        let b = [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4];
        let shift = Shift::of_runs(&a, &b).unwrap();
        close(shift.ln / shift.error, 1.8608);
        close(shift.dof, 17.7765);
        close(p_value(&shift), 0.0794);
    }

    /// By hand: means 1 and 2, half the difference 0.5; squares 2 + 2 over 4
    /// degrees of freedom, so that the error is sqrt(1 * 2 / 3) / 2.
    #[test]
    fn contrasts_of_both_orders() {
        let shift = Shift::of_contrasts(&[0.0, 1.0, 2.0], &[1.0, 2.0, 3.0]).unwrap();
        assert_eq!((shift.ln, shift.dof), (0.5, 4.0));
        close(shift.error, 0.40825);
        assert_eq!(Shift::of_contrasts(&[1.0], &[2.0]), None);
        assert_eq!(Shift::of_contrasts(&[1.0, 2.0, 3.0], &[]), None);
        // An effect of the place in the round is no change.
        let same = Shift::of_contrasts(&[5.0, 5.1], &[5.0, 5.1]).unwrap();
        assert_eq!(same.ln, 0.0);
    }

    #[test]
    fn a_bucket_widens_intervals_and_bounds() {
        let shift = Shift::of_levels(&[0.1, 0.2, 0.3]).unwrap();
        let wider = shift.with_bucket(0.05);
        let ((low, high), (lower, higher)) = (shift.interval(), wider.interval());
        close(low - lower, 0.05);
        close(higher - high, 0.05);
        close(shift.lower_bound() - wider.lower_bound(), 0.05);
    }

    #[test]
    fn one_value_has_no_variance() {
        assert_eq!(Shift::of_levels(&[0.1]), None);
        assert_eq!(Shift::of_runs(&[0.1], &[0.1, 0.2]), None);
        assert_eq!(Shift::of_runs(&[0.1, 0.2], &[]), None);
    }

    #[test]
    fn without_variation_the_p_value_is_0_or_1() {
        let none = Shift::of_levels(&[0.0; 5]).unwrap();
        assert_eq!(p_value(&none), 1.0);
        assert_eq!(none.interval_percent(), (0.0, 0.0));
        let some = Shift::of_levels(&[0.25; 5]).unwrap();
        assert_eq!(p_value(&some), 0.0);
        assert_eq!(some.p_above(0.3), 1.0);
        assert_eq!(some.p_above(0.2), 0.0);
    }

    proptest! {
        /// Swapping the sides only changes the sign.
        #[test]
        fn sides_can_be_swapped(d in prop::collection::vec(-2.0..2.0, 2..20)) {
            let there = Shift::of_levels(&d).unwrap();
            let back: Vec<f64> = d.iter().map(|d| -d).collect();
            let back = Shift::of_levels(&back).unwrap();
            prop_assert!((there.ln + back.ln).abs() < 1e-12);
            prop_assert!((p_value(&there) - p_value(&back)).abs() < 1e-9);
        }

        /// The interval excludes 0 exactly if p is below 5 %.
        #[test]
        fn interval_and_p_value_agree(d in prop::collection::vec(-2.0..2.0, 2..20)) {
            let shift = Shift::of_levels(&d).unwrap();
            let (low, high) = shift.interval_percent();
            let p = p_value(&shift);
            prop_assume!((p - 0.05).abs() > 1e-6);
            prop_assert_eq!(low > 0.0 || high < 0.0, p < 0.05);
        }
    }
}
