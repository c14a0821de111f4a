// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Periods that something has disturbed: a backup, a migration, a reboot next
//! door. One such period of forty can hide a change of 25 %, and make another.

/// Scaled median absolute deviations from the median above which a period is
/// disturbed.
const FAR: f64 = 6.0;
/// Makes the median absolute deviation of a normal distribution its standard
/// deviation: 1 / Phi^-1(3/4).
const SCALE: f64 = 1.4826;

/// Rounds to leave out, the most disturbed first: at most one in ten. `rounds`
/// are the values (as ln) of each round's periods, of both sides, which must not
/// be told apart here; `bucket` is the least distance that means anything.
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
    fn the_most_disturbed_tenth_goes_and_no_more() {
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

    /// A change is no disturbance, however large: half of the periods have it.
    #[test]
    fn a_change_stays() {
        let mut changed = rounds(&[]);
        for values in changed.iter_mut().flatten() {
            values[1] += 5.0;
            values[2] += 5.0;
        }
        assert!(disturbed(&changed, 0.03).is_empty());
    }
}
