// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! When a run ends by itself.

use std::time::Duration;

/// When a run ends by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct StopCondition {
    /// After this time.
    pub(super) after: Option<Duration>,
    /// After so many reports.
    reports: Option<u64>,
    /// After so many intervals, reported or missed.
    intervals: Option<u64>,
}

impl StopCondition {
    /// A duration of whole intervals is counted, so that no sliver is left
    /// over as a partial report.
    pub(super) fn new(
        interval: Option<Duration>,
        duration: Option<Duration>,
        reports: Option<u64>,
    ) -> StopCondition {
        let mut end = StopCondition {
            after: duration,
            reports,
            intervals: None,
        };
        if let (Some(interval), Some(duration)) = (interval, duration) {
            let (interval, duration) = (interval.as_nanos(), duration.as_nanos());
            if duration.is_multiple_of(interval) {
                end.after = None;
                end.intervals = u64::try_from(duration / interval).ok();
            }
        }
        end
    }

    /// Whether the time of so many intervals, reported or missed, is all of it.
    pub(super) fn time_is_over(&self, intervals: u64) -> bool {
        self.intervals.is_some_and(|limit| intervals >= limit)
    }

    /// Whether these are enough.
    pub(super) fn reached(&self, reports: u64, missed: u64) -> bool {
        self.reports.is_some_and(|limit| reports >= limit) || self.time_is_over(reports + missed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn every(interval: u32, duration: u32) -> StopCondition {
        StopCondition::new(Some(interval * SECOND), Some(duration * SECOND), None)
    }

    fn after(reports: u64) -> StopCondition {
        StopCondition::new(Some(5 * SECOND), None, Some(reports))
    }

    #[test]
    fn whole_intervals_are_counted_others_timed() {
        assert_eq!(every(1, 3).intervals, Some(3));
        assert_eq!(every(1, 3).after, None);
        assert_eq!(every(2, 3).after, Some(3 * SECOND));
        assert_eq!(
            StopCondition::new(None, Some(SECOND), None).after,
            Some(SECOND)
        );
        assert_eq!(after(3).after, None);
    }

    #[test]
    fn missed_intervals_count_against_a_duration_and_not_as_reports() {
        assert!(every(1, 3).reached(1, 2));
        assert!(!every(1, 4).reached(1, 2));
        assert!(!after(3).reached(1, 2));
        assert!(StopCondition::new(Some(SECOND), Some(9 * SECOND), Some(2)).reached(2, 0));
        assert!(!StopCondition::new(Some(SECOND), None, None).reached(1000, 1000));
    }
}
