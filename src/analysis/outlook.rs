// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Used while `compare` runs: what can be judged at the present packet rate, and
//! whether more rounds would answer more.

use std::time::Duration;

use crate::analysis::fail_if::Unjudged;
use crate::analysis::samples::MIN_ROUNDS;
use crate::analysis::{Analysis, HookResult, Row, Verdict};
use crate::model::hooks::Hook;
use crate::model::quantity::Quantity;
use crate::stats::looks::MOST_ROUNDS;

/// A proposed period is longer than needed by this factor, because rates vary.
const SPARE: f64 = 1.2;

/// The quantities that the packets of a period are enough for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// The quantities that can be judged at the hook with the most packets.
    pub judged: Vec<Quantity>,
    /// The first quantity that cannot be judged there.
    pub lacking: Option<Lacking>,
}

/// A quantity that has too few packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lacking {
    pub quantity: Quantity,
    /// The hook with the most packets.
    pub hook: Hook,
    /// The packets of a period there.
    pub had: u64,
    /// A period with enough packets. `None` if there are no packets.
    pub period: Option<Duration>,
}

/// `counts` are the packets at each hook in the period that has fewest.
pub(crate) fn outlook(counts: &[(Hook, u64)], period: Duration) -> Option<Outlook> {
    // Of hooks with as many packets, the first on the path.
    let most = counts
        .iter()
        .max_by_key(|&&(hook, count)| (count, std::cmp::Reverse(hook)));
    let &(hook, had) = most?;
    let quantiles = Quantity::JUDGED
        .into_iter()
        .filter(|q| q.quantile().is_some());
    let (judged, lacking): (Vec<Quantity>, Vec<Quantity>) =
        quantiles.partition(|quantity| had >= quantity.samples_to_compare());
    Some(Outlook {
        judged,
        lacking: lacking.first().map(|&quantity| Lacking {
            quantity,
            hook,
            had,
            period: period_for(quantity, had, period),
        }),
    })
}

/// A period with enough samples for a quantity, in whole seconds, if a period of
/// length `period` had `had`. `None` if there are no packets.
pub(crate) fn period_for(quantity: Quantity, had: u64, period: Duration) -> Option<Duration> {
    if had == 0 {
        return None;
    }
    let factor = SPARE * quantity.samples_to_compare() as f64 / had as f64;
    let seconds = (period.as_secs_f64() * factor).ceil();
    Some(Duration::from_secs_f64(seconds.clamp(1.0, 1e9)))
}

/// Whether all questions are answered, so that more rounds are not needed. With
/// limits: each limit is decided. Without: each row has a change, or could have
/// shown a change of `precision` percent. Rows that will have too few rounds even
/// at the last look do not count.
pub(crate) fn is_answered(analysis: &Analysis, precision: f64) -> bool {
    if !analysis.limits.is_empty() {
        return analysis.limits.iter().all(|outcome| match outcome.result {
            Ok(judged) => judged.exceeded || judged.surely_within,
            Err(Unjudged::Off | Unjudged::Idle) => true,
            Err(Unjudged::TooFew(_) | Unjudged::None) => false,
        });
    }
    let precision = (precision / 100.0).ln_1p();
    let made = analysis.design.units().a.max(1);
    let judgeable_later = |row: &Row| {
        let units = row.units.a + row.excluded.len();
        Quantity::JUDGED.contains(&row.quantity) && units * MOST_ROUNDS / made >= MIN_ROUNDS
    };
    let asked = analysis.of_all().filter(|result| result.asked);
    let mut rows = asked.flat_map(HookResult::rows);
    rows.all(|row| match row.verdict {
        // The precision is about quantiles, not about the tail.
        Some(Verdict::NotFound) if row.quantity.quantile().is_some() => {
            row.least_ln.is_some_and(|least| least <= precision)
        }
        Some(_) => true,
        None => !judgeable_later(row),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_lacking_is_told_with_the_period_that_gives_it() {
        let [ip, tcp] = ["ip-start", "tcp-start"].map(|name| Hook::find(name).unwrap());
        let second = Duration::from_secs(1);
        let found = outlook(&[(ip, 400), (tcp, 40)], 3 * second).unwrap();
        assert_eq!(found.judged, [Quantity::P50, Quantity::P90]);
        let lacking = found.lacking.unwrap();
        assert_eq!(
            (lacking.quantity, lacking.hook, lacking.had),
            (Quantity::P99, ip, 400)
        );
        // 3 s * 1.2 * 3000 / 400.
        assert_eq!(lacking.period, Some(27 * second));
        assert_eq!(outlook(&[(ip, 3000)], second).unwrap().lacking, None);
        let none = outlook(&[(ip, 0)], second).unwrap().lacking.unwrap();
        assert_eq!((none.quantity, none.period), (Quantity::P50, None));
        assert_eq!(outlook(&[], second), None);
    }
}
