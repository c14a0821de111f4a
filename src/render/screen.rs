// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! The look of text output: width, colour, time zone, and the header of a report.

use std::time::SystemTime;

use anstyle::{AnsiColor, Style};
use jiff::tz::TimeZone;
use jiff::{Timestamp, Zoned};

use crate::model::group::Group;
use crate::render::{Kind, Report, units};

/// The look of text output: line width, colour and time zone.
#[derive(Clone, Debug)]
pub(crate) struct Screen {
    width: usize,
    colour: bool,
    zone: TimeZone,
    /// Whether a report was already written. The next begins with an empty line.
    used: bool,
}

impl Screen {
    /// The width if stdout is not a terminal.
    pub(crate) const DEFAULT_WIDTH: usize = 80;

    /// Lines have at most `width` columns, which is clamped to 60..=200. Escape codes
    /// appear only with `colour`. Times are in the zone of the host, or in UTC if that
    /// is unknown.
    pub(crate) fn new(width: usize, colour: bool) -> Screen {
        let zone = TimeZone::try_system().ok();
        let zone = zone.filter(|zone| !zone.is_unknown());
        Screen {
            width: width.clamp(60, 200),
            colour,
            zone: zone.unwrap_or(TimeZone::UTC),
            used: false,
        }
    }

    /// The same with times in UTC.
    #[cfg(test)]
    #[must_use]
    pub(crate) fn utc(self) -> Screen {
        Screen {
            zone: TimeZone::UTC,
            ..self
        }
    }

    /// Columns per line.
    pub(crate) fn width(&self) -> usize {
        self.width
    }

    /// Labels and explanations.
    pub(super) fn dim(&self, text: &str) -> String {
        self.paint(Style::new().dimmed(), text)
    }

    /// Titles and names.
    pub(super) fn bold(&self, text: &str) -> String {
        self.paint(Style::new().bold(), text)
    }

    /// Bad news.
    pub(super) fn worse(&self, text: &str) -> String {
        self.paint(AnsiColor::Red.on_default(), text)
    }

    /// Good news.
    pub(super) fn better(&self, text: &str) -> String {
        self.paint(AnsiColor::Green.on_default(), text)
    }

    fn paint(&self, style: Style, text: &str) -> String {
        if self.colour {
            format!("{style}{text}{style:#}")
        } else {
            text.into()
        }
    }

    /// Adds the line that begins what a group has counted.
    pub(super) fn group(&self, page: &mut String, group: &Group) {
        let mut text = group.to_string();
        if *group == Group::Other {
            text += ": there was no room for more groups (--max-groups, --group-memory)";
        }
        let words = text.split(' ').map(|word| self.bold(word));
        self.flow(page, " ", words);
    }

    /// Begins a report: an empty line after the previous report, and the header.
    pub(super) fn page(&mut self, report: &Report) -> String {
        let mut page = String::new();
        if std::mem::replace(&mut self.used, true) {
            page.push('\n');
        }
        self.header(&mut page, report);
        page
    }

    /// Adds the line that shows which time a report covers. For an interval this is
    /// its end, which is when the report is made.
    fn header(&self, page: &mut String, report: &Report) {
        let interval = report.interval;
        let (start, end) = (self.zoned(interval.start), self.zoned(interval.end));
        let length = units::duration(interval.duration_ns);
        let mut items = match report.kind {
            Kind::Total => vec!["total".into(), length, span(&start, &end)],
            Kind::Interval if report.cumulative => {
                vec![full(&end), format!("{length} since start")]
            }
            Kind::Interval => vec![full(&end), length],
        };
        if report.partial {
            items.push("(partial)".into());
        }
        let sampling = interval.counters.sampling;
        if sampling.is_on() {
            let n = sampling.one_in();
            items.push(format!("(1 in {n} packets measured; ~: count x {n})"));
        }
        match report.missed_intervals {
            0 => {}
            1 if report.since_start() => items.push("(1 interval without a report)".into()),
            n if report.since_start() => items.push(format!("({n} intervals without a report)")),
            n => items.push(format!(
                "(covers {} intervals, {n} without a report)",
                n + 1
            )),
        }
        self.flow(page, "  ", items);
    }

    fn zoned(&self, time: SystemTime) -> Zoned {
        timestamp(time).to_zoned(self.zone.clone())
    }
}

/// Converts a time. A clock set beyond the year 9999 counts as the end of that year.
pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::MAX)
}

fn full(time: &Zoned) -> String {
    time.strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

/// A range of time. The date and the zone are not repeated.
fn span(start: &Zoned, end: &Zoned) -> String {
    let zone = |time: &Zoned| time.strftime("%Z").to_string();
    let first = if zone(start) == zone(end) {
        start.strftime("%Y-%m-%d %H:%M:%S").to_string()
    } else {
        full(start)
    };
    let last = if start.date() == end.date() {
        end.strftime("%H:%M:%S %Z").to_string()
    } else {
        full(end)
    };
    format!("{first} .. {last}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_support::*;

    fn header(report: &Report) -> String {
        let mut page = String::new();
        Screen::new(80, false).utc().header(&mut page, report);
        page
    }

    #[test]
    fn headers_show_the_time_that_is_covered() {
        let interval = Run::new(&["udp-start"]).interval();
        let plain = report(&interval);
        let now = "2026-11-21 10:17:03 UTC  10.0s";
        for (report, expected) in [
            (plain, now.to_string()),
            (
                Report {
                    partial: true,
                    ..plain
                },
                format!("{now}  (partial)"),
            ),
            (
                Report {
                    missed_intervals: 2,
                    ..plain
                },
                format!("{now}  (covers 3 intervals, 2 without a report)"),
            ),
            (
                Report {
                    cumulative: true,
                    missed_intervals: 1,
                    ..plain
                },
                format!("{now} since start  (1 interval without a report)"),
            ),
            (
                Report {
                    kind: Kind::Total,
                    ..plain
                },
                "total  10.0s  2026-11-21 10:16:53 .. 10:17:03 UTC".into(),
            ),
        ] {
            assert_eq!(header(&report), expected + "\n");
        }
    }

    #[test]
    fn a_total_over_midnight_names_both_days() {
        let mut interval = Run::new(&[]).interval();
        interval.start -= std::time::Duration::from_secs(11 * 3600);
        let total = Report {
            kind: Kind::Total,
            ..report(&interval)
        };
        let expected = "total  10.0s  2026-11-20 23:16:53 .. 2026-11-21 10:17:03 UTC\n";
        assert_eq!(header(&total), expected);
    }

    #[test]
    fn times_name_their_zone() {
        let zone = |hours| TimeZone::fixed(jiff::tz::offset(hours));
        let time = timestamp(std::time::UNIX_EPOCH + std::time::Duration::from_secs(END_S));
        let (one, two) = (time.to_zoned(zone(1)), time.to_zoned(zone(2)));
        assert_eq!(full(&one), "2026-11-21 11:17:03 +01");
        let expected = "2026-11-21 11:17:03 +01 .. 12:17:03 +02";
        assert_eq!(span(&one, &two), expected);
    }

    #[test]
    fn widths_are_clamped() {
        assert_eq!(Screen::new(20, false).width(), 60);
        assert_eq!(Screen::new(132, false).width(), 132);
        assert_eq!(Screen::new(999, false).width(), 200);
    }
}
