// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Finds periods that were disturbed, such as by a backup, or by a migration or a
//! reboot of another guest. One such period of forty can hide a change of 25 %, or
//! look like one.

/// A period is disturbed if its value is more than so many scaled median absolute
/// deviations from the median.
const FAR: f64 = 6.0;
/// The standard deviation of a normal distribution is its median absolute
/// deviation times this: 1 / Phi^-1(3/4).
const SCALE: f64 = 1.4826;

/// The rounds to exclude, the most disturbed first, at most one in ten. `rounds`
/// are the values (as ln) of the periods of each round. The sides are not known
/// here, so they cannot be treated differently. Distances up to `bucket` do not
/// count.
pub(crate) fn disturbed(rounds: &[Option<[f64; 4]>], bucket: f64) -> Vec<usize> {
    let mut all: Vec<f64> = rounds.iter().flatten().flatten().copied().collect();
    let Some(middle) = median(&mut all) else {
        return Vec::new();
    };
    let mut distances: Vec<f64> = all.iter().map(|value| (value - middle).abs()).collect();
    let spread = SCALE * median(&mut distances).unwrap_or(0.0);
    let limit = (FAR * spread).max(bucket);
    let farthest = |values: [f64; 4]| {
        let distances = values.map(|value| (value - middle).abs());
        distances.into_iter().fold(0.0, f64::max)
    };
    let mut far: Vec<(usize, f64)> = rounds
        .iter()
        .enumerate()
        .filter_map(|(round, values)| Some((round, farthest((*values)?))))
        .filter(|(_, distance)| *distance > limit)
        .collect();
    far.sort_by(|a, b| b.1.total_cmp(&a.1));
    far.truncate(rounds.len() / 10);
    far.into_iter().map(|(round, _)| round).collect()
}

fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        n if n % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(disturbed: &[(usize, f64)]) -> Vec<Option<[f64; 4]>> {
        let mut rounds: Vec<Option<[f64; 4]>> = (0..20)
            .map(|n| Some([0, 1, 2, 3].map(|p| f64::from((n * 4 + p) % 7) * 0.01)))
            .collect();
        for &(round, by) in disturbed {
            rounds[round].as_mut().expect("a round")[1] += by;
        }
        rounds
    }

    #[test]
    fn at_most_a_tenth_is_excluded_the_most_disturbed_first() {
        assert!(disturbed(&rounds(&[]), 0.03).is_empty());
        assert_eq!(disturbed(&rounds(&[(7, 3.0)]), 0.03), [7]);
        // In either direction; two of twenty, the farthest.
        let three = rounds(&[(1, 1.0), (2, -3.0), (3, 2.0)]);
        assert_eq!(disturbed(&three, 0.03), [2, 3]);
        assert!(disturbed(&[None; 20], 0.03).is_empty());
        assert!(disturbed(&[], 0.03).is_empty());
    }

    #[test]
    fn less_than_a_bucket_is_no_disturbance() {
        let mut still: Vec<Option<[f64; 4]>> = vec![Some([1.0; 4]); 20];
        still[4] = Some([1.0, 1.02, 1.0, 1.0]);
        assert!(disturbed(&still, 0.03).is_empty());
        assert_eq!(disturbed(&still, 0.01), [4]);
    }

    /// A change is in half of the periods, so it is never a disturbance.
    #[test]
    fn a_change_is_no_disturbance() {
        let mut changed = rounds(&[]);
        for values in changed.iter_mut().flatten() {
            values[1] += 5.0;
            values[2] += 5.0;
        }
        assert!(disturbed(&changed, 0.03).is_empty());
    }
}
