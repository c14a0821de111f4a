// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Answers many questions at once, by drawing the labels of the units again.
//!
//! Each unit (a round or a file) has a label: which of two orders was drawn for
//! the round, or which side the file belongs to. If nothing was changed, the
//! labels mean nothing, and any other assignment of them was as likely. So each
//! statistic is compared with those of the other assignments, all questions
//! together: Westfall and Young, "Resampling-Based Multiple Testing" (1993),
//! algorithm 2.8, step-down max-|T|. The probability of any wrong rejection is at
//! most the level, whatever the distribution of the units is, and however the
//! questions depend on each other.

use rand::SeedableRng as _;
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::SliceRandom as _;

/// All assignments are tried if there are at most so many.
const MOST_EXHAUSTIVE: u64 = 5_000;
/// The number of assignments drawn if there are more.
const DRAWS: usize = 10_000;
/// Statistics that differ by less are equal. They are the same sums in another
/// order.
const SAME: f64 = 1e-9;

/// How two groups of units are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Variance {
    /// One variance for both groups: Student.
    Pooled,
    /// A variance for each group: Welch.
    Separate,
}

/// The question whether the labelled units differ from the others.
#[derive(Clone, Debug)]
pub(crate) struct Question {
    /// The value of each unit, if it has one.
    pub values: Vec<Option<f64>>,
    /// The least standard deviation that a unit is assumed to have. A smaller one
    /// only reflects the resolution of the histogram.
    pub least_deviation: f64,
    /// Whether only larger values of the labelled units count as a difference.
    pub one_sided: bool,
}

/// The answers to all questions.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answers {
    /// The adjusted p-value of each question.
    pub p_values: Vec<f64>,
    /// If nothing was changed, the largest statistic of all questions exceeds this
    /// with the probability `level`.
    pub critical: f64,
    /// The smallest possible p-value.
    pub floor: f64,
}

/// An assignment of labels to the units.
trait Labelling {
    fn is_labelled(&self, unit: usize) -> bool;
}

impl Labelling for &[bool] {
    fn is_labelled(&self, unit: usize) -> bool {
        self[unit]
    }
}

/// One bit for each unit.
impl Labelling for u64 {
    fn is_labelled(&self, unit: usize) -> bool {
        self >> unit & 1 == 1
    }
}

/// The values of a question, minus their mean.
struct Centred {
    units: Vec<(usize, f64)>,
    sum: f64,
    squares: f64,
    least_variance: f64,
    one_sided: bool,
}

impl Centred {
    fn new(question: &Question) -> Centred {
        let values = question.values.iter().enumerate();
        let mut units: Vec<(usize, f64)> = values
            .filter_map(|(unit, value)| Some((unit, (*value)?)))
            .collect();
        let mean = units.iter().map(|(_, value)| value).sum::<f64>() / units.len().max(1) as f64;
        units.iter_mut().for_each(|(_, value)| *value -= mean);
        Centred {
            sum: units.iter().map(|(_, value)| value).sum(),
            squares: units.iter().map(|(_, value)| value * value).sum(),
            units,
            least_variance: question.least_deviation.powi(2),
            one_sided: question.one_sided,
        }
    }

    /// The difference between the means of the two groups, divided by its standard
    /// error.
    fn statistic(&self, labels: &impl Labelling, variance: Variance) -> f64 {
        let (mut count, mut sum, mut squares) = (0.0, 0.0, 0.0);
        for &(unit, value) in &self.units {
            if labels.is_labelled(unit) {
                count += 1.0;
                sum += value;
                squares += value * value;
            }
        }
        let (other_count, other_sum) = (self.units.len() as f64 - count, self.sum - sum);
        let least = match variance {
            Variance::Pooled => 1.0,
            Variance::Separate => 2.0,
        };
        if count < least || other_count < least || count + other_count < 3.0 {
            // This assignment has no statistic. Infinity makes p-values larger,
            // never smaller.
            return f64::INFINITY;
        }
        let within = |count: f64, sum: f64, squares: f64| (squares - sum * sum / count).max(0.0);
        let (ours, theirs) = (
            within(count, sum, squares),
            within(other_count, other_sum, self.squares - squares),
        );
        let floor = |variance: f64| variance.max(self.least_variance);
        let error = match variance {
            Variance::Pooled => {
                let pooled = floor((ours + theirs) / (count + other_count - 2.0));
                pooled * (1.0 / count + 1.0 / other_count)
            }
            Variance::Separate => {
                floor(ours / (count - 1.0)) / count
                    + floor(theirs / (other_count - 1.0)) / other_count
            }
        };
        let difference = sum / count - other_sum / other_count;
        let t = if difference == 0.0 {
            0.0
        } else {
            difference / error.sqrt()
        };
        if self.one_sided { t } else { t.abs() }
    }
}

/// The label of each unit, and how it was drawn.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Labels {
    /// Whether each unit has the label.
    pub labels: Vec<bool>,
    /// The lengths of the blocks of units within which the labels were drawn.
    pub blocks: Vec<usize>,
    /// How the two groups are compared.
    pub variance: Variance,
}

/// Answers all questions together at a significance level. `seed` draws the
/// assignments if there are too many to try all.
pub(crate) fn answer(questions: &[Question], labels: &Labels, level: f64, seed: u64) -> Answers {
    let Labels {
        labels,
        blocks,
        variance,
    } = labels;
    let variance = *variance;
    let centred: Vec<Centred> = questions.iter().map(Centred::new).collect();
    let observed: Vec<f64> = centred
        .iter()
        .map(|question| question.statistic(&labels.as_slice(), variance))
        .collect();
    let mut order: Vec<usize> = (0..questions.len()).collect();
    order.sort_by(|&a, &b| observed[b].total_cmp(&observed[a]));
    let mut tally = Tally {
        centred: &centred,
        observed: &observed,
        order: &order,
        variance,
        reached: vec![0; questions.len()],
        largest: Vec::new(),
    };
    let chosen = labels.iter().filter(|&&label| label).count();
    let tried = match combinations(labels.len(), chosen) {
        Some(all) if all <= MOST_EXHAUSTIVE && blocks.len() <= 1 => {
            each_subset(labels.len(), chosen, |subset| tally.count(&subset));
            all as f64
        }
        _ => {
            // The actual assignment counts as one of the drawn ones.
            tally.count(&labels.as_slice());
            let mut rng = Xoshiro256PlusPlus::seed_from_u64(seed);
            let mut drawn = labels.to_vec();
            for _ in 0..DRAWS {
                let mut rest = drawn.as_mut_slice();
                for &length in blocks {
                    let (block, after) = rest.split_at_mut(length.min(rest.len()));
                    block.shuffle(&mut rng);
                    rest = after;
                }
                tally.count(&drawn.as_slice());
            }
            DRAWS as f64 + 1.0
        }
    };
    let mut p_values = vec![1.0; questions.len()];
    let mut least = 0.0_f64;
    for (&question, &reached) in order.iter().zip(&tally.reached) {
        least = least.max(reached as f64 / tried);
        p_values[question] = least;
    }
    Answers {
        p_values,
        critical: upper(tally.largest, level),
        floor: match blocks.len() {
            0 | 1 => floor(labels.len(), chosen, questions.iter().any(|q| !q.one_sided)),
            _ => 1.0 / (DRAWS as f64 + 1.0),
        },
    }
}

/// The smallest p-value of so many units, if `chosen` of them have the label. If
/// half of them have it, exchanging all labels only changes the sign of the
/// statistic, so a two-sided p-value is twice as large.
pub(crate) fn floor(units: usize, chosen: usize, two_sided: bool) -> f64 {
    let mirrored = if two_sided && 2 * chosen == units {
        2.0
    } else {
        1.0
    };
    match combinations(units, chosen) {
        Some(all) if all <= MOST_EXHAUSTIVE => mirrored / all as f64,
        _ => 1.0 / (DRAWS as f64 + 1.0),
    }
}

struct Tally<'a> {
    centred: &'a [Centred],
    observed: &'a [f64],
    /// The questions by observed statistic, largest first.
    order: &'a [usize],
    variance: Variance,
    /// For each place in `order`: the number of assignments in which this or a later
    /// question has a statistic as large as the observed one.
    reached: Vec<u64>,
    /// The largest statistic of each assignment.
    largest: Vec<f64>,
}

impl Tally<'_> {
    fn count(&mut self, labels: &impl Labelling) {
        let mut largest = f64::NEG_INFINITY;
        for (place, &question) in self.order.iter().enumerate().rev() {
            let statistic = self.centred[question].statistic(labels, self.variance);
            largest = largest.max(statistic);
            let observed = self.observed[question];
            // The first comparison is needed if both are infinite.
            if largest >= observed || largest >= observed - SAME * observed.abs() {
                self.reached[place] += 1;
            }
        }
        self.largest.push(largest);
    }
}

/// The value that a share of `level` of the values reaches.
fn upper(mut values: Vec<f64>, level: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * (1.0 - level)).ceil() as usize;
    values
        .get(rank.min(values.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::INFINITY)
}

/// The number of subsets of `chosen` units. `None` if there are very many.
fn combinations(units: usize, chosen: usize) -> Option<u64> {
    let mut all = 1u64;
    for n in 0..chosen.min(units - chosen) as u64 {
        all = all.checked_mul(units as u64 - n)? / (n + 1);
        if all > MOST_EXHAUSTIVE * 1000 {
            return None;
        }
    }
    Some(all)
}

/// Calls `see` with each subset of `chosen` of up to 63 units, as bits (Gosper's
/// hack, HAKMEM item 175).
fn each_subset(units: usize, chosen: usize, mut see: impl FnMut(u64)) {
    if chosen == 0 {
        return see(0);
    }
    let mut subset = (1u64 << chosen) - 1;
    while subset >> units == 0 {
        see(subset);
        let lowest = subset & subset.wrapping_neg();
        let ripple = subset + lowest;
        subset = (((ripple ^ subset) >> 2) / lowest) | ripple;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn question(values: &[f64]) -> Question {
        Question {
            values: values.iter().copied().map(Some).collect(),
            least_deviation: 0.0,
            one_sided: false,
        }
    }

    fn pooled(labels: &[bool]) -> Labels {
        Labels {
            labels: labels.to_vec(),
            blocks: vec![labels.len()],
            variance: Variance::Pooled,
        }
    }

    /// Labels are not exchanged between blocks.
    #[test]
    fn labels_stay_in_their_block() {
        let mut labels = pooled(&HALF);
        // Each block has one label only, so there is no other assignment.
        labels.blocks = vec![5, 5];
        let answers = answer(
            &[question(&[
                1.0, 2.0, 1.5, 1.0, 2.0, 7.0, 8.0, 7.5, 7.0, 8.0,
            ])],
            &labels,
            0.05,
            0,
        );
        assert_eq!(answers.p_values, [1.0]);
    }

    const HALF: [bool; 10] = [
        true, true, true, true, true, false, false, false, false, false,
    ];

    #[test]
    fn each_subset_is_seen_once() {
        let mut seen = std::collections::BTreeSet::new();
        each_subset(10, 5, |subset| {
            assert_eq!(subset.count_ones(), 5);
            assert!(seen.insert(subset));
        });
        assert_eq!(Some(seen.len() as u64), combinations(10, 5));
        assert_eq!(seen.len(), 252);
        each_subset(3, 0, |subset| assert_eq!(subset, 0));
    }

    /// The permutation distribution by hand: 1, 2, 3 against 10, 11, 12 is the
    /// most extreme of C(6, 3) = 20 assignments, together with its mirror: 2 / 20.
    #[test]
    fn the_most_extreme_has_the_smallest_p() {
        let labels = [false, false, false, true, true, true];
        let answers = answer(
            &[question(&[1.0, 2.0, 3.0, 10.0, 11.0, 12.0])],
            &pooled(&labels),
            0.05,
            0,
        );
        assert_eq!(answers.p_values, [0.1]);
        assert_eq!(answers.floor, 0.1);
        let mut one_sided = question(&[1.0, 2.0, 3.0, 10.0, 11.0, 12.0]);
        one_sided.one_sided = true;
        let answers = answer(&[one_sided], &pooled(&labels), 0.05, 0);
        assert_eq!(answers.p_values, [0.05]);
    }

    /// Student's sleep data of two groups: R's t.test (var.equal) has t = 1.8608
    /// and Welch's the same, as both groups have ten.
    #[test]
    fn the_statistic_is_students() {
        let values = [
            0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0, 1.9, 0.8, 1.1, 0.1, -0.1, 4.4,
            5.5, 1.6, 4.6, 3.4,
        ];
        let labels: Vec<bool> = (0..20).map(|unit| unit >= 10).collect();
        let centred = Centred::new(&question(&values));
        for variance in [Variance::Pooled, Variance::Separate] {
            let t = centred.statistic(&labels.as_slice(), variance);
            assert!((t - 1.8608).abs() < 5e-5, "{t}");
        }
    }

    /// With 48 questions the p-value of the clearest is what it is alone.
    #[test]
    fn the_number_of_questions_does_not_raise_the_floor() {
        let clear = question(&[5.0, 5.1, 5.2, 5.3, 5.4, 1.0, 1.1, 1.2, 1.3, 1.4]);
        let mut questions = vec![clear];
        for n in 0..47u64 {
            let noise = (0..10).map(|unit| ((unit * 7 + n * 13) % 11) as f64);
            questions.push(question(&noise.collect::<Vec<_>>()));
        }
        let answers = answer(&questions, &pooled(&HALF), 0.05, 0);
        assert!(answers.p_values[0] <= 0.02, "{answers:?}");
        assert!(answers.p_values[1..].iter().all(|&p| p > 0.05));
        assert!((answers.floor - 2.0 / 252.0).abs() < 1e-12);
    }

    #[test]
    fn missing_values_are_no_evidence() {
        let mut some = question(&[1.0; 10]);
        some.values = vec![None; 10];
        let answers = answer(&[some], &pooled(&HALF), 0.05, 0);
        assert_eq!(answers.p_values, [1.0]);
    }

    #[test]
    fn drawn_assignments_give_nearly_the_same_p_value() {
        // 20 units: 184,756 assignments, of which 10,000 are drawn.
        let values: Vec<f64> = (0..20).map(|n| f64::from(n * n % 17)).collect();
        let labels: Vec<bool> = (0..20).map(|n| n % 3 == 0).collect();
        let one = answer(&[question(&values)], &pooled(&labels), 0.05, 1);
        let two = answer(&[question(&values)], &pooled(&labels), 0.05, 2);
        assert!((one.p_values[0] - two.p_values[0]).abs() < 0.02);
        assert_eq!(one, answer(&[question(&values)], &pooled(&labels), 0.05, 1));
    }

    proptest! {
        /// A further question never makes a p-value smaller.
        #[test]
        fn more_questions_never_lower_a_p_value(
            one in prop::collection::vec(-1.0..1.0, 10),
            other in prop::collection::vec(-1.0..1.0, 10),
        ) {
            let alone = answer(&[question(&one)], &pooled(&HALF), 0.05, 0);
            let both = answer(&[question(&one), question(&other)], &pooled(&HALF), 0.05, 0);
            prop_assert!(both.p_values[0] >= alone.p_values[0]);
            prop_assert!(both.p_values.iter().all(|&p| p >= both.floor && p <= 1.0));
        }
    }
}
