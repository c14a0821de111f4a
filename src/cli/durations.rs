// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! Durations as users write them.

use std::time::Duration;

/// Shortest and longest report interval.
const INTERVALS: (Duration, Duration) =
    (Duration::from_millis(10), Duration::from_secs(24 * 60 * 60));

/// Longest run: what timers take has an end, too.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Whether it is a number without a unit.
pub(super) fn is_bare_number(text: &str) -> bool {
    text.contains(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_digit() || c == '.')
}

/// Reads `10`, `0.5` (seconds) or `500ms`, `1m30s` (humantime).
///
/// # Errors
///
/// Says how durations are written.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let duration = if is_bare_number(text) {
        let seconds = text.parse::<f64>().ok();
        seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
    } else {
        humantime::parse_duration(text).ok()
    };
    match duration {
        None => Err("not a duration: write 10, 0.5, 500ms or 1m30s".into()),
        Some(Duration::ZERO) => Err("must be longer than zero".into()),
        Some(duration) if duration > LONGEST => Err("too long: 365days at most".into()),
        Some(duration) => Ok(duration),
    }
}

/// A duration within the limits of report intervals.
///
/// # Errors
///
/// Says how durations are written, or names the limit.
pub fn parse_interval(text: &str) -> Result<Duration, String> {
    let interval = parse_duration(text).map_err(|error| match error.as_str() {
        "must be longer than zero" => "too short: 10ms at least".into(),
        _ => error,
    })?;
    if interval < INTERVALS.0 {
        Err("too short: 10ms at least".into())
    } else if interval > INTERVALS.1 {
        Err("too long: 24h at most".into())
    } else {
        Ok(interval)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn intervals_are_read_as_documented() {
        let ms = |text| parse_interval(text).map(|d| d.as_millis());
        assert_eq!(ms("10"), Ok(10_000));
        assert_eq!(ms("0.5"), Ok(500));
        assert_eq!(ms(".5"), Ok(500));
        assert_eq!(ms("500ms"), Ok(500));
        assert_eq!(ms("1m30s"), Ok(90_000));
        assert_eq!(ms("10ms"), Ok(10));
        assert_eq!(ms("24h"), Ok(86_400_000));
        for bad in [
            "",
            "0",
            "0.0",
            "9ms",
            "25h",
            "86401",
            "-1",
            "+1",
            "1e3",
            "inf",
            "NaN",
            "1,5",
            "ten",
            "5 x",
            ".",
            "1.2.3",
            "99999999999999999999999",
        ] {
            assert!(ms(bad).is_err(), "{bad:?} was taken for an interval");
        }
    }

    proptest! {
        #[test]
        fn what_humantime_writes_is_read_back(millis in 10u64..=86_400_000) {
            let duration = Duration::from_millis(millis);
            let text = humantime::format_duration(duration).to_string();
            prop_assert_eq!(parse_interval(&text), Ok(duration));
        }

        #[test]
        fn bare_numbers_are_seconds(tenths in 1u64..=864_000) {
            let text = format!("{}.{}", tenths / 10, tenths % 10);
            let read = parse_interval(&text).unwrap();
            prop_assert_eq!(read.as_millis(), u128::from(tenths) * 100);
        }

        #[test]
        fn nothing_panics(text in "\\PC{0,12}") {
            let _ = parse_interval(&text);
            let _ = parse_duration(&text);
        }
    }
}
